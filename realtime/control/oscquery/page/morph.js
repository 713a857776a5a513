// The morph: from one preset to another.

import { $, choices } from "./elements.js";

/** Keep the two menus and the slider between them. */
export function morph(connection) {
  const [from, to, way] = ["from", "to", "way"].map($);
  const watches = connection.watches();
  connection.onTree(({ morph: node, preset }) => {
    const names = preset.RANGE[0].VALS;
    const show = (first, second, position) => {
      choices(from, names, first);
      choices(to, names, second);
      if (document.activeElement !== way) way.value = position;
    };
    const [playing] = preset.VALUE;
    if (node.VALUE) show(...node.VALUE);
    else if (!from.options.length) show(playing, playing, 0);
    way.oninput = () => connection.send(node.FULL_PATH, from.value, to.value, Number(way.value));
    watches.clear();
    watches.add(node.FULL_PATH, show);
  });
}
