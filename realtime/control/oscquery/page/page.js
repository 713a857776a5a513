// The control page: an instrument built from the OSCQuery tree, one module for each part.

import { auditionOffer } from "./audition.js";
import { browser } from "./browser.js";
import { connection } from "./connection.js";
import { $ } from "./elements.js";
import { keys } from "./keys.js";
import { midiLearn } from "./learn.js";
import { macros } from "./macros.js";
import { messages } from "./messages.js";
import { meters } from "./meters.js";
import { pad } from "./pad.js";
import { picture } from "./picture.js";
import { presetBar } from "./preset_bar.js";
import { saving } from "./save.js";
import { sections } from "./sections.js";
import { shell } from "./shell.js";
import { snapshots } from "./snapshots.js";
import { stages } from "./stages.js";

messages(connection);
sections(connection);
shell(connection);
presetBar(connection, browser(connection));
macros($("macros"), connection);
pad($("pad"), connection);
meters($("meters"), connection);
auditionOffer($("offer"), connection);
snapshots($("recall"), connection);
picture($("picture"), connection);
stages($("edit"), connection);
midiLearn(connection);
saving(connection);
keys(connection);
connection.start();
