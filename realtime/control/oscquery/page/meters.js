// The meters: big bars for levels with peak hold and clip light, lights and figures for the rest.

import { ROOT } from "./connection.js";
import { amount, element, leaves, unitOf, words } from "./elements.js";

const FLOOR_DB = -60;
const TICKS_DB = [-48, -36, -24, -18, -12, -6, -3];
const CLIP_DB = -0.1;
const HOLD_MS = 1500;
const FALL_DB_S = 18;
const LAMP_MS = 4000; // so long a light of something gone wrong stays bright
const BIG = ["input/peak_db", "input/rms_db", "output/peak_db", "output/rms_db"];
const COUNTS = ["underruns", "xruns"];

let seen = null; // how many dropouts there had been when their light was put out

const share = (level) => Math.min(Math.max(1 - level / FLOOR_DB, 0), 1);

/** Keep the meters in `panel`. */
export function meters(panel, connection) {
  const watches = connection.watches();
  connection.onTree(({ meters: all }) => {
    watches.clear();
    panel.hidden = !all;
    if (!all) return;
    const nodes = new Map([...leaves(all)].map((node) => [node.FULL_PATH.slice(`${ROOT}/meters/`.length), node]));
    const reductions = [...nodes].filter(([name]) => name.startsWith("reduction/"));
    panel.replaceChildren(
      element("div", { class: "levels" },
        ...["input", "output"].filter((side) => nodes.has(`${side}/peak_db`)).map((side) => level(side, nodes, watches)),
        ...(reductions.length ? [element("div", { class: "reductions" }, ...reductions.map(([name, node]) => reduction(name, node, watches)))] : [])),
      element("div", { class: "figures" },
        ...figures(nodes, watches),
        ...[...nodes].filter(([name]) => ![...BIG, ...COUNTS, "load", "latency_ms", "latency_samples"].includes(name) && !name.startsWith("reduction/"))
          .map(([name, node]) => figure(words(name).replace(/ (db|ms)$/, ""), node, (value) => amount(value, unitOf(node)), watches))));
  });
}

// One side of the chain: peak as the bar, its hold as a line, the mean level as a darker bar, a light for clipping.
function level(side, nodes, watches) {
  const [peakNode, rmsNode] = ["peak_db", "rms_db"].map((name) => nodes.get(`${side}/${name}`));
  const [peak, rms, hold] = ["peak", "rms", "hold"].map((name) => element("i", { class: name }));
  const output = element("output", { "aria-hidden": "true" });
  const clip = element("button", { class: "lamp clip", type: "button", "aria-label": `clip: ${side} has not clipped` }, "clip");
  const bar = element("div", { class: "bar", role: "meter", "aria-label": `${side} level`, "aria-valuemin": FLOOR_DB, "aria-valuemax": 0, "aria-valuenow": FLOOR_DB },
    peak, rms, hold, ...TICKS_DB.map((tick) => element("u")));
  [...bar.querySelectorAll("u")].forEach((tick, place) => tick.style.setProperty("--at", share(TICKS_DB[place])));
  let held = FLOOR_DB;
  let heldAt = 0;
  let spokenAt = 0;
  const show = (db) => {
    const now = performance.now();
    if (db >= held || now - heldAt > HOLD_MS) {
      held = db >= held ? db : Math.max(db, held - FALL_DB_S / 30);
      if (db >= held) heldAt = now;
    }
    peak.style.setProperty("--at", share(db));
    hold.style.setProperty("--at", share(held));
    if (now - spokenAt > 200) {
      spokenAt = now;
      output.textContent = held > FLOOR_DB ? held.toFixed(1) : "–∞";
      bar.setAttribute("aria-valuenow", Math.max(db, FLOOR_DB).toFixed(1));
      bar.setAttribute("aria-valuetext", amount(db, "dB"));
    }
    if (db >= CLIP_DB && !clip.classList.contains("lit")) light(true);
  };
  const light = (is) => {
    clip.classList.toggle("lit", is);
    clip.setAttribute("aria-label", is ? `clip: ${side} has clipped, put the light out` : `clip: ${side} has not clipped`);
  };
  clip.onclick = () => light(false);
  watches.add(peakNode.FULL_PATH, show);
  if (rmsNode) watches.add(rmsNode.FULL_PATH, (db) => rms.style.setProperty("--at", share(db)));
  show(peakNode.VALUE?.[0] ?? FLOOR_DB);
  return element("div", { class: "level" }, element("span", {}, side === "input" ? "In" : "Out"), bar, output, clip);
}

// How much a stage turns down, from the right: the gain reduction of a compressor, a limiter, a gate, a noise filter.
function reduction(name, node, watches) {
  const fill = element("i", { class: "reduction" });
  const output = element("output");
  const stage = words(name.split("/")[1]).replace(/ db$/, "");
  const show = (db) => {
    fill.style.setProperty("--at", 1 - Math.min(Math.max(-db / 24, 0), 1));
    output.textContent = `${db.toFixed(1)} dB`;
  };
  watches.add(node.FULL_PATH, show);
  show(node.VALUE?.[0] ?? 0);
  return element("div", { title: `gain reduction: by how much ${stage} turns its input down` }, element("span", {}, stage), element("div", { class: "bar" }, fill), output);
}

function figures(nodes, watches) {
  const made = [];
  if (nodes.has("latency_ms")) made.push(figure("latency", nodes.get("latency_ms"), (ms) => `${ms.toFixed(1)} ms`, watches));
  if (nodes.has("load")) made.push(figure("load", nodes.get("load"), (load) => `${Math.round(100 * load)} %`, watches));
  const counts = COUNTS.filter((name) => nodes.has(name)).map((name) => nodes.get(name));
  if (counts.length) made.push(dropouts(counts, watches));
  return made;
}

function figure(name, node, text, watches) {
  const output = element("output");
  const show = (value) => { output.textContent = text(value); };
  watches.add(node.FULL_PATH, show);
  if (node.VALUE) show(node.VALUE[0]);
  return element("div", { class: "figure", title: node.DESCRIPTION }, element("span", {}, name), output);
}

// A light for dropouts: green, red while and shortly after sound was lost, brass when it has been since it was pressed.
function dropouts(nodes, watches) {
  const lamp = element("button", { class: "lamp xruns", type: "button" });
  const sum = () => nodes.reduce((total, node) => total + (node.VALUE?.[0] ?? 0), 0);
  let last = sum();
  let fading = 0;
  seen ??= last;
  const show = () => {
    const now = sum();
    seen = Math.min(seen, now); // the server counts from 0 when it has been started anew
    if (now > last) {
      lamp.classList.add("lit");
      clearTimeout(fading);
      fading = setTimeout(() => lamp.classList.remove("lit"), LAMP_MS);
    }
    last = now;
    const text = now === seen ? "no dropouts" : `${now - seen} dropout${now - seen === 1 ? "" : "s"}`;
    if (lamp.textContent === text) return;
    lamp.textContent = text;
    lamp.setAttribute("aria-label", now === seen ? text : `${text}: count anew`);
    lamp.classList.toggle("seen", now !== seen);
  };
  lamp.onclick = () => { seen = sum(); lamp.classList.remove("lit"); show(); };
  for (const node of nodes) watches.add(node.FULL_PATH, show);
  show();
  return lamp;
}
