"""Meters over OSC: levels and loads to be read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from gramophone.realtime.control.osc.method import Answer
from gramophone.realtime.control.osc.read_only_methods import ReadOnlyMethod

Meters = Callable[[], Mapping[str, float]]
"""Levels by name, such as `input.peak_db`; called often, must not block."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


class MeterMethod(ReadOnlyMethod):
    """One meter."""

    def __init__(self, path: str, name: str, meters: Meters) -> None:
        super().__init__(path, "f", f"meter: {name.replace('.', ' ').replace('_', ' ')}", self._level)
        self._name, self._meters = name, meters
        self.unit = "dB" if name.endswith("_db") else "ms" if name.endswith("_ms") else ""

    def _level(self) -> Answer:
        value = self._meters().get(self._name, math.nan)
        return (value,) if math.isfinite(value) else ()


def meter_path(root: str, name: str) -> str:
    """Return the address of a meter: dots of its name part folders, what OSC forbids becomes `-`."""
    return f"{root}/meters/{_NOT_IN_NAMES.sub('-', name).replace('.', '/')}"
