// The connection: OSC messages over the server's WebSocket, as bytes and as values.
"use strict";

const ROOT = "/gramophone";
const TOKEN = new URLSearchParams(location.search).get("token");
const RATE_HZ = 30;
const RENEW_MS = 20000;

const $ = (id) => document.getElementById(id);
const withToken = (path) => (TOKEN ? `${path}?token=${encodeURIComponent(TOKEN)}` : path);

// --- OSC: values in, bytes out, and back -------------------------------------------------------------------------

const padded = (length) => (length + 4) & ~3;

function encode(address, ...values) {
  const utf8 = new TextEncoder();
  const tags = "," + values.map((v) => (typeof v === "boolean" ? (v ? "T" : "F") : typeof v === "string" ? "s" : "f")).join("");
  const texts = [address, tags, ...values.filter((v) => typeof v === "string")].map((text) => utf8.encode(text));
  const floats = values.filter((v) => typeof v === "number").length;
  const bytes = new Uint8Array(texts.reduce((sum, text) => sum + padded(text.length), 4 * floats));
  let at = 0;
  const put = (text) => { bytes.set(text, at); at += padded(text.length); };
  put(texts.shift());
  put(texts.shift());
  for (const value of values) {
    if (typeof value === "string") put(texts.shift());
    if (typeof value === "number") { new DataView(bytes.buffer).setFloat32(at, value); at += 4; }
  }
  return bytes;
}

function decode(buffer) {
  const view = new DataView(buffer);
  let at = 0;
  const text = () => {
    let end = at;
    while (view.getUint8(end)) end += 1;
    const result = new TextDecoder().decode(new Uint8Array(buffer, at, end - at));
    at += padded(end - at);
    return result;
  };
  const readers = {
    f: () => view.getFloat32((at += 4) - 4), i: () => view.getInt32((at += 4) - 4), s: text, T: () => true, F: () => false,
  };
  const address = text();
  return { address, values: [...text().slice(1)].map((tag) => readers[tag]()) };
}

// --- The connection to the server --------------------------------------------------------------------------------------

const shown = new Map();   // address -> what shows a value that comes in
const waiting = new Map(); // address -> packet to be sent with the next frame: a drag sends 60 a second, not 1000
let socket = null;
let lost = false; // whether the server may be another one by now

function send(address, ...values) {
  if (!waiting.size) requestAnimationFrame(flush);
  waiting.set(address, encode(address, ...values));
}

function flush() {
  if (socket && socket.readyState === WebSocket.OPEN) for (const packet of waiting.values()) socket.send(packet);
  waiting.clear();
}

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${withToken("/")}`);
  socket.binaryType = "arraybuffer";
  const subscribe = () => {
    for (const tree of [ROOT, `${ROOT}/n`]) socket.send(encode(`${tree}/subscribe`, RATE_HZ));
  };
  let renewal = 0;
  socket.onopen = async () => {
    if (lost) await build();
    lost = false;
    online(true);
    subscribe();
    renewal = setInterval(subscribe, RENEW_MS);
  };
  socket.onclose = () => {
    clearInterval(renewal);
    lost = true;
    online(false);
    setTimeout(connect, 1000);
  };
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") {
      if (JSON.parse(data).COMMAND === "PATH_CHANGED") build();
      return;
    }
    const { address, values } = decode(data);
    if (shown.has(address)) shown.get(address)(...values);
  };
}

function online(is) {
  $("light").className = is ? "on" : "";
  $("light").setAttribute("aria-label", is ? "connected" : "not connected");
  notice(is ? "" : "No connection to Gramophone; trying again…");
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}
