// The macros of the preset, up to eight, each by the name that its description begins with.

import { element } from "./elements.js";
import { knob } from "./knob.js";
import { learnable } from "./learn.js";

const percent = (value) => `${Math.round(100 * value)} %`;

/** Keep the macros of what plays in `panel`. */
export function macros(panel, connection) {
  const watches = connection.watches();
  connection.onTree(({ macro, n }) => {
    watches.clear();
    panel.hidden = !macro;
    const count = Object.keys(macro?.CONTENTS ?? {}).length;
    panel.style.setProperty("--columns", count > 4 ? Math.ceil(count / 2) : count);
    panel.replaceChildren(...Object.entries(macro?.CONTENTS ?? {}).map(([number, node]) => {
      const [name, help = ""] = node.DESCRIPTION.split(/: (.*)/s);
      const made = knob(name, { ...node, DESCRIPTION: help || name }, n.CONTENTS.macro.CONTENTS[number], connection, watches, percent);
      made.classList.add("macro");
      made.append(learnable(`macro.${number}`, connection, watches));
      return made;
    }));
  });
}
