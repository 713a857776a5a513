// Dragging an item of a list to another place, with mouse or finger.

/** Let drags of `grip` move the item of `list` that it belongs to; `drop(place)` is called with where it is dropped. */
export function reorderable(grip, list, drop) {
  let held = null; // the pointer, and where it went down
  const place = (y, x) => {
    const others = [...list.children].filter((each) => each !== grip.closest("li"));
    const before = others.findIndex((each) => {
      const { left, right, top, height } = each.getBoundingClientRect();
      return x < right && x > left ? y < top + height / 2 : false;
    });
    const column = others.filter((each) => { const { left, right } = each.getBoundingClientRect(); return x < right && x > left; });
    return before >= 0 ? before : column.length ? others.indexOf(column.at(-1)) + 1 : others.length;
  };
  grip.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    held = { id: event.pointerId, x: event.clientX, y: event.clientY, moved: false };
    grip.setPointerCapture(event.pointerId);
  });
  grip.addEventListener("pointermove", (event) => {
    if (held?.id !== event.pointerId) return;
    const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
    held.moved ||= Math.hypot(dx, dy) > 6;
    if (!held.moved) return;
    const item = grip.closest("li");
    item.classList.add("dragged");
    item.style.transform = `translate(${dx}px, ${dy}px)`;
    const others = [...list.children].filter((each) => each !== item);
    const to = place(event.clientY, event.clientX);
    others.forEach((each, index) => each.classList.toggle("drop-before", index === to));
    list.classList.toggle("drop-last", to === others.length);
  });
  const end = (event) => {
    if (held?.id !== event.pointerId) return;
    const { moved } = held;
    const item = grip.closest("li");
    const from = [...list.children].indexOf(item);
    const to = place(event.clientY, event.clientX);
    held = null;
    item.classList.remove("dragged");
    item.style.transform = "";
    list.classList.remove("drop-last");
    for (const each of list.children) each.classList.remove("drop-before");
    if (moved && event.type === "pointerup" && to !== from) drop(to);
  };
  grip.addEventListener("pointerup", end);
  grip.addEventListener("pointercancel", end);
}
