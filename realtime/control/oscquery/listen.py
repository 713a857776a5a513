"""One WebSocket client's side of OSCQuery: LISTEN and IGNORE in, values and PATH_CHANGED out. It has no sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator

from gramophone.models.parameters import ParameterError
from gramophone.realtime.control.osc.address_space import AddressSpace
from gramophone.realtime.control.osc.method import Answer
from gramophone.realtime.osc.error_log import RefusedError
from gramophone.realtime.osc.packet import encode

_LONGEST_COMMAND = 4096


class ListenState:
    """The addresses that one client listens to, and the values that it was sent last."""

    def __init__(self, space: AddressSpace) -> None:
        self._space = space
        self._layout = space.layout
        self._sent: dict[str, Answer] = {}

    def command(self, text: str) -> None:
        """Take in a command, a JSON object with COMMAND and DATA.

        Raises:
            RefusedError: it is no command, or its path has no value to listen to.
        """
        command, path = _read(text)
        if command == "LISTEN":
            method = self._space.methods.get(path)
            if not method or not method.readable:
                raise RefusedError("unknown address", f"LISTEN {path[:80]}: there is no value at this address")
            self._sent.setdefault(path, ())
        elif command == "IGNORE":
            self._sent.pop(path, None)
        else:
            raise RefusedError("malformed", f"WebSocket command {command[:40]!r}: expected LISTEN or IGNORE")

    def updates(self) -> Iterator[str | bytes]:
        """Yield the frames that the client is to be sent now: JSON as text, OSC as binary."""
        layout = self._space.layout
        methods = self._space.methods
        if layout != self._layout:
            self._layout = layout
            self._sent = {path: sent for path, sent in self._sent.items() if path in methods}
            yield json.dumps({"COMMAND": "PATH_CHANGED", "DATA": "/"})
        for path, sent in self._sent.items():
            try:
                answer = methods[path].read()
            except (KeyError, ParameterError):  # another preset has just come
                continue
            if answer and answer != sent:
                self._sent[path] = answer
                yield encode(path, answer)


def _read(text: str) -> tuple[str, str]:
    try:
        if len(text) > _LONGEST_COMMAND:
            raise ValueError
        document = json.loads(text)
        command, data = document["COMMAND"], document["DATA"]
        if not (isinstance(command, str) and isinstance(data, str)):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RefusedError("malformed", f"WebSocket text {text[:40]!r}: expected COMMAND and DATA") from None
    return command, data
