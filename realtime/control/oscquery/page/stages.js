// The stages of the chain as cards, in the order that the sound takes.

import { control, toggle } from "./controls.js";
import { element, words } from "./elements.js";
import { learnable } from "./learn.js";

/** Keep a card for each stage of what plays in `panel`. */
export function stages(panel, connection) {
  const watches = connection.watches();
  connection.onTree((tree) => {
    watches.clear();
    panel.replaceChildren(...tree.order.VALUE.map((name) => card(name, tree[name].CONTENTS, tree.n.CONTENTS[name].CONTENTS, connection, watches)));
  });
}

function card(name, { bypass, mix, ...own }, positions, connection, watches) {
  const chip = (key) => learnable(`${name}.${key}`, connection, watches);
  const off = toggle(element("button", { class: "switch", type: "button" }, "bypass"), bypass, connection, watches);
  const controls = Object.entries({ ...own, mix })
    .map(([key, node]) => control(key, node, positions[key], chip(key), connection, watches));
  controls.sort((a, b) => b.classList.contains("wide") - a.classList.contains("wide"));
  const made = element("section", { class: "stage", "aria-label": words(name) },
    element("h2", {}, words(name), element("span", { class: "action" }, off, chip("bypass"))),
    element("div", { class: "knobs" }, ...controls));
  const dim = () => made.classList.toggle("off", off.getAttribute("aria-pressed") === "true");
  new MutationObserver(dim).observe(off, { attributes: true });
  dim();
  return made;
}
