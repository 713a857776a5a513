"""The tempo: from one of several sources at a time (MIDI clocks, JACK transport, Ableton Link), or set by the user."""

from __future__ import annotations

from gramophone.models.parameters import ParameterError
from gramophone.realtime.midi.clock import FASTEST_BPM, SLOWEST_BPM, Clock
from gramophone.realtime.midi.decoder import Beat

LAST_BPM = 1000.0
"""The fastest tempo that can be set."""

_SOURCE_GONE_S = 2.0
_WORTH_BPM = 0.005
"""Changes that are less than this come from rounding."""


class Tempo:
    """Follows one source at a time: the first that has a tempo, until it has been silent for 2 s.

    `bpm` is the tempo in quarter notes a minute, None while none is known; `runs` whether the source's transport was
    started and not stopped; `source` which it is.
    """

    def __init__(self) -> None:
        self.bpm: float | None = None
        self.runs = False
        self.source = ""
        self._clocks: dict[str, Clock] = {}
        self._last_s: dict[str, float] = {}

    def set(self, bpm: float) -> None:
        """Set the tempo; a source overrides it.

        Raises:
            ParameterError: the tempo is not a number from 1 to 1000.
        """
        if not 1 <= bpm <= LAST_BPM:
            raise ParameterError(f"tempo = {bpm}: expected a number from 1 to {LAST_BPM:g} quarter notes a minute")
        self.bpm = bpm

    def receive(self, beat: Beat, port: str, time_s: float) -> bool:
        """Take what the MIDI clock on `port` sent at `time_s`; return whether the tempo has changed."""
        if not self._leads(port, time_s):
            return False
        clock = self._clocks.setdefault(port, Clock())
        if beat.kind == "clock":
            self._last_s[port] = time_s
            bpm = clock.tick(time_s)
            self.bpm = bpm or self.bpm
            return bpm is not None
        self.runs = beat.kind != "stop"
        if self.runs:
            clock.restart()
        return False

    def follow(self, source: str, bpm: float, runs: bool, time_s: float) -> bool:
        """Take the tempo that `source` has at `time_s`, asked several times a second; return whether it has changed."""
        if not SLOWEST_BPM <= bpm <= FASTEST_BPM or not self._leads(source, time_s):
            return False
        self._last_s[source], self.runs = time_s, runs
        if self.bpm is not None and abs(bpm - self.bpm) < _WORTH_BPM:
            return False
        self.bpm = bpm
        return True

    def _leads(self, source: str, time_s: float) -> bool:
        """Return whether the tempo is that of `source`; it takes over where the one before has gone."""
        if source != self.source and time_s - self._last_s.get(self.source, -_SOURCE_GONE_S) >= _SOURCE_GONE_S:
            self.source = source
        return source == self.source
