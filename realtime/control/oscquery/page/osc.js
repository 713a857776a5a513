// OSC 1.0 messages: an address and values in, bytes out, and back.

const padded = (length) => (length + 4) & ~3;

function tagOf(value) {
  if (typeof value === "boolean") return value ? "T" : "F";
  return typeof value === "string" ? "s" : "f";
}

/** Return the packet of one message; numbers become 32-bit floats. */
export function encode(address, ...values) {
  const utf8 = new TextEncoder();
  const tags = "," + values.map(tagOf).join("");
  const texts = [address, tags, ...values.filter((value) => typeof value === "string")].map((text) => utf8.encode(text));
  const floats = values.filter((value) => typeof value === "number").length;
  const bytes = new Uint8Array(texts.reduce((sum, text) => sum + padded(text.length), 4 * floats));
  const view = new DataView(bytes.buffer);
  let at = 0;
  const put = (text) => { bytes.set(text, at); at += padded(text.length); };
  put(texts.shift());
  put(texts.shift());
  for (const value of values) {
    if (typeof value === "string") put(texts.shift());
    if (typeof value === "number") { view.setFloat32(at, value); at += 4; }
  }
  return bytes;
}

/** Return the address and the values of a packet with one message; a blob is a Uint8Array. */
export function decode(buffer) {
  const view = new DataView(buffer);
  let at = 0;
  const text = () => {
    let end = at;
    while (view.getUint8(end)) end += 1;
    const read = new TextDecoder().decode(new Uint8Array(buffer, at, end - at));
    at += padded(end - at);
    return read;
  };
  const blob = () => {
    const size = view.getInt32(at);
    const bytes = new Uint8Array(buffer, at + 4, size);
    at += 4 + ((size + 3) & ~3);
    return bytes;
  };
  const readers = {
    f: () => view.getFloat32((at += 4) - 4), d: () => view.getFloat64((at += 8) - 8),
    i: () => view.getInt32((at += 4) - 4), h: () => Number(view.getBigInt64((at += 8) - 8)),
    s: text, b: blob, T: () => true, F: () => false,
  };
  const address = text();
  return { address, values: [...text().slice(1)].map((tag) => readers[tag]()) };
}
