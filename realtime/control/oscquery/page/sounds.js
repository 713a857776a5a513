// Sounds in: a file that is dropped or chosen, or some seconds of the input, becomes a style clip or a target speaker.

import { withToken } from "./connection.js";
import { element, words } from "./elements.js";
import { binLine, button, carefulButton, keptRows, progressLine, select, useStyle } from "./panels.js";

const SECONDS = ["10", "20", "30"];
const WIDTH = 480;
const HEIGHT = 96;
const STEP = 0.05; // seconds

/** Fill the panel. */
export function mount(panel, connection) {
  useStyle();
  const watches = connection.watches();
  const address = (name) => connection.node(`sounds/${name}`).FULL_PATH;
  const audio = new Audio();
  let purpose = ""; // the parameter that a new sound is for
  let waits = false; // whether the sound that is being recorded is to be used when it is there
  let known = new Set();

  const file = element("input", { type: "file", accept: "audio/*,.flac,.wav,.aiff,.ogg,.opus,.mp3,.caf", id: "sound-file" });
  const drop = element("label", { class: "drop", for: "sound-file" },
    element("strong", {}, "Drop a sound here"), element("span", {}, "or choose a file"), file);
  const purposes = element("div");
  const [secondsField, seconds] = select("Seconds", SECONDS, "20");
  const record = button("Record the input", () => {
    const records = record.getAttribute("aria-pressed") === "true";
    if (!records) waits = true;
    if (records) connection.send(address("stop"));
    else connection.send(address("record"), "recording", Number(seconds.value));
  }, { class: "switch record", "aria-pressed": "false" });
  const list = element("ul", { class: "sounds", "aria-label": "Your sounds" });
  const show = keptRows(list, row, "No sounds of your own yet: what you drop, choose or record is listed here.");
  const line = element("div");
  const bin = element("div");
  panel.replaceChildren(
    element("h2", {}, "Sound like this"),
    element("p", { class: "hint" }, "Any sound file, up to 100 MB; its first minute is kept. A style takes 3 seconds or more, a speaker 5 to 30 of one voice."),
    element("div", { class: "bring" }, drop, element("div", { class: "from-input" }, record, secondsField), purposes),
    line, list, bin);

  connection.onTree(() => {
    watches.clear();
    const takers = clipParameters(connection);
    if (!takers.some(([path]) => path === purpose)) purpose = takers[0]?.[0] ?? "";
    purposes.replaceChildren(takers.length
      ? select("What it is for", [...takers, ["", "only keep it"]], purpose, (path) => { purpose = path; })[0]
      : element("p", { class: "hint" }, "No stage of this preset takes a clip: sounds are kept for others."));
    line.replaceChildren(progressLine("sounds/status", connection, watches, showStatus));
    bin.replaceChildren(binLine("sounds", connection, watches));
    showStatus(...connection.values("sounds/status"));
    refresh();
  });

  file.onchange = () => { for (const each of file.files) upload(each); file.value = ""; };
  for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); for (const each of event.dataTransfer.files) upload(each); });

  function showStatus(text = "") {
    line.hidden = [...panel.querySelectorAll("[role=alert]")].some((alert) => alert.textContent.includes(text)); // said there
    const records = text.startsWith("recording ");
    if (text.includes("is not recorded")) waits = false;
    record.setAttribute("aria-pressed", records);
    record.textContent = records ? "Stop" : "Record the input";
  }

  function upload(sound) {
    const request = new XMLHttpRequest();
    const bar = element("progress", { max: 1, value: 0, "aria-label": `upload of ${sound.name}` });
    const said = element("span", {}, `sending ${sound.name}`);
    const row = element("p", { class: "progress", role: "status" }, said, bar);
    line.after(row);
    request.upload.onprogress = ({ loaded, total }) => { bar.value = loaded / total; };
    request.onload = () => {
      if (request.status !== 201) return fail(request.responseText.trim() || `refused (${request.status})`);
      row.remove();
      use(JSON.parse(request.responseText).name);
      return refresh();
    };
    const fail = (why) => {
      bar.remove();
      row.setAttribute("role", "alert");
      said.textContent = `${sound.name}: ${why}`;
      row.append(button("OK", () => row.remove()));
      showStatus(...connection.values("sounds/status"));
    };
    request.onerror = () => fail("the connection broke; try again");
    request.open("POST", withToken(`/ui/sounds?name=${encodeURIComponent(plain(sound.name))}`));
    request.send(sound);
  }

  function use(name) {
    if (purpose && name) connection.send(`/gramophone/${purpose}`, name);
  }

  async function refresh() {
    const answer = await connection.request("/ui/sounds");
    if (!answer.ok) return;
    const clips = await answer.json();
    const fresh = clips.filter(({ key }) => !known.has(key));
    if (waits && fresh.length === 1) { waits = false; use(fresh[0].name); }
    known = new Set(clips.map(({ key }) => key));
    show(clips);
  }

  function row(clip) {
    const whole = clip.seconds;
    const canvas = element("canvas", { width: WIDTH, height: HEIGHT, role: "img", "aria-label": `waveform of ${clip.name}, ${whole.toFixed(1)} s` });
    const ends = [0, whole].map((value, index) => {
      const made = element("input", { type: "range", min: 0, max: whole, step: STEP, "aria-label": `${clip.name}: ${index ? "end" : "start"} of the cut, in seconds` });
      made.value = value;
      made.oninput = () => shape();
      return made;
    });
    const cut = button("Cut", () => connection.send(address("trim"), clip.name, ...ends.map(({ value }) => Number(value))));
    const shape = () => {
      const [from, to] = ends.map(({ value }) => Number(value));
      draw(canvas, clip.waveform, from / whole, to / whole);
      cut.disabled = to - from < 0.3 || (from === 0 && to > whole - STEP);
      cut.textContent = cut.disabled ? "Cut" : `Cut to ${(to - from).toFixed(1)} s`;
    };
    const name = element("input", { "aria-label": "name", maxlength: 60, autocomplete: "off", spellcheck: "false" });
    name.value = clip.name;
    name.onchange = () => { if (name.value !== clip.name) connection.send(address("rename"), clip.name, name.value); };
    const play = button("▶", () => {
      const goes = audio.src.includes(`/ui/sounds/${clip.name}`) && !audio.paused;
      if (goes) { audio.pause(); return; }
      audio.src = withToken(`/ui/sounds/${encodeURIComponent(clip.name)}`);
      audio.play();
    }, { "aria-label": `listen to ${clip.name}` });
    const made = element("li", {},
      element("div", { class: "wave" }, canvas, ...ends),
      element("div", { class: "row" }, play, name, element("span", { class: "hint" }, `${whole.toFixed(1)} s`)),
      ...clip.warnings.map((warning) => element("p", { class: "warning" }, warning)),
      element("div", { class: "row" },
        button("Use", () => use(clip.name), { class: "use", "aria-label": `use ${clip.name}` }), cut,
        carefulButton("Remove", () => connection.send(address("remove"), clip.name), { "aria-label": `remove ${clip.name}` })));
    useStyle().then(() => requestAnimationFrame(shape)); // once it is on the page, whose colours it takes
    return made;
  }
}

/** Return the parameters that take a clip, in the order of the chain: path below /gramophone, and in words. */
function clipParameters(connection) {
  const found = [];
  for (const stage of connection.values("order")) {
    for (const [name, node] of Object.entries(connection.node(stage)?.CONTENTS ?? {})) {
      if (node.TYPE === "s" && node.RANGE?.[0]?.VALS?.[0] === "") found.push([`${stage}/${name}`, `${words(stage)}: ${words(name)}`]);
    }
  }
  return found;
}

function plain(name) {
  return name.replace(/[/\\]/g, " ").slice(-100);
}

function draw(canvas, waveform, from, to) {
  const context = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  context.clearRect(0, 0, WIDTH, HEIGHT);
  waveform.forEach((high, index) => {
    const x = index / waveform.length;
    const height = Math.max(high * HEIGHT, 1);
    context.fillStyle = x >= from && x <= to ? style.color : style.borderColor;
    context.fillRect(x * WIDTH, (HEIGHT - height) / 2, WIDTH / waveform.length - 0.5, height);
  });
}
