"""Every hand on the desk of a live session: OSC, OSCQuery with the control page, and MIDI."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass

from gramophone.realtime.desk import Desk

Meters = Callable[[], Mapping[str, float]]


@dataclass(frozen=True)
class Hands:
    """Which controls are open. Ports: None is closed; `host` other than this machine needs `allow` (OSC peers).

    `midi`: names of inputs, none for every one that is plugged in; None is closed. `token` guards the page beyond this
    machine.
    """

    osc_port: int | None = 9000
    http_port: int | None = 9001
    host: str = "127.0.0.1"
    allow: tuple[str, ...] = ()
    token: str = ""
    midi: tuple[str, ...] | None = ()

    def on(self, desk: Desk, meters: Meters, tell: Callable[[str], None]) -> Iterator[AbstractContextManager[object]]:
        """Yield the controls, to be opened one after the other; `tell` shows people what is wrong with what came in.

        Raises:
            OSError: a port is taken, or the host is open to others without a list of those allowed.
        """
        from gramophone.realtime.osc import AddressSpace, Faults, osc_server

        space = AddressSpace(desk, meters, faults=Faults(tell))
        yield closing(space)
        if self.osc_port is not None:
            yield osc_server(space, self.osc_port, self.host, self.allow)
        if self.http_port is not None:
            from gramophone.realtime.oscquery import oscquery_server

            yield oscquery_server(space, self.http_port, self.osc_port or 0, self.host, token=self.token)
        if self.midi is not None:
            from gramophone.realtime.midi import midi_controls

            yield midi_controls(desk, names=list(self.midi) or None)
