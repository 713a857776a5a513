// Snapshots, A and B, and the morph between two of them or between presets.

import { toggle } from "./controls.js";
import { choices, element, words } from "./elements.js";
import { fader } from "./fader.js";
import { keyOf } from "./keys.js";
import { learnable } from "./learn.js";

const COUNT = 8;

/** Keep the row in `panel`. */
export function snapshots(panel, connection) {
  const watches = connection.watches();
  const filled = new Set(); // numbers of the snapshots that hold something
  let stores = false; // whether the next press on a number keeps what plays there
  connection.onTree((tree) => {
    watches.clear();
    stores = false;
    const chip = (name) => learnable(name, connection, watches);
    for (const name of tree.morph.RANGE[0].VALS) if (/^snapshot-\d$/.test(name)) filled.add(Number(name.at(-1)));
    panel.replaceChildren(...[tree["snapshot-1"] && numbers(tree, chip), tree.ab && compare(tree, chip), way(tree, chip)].filter(Boolean));
  });

  function numbers(tree, chip) {
    const store = element("button", { class: "switch", type: "button", "aria-pressed": "false", title: "then press a number (or hold Shift with its key)" }, "Store");
    const buttons = Array.from({ length: COUNT }, (_, place) => place + 1).map((number) => {
      const button = element("button", { class: "number", type: "button", title: `snapshot ${number}${keyOf(tree[`snapshot-${number}`])}` }, String(number));
      button.onclick = (event) => {
        const keeps = stores || event.shiftKey || !filled.has(number);
        connection.send(tree[`${keeps ? "store" : "snapshot"}-${number}`].FULL_PATH);
        if (keeps) filled.add(number);
        show(false);
      };
      return [number, button];
    });
    const show = (is) => {
      stores = is;
      store.setAttribute("aria-pressed", is);
      for (const [number, button] of buttons) {
        button.classList.toggle("filled", filled.has(number));
        button.setAttribute("aria-label", `${stores || !filled.has(number) ? "store" : "recall"} snapshot ${number}`);
      }
    };
    store.onclick = () => show(!stores);
    show(false);
    return element("div", { class: "group numbers", role: "group", "aria-label": "Snapshots" }, element("h2", {}, "Snapshots"), store,
      ...buttons.map(([number, button]) => element("span", { class: "action" }, button, chip(`snapshot-${number}`))));
  }

  function compare(tree, chip) {
    const button = toggle(element("button", { class: "switch", type: "button", title: `${tree.ab.DESCRIPTION}${keyOf(tree.ab)}` }), tree.ab, connection, watches);
    const show = (on) => { button.textContent = on ? "B" : "A"; button.setAttribute("aria-label", on ? "B plays: compare with A" : "A plays: compare with B"); };
    watches.add(tree.ab.FULL_PATH, show);
    show(tree.ab.VALUE[0]);
    return element("div", { class: "group", role: "group", "aria-label": "Compare" }, element("h2", {}, "A / B"), element("span", { class: "action" }, button, chip("ab")));
  }

  function way({ morph: node, preset }, chip) {
    const [from, to] = ["from", "to"].map((end) => element("select", { id: end, "aria-label": `morph ${end}` }));
    const { made, show: showPosition } = fader("morph position", (position) => connection.send(node.FULL_PATH, from.value, to.value, position));
    made.id = "way";
    const show = (first, second, position) => {
      for (const [select, name] of [[from, first], [to, second]]) {
        choices(select, node.RANGE[0].VALS, name);
        for (const option of select.options) option.textContent = words(option.textContent);
      }
      showPosition(position);
    };
    const snapshotsThere = [...filled].sort().map((number) => `snapshot-${number}`);
    const [first, second] = snapshotsThere.length > 1 ? snapshotsThere : [preset.VALUE[0], snapshotsThere[0] ?? preset.VALUE[0]];
    show(...(node.VALUE ?? [first, second, 0]));
    watches.add(node.FULL_PATH, show);
    return element("div", { class: "group morph", role: "group", "aria-label": "Morph" }, element("h2", {}, "Morph"), from, made, to, chip("morph"));
  }
}
