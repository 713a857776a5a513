"""What a written file is measured by: its difference from the model, its speed, and its latency."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gramophone.offline.export.parts import StreamPart
from gramophone.realtime.kernels.onnx_export import ExportError

Arrays = Sequence[NDArray[Any]]
Run = Callable[[Arrays, int], NDArray[Any]]
"""Runs a part from silence for so many steps: its inputs as `StreamPart.inputs` has them, to its output `(1, C, n)`."""

TOLERANCE = 1e-5
"""Largest difference from the model, relative to full scale or a higher peak."""
SECONDS = 10.0
_AT_ONCE = 8192
"""Steps of the model at a time where one is of a single sample, which torch takes a millisecond for."""
_BEFORE, _AFTER, _TRIALS = 48, 48, 5
"""Steps before and after the change that a latency is measured by, and how many changes there are."""
_THROUGH = 0.5


@dataclass(frozen=True)
class Figures:
    """Measured of a written file.

    `difference` from the model over `seconds`, relative to the peak; `speed` in times real time on one core; `latency`
    in samples, after which half of a lasting change has come through, to the hop.
    """

    seconds: float
    difference: float
    speed: float
    latency: int


def measured(part: StreamPart, run: Run) -> Figures:
    """Compare a file with its model over 10 s of sound, and measure it.

    Raises:
        ExportError: they differ.
    """
    steps = math.ceil(SECONDS * part.rate / part.hop)
    rng = np.random.default_rng(0)
    inputs = [signal.series(rng, steps) for signal in part.inputs]
    truth = _eager(part, inputs, steps)
    start = time.perf_counter()
    found = run(inputs, steps)
    took_s = time.perf_counter() - start
    if found.shape != truth.shape:
        raise ExportError(f"{part.name}: the file returns {found.shape}; the model {truth.shape}")
    difference = float(np.abs(found - truth).max() / max(1.0, float(np.abs(truth).max())))
    if not difference <= TOLERANCE:
        raise ExportError(
            f"{part.name}: the file differs from the model by {difference:.2g} of the peak over {SECONDS:.0f} s; "
            f"expected {TOLERANCE:.0e} at most, so it is not written"
        )
    seconds = steps * part.hop / part.rate
    return Figures(seconds, difference, seconds / took_s, _latency(part, run))


@torch.no_grad()
def _eager(part: StreamPart, inputs: Arrays, steps: int) -> NDArray[Any]:
    """Return the model's output step by step: sums over minutes depend on how they are cut, in their last digits."""
    state, pieces = None, []
    many = 1 if part.hop > 1 else _AT_ONCE
    for first in range(0, steps, many):
        chunk = [torch.from_numpy(array) for array in part.steps(inputs, first, min(first + many, steps))]
        y, state = part.module(chunk[0], state, *chunk[1:])
        pieces.append(y)
    return torch.cat(pieces, 2).numpy()


def _latency(part: StreamPart, run: Run) -> int:
    """Return after how many samples half of a change that lasts has come through: the median over some trials.

    Two inputs are the same and then differ; so do the outputs, after a while, by the square of what they differ by in
    the end.
    """
    late = []
    for seed in range(_TRIALS):
        rng = np.random.default_rng(seed)
        one, other = ([signal.series(rng, _BEFORE + _AFTER) for signal in part.inputs] for _ in range(2))
        for first, second, signal in zip(one, other, part.inputs, strict=True):
            second[..., : _BEFORE * signal.per_step or None] = first[..., : _BEFORE * signal.per_step or None]
        change = np.square(run(one, _BEFORE + _AFTER).astype(float) - run(other, _BEFORE + _AFTER)).mean(axis=(0, 1))
        change = change.reshape(_BEFORE + _AFTER, -1).mean(axis=1)[_BEFORE:]
        late.append(int((change >= _THROUGH * np.median(change[_AFTER // 2 :])).argmax()))
    return int(np.median(late)) * part.hop
