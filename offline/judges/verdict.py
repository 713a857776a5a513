"""All measures of one pair of recordings, and the results for an output."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gramophone.offline.data.mono_audio import Sound
from gramophone.offline.judges.closeness import JUDGES, Closeness
from gramophone.offline.judges.music import chroma_correlation, onset_correlation
from gramophone.offline.judges.paste import pasted
from gramophone.offline.judges.speech import speech_quality


@dataclass(frozen=True)
class Verdict:
    """The measures of one output."""

    closeness: float
    """Mean over taggers: 0 untouched, 1 as close to the style as the style's two halves are to each other."""

    taggers: dict[str, float] = field(repr=False)
    """Closeness by tagger."""

    chroma: float
    chroma_constant_q: float
    onsets: float
    """Correlations with the content."""

    pasted: float
    """Largest share of half a second that is a copy of the style recording."""

    quality_loss: float | None
    """By how much the DNSMOS of speech went down; None for music."""


class Jury:
    """All measures of one pair, mono at `rate` Hz; what does not depend on the output is measured once."""

    def __init__(
        self, content: Sound, style: Sound, rate: int, *, speech: bool, taggers: Sequence[str] = JUDGES
    ) -> None:
        self._content, self._style, self._rate, self._speech = content, style, rate, speech
        self._closeness = {name: Closeness(content, style, rate, name) for name in taggers}

    @property
    def contrast(self) -> float:
        """The smallest contrast of content and style over the taggers; below 0.3 a closeness means little."""
        return min(judge.contrast for judge in self._closeness.values())

    def closeness(self, output: Sound) -> dict[str, float]:
        """Return how close `output` is to the style by every tagger; it need not be in line with the content."""
        return {name: judge(output, self._rate) for name, judge in self._closeness.items()}

    def judge(self, output: Sound) -> Verdict:
        """Return the measures of an output that is aligned with the content to the sample."""
        taggers = self.closeness(output)
        return Verdict(
            closeness=float(np.mean(list(taggers.values()))),
            taggers=taggers,
            chroma=chroma_correlation(self._content, output, self._rate),
            chroma_constant_q=chroma_correlation(self._content, output, self._rate, constant_q=True),
            onsets=onset_correlation(self._content, output, self._rate),
            pasted=pasted(self._content, self._style, output, self._rate),
            quality_loss=self._quality - speech_quality(output, self._rate) if self._speech else None,
        )

    @functools.cached_property
    def _quality(self) -> float:
        return speech_quality(self._content, self._rate)
