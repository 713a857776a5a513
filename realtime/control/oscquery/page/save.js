// Saving what plays under a name; replacing a preset takes a second press.

import { $ } from "./elements.js";
import { onNews } from "./messages.js";

const EXISTS = "is there already"; // how the server ends its refusal to replace a preset

let onResult = null; // takes the news that says what became of the saving that was asked for

/** Let the button Save open its dialog. */
export function saving(connection) {
  const [dialog, name, question, button] = ["naming", "name", "question", "keep"].map($);
  const show = (text, taken = "") => { // `taken`: the name of a preset that may be replaced, if the button says so
    question.textContent = taken ? `${text}. Replace it?` : text;
    question.hidden = !text;
    button.textContent = taken ? "Replace" : "Save";
    button.onclick = () => save(taken !== "" && name.value === taken);
  };
  const save = (replaces) => {
    const wanted = name.value;
    onResult = (text) => {
      if (text.startsWith("saved as ")) dialog.close();
      else if (name.value === wanted) show(text, text.endsWith(EXISTS) ? wanted : "");
    };
    connection.send(connection.node("save").FULL_PATH, wanted, replaces);
  };
  $("save").onclick = () => {
    [name.value] = connection.values("preset");
    show("");
    dialog.showModal();
    name.select();
  };
  const menu = document.querySelector("#more summary"); // which Save lies behind
  menu.onkeydown = (event) => { if (event.repeat) event.preventDefault(); }; // Enter, held since it closed the dialog
  $("leave").onclick = () => dialog.close();
  dialog.onclose = () => {
    onResult = null;
    menu.focus();
  };
  name.oninput = () => show("");
  name.onkeydown = ({ key, repeat, isComposing }) => {
    if (key === "Enter" && !repeat && !isComposing) save(false); // replacing takes its own button
  };
  onNews((text) => { if (onResult && /^(not )?saved/.test(text)) onResult(text); });
  connection.onTree((tree) => { $("save").hidden = !tree.save; });
}
