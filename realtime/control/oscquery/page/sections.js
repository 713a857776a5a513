// The sections of the page: one is shown at a time, named by the address's `#`; what the server lacks has no link.

import { $, element } from "./elements.js";

// `node`: below /gramophone, without which there is no such section; `module`: what mounts it when it is first shown.
const SECTIONS = [
  { id: "play", name: "Play" },
  { id: "edit", name: "Edit" },
  { id: "sounds", name: "Sounds", node: "sounds", module: "./sounds.js" },
  { id: "record", name: "Record", node: "takes", module: "./takes.js" },
  { id: "devices", name: "Devices", node: "inputs", module: "./devices.js" },
];

const mounted = new Set();

/** Keep the links and the shown section as the address and the server's tree want them. */
export function sections(connection) {
  const links = new Map(SECTIONS.map(({ id, name }) => [id, element("a", { href: `#${id}`, hidden: true }, name)]));
  $("tabs").replaceChildren(...links.values());
  const show = async () => {
    const there = SECTIONS.filter(({ node }) => !node || connection.node(node));
    const wanted = there.find(({ id }) => `#${id}` === location.hash) ?? there[0];
    for (const section of SECTIONS) {
      const link = links.get(section.id);
      link.hidden = !there.includes(section);
      if (section === wanted) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      $(section.id).hidden = section !== wanted;
    }
    if (!wanted.module || mounted.has(wanted.id)) return;
    mounted.add(wanted.id);
    (await import(wanted.module)).mount($(wanted.id), connection);
  };
  window.addEventListener("hashchange", () => { scrollTo(0, 0); show(); });
  connection.onTree(show);
}
