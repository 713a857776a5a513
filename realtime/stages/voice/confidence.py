"""How surely a sound is speech: by how much of its envelope follows from the content that was found in it.

Of speech the universal map explains a quarter to two thirds of the envelope's variance, for any speaker and language
that was tried; of instruments, whose phones the encoder makes up, nothing: there the content is a guess, and it is
fainter.
"""

from __future__ import annotations

import math

from gramophone.realtime.kernels.arrays import Floats

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
        self._share = 1 - math.exp(-hop_s / _MEMORY_S)
        self._none, self._full = none, full
        self._detail, self._shape, self._content = _USUAL

    def next(self, content: Floats, detail: Floats, shape: Floats, counts: bool) -> float:
        """Return the confidence after a frame, which is taken note of if it `counts`, as an audible one does.

        All normalised: `content` `(D,)`, the envelope's `shape` `(P,)`, and the `detail` `(P,)` of it that content does
        not say.
        """
        if counts:
            self._detail += self._share * (_power(detail) - self._detail)
            self._shape += self._share * (_power(shape) - self._shape)
            self._content += self._share * (_power(content) - self._content)
        explained = 1 - self._detail / max(self._shape, 1e-6) + self._content - _LEAST_CONTENT
        return min(max((explained - self._none) / (self._full - self._none), 0.0), 1.0)


def _power(row: Floats) -> float:
    """Return the mean square of a row."""
    return float(row @ row) / len(row)
