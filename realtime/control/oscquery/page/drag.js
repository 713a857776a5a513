// Drags that turn something: with a mouse along an axis, with a finger along another one than the page scrolls.

const SLOP_PX = 8; // so far sideways a finger turns nothing yet
const FINE = 8; // times slower: with Shift, or with a finger that has gone this far away:
const FINE_AWAY_PX = 90;

export const clamp = (position) => Math.min(Math.max(position, 0), 1);

/**
 * Let drags on `target` move a normalised value: `at()` is where it is, `turn(position)` moves it, `fullPx(touch)` is how
 * long a drag goes all the way. A mouse drags upwards, or sideways with `sideways`; a finger always sideways. Returns
 * whether something holds it now.
 */
export function draggable(target, { at, turn, fullPx, sideways = false }) {
  let held = null; // by the pointer of this id, which has been there along its way
  const along = (event) => (sideways || event.pointerType === "touch" ? event.clientX : -event.clientY);
  target.addEventListener("pointerdown", (event) => {
    if (held || event.button) return; // by another finger
    const touch = event.pointerType === "touch";
    held = { id: event.pointerId, along: along(event), y: event.clientY, at: at(), touch, turns: !touch };
    target.setPointerCapture(event.pointerId);
  });
  target.addEventListener("pointermove", (event) => {
    if (held?.id !== event.pointerId) return;
    const moved = along(event) - held.along;
    if (!held.turns && Math.abs(moved) < SLOP_PX) return;
    const away = held.touch && Math.abs(event.clientY - held.y) > FINE_AWAY_PX;
    const step = held.turns ? moved / fullPx(held.touch) / (event.shiftKey || away ? FINE : 1) : 0;
    held = { ...held, along: along(event), at: clamp(held.at + step), turns: true };
    if (step) turn(held.at);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    target.addEventListener(end, ({ pointerId }) => { if (held?.id === pointerId) held = null; });
  }
  return () => held !== null;
}

const KEYS = { ArrowUp: .01, ArrowRight: .01, ArrowDown: -.01, ArrowLeft: -.01, PageUp: .1, PageDown: -.1, Home: -1, End: 1 };

/** Let keys move a normalised value: arrows by a hundredth (a thousandth with Shift), Page Up and Down, Home, End. */
export function keyable(target, { at, turn }) {
  target.addEventListener("keydown", (event) => {
    if (!(event.key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    turn(clamp(at() + KEYS[event.key] * (event.shiftKey && event.key.startsWith("Arrow") ? .1 : 1)));
  });
}
