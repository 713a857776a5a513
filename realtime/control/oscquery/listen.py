"""One WebSocket client's side of OSCQuery: LISTEN and IGNORE in, values and PATH_CHANGED out. It knows no sockets."""

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
    """What one client listens to, and what it was told last."""

    def __init__(self, space: AddressSpace) -> None:
        self._space = space
        self._layout = space.layout
        self._told: dict[str, Answer] = {}

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
            self._told.setdefault(path, ())
        elif command == "IGNORE":
            self._told.pop(path, None)
        else:
            raise RefusedError("malformed", f"WebSocket command {command[:40]!r}: expected LISTEN or IGNORE")

    def news(self) -> Iterator[str | bytes]:
        """Yield what the client is to be told now: text frames of JSON, binary frames of OSC."""
        layout = self._space.layout
        methods = self._space.methods
        if layout != self._layout:
            self._layout = layout
            self._told = {path: told for path, told in self._told.items() if path in methods}
            yield json.dumps({"COMMAND": "PATH_CHANGED", "DATA": "/"})
        for path, told in self._told.items():
            try:
                answer = methods[path].read()
            except (KeyError, ParameterError):  # another preset has just come
                continue
            if answer and answer != told:
                self._told[path] = answer
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
