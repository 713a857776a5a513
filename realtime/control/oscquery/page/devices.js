// Devices: which inputs of the device feed the chain, and on which outputs it plays.

import { element } from "./elements.js";

/** Fill the panel. */
export function mount(panel, connection) {
  const watches = connection.watches();
  connection.onTree(() => {
    watches.clear();
    panel.replaceChildren(
      element("h2", {}, "Inputs and outputs"),
      element("p", { class: "hint" }, "For each channel, counted from 1: 1,2 is straight, 1,1 one input on both, 1+2,0 a sum and none."),
      route("inputs", "Inputs that feed the channels"), route("outputs", "Outputs that the channels play on"));
  });

  function route(name, label) {
    const { FULL_PATH: address, VALUE: [now] } = connection.node(name);
    const field = element("input", { autocomplete: "off", spellcheck: "false", inputmode: "text", maxlength: 60 });
    field.value = now;
    field.onchange = () => connection.send(address, field.value);
    watches.add(address, (route) => { field.value = route; });
    return element("label", { class: "field" }, element("span", {}, label), field);
  }
}
