"""Read-only methods over OSC: meters, notices, and whatever else can be read and not set."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from gramophone.realtime.control.osc.method import Answer, OscMethod
from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.packet import Message

Meters = Callable[[], Mapping[str, float]]
"""Levels by name, such as `input.peak_db`; called often, must not block."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


class ReadOnlyMethod(OscMethod):
    """A value that `shown` returns, of the OSC types `types`."""

    writable = False

    def __init__(self, path: str, types: str, description: str, shown: Callable[[], Answer]) -> None:
        super().__init__(path, path, description)
        self.types = types
        self._shown = shown

    def check(self, message: Message) -> None:
        """Refuse: it is read only."""
        raise arguments.mistyped(message, "no arguments: it can only be read")

    def write(self, checked: None) -> None:
        """Do nothing: `check` has refused."""

    def read(self) -> Answer:
        """Return what is shown."""
        return self._shown()


class NoticeMethod(ReadOnlyMethod):
    """The last notice to the performer, a sentence, with its number: 1, 2, and so on."""

    def __init__(self, path: str, changed: Callable[[], None]) -> None:
        super().__init__(path, "is", "the last notice and its number", lambda: self._last)
        self._last: Answer = ()
        self._changed = changed

    def publish(self, text: str) -> None:
        """Replace the notice; `text` goes over the network, so it must not name folders."""
        self._last = (int(self._last[0]) + 1 if self._last else 1, text)
        self._changed()


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
