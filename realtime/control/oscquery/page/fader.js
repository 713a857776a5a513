// A fader: a mouse or finger moves it sideways; up and down a finger scrolls the page.

import { clamp, draggable, keyable } from "./drag.js";
import { element } from "./elements.js";

/** Return a fader called `label` that calls `turn` with its position, 0 to 1, and the function that shows another one. */
export function fader(label, turn) {
  const fill = element("i");
  const thumb = element("b");
  const made = element("div", { class: "fader", role: "slider", tabindex: 0, "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 1 }, fill, thumb);
  let at = 0;
  const draw = (where) => {
    at = clamp(where);
    made.style.setProperty("--at", at);
    made.setAttribute("aria-valuenow", at.toFixed(3));
    made.setAttribute("aria-valuetext", `${Math.round(100 * at)} %`);
  };
  const move = (where) => { draw(where); turn(at); };
  const width = () => made.clientWidth;
  const isHeld = draggable(made, { at: () => at, turn: move, fullPx: width, sideways: true });
  made.addEventListener("click", (event) => { // which a drag or a swipe is not, unless it ends where it began
    const { left } = made.getBoundingClientRect();
    if (event.detail && Math.abs((event.clientX - left) / width() - at) > .1) move((event.clientX - left) / width());
  });
  keyable(made, { at: () => at, turn: move });
  draw(0);
  return { made, show: (where) => { if (!isHeld()) draw(where); } };
}
