// Audition: a clip in place of the input, so that presets can be tried when nothing is plugged in.

import { toggle, chooser } from "./controls.js";
import { element, words } from "./elements.js";
import { keyOf } from "./keys.js";

const SILENT_DB = -66;
const SILENT_MS = 3000; // so long nothing may come in until the page offers a clip

/** Return the switch and the menu of clips; `said` beside them says what plays. Without auditions, nothing. */
export function auditionRow(connection, watches, changed = () => {}) {
  const [node, clip] = ["audition", "audition-clip"].map((name) => connection.node(name));
  if (!node || !clip) return "";
  const button = toggle(element("button", { class: "switch", type: "button", title: `${node.DESCRIPTION}${keyOf(node)}` }), node, connection, watches);
  const menu = chooser(element("select", { "aria-label": "clip in place of the input" }), clip, connection, watches);
  const nameClips = () => { for (const option of menu.options) option.textContent = words(option.value.replace(/\.\w+$/, "")); };
  const said = element("span", { class: "hint" });
  const show = (on) => {
    button.textContent = on ? "■ Stop the clip" : "▶ Play a clip";
    said.textContent = on ? "plays in place of the input" : "";
    changed(on);
  };
  watches.add(node.FULL_PATH, show);
  watches.add(clip.FULL_PATH, nameClips);
  nameClips();
  show(node.VALUE[0]);
  return element("div", { class: "audition", role: "group", "aria-label": "Audition" }, button, menu, said);
}

/** Offer a clip in `panel` while nothing has come in for some time, and while one plays. */
export function auditionOffer(panel, connection) {
  const watches = connection.watches();
  let lastSound = performance.now();
  connection.onTree(({ meters }) => {
    watches.clear();
    let plays = false;
    const line = element("p", {}, "Nothing comes in.");
    const show = () => {
      const silent = performance.now() - lastSound > SILENT_MS;
      line.hidden = plays;
      panel.hidden = !plays && !silent;
    };
    const row = auditionRow(connection, watches, (on) => {
      if (plays && !on) lastSound = performance.now();
      plays = on;
      show();
    });
    panel.replaceChildren(...(row ? [line, row] : []));
    panel.hidden = true;
    const level = meters?.CONTENTS.input?.CONTENTS.peak_db;
    if (!row || !level) return;
    watches.add(level.FULL_PATH, (db) => {
      if (db > SILENT_DB) lastSound = performance.now();
      show();
    });
    show();
  });
}

/** Return whether a clip plays in place of the input now. */
export function auditions(connection) {
  return connection.values("audition")[0] === true;
}
