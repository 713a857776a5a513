// What the server has to say: its news, and whether there is a connection at all.

import { $ } from "./elements.js";

const SHOWN_S = 6;

let stays = false; // whether what is shown stays until something else is
let fading = 0;
const listeners = new Set();

/** Show a sentence, for some seconds or until another one; "" shows none. */
export function showMessage(text, seconds = 0) {
  stays = text !== "" && !seconds;
  clearTimeout(fading);
  $("message").textContent = text;
  $("message").hidden = !text;
  if (seconds) fading = setTimeout(() => showMessage(""), 1000 * seconds);
}

/** Take away a sentence that would stay. */
export function dropStayingMessage() {
  if (stays) showMessage("");
}

/** Call `listen` with each of the server's news. */
export function onNews(listen) { listeners.add(listen); }

/** Show the server's news as they come, and the state of the connection. */
export function messages(connection) {
  const watches = connection.watches();
  let newest; // the number of the message shown last
  let doing = ""; // what is done before the preset plays, such as compiling it
  const showStatus = (text) => {
    if (text) showMessage(text);
    else if (doing) dropStayingMessage();
    doing = text;
  };
  connection.onTree(({ news, session }) => {
    newest ??= news.VALUE?.[0] ?? 0;
    watches.clear();
    if (session) {
      showStatus(connection.values("session/status")[0] ?? "");
      watches.add(session.CONTENTS.status.FULL_PATH, showStatus);
    }
    watches.add(news.FULL_PATH, (number, text) => {
      if (number === newest) return;
      newest = number;
      showMessage(text, SHOWN_S);
      for (const listen of listeners) listen(text);
    });
  });
  connection.onState((is, why) => {
    $("light").className = is ? "on" : "";
    $("light").setAttribute("aria-label", is ? "connected" : "not connected");
    notice(is ? "" : why || "No connection to Gramophone; trying again…");
  });
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}
