"""Open Stage Control: a session file, JSON, as its editor writes it (openstagecontrol.ammd.net/docs)."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

from gramophone.offline.layouts.controls import NORMALISED, PAGE_SIZE, PARAMETER_PAGE, ROOT, SurfaceControl, SurfacePage
from gramophone.presets import names

VERSION = "1.29.0"
"""The version whose format this is; newer ones read it."""
_FEEDBACK_MS = 30_000
"""A subscription lasts a minute."""

Widget = dict[str, Any]


def session(title: str, pages: Sequence[SurfacePage], host: str, port: int) -> str:
    """Return the text of a session of `pages` that sends to `host` and `port`: a tab each, and the page of eight.

    It asks for values when it opens and every half a minute, so faders follow presets and other controls.
    """
    target = f"{host}:{port}"
    tabs = [_tab(page.title, [_widget(control, target) for control in page.controls]) for page in pages]
    tabs[0]["widgets"] += _general(target)
    tabs.append(_tab("eight", _eight(target)))
    subscriptions = "".join(
        f"send({json.dumps(target)}, {json.dumps(f'{root}/subscribe')}, 30);\n" for root in (ROOT, NORMALISED)
    )
    refresh = f'send({json.dumps(target)}, "/refresh", 30);\n'
    script = f"var follow = function() {{\n{subscriptions}{refresh}}};\nfollow();\nsetInterval(follow, {_FEEDBACK_MS});"
    root = {"type": "root", "id": "root", "comments": f"Gramophone: {title}", "onCreate": script, "tabs": tabs}
    whole = {"createdWith": "Open Stage Control", "version": VERSION, "type": "session", "content": root}
    return json.dumps(whole, indent=2) + "\n"


def _tab(title: str, widgets: list[Widget]) -> Widget:
    return {
        "type": "tab",
        "id": f"tab-{title}",
        "label": title,
        "layout": "grid",
        "gridTemplate": 4,
        "widgets": widgets,
    }


def _widget(control: SurfaceControl, target: str) -> Widget:
    common = {"id": control.path, "target": target, "default": control.position, "address": control.address}
    if control.kind == "number":
        return common | {"type": "fader", "horizontal": True, "decimals": 4, "html": html.escape(control.label)}
    if control.kind == "switch":
        return common | {"type": "button", "mode": "toggle", "on": 1, "off": 0, "label": html.escape(control.label)}
    return {
        "type": "dropdown",
        "id": control.path,
        "target": target,
        "address": f"{ROOT}/{control.path}",
        "typeTags": "s",
        "values": list(control.choices),
        "default": control.choices[round(control.position * (len(control.choices) - 1))],
        "label": html.escape(control.label),
    }


def _general(target: str) -> list[Widget]:
    """Return what is the same whatever plays: preset, bypass, mute, panic, and the output's level."""
    switch = {"type": "button", "mode": "toggle", "on": True, "off": False, "target": target}
    level = {"type": "fader", "design": "compact", "horizontal": True, "interaction": False, "bypass": True}
    return [
        {
            "type": "dropdown",
            "id": "preset",
            "address": f"{ROOT}/preset",
            "typeTags": "s",
            "values": names(),
            "label": "preset",
            "target": target,
        },
        *({**switch, "id": name, "address": f"{ROOT}/{name}", "label": name} for name in ("bypass", "mute")),
        {**switch, "id": "panic", "mode": "tap", "address": f"{ROOT}/panic", "label": "panic"},
        {
            **level,
            "id": "level",
            "address": f"{ROOT}/meters/output/peak_db",
            "range": {"min": -60, "max": 0},
            "html": "output",
        },
    ]


def _eight(target: str) -> list[Widget]:
    """Return the eight parameters of whichever stage is selected, with their names and values as texts."""
    widgets: list[Widget] = []
    for number in range(1, PAGE_SIZE + 1):
        path = f"{PARAMETER_PAGE}/{number}"
        widgets.append({"type": "text", "id": f"name {number}", "address": f"{path}/name", "target": target})
        widgets.append(
            {"type": "fader", "id": f"eight {number}", "address": f"{path}/value", "decimals": 4, "target": target}
        )
        widgets.append({"type": "text", "id": f"value {number}", "address": f"{path}/valueStr", "target": target})
    step = {"type": "button", "mode": "tap", "target": target}
    moves = (("stage -", "/device/-"), ("stage +", "/device/+"), ("page -", "/param/-"), ("page +", "/param/+"))
    return [*widgets, *({**step, "id": name, "label": name, "address": address} for name, address in moves)]
