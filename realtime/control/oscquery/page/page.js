// The control page: an instrument built from the OSCQuery tree, one module for each part.

import { connection } from "./connection.js";
import { chooser, toggle } from "./controls.js";
import { $ } from "./elements.js";
import { learnable, midiLearn } from "./learn.js";
import { macros } from "./macros.js";
import { messages } from "./messages.js";
import { meters } from "./meters.js";
import { morph } from "./morph.js";
import { saving } from "./save.js";
import { sections } from "./sections.js";
import { stages } from "./stages.js";

// The preset and the switches that are at hand in every section.
function header() {
  const watches = connection.watches();
  connection.onTree((tree) => {
    watches.clear();
    chooser($("preset"), tree.preset, connection, watches);
    $("panic").onclick = () => connection.send(tree.panic.FULL_PATH);
    for (const name of ["bypass", "mute"]) toggle($(name), tree[name], connection, watches);
    for (const name of ["bypass", "mute", "panic"]) {
      const [button, ...old] = $(name).parentElement.children;
      old.forEach((each) => each.remove());
      button.after(learnable(name, connection, watches));
    }
  });
}

messages(connection);
header();
macros($("macros"), connection);
meters($("meters"), connection);
morph(connection);
stages($("stages"), connection);
midiLearn(connection);
saving(connection);
sections(connection);
connection.start();
