"""How a frame is restyled: gains per bin, and noise to fill in, from its powers and where to aim.

The Gaussian of the content's frames is moved onto that of a style's (`models.style.transport`). Gains alone reach
only what the content has sound in, and large ones are heard as noise; so boosts are limited, and what the style has
beyond them is filled in with noise shaped to the same target, never louder than the content by more than a little.
Speech gets less of that: its words and its clarity are worth more than the last of the style.

The numbers here were chosen by independent judges (docs/figures.md). It is written in NumPy, with plain numbers for
what is one number: live, on cold caches, so many small operations cost less than in torch or ONNX Runtime.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gramophone.models.style.content_statistics import Aim
from gramophone.models.style.speech_detector import BANDS
from gramophone.models.style.style import FLOOR, GATE, TINY, StyleBands

Row = NDArray[np.float32]

_PEAK_S = 5.0
_LOUDNESS_S = 3.0
_MAKEUP = (0.1, 10.0)
_ACTIVITY_S = 0.3
_ENVELOPE_S = 0.1
_FLATNESS_S = 0.05
_ONSET_S = 0.005
_ONSET_DB = (1.0, 4.0)
"""Mean rise over the bands from one frame to the next: where gains begin to be free, where they are."""
_BEYOND_DB = 10.0
"""How far the smoother may be ahead of the limits of gains."""
_NOISY = 0.3
"""How much of a band may be swapped for noise where the style is noisier than the content."""
_DB = 10 / math.log(10)
"""A power's decibels for each natural logarithm."""


@dataclass(frozen=True)
class Taste:
    """What suits a kind of content: gains in dB, the time constant of gains in steady sound in s, and the fill.

    `fill` is the share of what is missing that is filled in, `tonal` how much of that in bands where the style is
    tonal, `over_db` how far above the content's own level the fill may be.
    """

    boost_db: float
    cut_db: float
    steady_s: float
    fill: float
    tonal: float
    over_db: float

    def towards(self, other: Taste, position: float) -> Taste:
        """Return what lies at `position` between this (0) and another taste (1)."""
        mine, theirs = vars(self), vars(other)
        return Taste(**{name: value + (theirs[name] - value) * position for name, value in mine.items()})


_MUSIC = Taste(3.0, -40.0, 0.06, 1.0, 0.6, 3.0)
_SPEECH = Taste(12.0, -15.0, 0.04, 0.3, 0.0, -12.0)


@dataclass(frozen=True)
class Place:
    """An aim as arrays of the sound's precision: `matrix` `(B, B)`, `vectors` `(4, B)`, certainty of speech."""

    matrix: Row
    vectors: Row
    speech: float

    @staticmethod
    def of(aim: Aim) -> Place:
        """Return the place that an aim names."""
        return Place(aim.matrix.numpy(), aim.vectors.numpy(), aim.speech)


@dataclass(frozen=True)
class GainTarget:
    """Two places, and the way between them."""

    before: Place
    after: Place

    def at(self, position: float) -> tuple[Row, Row, float]:
        """Return matrix `(B, B)`, vectors `(4, B)` and certainty of speech at `position`, 0 to 1."""
        a, b = self.before, self.after
        matrix = a.matrix + (b.matrix - a.matrix) * position
        vectors = a.vectors + (b.vectors - a.vectors) * position
        return matrix, vectors, a.speech + (b.speech - a.speech) * position


@dataclass(frozen=True)
class GainChange:
    """Where knobs stand in a frame: `strength` 0 to 1 along the geodesic, `fill` and `gain` factors.

    `fade` is what one frame more makes of the weight of those before it in the content's level.
    """

    strength: float
    fill: float
    gain: float
    fade: float


@dataclass(frozen=True)
class Restyled:
    """What to multiply a frame's spectra and the noise with, and what was heard.

    `gains` and `fill` `(F,)`, `shares` `(C,)` by which channels differ in the fill, `frame` `(B,)` in dB, `guard`
    `(16,)` powers for the speech detector, `loud`: False in a pause.
    """

    gains: Row
    fill: Row
    shares: Row
    frame: Row
    guard: Row
    loud: bool


class StyleControl:
    """Restyles frame after frame; all that it remembers is past, so frames may come in any chunks."""

    def __init__(self, layout: StyleBands, channels: int) -> None:
        self._bands = bands = layout.bands
        self._analysis = layout.analysis.numpy()
        self._hats = layout.hats.numpy()
        self._noise_flatness = layout.noise_flatness.numpy()
        self._frame_s = 1 / layout.frames(1.0)
        self._last, self._smoothed, self._rough = (np.zeros(bands, np.float32) for _ in range(3))
        self._envelopes = np.zeros(channels, np.float32)
        self._levels = _Levels(self._frame_s)
        self._hold, self._hold_rough, self._free = (
            math.exp(-self._frame_s / seconds) for seconds in (_ENVELOPE_S, _FLATNESS_S, _ONSET_S)
        )

    def restyle(self, powers: Row, target: GainTarget, position: float, turn: GainChange) -> Restyled:
        """Return what to do with a frame of `powers`, `(C, F)`."""
        channels = len(powers)
        power = powers[0] if channels == 1 else powers.sum(0) / channels
        # One pass over the filters gives bands, speech bands, total and, of the logarithms, geometric means.
        sums, logs = np.array((power, np.log(power + TINY))) @ self._analysis
        bands, guard, total = sums[: self._bands], sums[self._bands : self._bands + BANDS], float(sums[-1])
        level, loud = self._levels.listen(total, turn.fade)
        frame = _DB * np.log(bands / level + FLOOR)

        matrix, vectors, speech = target.at(position)
        offset, shift, noisy, flatness = vectors
        taste = _MUSIC.towards(_SPEECH, speech)
        wanted = frame @ matrix + offset
        # Speech keeps its own dynamics where the style is tonal.
        wanted += (frame + shift - wanted) * (speech * (1 - noisy))
        gains = np.exp(self._smooth(wanted - frame, frame, taste) * (turn.strength / _DB))

        rough = np.exp(logs[: self._bands]) / (bands + TINY)
        self._rough = rough + (self._rough - rough) * self._hold_rough
        lacking = (flatness - self._rough) / np.maximum(self._noise_flatness - self._rough, 0.05)
        kept = gains * (1 - (_NOISY * (1 - speech) * turn.strength) * np.minimum(np.maximum(lacking, 0), 0.95))
        # Where part of a band is swapped for noise, the fill makes up for all of it.
        needed = np.maximum(np.exp(wanted / _DB) * level, gains * bands) - kept * bands
        share = taste.fill * turn.fill * turn.strength * self._levels.activity
        missing = np.maximum(needed, 0) * (taste.tonal + (1 - taste.tonal) * noisy) * share
        spread, filling = np.array((np.log(kept), missing)) @ self._hats
        amount = float(filling.sum()) / len(power)
        limit = self._levels.envelope * math.exp(taste.over_db / _DB)
        allowed = min(1.0, limit / (amount + TINY))
        filling *= allowed

        factors = np.exp(spread)
        went = float(power @ factors) / len(power) + amount * allowed
        factor = self._levels.make_up(total, went, loud) * turn.gain
        self._last = frame
        shares = self._channel_shares(powers) if channels > 1 else np.ones(1, np.float32)
        return Restyled(np.sqrt(factors) * factor, np.sqrt(filling) * factor, shares, frame, guard, loud)

    def _smooth(self, change: Row, frame: Row, taste: Taste) -> Row:
        """Return the gains in dB after a smoother that lets go at onsets, within the taste's limits."""
        first, full = _ONSET_DB
        rise = float(np.maximum(frame - self._last, 0).sum()) / self._bands
        onset = min(max((rise - first) / (full - first), 0.0), 1.0)
        steady = math.exp(-self._frame_s / taste.steady_s)
        hold = steady + (self._free - steady) * onset
        change = np.minimum(np.maximum(change, taste.cut_db - _BEYOND_DB), taste.boost_db + _BEYOND_DB)
        self._smoothed = change + (self._smoothed - change) * hold
        return np.minimum(np.maximum(self._smoothed, taste.cut_db), taste.boost_db)

    def _channel_shares(self, powers: Row) -> Row:
        """Return the amplitudes `(C,)` that give the fill to channels as the content has power in them."""
        now = powers.sum(1) / powers.shape[1]
        self._envelopes = now + (self._envelopes - now) * self._hold
        shares: Row = np.sqrt((self._envelopes + TINY) / (float(self._envelopes.mean()) + TINY))
        return shares


class _Levels:
    """Running levels: mean powers per bin, and sums with the weights behind them."""

    def __init__(self, frame_s: float) -> None:
        self._fall, self._fade, self._calm, self._hold = (
            math.exp(-frame_s / seconds) for seconds in (_PEAK_S, _LOUDNESS_S, _ACTIVITY_S, _ENVELOPE_S)
        )
        self._peak = self._level = self._weight = self._came = self._went = self._active = 0.0
        self.envelope = 0.0

    @property
    def activity(self) -> float:
        """How much is going on, 0 in a pause to 1."""
        return min(10 * self._active, 1.0)

    def listen(self, total: float, fade: float) -> tuple[float, bool]:
        """Take in a frame's power; return the level of the sound so far, and whether the frame is no pause."""
        self._peak = max(total, self._peak * self._fall)
        loud = total > max(self._peak * GATE, TINY)
        if loud:
            self._level = self._level * fade + total
            self._weight = self._weight * fade + 1
        level = max(self._level / self._weight, TINY) if self._weight else 1.0
        self.envelope = total + (self.envelope - total) * self._hold
        self._active = max(total / level, self._active * self._calm)
        return level, loud

    def make_up(self, came: float, went: float, loud: bool) -> float:
        """Return the factor that keeps the loudness of what goes at that of what came."""
        if loud:
            self._came = self._came * self._fade + came
            self._went = self._went * self._fade + went
        lowest, highest = _MAKEUP
        return min(max(math.sqrt((self._came + TINY) / (self._went + TINY)), lowest), highest)
