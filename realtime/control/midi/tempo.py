"""The tempo: from MIDI clock on one of several ports, or set by the user."""

from __future__ import annotations

from gramophone.models.parameters import ParameterError
from gramophone.realtime.midi.clock import Clock
from gramophone.realtime.midi.decoder import Beat

LAST_BPM = 1000.0
"""The fastest tempo that can be set."""

_CLOCK_GONE_S = 2.0


class Tempo:
    """Follows one port's MIDI clock at a time: the first that sends one, until it has been silent for 2 s.

    `bpm` is the tempo in quarter notes a minute, None while none is known; `runs` whether the clock's transport was
    started and not stopped.
    """

    def __init__(self) -> None:
        self.bpm: float | None = None
        self.runs = False
        self._clocks: dict[str, Clock] = {}
        self._leader = ""

    def set(self, bpm: float) -> None:
        """Set the tempo; a MIDI clock overrides it.

        Raises:
            ParameterError: the tempo is not a number from 1 to 1000.
        """
        if not 1 <= bpm <= LAST_BPM:
            raise ParameterError(f"tempo = {bpm}: expected a number from 1 to {LAST_BPM:g} quarter notes a minute")
        self.bpm = bpm

    def receive(self, beat: Beat, port: str, time_s: float) -> bool:
        """Take what the clock on `port` sent at `time_s`; return whether the tempo has changed."""
        clock = self._clocks.setdefault(port, Clock())
        if self._leader != port:
            leader = self._clocks.get(self._leader)
            if leader and time_s - leader.last_s < _CLOCK_GONE_S:
                return False
            self._leader = port
        if beat.kind == "clock":
            bpm = clock.tick(time_s)
            self.bpm = bpm or self.bpm
            return bpm is not None
        self.runs = beat.kind != "stop"
        if self.runs:
            clock.restart()
        return False
