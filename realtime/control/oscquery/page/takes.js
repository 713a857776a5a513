// Takes: what is played is recorded, listened to again, downloaded, and rendered with another preset.

import { withToken } from "./connection.js";
import { element } from "./elements.js";
import { learnable } from "./learn.js";
import { binLine, button, carefulButton, keptRows, progressLine, select, useStyle } from "./panels.js";

/** Fill the panel. */
export function mount(panel, connection) {
  useStyle();
  const watches = connection.watches();
  const list = element("ul", { class: "takes", "aria-label": "Takes" });
  const show = keptRows(list, row, "No takes yet: press Record, or the key r, play, and press it again.");
  const line = element("div");
  const bin = element("div");
  const record = button("Record", () => {
    const on = record.getAttribute("aria-pressed") !== "true";
    connection.send(connection.node("record").FULL_PATH, on);
  }, { class: "switch record", "aria-pressed": "false" });
  const action = element("span", { class: "action" }, record);
  panel.replaceChildren(
    element("h2", {}, "Record"),
    element("p", { class: "hint" }, "A take holds what comes in and what goes out, so it can be rendered again with another preset."),
    action, line, list, bin);

  connection.onTree(() => {
    watches.clear();
    action.replaceChildren(record, learnable("record", connection, watches));
    const showState = (on) => { record.setAttribute("aria-pressed", on); record.textContent = on ? "Stop recording" : "Record"; };
    showState(connection.values("record")[0]);
    watches.add(connection.node("record").FULL_PATH, showState);
    line.replaceChildren(progressLine("takes/status", connection, watches));
    bin.replaceChildren(binLine("takes", connection, watches));
    refresh();
  });

  async function refresh() {
    const answer = await connection.request("/ui/takes");
    if (!answer.ok) return;
    show(await answer.json());
  }

  function row(take) {
    const sound = element("audio", { controls: true, preload: "none", "aria-label": `take of ${when(take.name)}` });
    const load = element("a", { class: "button", download: true }, "Download");
    const choose = (file) => {
      sound.src = withToken(`/ui/takes/${take.name}/${file}`);
      load.href = withToken(`/ui/takes/${take.name}/${file}?download`);
    };
    const names = take.sounds.map((file) => [file, called(file)]);
    const [sounds] = select("Sound", names, "output.wav", choose);
    const presets = connection.node("preset").RANGE[0].VALS;
    const [others, other] = select("Another preset", presets, connection.values("preset")[0]);
    choose("output.wav");
    return element("li", {},
      element("div", { class: "row" }, element("strong", {}, when(take.name)), element("span", { class: "hint" }, `${clock(take.seconds)}, ${take.preset}`)),
      sound,
      element("div", { class: "row" }, sounds, load),
      element("div", { class: "row" }, others,
        button("Render", () => connection.send(connection.node("takes/render").FULL_PATH, take.name, other.value), { "aria-label": `render ${when(take.name)} with another preset` }),
        carefulButton("Remove", () => connection.send(connection.node("takes/remove").FULL_PATH, take.name), { "aria-label": `remove ${when(take.name)}` })));
  }
}

function called(file) {
  if (file === "output.wav") return "as played";
  if (file === "input.wav") return "what came in";
  return `with ${file.slice("render-".length, -".wav".length)}`;
}

function when(name) {
  const [year, month, day, time] = name.split("-");
  return `${year}-${month}-${day} ${time.slice(0, 2)}:${time.slice(2, 4)}:${time.slice(4, 6)}`;
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}
