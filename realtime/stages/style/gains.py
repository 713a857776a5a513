"""The gains of a frame: from its powers and a map to a style, gains per bin and noise to fill in.

The Gaussian of the content's frames is mapped to that of a style's (`models.style.transport`). Gains alone can only
shape what the content contains, and large ones amplify its noise; so boosts are limited, and what the style has beyond
them is filled in with noise shaped to the same target, at most a few dB louder than the content. Speech gets less of
that: its intelligibility and clarity are worth more than the last bit of the style.

The constants were chosen by independent judges (docs/figures.md). It is written in NumPy, with Python floats for single
numbers: live, on cold caches, so many small operations cost less than in torch or ONNX Runtime.
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
"""Mean rise over the bands from one frame to the next: where smoothing begins to be released, where it is off."""
_BEYOND_DB = 10.0
"""How far beyond the limits of gains the smoother may run."""
_NOISY = 0.3
"""Largest share of a band that noise may replace where the style is noisier than the content."""
_DB = 10 / math.log(10)
"""Decibels of a power for each natural logarithm."""


@dataclass(frozen=True)
class ContentGains:
    """The limits for a kind of content: gains in dB, the time constant of gains in steady sound in s, and the fill.

    `fill` is the share of the missing power that is filled in, `tonal` how much of that in bands where the style is
    tonal, `over_db` how far above the content's own level the fill may be.
    """

    boost_db: float
    cut_db: float
    steady_s: float
    fill: float
    tonal: float
    over_db: float

    def towards(self, other: ContentGains, position: float) -> ContentGains:
        """Return the limits at `position` between these (0) and others (1)."""
        mine, theirs = vars(self), vars(other)
        return ContentGains(**{name: value + (theirs[name] - value) * position for name, value in mine.items()})


_MUSIC = ContentGains(3.0, -40.0, 0.06, 1.0, 0.6, 3.0)
_SPEECH = ContentGains(12.0, -15.0, 0.04, 0.3, 0.0, -12.0)


@dataclass(frozen=True)
class MapArrays:
    """A style map as float32 arrays: `matrix` `(B, B)`, `vectors` `(4, B)`, and the probability of speech."""

    matrix: Row
    vectors: Row
    speech: float

    @staticmethod
    def of(aim: Aim) -> MapArrays:
        """Return a style map as arrays."""
        return MapArrays(aim.matrix.numpy(), aim.vectors.numpy(), aim.speech)


@dataclass(frozen=True)
class GainTarget:
    """Two style maps, to fade between."""

    before: MapArrays
    after: MapArrays

    def at(self, position: float) -> tuple[Row, Row, float]:
        """Return matrix `(B, B)`, vectors `(4, B)` and probability of speech at `position`, 0 to 1."""
        a, b = self.before, self.after
        matrix = a.matrix + (b.matrix - a.matrix) * position
        vectors = a.vectors + (b.vectors - a.vectors) * position
        return matrix, vectors, a.speech + (b.speech - a.speech) * position


@dataclass(frozen=True)
class GainChange:
    """The parameters in a frame: `strength` 0 to 1 along the geodesic, `fill` and `gain` as factors.

    `fade` is the factor per frame by which earlier frames lose weight in the content's level.
    """

    strength: float
    fill: float
    gain: float
    fade: float


@dataclass(frozen=True)
class Restyled:
    """The factors for a frame's spectra and for the noise, and the frame's measurements.

    `gains` and `fill` `(F,)`; `shares` `(C,)` distribute the fill over the channels; `frame` `(B,)` in dB;
    `speech_powers` `(16,)` for the speech detector; `loud`: False in a pause.
    """

    gains: Row
    fill: Row
    shares: Row
    frame: Row
    speech_powers: Row
    loud: bool


class StyleControl:
    """Computes gains frame by frame; its state depends only on past frames, so chunks may have any size."""

    def __init__(self, layout: StyleBands, channels: int) -> None:
        self._bands = bands = layout.bands
        self._analysis = layout.analysis.numpy()
        self._hats = layout.hats.numpy()
        self._noise_flatness = layout.noise_flatness.numpy()
        self._frame_s = 1 / layout.frames(1.0)
        self._last, self._smoothed, self._flatness = (np.zeros(bands, np.float32) for _ in range(3))
        self._envelopes = np.zeros(channels, np.float32)
        self._levels = _Levels(self._frame_s)
        self._envelope_decay, self._hold_rough, self._free = (
            math.exp(-self._frame_s / seconds) for seconds in (_ENVELOPE_S, _FLATNESS_S, _ONSET_S)
        )

    def restyle(self, powers: Row, target: GainTarget, position: float, controls: GainChange) -> Restyled:
        """Return the gains for a frame of `powers`, `(C, F)`, at `position` (0 to 1) between two maps."""
        channels = len(powers)
        power = powers[0] if channels == 1 else powers.sum(0) / channels
        # One pass over the filters gives bands, speech bands, total and, of the logarithms, geometric means.
        sums, logs = np.array((power, np.log(power + TINY))) @ self._analysis
        bands, speech_powers, total = sums[: self._bands], sums[self._bands : self._bands + BANDS], float(sums[-1])
        level, loud = self._levels.update(total, controls.fade)
        frame = _DB * np.log(bands / level + FLOOR)

        matrix, vectors, speech = target.at(position)
        offset, shift, noisy, flatness = vectors
        limits = _MUSIC.towards(_SPEECH, speech)
        desired = frame @ matrix + offset
        # Speech keeps its own dynamics where the style is tonal.
        desired += (frame + shift - desired) * (speech * (1 - noisy))
        gains = np.exp(self._smooth(desired - frame, frame, limits) * (controls.strength / _DB))

        flatness_now = np.exp(logs[: self._bands]) / (bands + TINY)
        self._flatness = flatness_now + (self._flatness - flatness_now) * self._hold_rough
        lacking = (flatness - self._flatness) / np.maximum(self._noise_flatness - self._flatness, 0.05)
        kept = gains * (1 - (_NOISY * (1 - speech) * controls.strength) * np.minimum(np.maximum(lacking, 0), 0.95))
        # Where part of a band is swapped for noise, the fill makes up for all of it.
        needed = np.maximum(np.exp(desired / _DB) * level, gains * bands) - kept * bands
        share = limits.fill * controls.fill * controls.strength * self._levels.activity
        missing = np.maximum(needed, 0) * (limits.tonal + (1 - limits.tonal) * noisy) * share
        spread, filling = np.array((np.log(kept), missing)) @ self._hats
        amount = float(filling.sum()) / len(power)
        limit = self._levels.envelope * math.exp(limits.over_db / _DB)
        allowed = min(1.0, limit / (amount + TINY))
        filling *= allowed

        factors = np.exp(spread)
        output_power = float(power @ factors) / len(power) + amount * allowed
        factor = self._levels.make_up(total, output_power, loud) * controls.gain
        self._last = frame
        shares = self._channel_shares(powers) if channels > 1 else np.ones(1, np.float32)
        return Restyled(np.sqrt(factors) * factor, np.sqrt(filling) * factor, shares, frame, speech_powers, loud)

    def _smooth(self, change: Row, frame: Row, limits: ContentGains) -> Row:
        """Return the gains in dB after a smoother that is released at onsets, within the content's limits."""
        first, full = _ONSET_DB
        rise = float(np.maximum(frame - self._last, 0).sum()) / self._bands
        onset = min(max((rise - first) / (full - first), 0.0), 1.0)
        steady = math.exp(-self._frame_s / limits.steady_s)
        hold = steady + (self._free - steady) * onset
        change = np.minimum(np.maximum(change, limits.cut_db - _BEYOND_DB), limits.boost_db + _BEYOND_DB)
        self._smoothed = change + (self._smoothed - change) * hold
        return np.minimum(np.maximum(self._smoothed, limits.cut_db), limits.boost_db)

    def _channel_shares(self, powers: Row) -> Row:
        """Return amplitudes `(C,)` that distribute the fill as the content's power is distributed."""
        now = powers.sum(1) / powers.shape[1]
        self._envelopes = now + (self._envelopes - now) * self._envelope_decay
        shares: Row = np.sqrt((self._envelopes + TINY) / (float(self._envelopes.mean()) + TINY))
        return shares


class _Levels:
    """Running levels: mean powers per bin, and sums with their weights."""

    def __init__(self, frame_s: float) -> None:
        self._peak_decay, self._loudness_decay, self._activity_decay, self._envelope_decay = (
            math.exp(-frame_s / seconds) for seconds in (_PEAK_S, _LOUDNESS_S, _ACTIVITY_S, _ENVELOPE_S)
        )
        self._peak = self._level = self._weight = self._input_sum = self._output_sum = self._active = 0.0
        self.envelope = 0.0

    @property
    def activity(self) -> float:
        """The activity of the content, 0 in a pause to 1."""
        return min(10 * self._active, 1.0)

    def update(self, total: float, fade: float) -> tuple[float, bool]:
        """Include a frame's power; return the level of the sound so far, and whether the frame is no pause."""
        self._peak = max(total, self._peak * self._peak_decay)
        loud = total > max(self._peak * GATE, TINY)
        if loud:
            self._level = self._level * fade + total
            self._weight = self._weight * fade + 1
        level = max(self._level / self._weight, TINY) if self._weight else 1.0
        self.envelope = total + (self.envelope - total) * self._envelope_decay
        self._active = max(total / level, self._active * self._activity_decay)
        return level, loud

    def make_up(self, input_power: float, output_power: float, loud: bool) -> float:
        """Return the factor that keeps the output as loud as the input."""
        if loud:
            self._input_sum = self._input_sum * self._loudness_decay + input_power
            self._output_sum = self._output_sum * self._loudness_decay + output_power
        lowest, highest = _MAKEUP
        return min(max(math.sqrt((self._input_sum + TINY) / (self._output_sum + TINY)), lowest), highest)
