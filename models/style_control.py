"""How a frame is restyled: gains per bin, and noise to fill in, from its powers and where to aim.

The Gaussian of the content's frames is moved onto that of a style's (`gramophone.models.transport`). Gains alone reach
only what the content has sound in, and large ones are heard as noise; so boosts are limited, and what the style has
beyond them is filled in with noise shaped to the same target, never louder than the content by more than a little.
Speech gets less of that: its words and its clarity are worth more than the last of the style.

The numbers here were chosen by independent judges (docs/figures.md). Everything is a small tensor of float32, one frame
after the other, so that the step exports to ONNX and gives the same samples however frames come.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

import torch
from torch import Tensor

from gramophone.models.speech import BANDS
from gramophone.models.streaming import State, Streaming
from gramophone.models.style import FLOOR, GATE, TINY, StyleBands

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


_MUSIC = Taste(3.0, -40.0, 0.06, 1.0, 0.6, 3.0)
_SPEECH = Taste(12.0, -15.0, 0.04, 0.3, 0.0, -12.0)


@dataclass(frozen=True)
class Aim:
    """Where to go: `matrix` `(B, B)`, `vectors` `(4, B)` and how sure it is that the content is speech, 0 to 1.

    The vectors are the offset of the map, the offset of the map that only shifts the mean, how noise-like the style is
    (0 to 1) and its flatness.
    """

    matrix: Tensor
    vectors: Tensor
    speech: float

    @staticmethod
    def at_rest(bands: int) -> Aim:
        """Return the aim that changes nothing."""
        return Aim(torch.eye(bands), torch.zeros(4, bands), 1.0)

    def packed(self) -> Tensor:
        """Return all of it as float32 `(B + 5, B)`."""
        speech = torch.full((1, len(self.matrix)), self.speech)
        return torch.cat([self.matrix.float(), self.vectors.float(), speech])


@dataclass(frozen=True)
class Restyled:
    """The parts of a frame's result: what to multiply its spectra and the noise with, and what was heard.

    `gains` and `fill` `(F,)`, `shares` `(C,)` by which channels differ in the fill, `frame` `(B,)` in dB, `guard`
    `(16,)` powers for the speech detector, `loud` 1 unless the frame is a pause.
    """

    gains: Tensor
    fill: Tensor
    shares: Tensor
    frame: Tensor
    guard: Tensor
    loud: Tensor


class StyleControl(Streaming):
    """Powers in, gains and fill out, frame by frame: `(1, F + C, n)` -> `(1, 2 F + C + B + 17, n)`.

    In: the mean power of the channels by bin, then each channel's mean power. Out: see `Restyled` and `split`.

    Controls: two packed aims `(2, B + 5, B)`, and for each frame five numbers `(n, 5)`: position between the aims,
    strength 0 to 1 along the geodesic, factors on the fill and on the result, and what one frame more makes of the
    weight of those before it in the content's level.
    """

    analysis: Tensor
    hats: Tensor
    noise_flatness: Tensor
    tastes: Tensor

    def __init__(self, layout: StyleBands) -> None:
        super().__init__()
        self.bands, self.bins = layout.bands, layout.bins
        for name in ("analysis", "hats", "noise_flatness"):
            self.register_buffer(name, getattr(layout, name))
        self.register_buffer("tastes", torch.tensor([astuple(_MUSIC), astuple(_SPEECH)]))
        self._frame_s = 1 / layout.frames(1.0)
        self._fall, self._fade, self._calm, self._hold, self._rough, self._free = (
            math.exp(-self._frame_s / seconds)
            for seconds in (_PEAK_S, _LOUDNESS_S, _ACTIVITY_S, _ENVELOPE_S, _FLATNESS_S, _ONSET_S)
        )

    def initial_state(self, x: Tensor) -> State:
        """Silence: last frame, its smoothed gains and flatness, `(1, B)` each; envelopes `(1, C)`; levels `(1, 7)`."""
        rows = (x.new_zeros(1, size) for size in (self.bands, self.bands, self.bands, x.shape[1] - self.bins, 7))
        return tuple(rows)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Restyle frames, oldest first."""
        aims, numbers = controls
        made = []
        for i in range(x.shape[2]):
            y, state = self._frame(x[:, :, i], state, aims, numbers[i : i + 1])
            made.append(y)
        return torch.stack(made, 2), state

    def split(self, y: Tensor) -> Restyled:
        """Return the parts of an output `(2 F + C + B + 17, ...)`."""
        channels = len(y) - 2 * self.bins - self.bands - BANDS - 1
        return Restyled(*torch.split(y, [self.bins, self.bins, channels, self.bands, BANDS, 1]))

    # All below are rows, `(1, size)`, never numbers: a number costs the exported graph two more nodes wherever it goes.

    def _frame(self, x: Tensor, state: State, aims: Tensor, numbers: Tensor) -> tuple[Tensor, State]:
        last, smoothed, rough, envelopes, levels = state
        position, strength, fill, gain, fade = torch.split(numbers, 1, 1)
        power, channels = torch.split(x.relu(), [self.bins, envelopes.shape[1]], 1)  # whatever comes, there is a result
        # One pass over the filters gives bands, speech bands, total and, of the logarithms, geometric means.
        sums, logs = torch.split(torch.cat([power, (power + TINY).log()]) @ self.analysis, 1)
        bands, guard, total = torch.split(sums, [self.bands, BANDS, 1], 1)
        level, loud, envelope, active, levels = self._listen(total, levels, fade)
        frame = _DB * (bands / level + FLOOR).log()

        aim = _between(aims[0], aims[1], position)
        matrix, offset, shift, noisy, flatness, speech = torch.split(aim, [self.bands, 1, 1, 1, 1, 1])
        taste = _between(self.tastes[:1], self.tastes[1:], speech[:, :1])
        boost_db, cut_db, steady_s, share, tonal, over_db = torch.split(taste, 1, 1)
        # Speech keeps its own dynamics where the style is tonal.
        wanted = _between(frame @ matrix + offset, frame + shift, speech * (1 - noisy))
        rise = (frame - last).relu().mean(1, keepdim=True)
        smoothed = self._smooth(wanted - frame, smoothed, rise, steady_s, boost_db, cut_db)
        gains = (torch.minimum(torch.maximum(smoothed, cut_db), boost_db) * (strength / _DB)).exp()

        logs, _ = torch.split(logs, [self.bands, BANDS + 1], 1)
        rough = _between(logs.exp() / (bands + TINY), rough, self._rough)
        lacking = ((flatness - rough) / (self.noise_flatness - rough).clamp_min(0.05)).clamp(0, 0.95)
        kept = gains * (1 - (1 - speech) * (_NOISY * strength) * lacking)
        # Where part of a band is swapped for noise, the fill makes up for all of it.
        target = torch.maximum((wanted / _DB).exp() * level, gains * bands)
        missing = (target - kept * bands).relu() * (tonal + (1 - tonal) * noisy) * (share * fill * strength * active)
        spread, filling = torch.split(torch.cat([kept.log(), missing]) @ self.hats, 1)
        limit = envelope * (over_db / _DB).exp()
        filling = filling * (limit / (filling.mean(1, keepdim=True) + TINY)).clamp_max(1)

        factors = spread.exp()
        went = (power * factors + filling).mean(1, keepdim=True)
        factor, levels = self._make_up(total, went, loud, levels)
        envelopes = _between(channels, envelopes, self._hold)
        shares = ((envelopes + TINY) / (envelopes.mean(1, keepdim=True) + TINY)).sqrt()
        played = torch.cat([factors, filling], 1).sqrt() * (factor * gain)
        return torch.cat([played, shares, frame, guard, loud], 1), (frame, smoothed, rough, envelopes, levels)

    def _listen(self, total: Tensor, levels: Tensor, fade: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the sound's level so far, whether this is no pause, its envelope, how active it is, and the levels."""
        peak, level, weight, envelope, active, sums = torch.split(levels, [1, 1, 1, 1, 1, 2], 1)
        peak = torch.maximum(total, peak * self._fall)
        loud = (total > (peak * GATE).clamp_min(TINY)).to(total.dtype)
        fade = 1 - loud * (1 - fade)
        level, weight = level * fade + loud * total, weight * fade + loud
        mean = (level / weight.clamp_min(TINY)).clamp_min(TINY)
        envelope = _between(total, envelope, self._hold)
        active = torch.maximum(total / mean, active * self._calm)
        levels = torch.cat([peak, level, weight, envelope, active, sums], 1)
        return mean, loud, envelope, (10 * active).clamp_max(1), levels

    def _smooth(
        self, change: Tensor, smoothed: Tensor, rise: Tensor, steady_s: Tensor, boost_db: Tensor, cut_db: Tensor
    ) -> Tensor:
        """Return the gains in dB after a smoother that lets go at onsets."""
        first, full = _ONSET_DB
        onset = ((rise - first) / (full - first)).clamp(0, 1)
        steady = (-self._frame_s / steady_s).exp()
        hold = steady + (self._free - steady) * onset
        change = torch.minimum(torch.maximum(change, cut_db - _BEYOND_DB), boost_db + _BEYOND_DB)
        return _between(change, smoothed, hold)

    def _make_up(self, came: Tensor, went: Tensor, loud: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the factor that keeps the loudness of what goes at that of what came, and the levels."""
        others, sums = torch.split(levels, [5, 2], 1)
        sums = sums * (1 - loud * (1 - self._fade)) + loud * torch.cat([came, went], 1)
        all_came, all_went = torch.split(sums, 1, 1)
        lowest, highest = _MAKEUP
        ratio = ((all_came + TINY) / (all_went + TINY)).clamp(lowest**2, highest**2)
        return ratio.sqrt(), torch.cat([others, sums], 1)


def _between(a: Tensor, b: Tensor, position: Tensor | float) -> Tensor:
    """Return what lies at `position` between `a` (0) and `b` (1): `lerp` in fewer nodes of an exported graph."""
    return a + (b - a) * position
