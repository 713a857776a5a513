"""Audition: a clip takes the place of the input, so that a preset can be tried when nothing is plugged in.

The control process writes the clip into shared memory, and the audio callback plays it round and round, from the block
on that finds it there. It goes where the input goes: through the chain, to the dry path, to the meters and into takes.
"""

from __future__ import annotations

import numpy as np

from gramophone.realtime.dsp.smoothing import Fade, crossfade
from gramophone.realtime.stage import Audio
from gramophone.realtime.system.shared_memory import SharedArrays, SharedPart

LONGEST = 1 << 21
"""Samples of a clip at most: 43 s at 48 kHz, 11 s at 192 kHz."""
_FADE_SAMPLES = 1024


class Audition(SharedPart):
    """The memory of the clip. Its number counts the changes; of two places for sound, the last bit names the one."""

    def __init__(self) -> None:
        self.__setstate__(
            SharedArrays({"number": ("int64", (1,)), "frames": ("int64", (2,)), "sound": ("float32", (2, LONGEST))})
        )

    @property
    def number(self) -> int:
        """How often the clip has changed."""
        return self._number[0]

    def put(self, sound: Audio) -> None:
        """Play a clip, `(frames,)`, round and round in place of the input; without frames, the input again.

        What does not fit is left out. The ends fade, so the loop makes no click. Two calls are to be a fade apart.
        """
        number = self.number + 1
        place, frames = number % 2, min(len(sound), LONGEST)
        self._sound[place, :frames] = sound[:frames]
        edge = min(_FADE_SAMPLES, frames // 2)
        rise = np.linspace(0, 1, edge, dtype=np.float32)
        self._sound[place, :edge] *= rise
        self._sound[place, frames - edge : frames] *= rise[::-1]
        self._frames[place] = frames
        self._number[0] = number

    def get(self, number: int) -> Audio:
        """Return the sound of change `number`, `(frames,)`, if it is one of the last two; a view of the memory."""
        place = number % 2
        frames: Audio = self._sound[place, : self._frames[place]]
        return frames

    def __getstate__(self) -> SharedArrays:
        return self._memory

    def __setstate__(self, memory: SharedArrays) -> None:
        self._memory = memory
        self._number: memoryview[int] = memory.numbers("number")
        self._frames: memoryview[int] = memory.numbers("frames")
        self._sound = memory.array("sound")


class AuditionPlayer:
    """The callback's end: returns the input, or the clip in place of it, with a fade from one to the other."""

    def __init__(self, audition: Audition) -> None:
        self._audition = audition
        self._now = self._before = _Loop(audition.get(audition.number))
        self._number = audition.number
        self._fade = Fade(1.0, _FADE_SAMPLES)

    def process(self, block: Audio) -> Audio:
        """Return what takes the place of the input `block`, `(channels, frames)` both."""
        if not self._fade.left and self._audition.number != self._number:
            self._number = self._audition.number
            self._before, self._now = self._now, _Loop(self._audition.get(self._number))
            self._fade = Fade(0.0, _FADE_SAMPLES)
            self._fade.set(1.0)
        if not self._fade.left:
            return self._now.process(block)
        share = np.asarray(self._fade.next(block.shape[1]))
        return crossfade(self._before.process(block), self._now.process(block), share)


class _Loop:
    """A sound round and round; without frames, the input."""

    def __init__(self, sound: Audio) -> None:
        self._sound, self._at = sound, 0

    def process(self, block: Audio) -> Audio:
        size = len(self._sound)
        if not size:
            return block
        places = (self._at + np.arange(block.shape[1])) % size
        self._at = int(places[-1]) + 1 if len(places) else self._at
        return np.broadcast_to(self._sound[places], block.shape)
