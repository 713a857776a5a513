// The preset that plays, and the one before and after it.

import { $ } from "./elements.js";

/** Keep the bar; a press on the name calls `browse`. */
export function presetBar(connection, browse) {
  const watches = connection.watches();
  $("preset").onclick = browse;
  connection.onTree((tree) => {
    const show = (name) => {
      $("preset").textContent = name;
      $("preset").setAttribute("aria-label", `preset ${name}: choose another`);
      document.title = `${name} – Gramophone`;
    };
    for (const id of ["next", "previous"]) {
      const node = tree[`${id}-preset`];
      $(id).hidden = !node;
      $(id).onclick = () => connection.send(node.FULL_PATH);
    }
    watches.clear();
    watches.add(tree.preset.FULL_PATH, show);
    show(tree.preset.VALUE[0]);
  });
}
