// The preset browser: search, tags, favourites, the set list of a gig.

import { auditionRow, auditions } from "./audition.js";
import { $, element } from "./elements.js";

const LISTS = { favourites: "Favourites", setlist: "Set list", own: "Mine" };

/** Return what opens the browser. */
export function browser(connection) {
  const dialog = $("browser");
  let presets = []; // as the server lists them
  let wanted = ""; // what is searched for
  let chosen = ""; // a tag, or one of LISTS
  const search = element("input", { type: "search", placeholder: "Search", "aria-label": "search presets", autocomplete: "off", spellcheck: "false" });
  const tags = element("div", { class: "tags", role: "group", "aria-label": "Show" });
  const audition = element("div");
  const list = element("ul", { class: "presets", "aria-label": "Presets" });
  const count = element("p", { class: "hint", role: "status" });
  const close = element("button", { type: "button" }, "Close");
  dialog.append(element("div", { class: "top" }, search, close), audition, tags, count, list);
  close.onclick = () => dialog.close();
  dialog.addEventListener("click", ({ target }) => { if (target === dialog) dialog.close(); });
  search.oninput = () => { wanted = search.value.trim().toLowerCase(); draw(); };
  search.onkeydown = (event) => {
    const first = list.querySelector(".load");
    if (event.key === "Enter" && first) first.click();
    if (event.key === "ArrowDown" && first) { event.preventDefault(); first.focus(); }
  };
  list.onkeydown = (event) => { // up and down the list, as in any other
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const rows = [...list.querySelectorAll(".load")];
    const next = rows[rows.indexOf(document.activeElement) + step];
    if (!step || !rows.includes(document.activeElement)) return;
    event.preventDefault();
    (next ?? (step < 0 ? search : document.activeElement)).focus();
  };
  const watches = connection.watches();
  connection.onTree((tree) => {
    watches.clear();
    audition.replaceChildren(auditionRow(connection, watches));
    for (const name of ["preset", "favourites", "setlist"]) watches.add(tree[name].FULL_PATH, () => { if (dialog.open) draw(); });
    if (dialog.open) load();
  });

  const listOf = (name) => (connection.values(name)[0] ?? "").split(",").map((each) => each.trim()).filter(Boolean);
  const putList = (name, names) => connection.send(connection.node(name).FULL_PATH, names.join(", "));

  async function load() {
    presets = await (await connection.request("/ui/presets")).json();
    draw();
  }

  function draw() {
    const focused = document.activeElement?.dataset?.focus;
    const all = [...new Set(presets.flatMap((preset) => preset.tags))].sort();
    tags.replaceChildren(...["", ...Object.keys(LISTS), ...all].map((tag) => {
      const button = element("button", { class: "switch tag", type: "button", "aria-pressed": chosen === tag, "data-focus": `tag ${tag}` }, tag === "" ? "All" : LISTS[tag] ?? tag);
      button.onclick = () => { chosen = tag; draw(); };
      return button;
    }));
    const found = ordered().filter(matches);
    count.textContent = chosen === "setlist" && !listOf("setlist").length
      ? "The set list is empty: add presets with +, then Next and Previous go through it."
      : `${found.length} preset${found.length === 1 ? "" : "s"}`;
    list.replaceChildren(...found.map(row));
    if (focused) dialog.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  }

  // In the set list's order where that is shown, else as the server has them.
  function ordered() {
    if (chosen !== "setlist") return presets;
    return listOf("setlist").map((name) => presets.find((preset) => preset.name === name)).filter(Boolean);
  }

  function matches(preset) {
    const text = [preset.name, preset.title, preset.description, ...preset.tags, ...preset.stages].join(" ").toLowerCase();
    if (!wanted.split(/\s+/).every((word) => text.includes(word))) return false;
    if (chosen === "" || chosen === "setlist") return true;
    if (chosen === "own") return preset.own;
    return chosen === "favourites" ? listOf("favourites").includes(preset.name) : preset.tags.includes(chosen);
  }

  function row(preset) {
    const playing = connection.values("preset")[0] === preset.name;
    const load = element("button", { class: "load", type: "button", "aria-current": playing, "data-focus": `load ${preset.name}` },
      element("strong", {}, preset.title), element("span", {}, preset.description.replaceAll("`", "")),
      element("small", {}, [...new Set([preset.name, ...preset.tags, ...(preset.own ? ["mine"] : [])])].join(" · ")));
    load.onclick = () => {
      connection.send(connection.node("preset").FULL_PATH, preset.name);
      if (!auditions(connection)) dialog.close(); // while a clip plays, one preset after the other is tried
    };
    return element("li", { class: playing ? "playing" : "" }, load, member("favourites", preset, "★", "favourite"), member("setlist", preset, "+", "in the set list"),
      ...(chosen === "setlist" ? [move(preset, -1, "↑", "earlier"), move(preset, 1, "↓", "later")] : []));
  }

  // A switch for whether a list has a preset.
  function member(name, preset, sign, label) {
    const names = listOf(name);
    const is = names.includes(preset.name);
    const button = element("button", { class: "switch member", type: "button", "aria-pressed": is, "aria-label": `${preset.title}: ${label}`, title: label, "data-focus": `${name} ${preset.name}` }, sign);
    button.onclick = () => putList(name, is ? names.filter((each) => each !== preset.name) : [...names, preset.name]);
    return button;
  }

  function move(preset, step, sign, label) {
    const button = element("button", { class: "member", type: "button", "aria-label": `${preset.title}: ${label}`, "data-focus": `move ${step} ${preset.name}` }, sign);
    button.onclick = () => {
      const names = listOf("setlist");
      const place = names.indexOf(preset.name);
      names.splice(place, 1);
      names.splice(Math.max(place + step, 0), 0, preset.name);
      putList("setlist", names);
    };
    return button;
  }

  return async () => {
    search.value = wanted = "";
    dialog.showModal();
    search.focus();
    await load();
    list.querySelector("[aria-current=true]")?.scrollIntoView({ block: "center" });
  };
}
