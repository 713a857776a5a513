// A knob: a mouse turns it upwards and downwards, a finger sideways only, since up and down it scrolls the page.

import { amount, element, unitOf, words } from "./elements.js";

const TURN_PX = 180; // of a drag for the whole of a knob
const FINE_PX = 1500; // with Shift
const SLOP_PX = 8; // so far sideways a finger turns nothing yet
const KEYS = { ArrowUp: .01, ArrowRight: .01, ArrowDown: -.01, ArrowLeft: -.01, PageUp: .1, PageDown: -.1, Home: -1, End: 1 };

const clamp = (position) => Math.min(Math.max(position, 0), 1);

function arc(from, to) {
  const point = (position) => {
    const angle = (position * 270 - 225) * Math.PI / 180;
    return `${(32 + 26 * Math.cos(angle)).toFixed(2)} ${(32 + 26 * Math.sin(angle)).toFixed(2)}`;
  };
  return `M ${point(from)} A 26 26 0 ${(to - from) * 270 > 180 ? 1 : 0} 1 ${point(to)}`;
}

/** Return a knob for a parameter's node and the node of its normalised value, kept by `watches`. */
export function knob(name, node, position, connection, watches) {
  const [low, high] = [node.RANGE[0].MIN, node.RANGE[0].MAX];
  const origin = low < 0 && high > 0 ? -low / (high - low) : 0;
  const value = element("path", { class: "value" });
  const pointer = element("line", { class: "pointer", x1: 32, y1: 32, x2: 32, y2: 14 });
  const output = element("output");
  const dial = element("svg", { viewBox: "0 0 64 64", tabindex: 0, role: "slider", "aria-label": words(name), "aria-valuemin": 0, "aria-valuemax": 1 },
    element("circle", { cx: 32, cy: 32, r: 19 }), element("path", { class: "track", d: arc(0, 1) }), value, pointer);
  let at = 0;
  let held = null; // by the pointer of this id, which has been there along its way
  const draw = (where) => {
    at = clamp(where);
    value.setAttribute("d", arc(Math.min(at, origin), Math.max(at, origin) + 1e-4));
    pointer.setAttribute("transform", `rotate(${at * 270 - 135} 32 32)`);
    dial.setAttribute("aria-valuenow", at.toFixed(3));
  };
  const showValue = (actual) => {
    output.textContent = amount(actual, unitOf(node));
    dial.setAttribute("aria-valuetext", output.textContent);
  };
  const turn = (where) => { draw(where); connection.send(position.FULL_PATH, at); };
  const along = (event) => (event.pointerType === "touch" ? event.clientX : -event.clientY);
  dial.addEventListener("pointerdown", (event) => {
    if (held) return; // by another finger
    held = { id: event.pointerId, along: along(event), at, turns: event.pointerType !== "touch" };
    dial.setPointerCapture(event.pointerId);
  });
  dial.addEventListener("pointermove", (event) => {
    if (held?.id !== event.pointerId) return;
    const moved = along(event) - held.along;
    if (!held.turns && Math.abs(moved) < SLOP_PX) return;
    const step = held.turns ? moved / (event.shiftKey ? FINE_PX : TURN_PX) : 0;
    held = { ...held, along: along(event), at: clamp(held.at + step), turns: true };
    if (step) turn(held.at);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    dial.addEventListener(end, ({ pointerId }) => { if (held?.id === pointerId) held = null; });
  }
  dial.addEventListener("dblclick", () => turn(position.DEFAULT_VALUE[0]));
  dial.addEventListener("keydown", (event) => {
    if (event.key in KEYS) { event.preventDefault(); turn(at + KEYS[event.key]); }
  });
  watches.add(position.FULL_PATH, (where) => { if (!held) draw(where); });
  watches.add(node.FULL_PATH, showValue);
  draw(position.VALUE[0]);
  showValue(node.VALUE[0]);
  return element("div", { class: "knob", title: node.DESCRIPTION }, dial, element("span", { class: "name" }, words(name)), output);
}
