// The picture: spectrograms of input and output, and the history of their levels, so that one sees what the style does.
//
// The server sends spectra only while this listens to them: while the picture is in view.

import { ROOT } from "./connection.js";
import { element } from "./elements.js";

const COLUMNS = 360; // 12 s at 30 a second
const BANDS = 96;
const HISTORY_PX = 64;
const FLOOR_DB = -60;
const LABELS_HZ = [100, 1000, 10000];
const [LOWEST_HZ, HIGHEST_HZ] = [40, 16000]; // as the server's bands
const STOPS = [[0, 16, 12, 10], [60, 44, 26, 38], [120, 140, 62, 36], [190, 224, 164, 88], [255, 255, 246, 224]];

// From a byte of level to red, green, blue: dark over wine and copper to brass and white.
const COLOURS = Array.from({ length: 256 }, (_, level) => {
  const above = STOPS.findIndex(([at]) => at >= level);
  const [a, b] = [STOPS[Math.max(above - 1, 0)], STOPS[above]];
  const share = b[0] === a[0] ? 0 : (level - a[0]) / (b[0] - a[0]);
  return [1, 2, 3].map((part) => a[part] + share * (b[part] - a[part]));
});

/** Keep the picture in `panel`; without spectra from the server there is none. */
export function picture(panel, connection) {
  const watches = connection.watches();
  let inView = false;
  const listen = () => {
    for (const side of ["input", "output"]) connection.listen(`${ROOT}/spectrum/${side}`, inView && !document.hidden);
  };
  new IntersectionObserver(([{ isIntersecting }]) => { inView = isIntersecting; listen(); }).observe(panel);
  document.addEventListener("visibilitychange", listen);
  let drawn = false; // the canvases stay when another preset comes
  connection.onTree((tree) => {
    panel.hidden = !tree.spectrum;
    if (panel.hidden || drawn) return;
    drawn = true;
    const levels = history(watches);
    panel.replaceChildren(...["input", "output"].map((side) => spectrogram(side, watches)), levels);
  });
}

function canvas(height, label) {
  const made = element("canvas", { width: COLUMNS, height, role: "img", "aria-label": label });
  const context = made.getContext("2d", { alpha: false });
  context.fillStyle = `rgb(${COLOURS[0]})`;
  context.fillRect(0, 0, COLUMNS, height);
  return { made, context };
}

function spectrogram(side, watches) {
  const { made, context } = canvas(BANDS, `spectrogram of the ${side}, the last 12 seconds`);
  const column = context.createImageData(1, BANDS);
  watches.add(`${ROOT}/spectrum/${side}`, (levels) => {
    for (let band = 0; band < BANDS; band += 1) {
      const at = 4 * (BANDS - 1 - band);
      [column.data[at], column.data[at + 1], column.data[at + 2]] = COLOURS[levels[band]];
      column.data[at + 3] = 255;
    }
    context.drawImage(made, -1, 0);
    context.putImageData(column, COLUMNS - 1, 0);
  });
  const scale = element("div", { class: "scale", "aria-hidden": "true" }, ...LABELS_HZ.map((hz) => element("span", {}, hz < 1000 ? `${hz}` : `${hz / 1000}k`)));
  [...scale.children].forEach((label, place) => label.style.setProperty("--at", Math.log(LABELS_HZ[place] / LOWEST_HZ) / Math.log(HIGHEST_HZ / LOWEST_HZ)));
  return element("figure", {}, element("figcaption", {}, side === "input" ? "In" : "Out"), element("div", { class: "frame" }, made, scale));
}

// Levels of both sides, one column for each level of the output that comes.
function history(watches) {
  const { made, context } = canvas(HISTORY_PX, "levels of input and output, the last 12 seconds");
  const height = (db) => HISTORY_PX * Math.min(Math.max(1 - db / FLOOR_DB, 0), 1);
  let [input, output] = [FLOOR_DB, FLOOR_DB];
  let before = HISTORY_PX;
  watches.add(`${ROOT}/meters/input/peak_db`, (db) => { input = Math.max(input, db); });
  watches.add(`${ROOT}/meters/output/peak_db`, (db) => { output = Math.max(output, db); });
  watches.add(`${ROOT}/spectrum/output`, () => {
    context.drawImage(made, -1, 0);
    context.fillStyle = `rgb(${COLOURS[0]})`;
    context.fillRect(COLUMNS - 1, 0, 1, HISTORY_PX);
    context.fillStyle = "#2b5660";
    context.fillRect(COLUMNS - 1, HISTORY_PX - height(input), 1, height(input));
    context.fillStyle = "#e0a458";
    const top = HISTORY_PX - height(output);
    context.fillRect(COLUMNS - 1, Math.min(top, before), 1, Math.max(Math.abs(top - before), 1.5));
    before = top;
    [input, output] = [FLOOR_DB, FLOOR_DB];
  });
  return element("figure", { class: "history" }, element("figcaption", {}, "Level"),
    element("div", { class: "frame" }, made), element("p", { class: "hint" }, element("i", { class: "in" }), "in", element("i", { class: "out" }), "out"));
}
