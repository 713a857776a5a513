// The control page: builds itself from the OSCQuery tree; `connection.js` sends and receives its values.
"use strict";

const FLOOR_DB = -60;
const TURN_PX = 180; // of a drag for the whole of a knob; with Shift 1500
const SLOP_PX = 8; // so far sideways a finger turns nothing yet
const UNITS = { "time.hz": "Hz", "time.ms": "ms", "time.second": "s", "gain.db-raw": "dB" };

// --- MIDI learn ---------------------------------------------------------------------------------------------------

let learning = ""; // the address of the knob that waits for a control
const chips = new Map(); // address -> what shows its chip as waiting or not

function learnable(address, midi) {
  const node = address.split(".").reduce((at, name) => at && at.CONTENTS[name], midi && midi.CONTENTS.control);
  if (!node) return "";
  const chip = element("button", { class: "chip" });
  const forget = element("button", { class: "forget", "aria-label": `${words(address)}: forget the control` }, "×");
  let mapped = "";
  const show = () => {
    chip.textContent = learning === address ? "move it…" : mapped || "learn";
    chip.setAttribute("aria-label", `${words(address)}: ${learning === address ? "cancel learning" : `learn, now ${mapped || "nothing"}`}`);
    chip.classList.toggle("waiting", learning === address);
    chip.classList.toggle("mapped", mapped !== "");
    forget.hidden = !mapped || learning === address;
  };
  chip.onclick = () => send(midi.CONTENTS.learn.FULL_PATH, learning === address ? "" : address);
  forget.onclick = () => send(midi.CONTENTS.unlearn.FULL_PATH, address);
  shown.set(node.FULL_PATH, (what) => { mapped = what; show(); });
  chips.set(address, show);
  mapped = node.VALUE[0];
  show();
  return element("span", { class: "mapping" }, chip, forget);
}

function learnButtons(midi) {
  const button = $("learn");
  button.hidden = !midi;
  if (!midi) return;
  const { learn, hint } = midi.CONTENTS;
  const cancel = () => { if (learning) send(learn.FULL_PATH, ""); };
  const open = (is) => {
    document.body.classList.toggle("learning", is);
    button.setAttribute("aria-pressed", is);
    if (!is) cancel();
  };
  button.onclick = () => open(button.getAttribute("aria-pressed") !== "true");
  document.onkeydown = ({ key }) => { if (key === "Escape") cancel(); };
  const wait = (address) => {
    learning = address;
    for (const show of chips.values()) show();
    if (!address && stays) showMessage("");
  };
  shown.set(learn.FULL_PATH, wait);
  shown.set(hint.FULL_PATH, (what) => { if (what) showMessage(`${words(learning)}: ${what} (Escape or the same button: cancel)`); });
  wait(learn.VALUE[0]);
  for (const name of ["bypass", "mute", "panic"]) {
    const [control, ...old] = $(name).parentElement.children;
    old.forEach((each) => each.remove());
    control.after(learnable(name, midi));
  }
}

// --- Saving -------------------------------------------------------------------------------------------------------

const EXISTS = "is there already"; // how the server ends its refusal to replace a preset

let onSaveResult = null; // takes the message that says what became of the saving that was asked for

function saving(node) {
  $("save").hidden = !node;
  if (!node) return;
  const [dialog, name, question, button] = ["naming", "name", "question", "keep"].map($);
  const show = (text, taken = "") => { // `taken`: the name of a preset that may be replaced, if the button says so
    question.textContent = taken ? `${text}. Replace it?` : text;
    question.hidden = !text;
    button.textContent = taken ? "Replace" : "Save";
    button.onclick = () => save(taken !== "" && name.value === taken);
  };
  const save = (replaces) => {
    const wanted = name.value;
    onSaveResult = (text) => {
      if (text.startsWith("saved as ")) dialog.close();
      else if (name.value === wanted) show(text, text.endsWith(EXISTS) ? wanted : "");
    };
    send(node.FULL_PATH, wanted, replaces);
  };
  $("save").onclick = () => {
    name.value = $("preset").value;
    show("");
    dialog.showModal();
    name.select();
  };
  $("save").onkeydown = (event) => { if (event.repeat) event.preventDefault(); }; // Enter, held since it closed the dialog
  $("leave").onclick = () => dialog.close();
  dialog.onclose = () => { onSaveResult = null; };
  name.oninput = () => show("");
  name.onkeydown = ({ key, repeat, isComposing }) => {
    if (key === "Enter" && !repeat && !isComposing) save(false); // replacing takes its own button
  };
}

// --- Messages from the server -------------------------------------------------------------------------------------

let newest; // the number of the message shown last
let stays = false; // whether what is shown stays until something else is
let fading = 0;

function showMessage(text, seconds = 0) {
  stays = !seconds;
  clearTimeout(fading);
  $("message").textContent = text;
  $("message").hidden = !text;
  if (seconds) fading = setTimeout(() => showMessage(""), 1000 * seconds);
}

function messages(node) {
  if (newest === undefined) newest = node.VALUE ? node.VALUE[0] : 0;
  shown.set(node.FULL_PATH, (number, text) => {
    if (number === newest) return;
    newest = number;
    showMessage(text, 6);
    if (onSaveResult && /^(not )?saved/.test(text)) onSaveResult(text);
  });
}

// --- What the page is made of ------------------------------------------------------------------------------------

function element(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "circle"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function words(name) {
  return name.replace(/[-_/]/g, " ");
}

function amount(value, unit) {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 || unit === "gain.db-raw" ? 1 : 2;
  return `${value.toFixed(digits)}${unit ? " " + (UNITS[unit] || unit) : ""}`;
}

function choices(select, names, chosen) {
  const all = chosen && !names.includes(chosen) ? [chosen, ...names] : names;
  select.replaceChildren(...all.map((name) => element("option", { value: name }, name || "(none)")));
  select.value = chosen;
}

function arc(from, to) {
  const point = (position) => {
    const angle = (position * 270 - 225) * Math.PI / 180;
    return `${(32 + 26 * Math.cos(angle)).toFixed(2)} ${(32 + 26 * Math.sin(angle)).toFixed(2)}`;
  };
  return `M ${point(from)} A 26 26 0 ${(to - from) * 270 > 180 ? 1 : 0} 1 ${point(to)}`;
}

// A knob: a mouse turns it upwards and downwards, a finger sideways only, since up and down it scrolls the page.
function knob(name, node, position) {
  const [low, high] = [node.RANGE[0].MIN, node.RANGE[0].MAX];
  const origin = low < 0 && high > 0 ? -low / (high - low) : 0;
  const value = element("path", { class: "value" });
  const pointer = element("line", { class: "pointer", x1: 32, y1: 32, x2: 32, y2: 14 });
  const output = element("output");
  const dial = element("svg", { viewBox: "0 0 64 64", tabindex: 0, role: "slider", "aria-label": words(name) },
    element("circle", { cx: 32, cy: 32, r: 19 }), element("path", { class: "track", d: arc(0, 1) }), value, pointer);
  let at = 0;
  let held = null;
  const draw = (where) => {
    at = Math.min(Math.max(where, 0), 1);
    value.setAttribute("d", arc(Math.min(at, origin), Math.max(at, origin) + 1e-4));
    pointer.setAttribute("transform", `rotate(${at * 270 - 135} 32 32)`);
    dial.setAttribute("aria-valuenow", at.toFixed(3));
  };
  const showValue = (actual) => {
    output.textContent = amount(actual, node.UNIT && node.UNIT[0]);
    dial.setAttribute("aria-valuetext", output.textContent);
  };
  const along = (event) => (event.pointerType === "touch" ? event.clientX : -event.clientY);
  const turn = (where) => { draw(where); send(position.FULL_PATH, at); };
  dial.setAttribute("aria-valuemin", 0);
  dial.setAttribute("aria-valuemax", 1);
  dial.addEventListener("pointerdown", (event) => {
    if (held) return; // by another finger
    const touch = event.pointerType === "touch";
    held = { id: event.pointerId, along: along(event), at, turns: !touch };
    dial.setPointerCapture(event.pointerId);
  });
  dial.addEventListener("pointermove", (event) => {
    if (!held || event.pointerId !== held.id) return;
    const moved = along(event) - held.along;
    if (!held.turns && Math.abs(moved) < SLOP_PX) return;
    const step = held.turns ? moved / (event.shiftKey ? 1500 : TURN_PX) : 0;
    held = { ...held, along: along(event), at: Math.min(Math.max(held.at + step, 0), 1), turns: true };
    if (step) turn(held.at);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    dial.addEventListener(end, ({ pointerId }) => { if (held && held.id === pointerId) held = null; });
  }
  dial.addEventListener("dblclick", () => turn(position.DEFAULT_VALUE[0]));
  dial.addEventListener("wheel", (event) => { event.preventDefault(); turn(at - Math.sign(event.deltaY) / 50); }, { passive: false });
  dial.addEventListener("keydown", (event) => {
    const steps = { ArrowUp: .01, ArrowRight: .01, ArrowDown: -.01, ArrowLeft: -.01, PageUp: .1, PageDown: -.1, Home: -1, End: 1 };
    if (event.key in steps) { event.preventDefault(); turn(at + steps[event.key]); }
  });
  shown.set(position.FULL_PATH, (where) => { if (!held) draw(where); });
  shown.set(node.FULL_PATH, showValue);
  draw(position.VALUE[0]);
  showValue(node.VALUE[0]);
  return element("div", { class: "knob", title: node.DESCRIPTION }, dial, element("span", { class: "name" }, words(name)), output);
}

function toggle(button, node, named = true) {
  const show = (on) => {
    button.setAttribute("aria-pressed", on);
    if (!named) button.textContent = on ? "on" : "off";
  };
  button.onclick = () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    show(on);
    send(node.FULL_PATH, on);
  };
  shown.set(node.FULL_PATH, show);
  show(node.VALUE[0]);
  return button;
}

function chooser(select, node) {
  const names = node.RANGE[0].VALS;
  const show = (name) => choices(select, names, name);
  select.onchange = () => send(node.FULL_PATH, select.value);
  shown.set(node.FULL_PATH, show);
  show(node.VALUE[0]);
  return select;
}

function control(name, node, position, mapping) {
  if (node.TYPE === "f") {
    const made = knob(name, node, position);
    made.append(mapping);
    return made;
  }
  const label = element("span", { class: "name", title: node.DESCRIPTION }, words(name));
  const made = node.TYPE === "T"
    ? toggle(element("button", { class: "switch", "aria-label": words(name) }), node, false)
    : chooser(element("select", { "aria-label": words(name) }), node);
  return element("div", { class: "wide" }, label, made, mapping);
}

// The macros of the preset, up to eight, each by the name that its description begins with.
function macros(nodes, positions, midi) {
  $("play").hidden = !nodes;
  $("play").replaceChildren(...Object.entries(nodes || {}).map(([number, node]) => {
    const [name, help = ""] = node.DESCRIPTION.split(/: (.*)/s);
    const made = knob(name, { ...node, DESCRIPTION: help || name }, positions[number]);
    made.classList.add("macro");
    made.append(learnable(`macro.${number}`, midi));
    return made;
  }));
}

function stage(name, knobs, positions, midi) {
  const { bypass, mix, ...own } = knobs;
  const off = element("button", { class: "switch", "aria-pressed": "false" }, "bypass");
  const controls = Object.entries({ ...own, mix })
    .map(([key, node]) => control(key, node, positions[key], learnable(`${name}.${key}`, midi)));
  controls.sort((a, b) => b.classList.contains("wide") - a.classList.contains("wide"));
  const card = element("section", { class: "stage" }, element("h2", {}, words(name), element("span", { class: "action" }, off, learnable(`${name}.bypass`, midi))),
    element("div", { class: "knobs" }, ...controls));
  toggle(off, bypass);
  new MutationObserver(() => card.classList.toggle("off", off.getAttribute("aria-pressed") === "true"))
    .observe(off, { attributes: true });
  card.classList.toggle("off", bypass.VALUE[0]);
  return card;
}

function meter(node) {
  const unit = node.UNIT && node.UNIT[0];
  const fill = element("i");
  const output = element("output");
  const show = (level) => {
    output.textContent = amount(level, unit);
    if (unit === "gain.db-raw") fill.style.clipPath = `inset(0 ${100 * Math.min(Math.max(level / FLOOR_DB, 0), 1)}% 0 0)`;
  };
  shown.set(node.FULL_PATH, show);
  if (node.VALUE) show(node.VALUE[0]);
  const name = words(node.FULL_PATH.slice(`${ROOT}/meters/`.length)).replace(/ db$/, "");
  const bar = unit === "gain.db-raw" ? element("div", { class: "bar" }, fill) : element("div");
  return element("div", { class: "meter" }, element("span", {}, name), bar, output);
}

function* leaves(node) {
  if (node.TYPE) yield node;
  for (const child of Object.values(node.CONTENTS || {})) yield* leaves(child);
}

async function build() {
  const answer = await fetch(withToken(ROOT));
  if (!answer.ok) { notice(await answer.text()); return; }
  const tree = (await answer.json()).CONTENTS;
  shown.clear();
  chips.clear();
  const positions = tree.n.CONTENTS;
  const names = tree.order.VALUE;
  macros(tree.macro && tree.macro.CONTENTS, positions.macro && positions.macro.CONTENTS, tree.midi);
  $("stages").replaceChildren(...names.map((name) => stage(name, tree[name].CONTENTS, positions[name].CONTENTS, tree.midi)));
  $("meters").replaceChildren(...(tree.meters ? [...leaves(tree.meters)].map(meter) : []));
  chooser($("preset"), tree.preset);
  toggle($("bypass"), tree.bypass);
  toggle($("mute"), tree.mute);
  $("panic").onclick = () => send(tree.panic.FULL_PATH);
  morph(tree.morph, tree.preset);
  learnButtons(tree.midi);
  saving(tree.save);
  messages(tree.news);
}

function morph(node, preset) {
  const [from, to, way] = ["from", "to", "way"].map($);
  const [first, second, position] = node.VALUE || [preset.VALUE[0], from.options.length ? to.value : preset.VALUE[0], 0];
  if (!from.options.length || node.VALUE) {
    choices(from, preset.RANGE[0].VALS, first);
    choices(to, preset.RANGE[0].VALS, second);
    way.value = position;
  }
  const go = () => send(node.FULL_PATH, from.value, to.value, Number(way.value));
  way.oninput = go;
  shown.set(node.FULL_PATH, (a, b, where) => {
    choices(from, preset.RANGE[0].VALS, a);
    choices(to, preset.RANGE[0].VALS, b);
    if (document.activeElement !== way) way.value = where;
  });
}

build().catch(() => { lost = true; }).then(connect);
