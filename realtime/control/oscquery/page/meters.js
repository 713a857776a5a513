// The meters: levels as bars, what else is measured as figures.

import { amount, element, leaves, unitOf, words } from "./elements.js";
import { ROOT } from "./connection.js";

const FLOOR_DB = -60;

/** Keep the meters in `panel`. */
export function meters(panel, connection) {
  const watches = connection.watches();
  connection.onTree(({ meters: all }) => {
    watches.clear();
    panel.replaceChildren(...(all ? [...leaves(all)].map((node) => meter(node, watches)) : []));
  });
}

function meter(node, watches) {
  const unit = unitOf(node);
  const fill = element("i");
  const output = element("output");
  const show = (level) => {
    output.textContent = amount(level, unit);
    if (unit === "dB") fill.style.clipPath = `inset(0 ${100 * Math.min(Math.max(level / FLOOR_DB, 0), 1)}% 0 0)`;
  };
  watches.add(node.FULL_PATH, show);
  if (node.VALUE) show(node.VALUE[0]);
  const name = words(node.FULL_PATH.slice(`${ROOT}/meters/`.length)).replace(/ db$/, "");
  const bar = unit === "dB" ? element("div", { class: "bar" }, fill) : element("div");
  return element("div", { class: "meter" }, element("span", {}, name), bar, output);
}
