// What the header offers in every section: switches, lock, theme, and the menu of the rest.

import { withToken } from "./connection.js";
import { toggle } from "./controls.js";
import { $, element } from "./elements.js";
import { learnable } from "./learn.js";

const THEMES = { "": "Light: as the system", dark: "Light: dark", light: "Light: bright" };
const STORE = "gramophone-theme";

/** Keep the header. */
export function shell(connection) {
  const watches = connection.watches();
  connection.onTree((tree) => {
    watches.clear();
    $("panic").onclick = () => connection.send(tree.panic.FULL_PATH);
    for (const name of ["bypass", "mute"]) toggle($(name), tree[name], connection, watches);
    for (const name of ["bypass", "mute", "panic"]) {
      const [button, ...old] = $(name).parentElement.children;
      old.forEach((each) => each.remove());
      button.after(learnable(name, connection, watches));
    }
  });
  lock();
  theme();
  menu();
  document.head.append(element("link", { rel: "manifest", href: withToken("/ui/manifest") }));
}

// Locked, the page shows everything and turns nothing: only the switches and the next and previous preset act.
function lock() {
  $("lock").onclick = () => {
    const locks = $("lock").getAttribute("aria-pressed") !== "true";
    $("lock").setAttribute("aria-pressed", locks);
    $("lock").textContent = locks ? "Unlock" : "Lock";
    document.body.classList.toggle("locked", locks);
    document.querySelector("main").inert = locks;
    for (const id of ["preset", "save", "learn"]) $(id).disabled = locks;
  };
}

function theme() {
  const show = (name) => {
    if (name) document.documentElement.dataset.theme = name;
    else delete document.documentElement.dataset.theme;
    $("theme").textContent = THEMES[name];
  };
  $("theme").onclick = () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(document.documentElement.dataset.theme ?? "") + 1) % names.length];
    localStorage.setItem(STORE, next);
    show(next);
  };
  show(localStorage.getItem(STORE) ?? "");
}

// The menu closes when something else is pressed, and with Escape.
function menu() {
  const more = $("more");
  document.addEventListener("pointerdown", ({ target }) => { if (!more.contains(target)) more.open = false; });
  more.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    more.open = false;
    more.querySelector("summary").focus();
  });
  for (const id of ["save", "learn", "lock"]) $(id).addEventListener("click", () => { more.open = false; });
}
