// Elements of the page, and how values are written.

const SVG = new Set(["svg", "path", "line", "circle", "g", "rect"]);
const SHORT = { semitones: "st", cents: "ct", "dB/octave": "dB/oct" };
const UNITS = { "time.hz": "Hz", "time.ms": "ms", "time.second": "s", "gain.db-raw": "dB" };

export const $ = (id) => document.getElementById(id);

/** Return a new element; `children` are elements and texts, an attribute that is `false` is left out, unless it is ARIA's. */
export function element(tag, attributes = {}, ...children) {
  const made = SVG.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("aria-")) made.setAttribute(name, value);
    else if (value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Return an address or name as words. */
export function words(name) {
  return name.replace(/[-_/]/g, " ").replace(/([a-z]{3,})(\d)/g, "$1 $2");
}

/** Return the unit of a node as people write it; "" where it has none. */
export function unitOf(node) {
  const unit = node.UNIT?.[0] ?? "";
  return UNITS[unit] ?? unit;
}

/** Return a unit as short as it is written below a knob. */
export function shortUnit(unit) { return SHORT[unit] ?? unit; }

/** Return a number with its unit, in as many digits as one can hear. */
export function amount(value, unit) {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 || unit === "dB" ? 1 : 2;
  return `${value.toFixed(digits)}${unit ? ` ${unit}` : ""}`;
}

/** Let a select offer `names`, and `chosen` if it is none of them. */
export function choices(select, names, chosen) {
  const all = chosen && !names.includes(chosen) ? [chosen, ...names] : names;
  select.replaceChildren(...all.map((name) => element("option", { value: name }, name || "(none)")));
  select.value = chosen;
}

/** Yield a node and all below it that have values. */
export function* leaves(node) {
  if (node.TYPE) yield node;
  for (const child of Object.values(node.CONTENTS ?? {})) yield* leaves(child);
}
