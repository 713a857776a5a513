// Keys that do what switches and actions do: the server says which, as the tag `key x` of their nodes.

import { leaves } from "./elements.js";

const TYPED_IN = "input, select, textarea, dialog";

/** Let keys act while nothing is being typed. */
export function keys(connection) {
  let bound = new Map();
  connection.onTree((tree) => {
    bound = new Map();
    for (const node of Object.values(tree).flatMap((each) => [...leaves(each)])) {
      for (const tag of node.TAGS ?? []) if (tag.startsWith("key ")) bound.set(tag.slice(4), node);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.repeat || event.altKey || event.target.closest(TYPED_IN) || document.body.classList.contains("locked")) return;
    const node = bound.get(nameOf(event));
    if (!node) return;
    event.preventDefault();
    if (node.TYPE === "I") connection.send(node.FULL_PATH);
    else connection.send(node.FULL_PATH, !node.VALUE[0]);
  });
}

// The name of a press as the server writes it: Shift+1, Ctrl+z, ].
function nameOf({ key, code, shiftKey, ctrlKey, metaKey }) {
  const digit = /^Digit(\d)$/.exec(code);
  const plain = digit ? digit[1] : key.length === 1 ? key.toLowerCase() : key;
  if (ctrlKey || metaKey) return `Ctrl+${shiftKey && plain === "z" ? "y" : plain}`;
  return shiftKey && digit ? `Shift+${plain}` : plain;
}

/** Return the key of a node for people, in brackets; "" where it has none. */
export function keyOf(node) {
  const tag = node?.TAGS?.find((each) => each.startsWith("key "));
  return tag ? ` (key ${tag.slice(4)})` : "";
}
