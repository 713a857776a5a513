// The other controls of a parameter: a switch, a menu.

import { choices, element, words } from "./elements.js";
import { knob } from "./knob.js";

/** Let a button show and set the switch of a node; with a `name` it says on or off. */
export function toggle(button, node, connection, watches, name = "") {
  const show = (on) => {
    button.setAttribute("aria-pressed", on);
    if (!name) return;
    button.textContent = on ? "on" : "off";
    button.setAttribute("aria-label", `${name}: ${button.textContent}`);
  };
  button.onclick = () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    show(on);
    connection.send(node.FULL_PATH, on);
  };
  watches.add(node.FULL_PATH, show);
  show(node.VALUE[0]);
  return button;
}

/** Let a select show and set the choice of a node. */
export function chooser(select, node, connection, watches) {
  const show = (name) => choices(select, node.RANGE[0].VALS, name);
  select.onchange = () => connection.send(node.FULL_PATH, select.value);
  watches.add(node.FULL_PATH, show);
  show(node.VALUE[0]);
  return select;
}

/** Return the control of a parameter, by what it takes: a knob, a switch or a menu. */
export function control(name, node, position, mapping, connection, watches) {
  if (node.TYPE === "f") {
    const made = knob(name, node, position, connection, watches);
    made.append(mapping);
    return made;
  }
  const label = element("span", { class: "name", title: node.DESCRIPTION }, words(name));
  const made = node.TYPE === "T"
    ? toggle(element("button", { class: "switch", type: "button" }), node, connection, watches, words(name))
    : chooser(element("select", { "aria-label": words(name) }), node, connection, watches);
  return element("div", { class: "wide" }, label, made, mapping);
}
