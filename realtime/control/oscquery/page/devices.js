// Devices: what it plays on, with which delay, and which inputs and outputs the channels have.

import { element, words } from "./elements.js";
import { learnable } from "./learn.js";
import { button, select, useStyle } from "./panels.js";

const ACTIONS = { ab: "A / B", tap: "tap tempo" };
const PARTS = [["block", "collecting a block"], ["work", "the time to work on it"], ["stages", "the stages' own"], ["device", "the device's buffer"]];

const called = (action) => ACTIONS[action] ?? words(action.replace(/^store-/, "keep snapshot "));

/** Fill the panel. */
export function mount(panel, connection) {
  useStyle();
  const watches = connection.watches();
  let scanned = false;
  connection.onTree(() => {
    watches.clear();
    const has = connection.node("device");
    panel.replaceChildren(
      ...(has ? [sound(), delay()] : []),
      ...(connection.node("device/midi") ? [midi()] : []),
      ...(connection.node("session") ? [reached()] : []),
      element("section", { class: "card" },
        element("h2", {}, "Inputs and outputs"),
        element("p", { class: "hint" }, "For each channel, counted from 1: 1,2 is straight, 1,1 one input on both, 1+2,0 a sum and none."),
        route("inputs", "Inputs that feed the channels"), route("outputs", "Outputs that the channels play on")),
      ...(connection.node("midi/learn") ? [actions()] : []));
    if (has && !scanned) { scanned = true; connection.send(connection.node("device/scan").FULL_PATH); }
  });

  function sound() {
    const names = Object.fromEntries(line("device/names").split("\n").filter(Boolean).map((each) => each.split("\t")));
    names.auto = "automatic: JACK, else the system's default";
    return element("section", { class: "card" },
      element("h2", {}, "Sound device"),
      text("device/now", "strong"), text("device/status", "p", { class: "progress", role: "status" }),
      choice("audio", "Device", (value) => names[value] ?? value),
      button("Look for devices", () => connection.send(connection.node("device/scan").FULL_PATH)));
  }

  function delay() {
    const costs = connection.node("device/cost").CONTENTS;
    const cost = (name) => (costs[name] ? `${name}: ${costs[name].VALUE[0].toFixed(1)} ms` : "as set below");
    const parts = PARTS.map(([name, words]) => element("tr", {}, element("th", { scope: "row" }, words), ms(`device/latency/${name}`)));
    return element("section", { class: "card" },
      element("h2", {}, "Quality or delay"),
      choice("quality", "The shorter the delay, the sooner there are drop-outs", cost),
      element("table", { class: "parts" }, element("caption", {}, "Delay"), element("tbody", {}, ...parts,
        element("tr", { class: "sum" }, element("th", { scope: "row" }, "sum"), ms("device/latency/sum")))),
      element("details", {}, element("summary", { class: "button" }, "Block and spare blocks"), choice("block", "Frames per block"), choice("spare", "Extra blocks against stalls")),
      element("p", { class: "hint" }, "From mouth to ear the device adds its own. A cable from an output to an input, or loudspeakers and microphone, let clicks measure it; the sound stops for three seconds."),
      button("Measure from mouth to ear", () => connection.send(connection.node("device/measure").FULL_PATH)),
      measured());
  }

  function midi() {
    return element("section", { class: "card" }, element("h2", {}, "MIDI"),
      choice("midi", "Inputs that are open", (value) => ({ all: "all of them", none: "none" })[value] ?? value));
  }

  function reached() {
    const rows = [["page", "This page"], ["osc", "OSC"], ["midi", "MIDI inputs"]];
    return element("section", { class: "card" }, element("h2", {}, "Where it is reached"),
      element("table", { class: "parts" }, element("tbody", {}, ...rows.map(([name, words]) =>
        element("tr", {}, element("th", { scope: "row" }, words), text(`session/${name}`, "td"))))));
  }

  // Every action and switch, with its key and the control that has learned it.
  function actions() {
    const rows = Object.entries(connection.tree)
      .filter(([name, node]) => node.TYPE && connection.node(`midi/control/${name}`))
      .map(([name, node]) => element("li", { title: node.DESCRIPTION },
        element("span", {}, called(name)),
        ...(node.TAGS ?? []).map((tag) => element("kbd", {}, tag.replace("key ", ""))),
        learnable(name, connection, watches)));
    return element("section", { class: "card actions" },
      element("h2", {}, "Keys and MIDI"),
      element("p", { class: "hint" }, "The keys of this page, and the MIDI control of each action: press learn, then move it."),
      element("ul", {}, ...rows));
  }

  function choice(name, label, words = (value) => value) {
    const { FULL_PATH: address, RANGE: [{ VALS: values }], VALUE: [now] } = connection.node(`device/${name}`);
    const [field, made] = select(label, values.map((value) => [value, words(value)]), now, (value) => connection.send(address, value));
    watches.add(address, (value) => { made.value = value; });
    return field;
  }

  function text(path, tag, attributes = {}) {
    const made = element(tag, attributes, line(path));
    watches.add(connection.node(path).FULL_PATH, (now) => { made.textContent = now; });
    return made;
  }

  function measured() {
    const made = element("p", { role: "status" }, connection.values("device/mouth-to-ear")[1] ?? "");
    watches.add(connection.node("device/mouth-to-ear").FULL_PATH, (_ms, words) => { made.textContent = words; });
    return made;
  }

  function ms(path) {
    const made = element("td");
    const show = (value) => { made.textContent = `${value.toFixed(1)} ms`; };
    show(connection.values(path)[0]);
    watches.add(connection.node(path).FULL_PATH, show);
    return made;
  }

  function line(path) { return connection.values(path)[0] ?? ""; }

  function route(name, label) {
    const { FULL_PATH: address, VALUE: [now] } = connection.node(name);
    const field = element("input", { autocomplete: "off", spellcheck: "false", inputmode: "text", maxlength: 60 });
    field.value = now;
    field.onchange = () => connection.send(address, field.value);
    watches.add(address, (route) => { field.value = route; });
    return element("label", { class: "field" }, element("span", {}, label), field);
  }
}
