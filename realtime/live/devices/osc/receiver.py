"""The listener: packets of sound in, blocks to be played out, whatever happened to the packets on their way.

One talker is heard at a time. All blocks of a stream are of one shape, so that it is known how long a missing one was.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from gramophone.realtime.live.devices.osc.concealment import Concealer
from gramophone.realtime.live.devices.osc.jitter_buffer import Arrivals, JitterBuffer
from gramophone.realtime.live.devices.osc.packet import SoundBlock, decode_sound
from gramophone.realtime.osc.error_log import ErrorLog, RefusedError
from gramophone.realtime.stage import Audio

P = TypeVar("P", bound=Hashable)

_FADE_S = 0.02
"""How long it takes for a concealed gap to become silence."""
SILENT_S = 1.0
"""After so long another talker may take over."""


class PlayoutBlock(NamedTuple, Generic[P]):
    """A block whose turn has come, as it came or concealed, and who talks."""

    block: SoundBlock
    talker: P


class _Stream(NamedTuple, Generic[P]):
    """What all blocks of a stream have in common."""

    talker: P
    stream: int
    rate: int
    shape: tuple[int, ...]


class Receiver(Generic[P]):
    """Hears one talker, who may have up to `channels` channels and `longest` frames; `depth` blocks are held back."""

    def __init__(self, channels: int, longest: int, depth: int, errors: ErrorLog) -> None:
        self._limits = channels, longest
        self._depth = depth
        self._errors = errors
        self._current: _Stream[P] | None = None
        self._heard_at = 0.0
        self.arrivals = Arrivals()
        self.refused = 0
        self._buffer: JitterBuffer[Audio] = JitterBuffer(depth, self.arrivals)
        self._concealer = Concealer(0, 1)

    @property
    def rate(self) -> int:
        """The rate of the stream that is heard, in Hz; 0 before the first."""
        return self._current.rate if self._current else 0

    @property
    def frames(self) -> int:
        """The length of the stream's blocks; 0 before the first."""
        return self._current.shape[1] if self._current else 0

    def receive(self, data: bytes, peer: P, now: float) -> list[PlayoutBlock[P]]:
        """Return the blocks whose turn has come with a packet from `peer` at `now`, in seconds of any clock."""
        try:
            block = decode_sound(data, *self._limits)
            turns = self._admit(_Stream(peer, block.stream, block.rate, block.sound.shape), now)
        except RefusedError as error:
            self.refuse(error.kind, str(error), peer)
            return []
        self._heard_at = now
        if not self._buffer.fits(block.number):
            self.arrivals.lost += self._buffer.skipped(block.number)
            turns += self._begin_anew()
        return turns + self._turns(self._buffer.push(block.number, self._clean(block.sound, peer)))

    def refuse(self, kind: str, text: str, peer: P) -> None:
        """Count a packet that is not taken, and show the first of its kind from `peer`."""
        self.refused += 1
        self._errors.add(kind, f"{text} (from {peer})", about=str(peer))

    def _admit(self, stream: _Stream[P], now: float) -> list[PlayoutBlock[P]]:
        """Make `stream` the one that is heard, if it may be; return what was left of the one before."""
        current = self._current
        if stream == current:
            return []
        if current and stream.talker != current.talker and now - self._heard_at < SILENT_S:
            raise RefusedError("second talker", f"{current.talker} is talking: expected one at a time")
        if current and stream[:2] == current[:2]:
            raise RefusedError("mistyped", f"{_described(stream)} in a stream of {_described(current)}")
        left = self._begin_anew()
        if not current or (stream.rate, stream.shape[0]) != (current.rate, current.shape[0]):
            self._concealer = Concealer(stream.shape[0], max(round(_FADE_S * stream.rate), stream.shape[1]))
        self._current = stream
        return left

    def _begin_anew(self) -> list[PlayoutBlock[P]]:
        """Return what waits, and be ready for a run of blocks that does not follow on it."""
        left = self._turns(self._buffer.flush())
        self._buffer = JitterBuffer(self._depth, self.arrivals)
        if self._current:
            self._concealer.interrupt()
        return left

    def _turns(self, released: list[tuple[int, Audio | None]]) -> list[PlayoutBlock[P]]:
        turns = []
        for number, sound in released:
            assert self._current
            heard = self._concealer.conceal(self.frames) if sound is None else self._concealer.take(sound)
            turns.append(PlayoutBlock(SoundBlock(self._current.stream, number, self.rate, heard), self._current.talker))
        return turns

    def _clean(self, sound: Audio, peer: P) -> Audio:
        """Return `sound` with silence in place of what is no number."""
        finite = np.isfinite(sound)
        if finite.all():
            return sound
        self._errors.add("not finite", f"samples that are no numbers (from {peer})", about=str(peer))
        return np.where(finite, sound, np.float32(0))


def _described(stream: _Stream[P]) -> str:
    channels, frames = stream.shape
    return f"{channels} x {frames} samples at {stream.rate} Hz"
