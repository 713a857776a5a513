"""Meters over OSC: levels and loads to be read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.method import Answer, Method
from gramophone.realtime.osc.packet import Message

Meters = Callable[[], Mapping[str, float]]
"""Levels by name, such as `input.peak_db`; called often, must not block."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


class MeterMethod(Method):
    """One meter."""

    writable = False

    def __init__(self, path: str, name: str, meters: Meters) -> None:
        super().__init__(path, path, f"meter: {name.replace('.', ' ').replace('_', ' ')}")
        self._name, self._meters = name, meters
        self.unit = "dB" if name.endswith("_db") else "ms" if name.endswith("_ms") else ""

    def check(self, message: Message) -> None:
        """Refuse: meters are read only."""
        raise arguments.mistyped(message, "no arguments: it can only be read")

    def write(self, checked: None) -> None:
        """Do nothing: `check` has refused."""

    def read(self) -> Answer:
        """Return the level."""
        value = self._meters().get(self._name, math.nan)
        return (value,) if math.isfinite(value) else ()


def meter_path(root: str, name: str) -> str:
    """Return the address of a meter: dots of its name part folders, what OSC forbids becomes `-`."""
    return f"{root}/meters/{_NOT_IN_NAMES.sub('-', name).replace('.', '/')}"
