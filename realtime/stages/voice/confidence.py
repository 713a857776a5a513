"""How surely a sound is speech: by how much of its envelope follows from the content that was found in it.

Of speech the universal map explains a quarter to two thirds of the envelope's variance, for any speaker and language
that was tried; of instruments, whose phones the encoder makes up, nothing: there the content is a guess, and it is
fainter.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.kernels.jit import jit

_MEMORY_S = 1.0
_USUAL = 0.45, 1.0, 1.0
"""The mean squares of detail, shape and content of speech, assumed at the start."""
_LEAST_CONTENT = 0.85
"""The mean square of content that neither speaks for speech nor against it."""
_NONE, _FULL = 0.1, 0.25
"""The share explained, more or less by as much as content is stronger or fainter, of no and of full confidence."""


class SpeechConfidence:
    """The confidence, 0 to 1, that the sound of the last second is speech; frames of `hop_s` seconds.

    `none` and `full` are the shares of the envelope explained at which it is 0 and 1.
    """

    def __init__(self, hop_s: float, none: float = _NONE, full: float = _FULL) -> None:
        share, row = 1 - math.exp(-hop_s / _MEMORY_S), np.zeros(0, np.float32)
        self._next = bind(_next, (np.array(_USUAL), share, none, full), row, row, row, False)

    def next(self, content: Floats, detail: Floats, shape: Floats, counts: bool) -> float:
        """Return the confidence after a frame, which is taken note of if it `counts`, as an audible one does.

        All normalised: `content` `(D,)`, the envelope's `shape` `(P,)`, and the `detail` `(P,)` of it that content does
        not say.
        """
        return self._next(content, detail, shape, counts)  # type: ignore[no-any-return]


_compiled = partial(jit, forceinline=False, reassociate=True)


@_compiled
def _next(bound: Any, content: Floats, detail: Floats, shape: Floats, counts: bool) -> Any:
    """Return the confidence; bound to the running mean squares `(3,)`, a share, and what is none and full."""
    means, share, none, full = contents(bound)
    if counts:
        means[0] += share * (_power(detail) - means[0])
        means[1] += share * (_power(shape) - means[1])
        means[2] += share * (_power(content) - means[2])
    explained = 1 - means[0] / max(means[1], 1e-6) + means[2] - _LEAST_CONTENT
    return min(max((explained - none) / (full - none), 0.0), 1.0)


@_compiled
def _power(row: Floats) -> Any:
    """Return the mean square of a row."""
    total = np.float32(0)
    for i in range(len(row)):
        total += row[i] * row[i]
    return float(total) / len(row)
