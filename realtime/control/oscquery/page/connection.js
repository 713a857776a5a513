// The connection to the server: the tree of its addresses over HTTP, values both ways over a WebSocket.
//
// Every part of the page gets this one `connection`. A part that draws itself from the tree does so in `onTree`, which is
// called at first and whenever addresses have come or gone (another preset), and shows values by `watches()`.

import { decode, encode } from "./osc.js";

export const ROOT = "/gramophone";
const TOKEN = new URLSearchParams(location.search).get("token");
const RATE_HZ = 75; // values and meters a second: more than a screen shows, so that no two of its 60 fall into one update
const FRAME_MS = 16;
const RENEW_MS = 20000;
const RETRY_MS = 1000;
const UNDER_WAY_MS = 500; // so long what was set may still be on its way to the server

/** Return a path of the server with the token that this page was opened with, if any. */
export function withToken(path) {
  return TOKEN ? `${path}${path.includes("?") ? "&" : "?"}token=${encodeURIComponent(TOKEN)}` : path;
}

/** What shows values as they come, until `clear`: one for each part that is drawn anew as a whole. */
class Watches {
  #watchers;
  #own = [];

  constructor(watchers) { this.#watchers = watchers; }

  /** Call `show` with the values of each message to `address`, from now on. */
  add(address, show) {
    if (!this.#watchers.has(address)) this.#watchers.set(address, new Set());
    this.#watchers.get(address).add(show);
    this.#own.push([address, show]);
  }

  clear() {
    for (const [address, show] of this.#own) this.#watchers.get(address).delete(show);
    this.#own = [];
  }
}

class Connection {
  #nodes = new Map(); // address -> node, with the newest values
  #watchers = new Map(); // address -> those who show its values
  #waiting = new Map(); // address -> packet to be sent with the next frame: a drag sends 60 a second, not 1000
  #flushedAt = 0;
  #listened = new Set(); // addresses whose values come only to those who listen
  #treeListeners = new Set();
  #stateListeners = new Set();
  #socket = null;
  #stale = true; // whether the tree may be another server's by now
  #failure = "";
  #loads = 0;
  #sent = new Map(); // address -> what was set last, and when: a tree on its way may not have it yet

  /** The nodes directly below /gramophone, by name; empty before the first. */
  tree = {};

  /** Return the node at a path below /gramophone, such as `style/strength`; undefined where there is none. */
  node(path) { return this.#nodes.get(`${ROOT}/${path}`); }

  /** Return the values at a path below /gramophone as they are now; [] where there are none. */
  values(path) { return this.node(path)?.VALUE ?? []; }

  watches() { return new Watches(this.#watchers); }

  /** Call `draw` with the tree, now if there is one, and whenever addresses have come or gone. */
  onTree(draw) {
    this.#treeListeners.add(draw);
    if (this.#nodes.size) this.#draw(draw);
  }

  /** Call `show(isConnected, why)` whenever that changes. */
  onState(show) { this.#stateListeners.add(show); }

  /** Set what is at an address, or call it if it is a command; of several values within a frame the newest goes. */
  send(address, ...values) {
    if (!this.#waiting.size) { // a press goes at once, and what follows within a frame with the next
      if (performance.now() - this.#flushedAt > FRAME_MS) queueMicrotask(() => this.#flush());
      else requestAnimationFrame(() => this.#flush());
    }
    this.#waiting.set(address, encode(address, ...values));
    const node = this.#nodes.get(address);
    const last = this.#sent.get(address);
    const before = this.#isUnderWay(last) ? last.before : node?.VALUE;
    this.#sent.set(address, { values, before, at: performance.now() });
    if (node?.VALUE && node.TYPE.length === values.length) this.#show(address, values); // the server sends no echo
  }

  /** Receive, from now on or no more, the values of an address that no subscription has, such as a spectrum. */
  listen(address, is) {
    if (is === this.#listened.has(address)) return;
    if (is) this.#listened.add(address);
    else this.#listened.delete(address);
    this.#command(is ? "LISTEN" : "IGNORE", address);
  }

  /** Fetch something else from the server. */
  request(path, options) { return fetch(withToken(path), options); }

  /** Fetch the tree and connect; when the connection ends, try again until it is there. */
  async start() {
    await this.#load().catch(() => {});
    this.#connect();
  }

  async #load() {
    const number = this.#loads += 1;
    const since = performance.now() - UNDER_WAY_MS;
    const answer = await this.request(ROOT);
    if (!answer.ok) {
      this.#failure = await answer.text();
      this.#notifyState(false);
      return;
    }
    const { CONTENTS: tree } = await answer.json();
    if (number !== this.#loads) return; // it has changed again meanwhile, and that tree is on its way
    this.tree = tree;
    this.#nodes.clear();
    this.#index(this.tree);
    for (const [address, { values, at }] of this.#sent) {
      const node = this.#nodes.get(address);
      if (at > since && node?.VALUE && node.TYPE.length === values.length) node.VALUE = values;
    }
    this.#sent.clear();
    this.#stale = false;
    for (const draw of this.#treeListeners) this.#draw(draw);
  }

  // A part that fails must not keep the others from being drawn; the error shows up all the same.
  #draw(draw) {
    try {
      draw(this.tree);
    } catch (error) {
      reportError(error);
    }
  }

  #index(contents) {
    for (const node of Object.values(contents)) {
      this.#nodes.set(node.FULL_PATH, node);
      if (node.CONTENTS) this.#index(node.CONTENTS);
    }
  }

  #command(command, address) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ COMMAND: command, DATA: address }));
  }

  #flush() {
    this.#flushedAt = performance.now();
    if (this.#socket?.readyState === WebSocket.OPEN) for (const packet of this.#waiting.values()) this.#socket.send(packet);
    this.#waiting.clear();
  }

  #connect() {
    const socket = this.#socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${withToken("/")}`);
    socket.binaryType = "arraybuffer";
    let renewal = 0;
    const subscribe = () => { for (const tree of [ROOT, `${ROOT}/n`]) socket.send(encode(`${tree}/subscribe`, RATE_HZ)); };
    socket.onopen = async () => {
      if (this.#stale) await this.#load();
      if (this.#stale) return;
      this.#notifyState(true);
      subscribe();
      for (const address of this.#listened) this.#command("LISTEN", address);
      renewal = setInterval(subscribe, RENEW_MS);
    };
    socket.onclose = () => {
      clearInterval(renewal);
      this.#stale = true;
      this.#notifyState(false);
      setTimeout(() => this.#connect(), RETRY_MS);
    };
    socket.onmessage = ({ data }) => this.#receive(data);
  }

  #receive(data) {
    if (typeof data === "string") {
      if (JSON.parse(data).COMMAND === "PATH_CHANGED") this.#load();
      return;
    }
    const { address, values } = decode(data);
    // What was there before may have left the server before ours came; as it sends no echo, it would stay.
    const sent = this.#sent.get(address);
    if (this.#isUnderWay(sent) && String(values) === String(sent.before)) return;
    this.#show(address, values);
  }

  #isUnderWay(sent) { return sent && performance.now() - sent.at < UNDER_WAY_MS; }

  #show(address, values) {
    const node = this.#nodes.get(address);
    if (node) node.VALUE = values;
    for (const show of this.#watchers.get(address) ?? []) show(...values);
  }

  #notifyState(is) { for (const show of this.#stateListeners) show(is, this.#failure); }
}

export const connection = new Connection();
