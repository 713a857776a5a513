"""The OSCQuery tree: an address space as JSON (https://github.com/Vidvox/OSCQueryProposal)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gramophone.models.parameters import ParameterError
from gramophone.realtime.control.osc.address_space import AddressSpace
from gramophone.realtime.control.osc.method import Answer, OscMethod

Node = dict[str, Any]

ATTRIBUTES = (
    "FULL_PATH",
    "CONTENTS",
    "TYPE",
    "ACCESS",
    "VALUE",
    "RANGE",
    "DESCRIPTION",
    "UNIT",
    "CLIPMODE",
    "TAGS",
    "DEFAULT_VALUE",
    "PRESET_VALUE",
)
"""What a node may hold; DEFAULT_VALUE is libossia's addition to the proposal, PRESET_VALUE ours: the preset's own."""

_READ, _WRITE = 1, 2
_UNITS = {"Hz": "time.hz", "ms": "time.ms", "s": "time.second", "dB": "gain.db-raw"}


def host_info(name: str, osc_port: int) -> Node:
    """Return HOST_INFO: what this server is called, where OSC goes, and which attributes and commands it knows."""
    optional = (*ATTRIBUTES[3:-2], "LISTEN", "PATH_CHANGED", "OSC_STREAMING")
    return {
        "NAME": name,
        "OSC_PORT": osc_port,
        "OSC_TRANSPORT": "UDP",
        "EXTENSIONS": dict.fromkeys(optional, True),
    }


def node_at(space: AddressSpace, path: str) -> Node | None:
    """Return the node at a path with all below it; None where there is none."""
    node = tree(space)
    for name in path.split("/"):
        if name:
            node = node.get("CONTENTS", {}).get(name)
            if node is None:
                return None
    return node


def tree(space: AddressSpace) -> Node:
    """Return the root node with all below it, of one preset: if another comes meanwhile, of that one."""
    while True:
        layout = space.layout
        root = _tree_of(space.methods)
        if space.layout == layout:
            return root


def _tree_of(methods: Mapping[str, OscMethod]) -> Node:
    root: Node = {"FULL_PATH": "/", "ACCESS": 0, "DESCRIPTION": "Gramophone", "CONTENTS": {}}
    for path, method in methods.items():
        node = root
        for name in path.split("/")[1:]:
            contents = node.setdefault("CONTENTS", {})
            under = node["FULL_PATH"].rstrip("/")
            node = contents.setdefault(name, {"FULL_PATH": f"{under}/{name}", "ACCESS": 0})
        node.update(_described(method))
    return root


def _described(method: OscMethod) -> Node:
    node: Node = {
        "TYPE": method.types,
        "ACCESS": _READ * method.readable + _WRITE * method.writable,
        "DESCRIPTION": method.description,
    }
    value = _value(method.read) if method.readable and "b" not in method.types else ()  # JSON has no bytes
    if value:
        node["VALUE"] = list(value)
    if written := _value(method.written):
        node["PRESET_VALUE"] = list(written)
    if method.default:
        node["DEFAULT_VALUE"] = list(method.default)
    if method.ranges:
        node["RANGE"] = list(method.ranges)
        node["CLIPMODE"] = [_clip_mode(method, each) for each in method.ranges]
    if method.tags:
        node["TAGS"] = list(method.tags)
    if method.unit:
        node["UNIT"] = [_UNITS.get(method.unit, method.unit)]
    return node


def _clip_mode(method: OscMethod, bounds: Any) -> str | None:
    if not bounds or "MIN" not in bounds:
        return None
    return "both" if method.clips else "none"


def _value(read: Callable[[], Answer]) -> Answer:
    try:
        return read()
    except ParameterError:  # another preset has just come
        return ()
