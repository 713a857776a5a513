// Values that are typed: a press on a knob's value, or Enter on the knob, opens a field for it; units may be left out.

import { element, shortUnit, unitOf } from "./elements.js";


/** Return the number that a text means in `unit`: 1.2k is 1200, 0.5 s is 500 where the unit is ms; NaN if none. */
export function parse(text, unit) {
  const [, digits, kilo, written] = /^\s*([-+]?(?:\d+[.,]?\d*|[.,]\d+))\s*(k?)\s*(.*?)\s*$/i.exec(text) ?? [];
  if (digits === undefined) return NaN;
  const number = Number(digits.replace(",", ".")) * (kilo ? 1000 : 1);
  if (!written || [unit, shortUnit(unit)].some((known) => written.toLowerCase() === known.toLowerCase())) return number;
  if (unit === "ms" && written === "s") return number * 1000;
  if (unit === "s" && written === "ms") return number / 1000;
  return NaN;
}

/** Let a press on `output`, or Enter on `dial`, open a field for the value of a parameter's node. */
export function typeable(output, dial, node, connection) {
  const [{ MIN: low, MAX: high }] = node.RANGE;
  const open = () => {
    const unit = unitOf(node);
    const field = element("input", { class: "typed", inputmode: "decimal", autocomplete: "off", "aria-label": `${dial.getAttribute("aria-label")}, ${low} to ${high}${unit ? ` ${unit}` : ""}` });
    const close = (keeps) => {
      field.onblur = null; // which replacing it would call
      const value = parse(field.value, unit);
      if (keeps && Number.isFinite(value)) connection.send(node.FULL_PATH, Math.min(Math.max(value, low), high));
      field.replaceWith(output);
    };
    field.value = String(Number(node.VALUE[0].toPrecision(6)));
    field.onblur = () => close(true);
    field.onkeydown = (event) => {
      event.stopPropagation();
      if (event.key !== "Enter" && event.key !== "Escape") return;
      if (event.key === "Escape") field.value = "";
      close(event.key === "Enter");
      dial.focus();
    };
    output.replaceWith(field);
    field.focus();
    field.select();
  };
  output.onclick = open;
  dial.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    open();
  });
}
