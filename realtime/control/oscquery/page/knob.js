// A knob: a mouse turns it upwards and downwards, a finger sideways only, since up and down it scrolls the page.

import { clamp, draggable, keyable } from "./drag.js";
import { amount, element, shortUnit, unitOf, words } from "./elements.js";
import { typeable } from "./typed_value.js";

const TURN_PX = 180; // of a drag for the whole of a knob

function arc(from, to) {
  const point = (position) => {
    const angle = (position * 270 - 225) * Math.PI / 180;
    return `${(32 + 27 * Math.cos(angle)).toFixed(2)} ${(32 + 27 * Math.sin(angle)).toFixed(2)}`;
  };
  return `M ${point(from)} A 27 27 0 ${(to - from) * 270 > 180 ? 1 : 0} 1 ${point(to)}`;
}

/** Return a knob for a parameter's node and the node of its normalised value, kept by `watches`; `text` writes a value, null as it is. */
export function knob(name, node, position, connection, watches, text = null) {
  const [low, high] = [node.RANGE[0].MIN, node.RANGE[0].MAX];
  const origin = low < 0 && high > 0 ? -low / (high - low) : 0;
  const value = element("path", { class: "value" });
  const pointer = element("line", { class: "pointer", x1: 32, y1: 24, x2: 32, y2: 14 });
  const dial = element("svg", { viewBox: "0 0 64 64", tabindex: 0, role: "slider", "aria-label": words(name), "aria-valuemin": 0, "aria-valuemax": 1 },
    element("path", { class: "track", d: arc(0, 1) }), value, element("circle", { cx: 32, cy: 32, r: 20 }), pointer);
  const output = element("button", { class: "amount", type: "button", tabindex: -1 });
  let at = 0;
  const draw = (where) => {
    at = clamp(where);
    value.setAttribute("d", arc(Math.min(at, origin), Math.max(at, origin) + 1e-4));
    pointer.setAttribute("transform", `rotate(${at * 270 - 135} 32 32)`);
    dial.setAttribute("aria-valuenow", at.toFixed(3));
  };
  const showValue = (actual) => {
    output.textContent = text ? text(actual) : amount(actual, shortUnit(unitOf(node)));
    dial.setAttribute("aria-valuetext", text ? output.textContent : amount(actual, unitOf(node)));
    made.classList.toggle("modified", isModified(node, actual));
  };
  const turn = (where) => { draw(where); connection.send(position.FULL_PATH, at); };
  const isHeld = draggable(dial, { at: () => at, turn, fullPx: () => TURN_PX });
  keyable(dial, { at: () => at, turn });
  const made = element("div", { class: "knob", title: node.DESCRIPTION }, dial, element("span", { class: "name" }, words(name)), output);
  const back = () => connection.send(node.FULL_PATH, presetValue(node));
  dial.addEventListener("dblclick", back);
  dial.addEventListener("keydown", (event) => { if (event.key === "Delete") back(); });
  typeable(output, dial, node, connection);
  watches.add(position.FULL_PATH, (where) => { if (!isHeld()) draw(where); });
  watches.add(node.FULL_PATH, showValue);
  draw(position.VALUE[0]);
  showValue(node.VALUE[0]);
  return made;
}

/** Return the value that a parameter has in the preset that plays. */
export function presetValue(node) {
  return (node.PRESET_VALUE ?? node.DEFAULT_VALUE)[0];
}

/** Return whether `value` is another one than the preset's. */
export function isModified(node, value) {
  const own = presetValue(node);
  return typeof own === "number" ? Math.abs(value - own) > 1e-5 * Math.max(1, Math.abs(own)) : value !== own;
}
