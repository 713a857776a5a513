"""The receiver: packets of sound in, blocks to be played out, whatever happened to the packets on their way.

One sender is received at a time. All blocks of a stream have one shape, so that the length of a missing one is known.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from gramophone.realtime.live.devices.osc.jitter_buffer import Arrivals, Concealer, JitterBuffer
from gramophone.realtime.live.devices.osc.packet import SoundBlock, decode_sound
from gramophone.realtime.osc.arguments import ErrorLog, RefusedError
from gramophone.realtime.stage import Audio

P = TypeVar("P", bound=Hashable)

_FADE_S = 0.02
"""How long it takes for a concealed gap to become silence."""
SILENT_S = 1.0
"""After so many seconds of silence another sender may take over."""


class PlayoutBlock(NamedTuple, Generic[P]):
    """A block that is due, as it came or concealed, and its sender."""

    block: SoundBlock
    sender: P


class _Stream(NamedTuple, Generic[P]):
    """What all blocks of a stream have in common."""

    sender: P
    stream: int
    rate: int
    shape: tuple[int, ...]


class Receiver(Generic[P]):
    """Receives one sender of up to `channels` channels and `longest` frames; `held` blocks are held back."""

    def __init__(self, channels: int, longest: int, held: int, errors: ErrorLog) -> None:
        self._limits = channels, longest
        self._held = held
        self._errors = errors
        self._current: _Stream[P] | None = None
        self._received_at = 0.0
        self.arrivals = Arrivals()
        self.refused = 0
        self._buffer: JitterBuffer[Audio] = JitterBuffer(held, self.arrivals)
        self._concealer = Concealer(0, 1)

    @property
    def rate(self) -> int:
        """The rate of the stream in Hz; 0 before the first."""
        return self._current.rate if self._current else 0

    @property
    def frames(self) -> int:
        """The length of the stream's blocks; 0 before the first."""
        return self._current.shape[1] if self._current else 0

    def receive(self, data: bytes, peer: P, now: float) -> list[PlayoutBlock[P]]:
        """Return the blocks that are due with a packet from `peer` at `now`, in seconds of any clock."""
        try:
            block = decode_sound(data, *self._limits)
            due = self._admit(_Stream(peer, block.stream, block.rate, block.sound.shape), now)
        except RefusedError as error:
            self.refuse(error.kind, str(error), peer)
            return []
        self._received_at = now
        if not self._buffer.fits(block.number):
            self.arrivals.lost += self._buffer.skipped(block.number)
            due += self._begin_anew()
        return due + self._due(self._buffer.push(block.number, self._clean(block.sound, peer)))

    def refuse(self, kind: str, text: str, peer: P) -> None:
        """Count a packet that is not taken, and show the first of its kind from `peer`."""
        self.refused += 1
        self._errors.add(kind, f"{text} (from {peer})", about=str(peer))

    def _admit(self, stream: _Stream[P], now: float) -> list[PlayoutBlock[P]]:
        """Make `stream` the one that is received, if it may be; return what was left of the one before."""
        current = self._current
        if stream == current:
            return []
        if current and stream.sender != current.sender and now - self._received_at < SILENT_S:
            raise RefusedError("second sender", f"{current.sender} is sending: expected one at a time")
        if current and stream[:2] == current[:2]:
            raise RefusedError("mistyped", f"{_described(stream)} in a stream of {_described(current)}")
        left = self._begin_anew()
        if not current or (stream.rate, stream.shape[0]) != (current.rate, current.shape[0]):
            self._concealer = Concealer(stream.shape[0], max(round(_FADE_S * stream.rate), stream.shape[1]))
        self._current = stream
        return left

    def _begin_anew(self) -> list[PlayoutBlock[P]]:
        """Return what waits, and be ready for a run of blocks that does not follow on it."""
        left = self._due(self._buffer.flush())
        self._buffer = JitterBuffer(self._held, self.arrivals)
        if self._current:
            self._concealer.interrupt()
        return left

    def _due(self, released: list[tuple[int, Audio | None]]) -> list[PlayoutBlock[P]]:
        due = []
        for number, sound in released:
            assert self._current
            sound_out = self._concealer.conceal(self.frames) if sound is None else self._concealer.take(sound)
            due.append(
                PlayoutBlock(SoundBlock(self._current.stream, number, self.rate, sound_out), self._current.sender)
            )
        return due

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
