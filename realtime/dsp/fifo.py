"""A FIFO that feeds blocks of any size to a function that processes whole hops, at the smallest possible delay.

Why the delay is what `fifo_delay` returns. After `n` input samples, `n - n mod hop` samples have been processed: the
rest, `r = n mod hop`, waits for its hop to be complete. The FIFO must by then have returned `n` samples, of which the
first `delay` are silence. So `delay >= r` at the end of every block; the least delay is the largest `r` that occurs:

- blocks of any sizes: `r` takes every value from 0 to `hop - 1`, so the delay is `hop - 1`;
- blocks of one size `block`: `n` is a multiple of `block`, so `r` is a multiple of `g = gcd(hop, block)`, and by Bezout
  every multiple of `g` below `hop` occurs. The largest is `hop - g`. It is 0 if the block is a multiple of the hop.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

import numpy as np

from gramophone.realtime.stage import Audio, StageError


def fifo_delay(hop: int, block: int | None = None) -> int:
    """Return the smallest delay in samples at which every block can be answered at once (derivation above).

    `hop` in samples, from 1; `block` in samples, from 1, or None for blocks of varying sizes.
    """
    return hop - (1 if block is None else gcd(hop, block))


class Fifo:
    """Feeds a function with multiples of `hop` samples and returns its output in blocks of the sizes that came in.

    `channels`, `hop` and `block` are counts from 1; `block` is the promised size of all blocks in samples, or None if
    they vary. Samples waiting for their hop and processed samples not returned yet always add up to `delay` samples.

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
        processed = step(self._gather(block, whole))
        if self.delay == 0:
            return processed
        output = np.empty_like(block)
        output[:, :out] = self._waiting_out[:, :out]
        output[:, out:] = processed[:, : frames - out]
        self._waiting_out[:, : self.delay - rest] = processed[:, frames - out :]
        self._waiting_in[:, :rest] = block[:, frames - rest :]
        self._in = rest
        return output

    def _wait(self, block: Audio, out: int) -> Audio:
        """Store a block that does not complete a hop; return samples processed earlier."""
        frames = block.shape[1]
        self._waiting_in[:, self._in : self._in + frames] = block
        self._in += frames
        output = self._waiting_out[:, :frames].copy()
        self._waiting_out[:, : out - frames] = self._waiting_out[:, frames:out]
        return output

    def _gather(self, block: Audio, whole: int) -> Audio:
        """Return the first `whole` samples of the waiting ones and `block`, contiguous; no copy if none waited."""
        if self._in == 0 and whole == block.shape[1]:
            return block
        size = block.shape[0] * whole
        if size > self._store.size:
            self._store = np.zeros(size, np.float32)
        work = self._store[:size].reshape(block.shape[0], whole)
        work[:, : self._in] = self._waiting_in[:, : self._in]
        work[:, self._in :] = block[:, : whole - self._in]
        return work
