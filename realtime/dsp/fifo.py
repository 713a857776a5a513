"""Blocks of any size for a function that wants multiples of its hop, at the smallest delay there can be.

Output sample `n` needs the whole hop that contains input sample `n - delay`. With blocks of any size the worst
case is that all but one sample of a hop has come: `hop - 1`. With a fixed block the number of waiting samples is
always a multiple of `gcd(hop, block)`, so the worst case is `hop - gcd(hop, block)`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

import numpy as np

from gramophone.realtime.stage import Audio, StageError


def fifo_delay(hop: int, block: int | None = None) -> int:
    """Return the smallest delay in samples at which no block starves; `block=None` is any sequence of sizes."""
    return hop - (1 if block is None else gcd(hop, block))


class Fifo:
    """Feeds a function with multiples of `hop` and hands its output on in the blocks that came in.

    What waits on the way in and what waits on the way out always add up to `delay`, so every block is answered.

    Raises:
        StageError: hop, block or channels is not positive.
    """

    def __init__(self, channels: int, hop: int, block: int | None = None) -> None:
        if min(channels, hop, 1 if block is None else block) < 1:
            raise StageError(f"channels {channels}, hop {hop}, block {block}: expected numbers from 1 up")
        self.hop = hop
        self.delay = fifo_delay(hop, block)
        self._waiting_in = np.zeros((channels, hop), np.float32)
        self._waiting_out = np.zeros((channels, max(self.delay, 1)), np.float32)
        self._in = 0
        self._store = np.zeros(channels * 2 * hop, np.float32)

    def process(self, block: Audio, step: Callable[[Audio], Audio]) -> Audio:
        """Return the next `frames` of output for `block`, both `(channels, frames)`.

        `step` is called at most once, with `(channels, k * hop)`, k >= 1, that it must not keep or change, and
        returns the same shape.

        Raises:
            StageError: the block does not fit the fixed block size promised to the constructor.
        """
        frames = block.shape[1]
        out = self.delay - self._in
        rest = (self._in + frames) % self.hop
        if rest > self.delay:
            raise StageError(f"block of {frames} frames: expected multiples of the promised size")
        whole = self._in + frames - rest
        if whole == 0:
            return self._wait(block, out)
        made = step(self._gather(block, whole))
        if self.delay == 0:
            return made
        answer = np.empty_like(block)
        answer[:, :out] = self._waiting_out[:, :out]
        answer[:, out:] = made[:, : frames - out]
        self._waiting_out[:, : self.delay - rest] = made[:, frames - out :]
        self._waiting_in[:, :rest] = block[:, frames - rest :]
        self._in = rest
        return answer

    def _wait(self, block: Audio, out: int) -> Audio:
        """Put a block away that does not fill a hop; answer from what was made before."""
        frames = block.shape[1]
        self._waiting_in[:, self._in : self._in + frames] = block
        self._in += frames
        answer = self._waiting_out[:, :frames].copy()
        self._waiting_out[:, : out - frames] = self._waiting_out[:, frames:out]
        return answer

    def _gather(self, block: Audio, whole: int) -> Audio:
        """Return the first `whole` samples of what waited and `block`: contiguous, no copy if nothing waited."""
        if self._in == 0 and whole == block.shape[1]:
            return block
        size = block.shape[0] * whole
        if size > self._store.size:
            self._store = np.zeros(size, np.float32)
        work = self._store[:size].reshape(block.shape[0], whole)
        work[:, : self._in] = self._waiting_in[:, : self._in]
        work[:, self._in :] = block[:, : whole - self._in]
        return work
