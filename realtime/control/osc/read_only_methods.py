"""Displays over OSC: what can be read and not set."""

from __future__ import annotations

from collections.abc import Callable

from gramophone.realtime.control.osc.method import Answer, OscMethod
from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.packet import Message


class ReadOnlyMethod(OscMethod):
    """What `shown` returns, of the types `types`."""

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


class NewsMethod(ReadOnlyMethod):
    """The last sentence for whoever plays, with a number that tells it from the one before."""

    def __init__(self, path: str, changed: Callable[[], None]) -> None:
        super().__init__(path, "is", "the last news and its number", lambda: self._said)
        self._said: Answer = ()
        self._changed = changed

    def say(self, text: str) -> None:
        """Let everybody know; `text` goes over the network, so it must not say where files lie."""
        self._said = (int(self._said[0]) + 1 if self._said else 1, text)
        self._changed()
