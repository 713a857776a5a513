"""TouchOSC: a `.tosc` file, XML packed by zlib, with the nodes and properties of hexler.net/touchosc/manual."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterable, Mapping, Sequence
from xml.etree import ElementTree

from gramophone.offline.layouts.controls import NORMALISED, ROOT, SurfaceControl, SurfacePage

WIDTH, HEIGHT, TABS = 1024, 768, 40
COLUMNS = 4
_GAP, _LABEL = 8, 24
_RECEIVE_PORT = 9010
_FOLLOW = f"""local due = 0
function update()
  local now = getMillis()
  if now >= due then
    due = now + 30000
    sendOSC({{'{NORMALISED}/subscribe', {{{{tag='f', value=30}}, {{tag='i', value={_RECEIVE_PORT}}}}}}})
  end
end
"""
"""Lua: asks for normalised values twice a minute, at the port that TouchOSC receives on."""

Frame = tuple[int, int, int, int]
Colour = tuple[float, float, float]
_GREY, _BLUE, _RED = (0.25, 0.25, 0.25), (0.2, 0.5, 0.8), (0.8, 0.25, 0.2)


def tosc(title: str, pages: Sequence[SurfacePage]) -> bytes:
    """Return a `.tosc` file: a tab for each page, with a fader or button for each control, and the switches on top.

    Host and port are TouchOSC's own settings: connection 1 sends to Gramophone, and receives at port 9010.
    """
    root = ElementTree.Element("lexml", {"version": "3"})
    group = _node(root, "GROUP", title, (0, 0, WIDTH, HEIGHT + TABS), script=_FOLLOW)
    for number, name in enumerate(("bypass", "mute", "panic")):
        frame = (WIDTH - (3 - number) * 120, 0, 112, TABS - 4)
        kind = 0 if name == "panic" else 1  # momentary, or toggle on press
        button = _node(group, "BUTTON", name, frame, _RED, {"buttonType": ("i", kind)}, values={"x": "0"})
        _message(button, f"{ROOT}/{name}", "INTEGER")
        _label(group, name, frame)
    tabs = {"tabbar": ("b", 1), "tabbarSize": ("i", TABS), "tabLabels": ("b", 1)}
    pager = _node(group, "PAGER", "pages", (0, TABS, WIDTH, HEIGHT), properties=tabs, values={"page": "0"})
    for page in pages:
        body = _node(
            pager, "GROUP", page.title, (0, TABS, WIDTH, HEIGHT - TABS), properties={"tabLabel": ("s", page.title)}
        )
        for control, frame in zip(page.controls, _grid(len(page.controls)), strict=True):
            _control(body, control, frame)
    return zlib.compress(ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True))


def _grid(count: int) -> list[Frame]:
    """Return frames for so many controls, row by row."""
    rows = -(-count // COLUMNS)
    width, height = WIDTH // COLUMNS, min((HEIGHT - TABS) // max(rows, 1), 160)
    return [
        (k % COLUMNS * width + _GAP, k // COLUMNS * height + _GAP, width - 2 * _GAP, height - 2 * _GAP)
        for k in range(count)
    ]


def _control(parent: ElementTree.Element, control: SurfaceControl, frame: Frame) -> None:
    x, y, width, height = frame
    label_height = min(_LABEL, height // 2)
    _label(parent, control.label, (x, y, width, label_height))
    below = (x, y + label_height, width, height - label_height)
    start = {"x": f"{control.position:g}", "touch": "false"}
    if control.kind == "switch":
        node = _node(parent, "BUTTON", control.path, below, _BLUE, {"buttonType": ("i", 1)}, values=start)
    else:
        properties = {"orientation": ("i", 1)}  # to the right
        if control.choices:
            properties |= {"grid": ("b", 1), "gridSteps": ("i", len(control.choices))}
        node = _node(parent, "FADER", control.path, below, _BLUE, properties, values=start)
    _message(node, control.address, "FLOAT")


def _label(parent: ElementTree.Element, text: str, frame: Frame) -> None:
    properties = {"interactive": ("b", 0), "background": ("b", 0), "outline": ("b", 0), "textSize": ("i", 14)}
    _node(parent, "LABEL", f"label of {text}", frame, properties=properties, values={"text": text})


def _node(
    parent: ElementTree.Element,
    kind: str,
    name: str,
    frame: Frame,
    colour: Colour = _GREY,
    properties: Mapping[str, tuple[str, object]] | None = None,
    values: Mapping[str, str] | None = None,
    script: str = "",
) -> ElementTree.Element:
    """Add a node below `parent`, a node or the root, and return it; its id is the same for the same name and place."""
    holder = parent
    if parent.tag == "node":
        holder = found if (found := parent.find("children")) is not None else ElementTree.SubElement(parent, "children")
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{parent.get('ID', '')}/{kind}/{name}")
    node = ElementTree.SubElement(holder, "node", {"ID": str(identity), "type": kind})
    all_properties: dict[str, tuple[str, object]] = {"name": ("s", name), **(properties or {})}
    if script:
        all_properties["script"] = ("s", script)
    listed = ElementTree.SubElement(node, "properties")
    for key, (code, value) in all_properties.items():
        _property(listed, code, key).text = str(value)
    _parts(_property(listed, "r", "frame"), zip("xywh", frame, strict=True))
    _parts(_property(listed, "c", "color"), zip("rgba", (*colour, 1.0), strict=True))
    held = ElementTree.SubElement(node, "values")
    for key, start in (values or {}).items():
        value = ElementTree.SubElement(held, "value")
        parts = {"key": key, "locked": 0, "lockedDefaultCurrent": 0, "default": start, "defaultPull": 0}
        _parts(value, parts.items())
    return node


def _property(listed: ElementTree.Element, code: str, key: str) -> ElementTree.Element:
    """Add a property of a type (s text, b switch, i integer, f number, r frame, c colour); return its value element."""
    item = ElementTree.SubElement(listed, "property", {"type": code})
    ElementTree.SubElement(item, "key").text = key
    return ElementTree.SubElement(item, "value")


def _parts(parent: ElementTree.Element, parts: Iterable[tuple[str, object]]) -> None:
    for key, value in parts:
        ElementTree.SubElement(parent, key).text = str(value)


def _message(node: ElementTree.Element, address: str, conversion: str) -> None:
    """Let a node send its value `x` to an OSC address over connection 1, and follow what comes from there."""
    messages = ElementTree.SubElement(node, "messages")
    osc = ElementTree.SubElement(messages, "osc")
    _parts(osc, {"enabled": 1, "send": 1, "receive": 1, "feedback": 0, "connections": "00001"}.items())
    triggers = ElementTree.SubElement(osc, "triggers")
    _parts(ElementTree.SubElement(triggers, "trigger"), {"var": "x", "condition": "ANY"}.items())
    for place, kind, value, to in (("path", "CONSTANT", address, "STRING"), ("arguments", "VALUE", "x", conversion)):
        partial = ElementTree.SubElement(ElementTree.SubElement(osc, place), "partial")
        parts = {"type": kind, "conversion": to, "value": value, "scaleMin": 0, "scaleMax": 1}
        _parts(partial, parts.items())
