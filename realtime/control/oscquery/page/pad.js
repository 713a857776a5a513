// The XY pad: two points, each of which moves two macros; each finger takes a point, so that four move at once.
//
// A finger scrolls the page unless it begins on a point; a tap anywhere else moves the nearest one there.

import { element } from "./elements.js";
import { clamp, keyable } from "./drag.js";

const STORE = "gramophone-pad";
const USUAL = [["1", "2"], ["3", "4"]];

/** Keep the pad in `panel`; without two macros there is none. */
export function pad(panel, connection) {
  const watches = connection.watches();
  let chosen = JSON.parse(localStorage.getItem(STORE) ?? "null") ?? USUAL;
  const draw = () => {
    watches.clear();
    const macros = connection.tree.macro?.CONTENTS ?? {};
    panel.hidden = Object.keys(macros).length < 2;
    if (panel.hidden) return;
    const fits = (pair, other) => (pair.every((number) => macros[number]) ? pair : other.every((number) => macros[number]) ? other : null);
    const points = chosen.map((pair, index) => fits(pair, USUAL[index])).filter(Boolean).map((pair, index) => new Point(pair, index, macros, connection, watches));
    const surface = element("div", { class: "surface" }, ...points.map(({ made }) => made));
    surface.addEventListener("click", (event) => {
      if (event.target !== surface) return;
      const [x, y] = within(surface, event);
      nearest(points, x, y).move(x, y);
    });
    surface.addEventListener("pointerdown", (event) => { // a mouse need not begin on a point
      if (event.pointerType === "touch" || event.target !== surface) return;
      const [x, y] = within(surface, event);
      const point = nearest(points, x, y);
      point.move(x, y);
      point.take(event);
    });
    panel.replaceChildren(surface, element("div", { class: "axes" }, ...points.map((point, index) => axes(point, index, macros, (pair) => {
      chosen = points.map((each, place) => (place === index ? pair : each.pair));
      localStorage.setItem(STORE, JSON.stringify(chosen));
      draw();
    }))));
  };
  connection.onTree(draw);
}

function nearest(points, x, y) {
  const free = points.filter((point) => !point.isHeld);
  return (free.length ? free : points).reduce((a, b) => (b.distance(x, y) < a.distance(x, y) ? b : a));
}

function within(surface, { clientX, clientY }) {
  const { left, top, width, height } = surface.getBoundingClientRect();
  return [clamp((clientX - left) / width), clamp(1 - (clientY - top) / height)];
}

const nameOf = (node) => node.DESCRIPTION.split(": ")[0];

/** One point of the pad, and the two macros that it moves. */
class Point {
  #held = null;
  #at = [0, 0];

  constructor(pair, index, macros, connection, watches) {
    this.pair = pair;
    this.connection = connection;
    this.positions = pair.map((number) => connection.node(`n/macro/${number}`));
    this.made = element("div", { class: "point" },
      ...pair.map((number, axis) => this.#handle(`${nameOf(macros[number])}, ${axis ? "up and down" : "left and right"}`, axis)));
    this.made.classList.add(index ? "second" : "first");
    this.made.addEventListener("pointerdown", (event) => { event.stopPropagation(); this.take(event); });
    this.made.addEventListener("pointermove", (event) => {
      if (this.#held === event.pointerId) this.move(...within(this.made.parentElement, event));
    });
    for (const end of ["pointerup", "pointercancel"]) this.made.addEventListener(end, ({ pointerId }) => { if (this.#held === pointerId) this.#held = null; });
    this.positions.forEach((node, axis) => {
      watches.add(node.FULL_PATH, (where) => { if (!this.isHeld) this.#show(axis, where); });
      this.#show(axis, node.VALUE[0]);
    });
  }

  get isHeld() { return this.#held !== null; }

  distance(x, y) { return Math.hypot(x - this.#at[0], y - this.#at[1]); }

  take({ pointerId }) {
    if (this.isHeld) return;
    this.#held = pointerId;
    this.made.setPointerCapture(pointerId);
  }

  move(...where) { where.forEach((position, axis) => this.#turn(axis, position)); }

  #turn(axis, position) {
    this.#show(axis, position);
    this.connection.send(this.positions[axis].FULL_PATH, position);
  }

  // What the keyboard and screen readers have of the point: a slider for each axis.
  #handle(label, axis) {
    const handle = element("span", { role: "slider", tabindex: 0, "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 1, "aria-orientation": axis ? "vertical" : "horizontal" });
    keyable(handle, { at: () => this.#at[axis], turn: (position) => this.#turn(axis, position) });
    return handle;
  }

  #show(axis, position) {
    this.#at[axis] = position;
    this.made.style.setProperty(axis ? "--y" : "--x", position);
    this.made.children[axis].setAttribute("aria-valuenow", position.toFixed(3));
  }
}

// The menus that choose the macros of a point.
function axes(point, index, macros, choose) {
  const menus = point.pair.map((number, axis) => {
    const menu = element("select", { "aria-label": `macro of the ${index ? "second" : "first"} point, ${axis ? "up and down" : "left and right"}` },
      ...Object.entries(macros).map(([each, node]) => element("option", { value: each }, nameOf(node))));
    menu.value = number;
    menu.onchange = () => choose(menus.map(({ value }) => value));
    return menu;
  });
  return element("div", { class: `axis ${index ? "second" : "first"}` }, element("i"), element("span", {}, "↔"), menus[0], element("span", {}, "↕"), menus[1]);
}
