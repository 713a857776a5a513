// What the panels Sounds, Record and Devices share: their style sheet, the line that says what is done, and small controls.

import { element } from "./elements.js";

const STYLE = "/ui/panels.css";

let styled = null;

/** Let the page have the panels' style sheet, once; return the promise that it is there. */
export function useStyle() {
  styled ??= new Promise((done) => {
    const link = element("link", { rel: "stylesheet", href: STYLE });
    link.onload = link.onerror = done;
    document.head.append(link);
  });
  return styled;
}

/** Return a line that shows what the server does, at a path with a text and a share (-1: none), and how far it is. */
export function progressLine(path, connection, watches, changed = () => {}) {
  const text = element("span");
  const bar = element("progress", { max: 1, "aria-label": "progress" });
  const line = element("p", { class: "progress", role: "status" }, text, bar);
  const show = (words, share = -1) => {
    text.textContent = words;
    bar.hidden = share < 0 || share >= 1;
    if (!bar.hidden) bar.value = share;
  };
  show(...connection.values(path));
  watches.add(connection.node(path).FULL_PATH, (words, share) => { show(words, share); changed(words, share); });
  return line;
}

/** Return a line that shows what is in the bin of `section`, with a button that empties it; no line while that is nothing. */
export function binLine(section, connection, watches) {
  const text = element("span");
  const line = element("p", { class: "bin hint" }, text, carefulButton("Empty the bin", () => connection.send(connection.node(`${section}/empty-bin`).FULL_PATH)));
  const show = (words) => {
    text.textContent = words;
    line.hidden = !words;
  };
  show(...connection.values(`${section}/bin`));
  watches.add(connection.node(`${section}/bin`).FULL_PATH, show);
  return line;
}

/** Return a button that does something. */
export function button(label, act, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, label);
  made.onclick = act;
  return made;
}

/** Return a button that asks once more before it acts: it has to be pressed twice within three seconds. */
export function carefulButton(label, act, attributes = {}) {
  let sure = 0;
  const made = button(label, () => {
    if (sure) { clearTimeout(sure); act(); return; }
    made.textContent = "Sure?";
    sure = setTimeout(() => { sure = 0; made.textContent = label; }, 3000);
  }, attributes);
  return made;
}

/** Return a labelled select of `names`, or pairs of value and words, that calls `choose`. */
export function select(label, names, chosen, choose = () => {}) {
  const pairs = names.map((each) => (Array.isArray(each) ? each : [each, each]));
  const made = element("select", {}, ...pairs.map(([value, words]) => element("option", { value }, words)));
  made.value = chosen;
  made.onchange = () => choose(made.value);
  return [element("label", { class: "field" }, element("span", {}, label), made), made];
}

/** Return what shows a list of facts in `list`, made by `make`: what is the same as before stays, whatever it is doing. */
export function keptRows(list, make, empty) {
  let known = new Map();
  return (facts) => {
    const texts = facts.map((each) => JSON.stringify(each));
    known = new Map(texts.map((text, index) => [text, known.get(text) ?? make(facts[index])]));
    const rows = known.size ? [...known.values()] : [element("li", { class: "hint" }, empty)];
    if (rows.length !== list.children.length || rows.some((row, index) => row !== list.children[index])) list.replaceChildren(...rows);
  };
}
