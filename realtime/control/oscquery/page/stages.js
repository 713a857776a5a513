// The section Edit: the chain as cards that fold, move, double, swap and go, in the order that the sound takes.

import { control, toggle } from "./controls.js";
import { element, words } from "./elements.js";
import { keyOf } from "./keys.js";
import { isModified } from "./knob.js";
import { learnable } from "./learn.js";
import { reorderable } from "./reorder.js";

const STORE = "gramophone-folded"; // names of stages that are folded, and of groups that are open
const MANY = 3; // groups of knobs
const GROUPS = ["", "voice", "pitch", "style", "colour", "gate", "blend", "chance", "statistics", "latents"];

/** Keep a card for each stage of what plays in `panel`. */
export function stages(panel, connection) {
  const watches = connection.watches();
  const kept = new Set(JSON.parse(localStorage.getItem(STORE) ?? "[]"));
  const keep = (name, is) => {
    if (is) kept.add(name);
    else kept.delete(name);
    localStorage.setItem(STORE, JSON.stringify([...kept]));
  };
  let focus = ""; // what is to be focused once another chain is there
  const list = element("ol", { id: "stages" });
  const status = element("p", { class: "hint", role: "status" });
  const bar = element("div", { class: "bar-of-edit" });
  panel.append(bar, status, list);

  // Only what is looked at is built: a preset can have hundreds of knobs.
  let stale = false;
  new IntersectionObserver(([{ isIntersecting }]) => { if (isIntersecting && stale) draw(); }).observe(panel);
  connection.onTree(() => {
    stale = true;
    if (!panel.hidden) draw();
  });
  window.addEventListener("hashchange", () => { if (stale && location.hash === "#edit") draw(); });

  function draw() {
    stale = false;
    watches.clear();
    const { tree } = connection;
    const names = tree.order.VALUE.filter((name) => tree[name]); // the order may be the next chain's already
    const commands = tree.chain?.CONTENTS;
    list.replaceChildren(...names.map((name, place) => card(name, place, names, tree, commands)));
    bar.replaceChildren(...(commands ? [addMenu(commands.add, "Add a stage…", (what) => send("add", what))] : []), foldAll(names), ...["undo", "redo"].filter((name) => tree[name]).map((name) => step(name, tree[name])));
    if (focus) panel.querySelector(focus)?.focus();
    focus = "";
  }

  function send(command, ...values) {
    connection.send(connection.tree.chain.CONTENTS[command].FULL_PATH, ...values);
  }

  function move(name, place) {
    const count = connection.tree.order.VALUE.length;
    if (place < 0 || place >= count) return;
    focus = `[data-stage="${name}"] .grip`;
    status.textContent = `${words(name)} is now ${place + 1} of ${count}`;
    send("move", name, place);
  }

  function step(name, node) {
    const button = element("button", { id: name, type: "button", title: `${node.DESCRIPTION}${keyOf(node)}` }, name === "undo" ? "↶ Undo" : "↷ Redo");
    button.onclick = () => connection.send(node.FULL_PATH);
    return button;
  }

  function foldAll(names) {
    const folds = names.some((name) => !kept.has(name));
    const button = element("button", { type: "button" }, folds ? "Fold all" : "Unfold all");
    button.onclick = () => {
      for (const name of names) keep(name, folds);
      draw();
    };
    return button;
  }

  // A menu of the stages that there are, by what they need: effects, and those of presets, which bring their model.
  function addMenu(node, label, choose) {
    const [{ VALS: all }] = node.RANGE;
    const option = (what) => element("option", { value: what }, words(what.split("/").reverse().join(" of ")));
    const menu = element("select", { class: "add", "aria-label": label }, element("option", { value: "" }, label),
      element("optgroup", { label: "Effects" }, ...all.filter((what) => !what.includes("/")).map(option)),
      element("optgroup", { label: "With a model, from presets" }, ...all.filter((what) => what.includes("/")).map(option)));
    menu.onchange = () => {
      if (menu.value) choose(menu.value);
      menu.value = "";
    };
    return menu;
  }

  function card(name, place, names, tree, commands) {
    const { bypass, mix, ...own } = tree[name].CONTENTS;
    const positions = tree.n.CONTENTS[name].CONTENTS;
    const chip = (key) => learnable(`${name}.${key}`, connection, watches);
    const off = toggle(element("button", { class: "switch", type: "button", "aria-label": `${words(name)}: bypass` }, "bypass"), bypass, connection, watches);
    const fold = element("button", { class: "fold", type: "button", "aria-expanded": !kept.has(name) }, words(name));
    const body = element("div", { class: "body" }, ...groups(name, { ...own, mix }, (key, node) => control(key, node, positions[key], chip(key), connection, watches)));
    const made = element("li", { class: body.children.length > MANY ? "stage large" : "stage", "data-stage": name },
      element("h2", {}, ...(commands ? [grip(name, place, names.length)] : []), fold, element("span", { class: "action" }, off, chip("bypass")), ...(commands ? [menu(name, place, names, commands)] : [])), body);
    const show = (folded) => {
      fold.setAttribute("aria-expanded", !folded);
      body.hidden = folded;
    };
    fold.onclick = () => { keep(name, !kept.has(name)); show(kept.has(name)); };
    show(kept.has(name));
    const dim = (is) => made.classList.toggle("off", is);
    watches.add(bypass.FULL_PATH, dim);
    dim(bypass.VALUE[0]);
    return made;
  }

  // The handle by which a card is dragged; up and down arrows move it as well.
  function grip(name, place, count) {
    const made = element("button", { class: "grip", type: "button", "aria-label": `move ${words(name)}, ${place + 1} of ${count}: arrow keys` }, "⠿");
    made.onkeydown = ({ key }) => {
      const step = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[key];
      if (step) move(name, place + step);
    };
    reorderable(made, list, (to) => move(name, to));
    return made;
  }

  function menu(name, place, names, commands) {
    const button = (label, press) => {
      const made = element("button", { type: "button" }, label);
      made.onclick = press;
      return made;
    };
    const made = element("details", { class: "menu" }, element("summary", { "aria-label": `${words(name)}: duplicate, swap, remove` }, "⋯"),
      element("div", {},
        button("Duplicate", () => send("duplicate", name)),
        addMenu(commands.add, "Swap for…", (what) => send("swap", name, what)),
        ...(place ? [button("Move up", () => move(name, place - 1))] : []),
        ...(place < names.length - 1 ? [button("Move down", () => move(name, place + 1))] : []),
        ...(names.length > 1 ? [button("Remove", () => send("remove", name))] : [])));
    made.addEventListener("focusout", ({ relatedTarget }) => { if (!made.contains(relatedTarget)) made.open = false; });
    return made;
  }

  // The controls under the headings that the table gives them; what is advanced is folded away.
  function groups(stage, nodes, make) {
    const found = new Map();
    for (const [key, node] of Object.entries(nodes)) {
      const group = node.TAGS?.find((tag) => tag.startsWith("group "))?.slice(6) ?? "";
      if (!found.has(group)) found.set(group, { plain: [], advanced: [] });
      found.get(group)[node.TAGS?.includes("advanced") ? "advanced" : "plain"].push([key, node]);
    }
    const rank = (group) => (GROUPS.includes(group) ? GROUPS.indexOf(group) : GROUPS.length);
    const sorted = [...found].sort(([a], [b]) => rank(a) - rank(b));
    const last = sorted.findIndex(([group]) => group === "");
    if (last >= 0 && sorted.length > 1) sorted.push(...sorted.splice(last, 1)); // mix and the like come last
    return sorted.map(([group, { plain, advanced }]) => element("div", { class: "knob-group", role: "group", "aria-label": group || "other" },
      ...(group && sorted.length > 1 ? [element("h3", {}, group)] : []),
      ...(plain.length ? [grid(plain, make)] : []),
      ...(advanced.length ? [more(`${stage} ${group}`, advanced, make)] : [])));
  }

  function more(name, nodes, make) {
    const summary = element("summary", {}, `${nodes.length} more`);
    const details = element("details", { class: "more", open: kept.has(name) }, summary);
    const fill = () => { if (details.open && details.children.length === 1) details.append(grid(nodes, make)); };
    const mark = () => summary.classList.toggle("modified", nodes.some(([, node]) => isModified(node, node.VALUE[0])));
    for (const [, node] of nodes) watches.add(node.FULL_PATH, mark);
    mark();
    details.ontoggle = () => { keep(name, details.open); fill(); };
    fill();
    return details;
  }

  function grid(nodes, make) {
    const controls = nodes.map(([key, node]) => make(key, node));
    controls.sort((a, b) => b.classList.contains("wide") - a.classList.contains("wide"));
    return element("div", { class: "knobs" }, ...controls);
  }
}
