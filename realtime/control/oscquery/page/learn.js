// MIDI learn: a chip beside each control shows what of MIDI turns it, and lets it learn another.

import { $, element, words } from "./elements.js";
import { dropStayingMessage, showMessage } from "./messages.js";

/** Return the chip of a parameter or switch, by its address `stage.parameter`; "" where MIDI cannot set it. */
export function learnable(address, connection, watches) {
  const node = connection.node(`midi/control/${address.replaceAll(".", "/")}`);
  if (!node) return "";
  const learn = connection.node("midi/learn");
  const chip = element("button", { class: "chip", type: "button" });
  const forget = element("button", { class: "forget", type: "button", "aria-label": `${words(address)}: forget the control` }, "×");
  let [mapped] = node.VALUE;
  let [learning] = learn.VALUE;
  const show = () => {
    const waits = learning === address;
    chip.textContent = waits ? "move it…" : mapped || "learn";
    chip.setAttribute("aria-label", `${words(address)}: ${waits ? "cancel learning" : `learn, now ${mapped || "nothing"}`}`);
    chip.classList.toggle("waiting", waits);
    chip.classList.toggle("mapped", mapped !== "");
    forget.hidden = !mapped || waits;
  };
  chip.onclick = () => connection.send(learn.FULL_PATH, learning === address ? "" : address);
  forget.onclick = () => connection.send(connection.node("midi/unlearn").FULL_PATH, address);
  watches.add(node.FULL_PATH, (what) => { mapped = what; show(); });
  watches.add(learn.FULL_PATH, (what) => { learning = what; show(); });
  show();
  return element("span", { class: "mapping" }, chip, forget);
}

/** Let the button MIDI learn show and hide the chips; Escape, and hiding them, stop learning. */
export function midiLearn(connection) {
  const button = $("learn");
  const watches = connection.watches();
  const cancel = () => { if (connection.values("midi/learn")[0]) connection.send(connection.node("midi/learn").FULL_PATH, ""); };
  button.onclick = () => {
    const opens = button.getAttribute("aria-pressed") !== "true";
    document.body.classList.toggle("learning", opens);
    button.setAttribute("aria-pressed", opens);
    if (!opens) cancel();
  };
  document.addEventListener("keydown", ({ key }) => { if (key === "Escape") cancel(); });
  connection.onTree(({ midi }) => {
    watches.clear();
    button.hidden = !midi;
    if (!midi) return;
    const { learn, hint } = midi.CONTENTS;
    watches.add(learn.FULL_PATH, (address) => { if (!address) dropStayingMessage(); });
    watches.add(hint.FULL_PATH, (what) => {
      if (what) showMessage(`${words(connection.values("midi/learn")[0])}: ${what} (Escape or the same button: cancel)`);
    });
  });
}
