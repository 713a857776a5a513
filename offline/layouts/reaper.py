"""Reaper: a pattern file (`.ReaperOSC`) by which its OSC device speaks Gramophone's addresses.

The format is that of Reaper's own Default.ReaperOSC: a line per action, with the addresses that it sends and takes,
each with a flag in front (n a normalised number, f a number, s a text, b a switch, t a trigger); `@` is a number.
"""

from __future__ import annotations

from collections.abc import Sequence

from gramophone.offline.layouts.controls import NORMALISED, PAGE_SIZE, PARAMETER_PAGE, ROOT, SurfacePage
from gramophone.presets import MACRO


def pattern_file(title: str, pages: Sequence[SurfacePage]) -> str:
    """Return a pattern file: Reaper's tempo, and the eight parameters of the effect that it follows, drive Gramophone.

    Where the first page holds macros, the parameters are those macros; else those of the page of eight.
    """
    macros = pages[0].controls if pages and pages[0].controls[0].path.startswith(f"{MACRO}/") else ()
    value = f"{NORMALISED}/{MACRO}/@" if macros else f"{PARAMETER_PAGE}/@/value"
    lines = [
        f"# Gramophone: {title}",
        "# Put this file into the folder OSC of Reaper's resource path. Preferences > Control/OSC/web > Add > OSC:",
        "# pattern config Gramophone, mode Configure device IP + local port, device port 9000.",
        *(f"# parameter {number}: {control.label}" for number, control in enumerate(macros, 1)),
        "",
        "DEVICE_TRACK_COUNT 1",
        "DEVICE_SEND_COUNT 0",
        "DEVICE_RECEIVE_COUNT 0",
        "DEVICE_FX_COUNT 1",
        f"DEVICE_FX_PARAM_COUNT {len(macros) or PAGE_SIZE}",
        "DEVICE_FX_INST_PARAM_COUNT 0",
        "REAPER_TRACK_FOLLOWS REAPER",
        "DEVICE_TRACK_FOLLOWS LAST_TOUCHED",
        "DEVICE_TRACK_BANK_FOLLOWS DEVICE",
        "DEVICE_FX_FOLLOWS LAST_TOUCHED",
        "",
        f"TEMPO f{ROOT}/tempo",
        f"FX_PARAM_VALUE n{value}",
        f"FX_BYPASS b{ROOT}/bypass",
    ]
    return "\n".join(lines) + "\n"
