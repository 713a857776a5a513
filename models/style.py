"""The live style filter: gains per band that move the Gaussian of a sound's log spectra onto another sound's.

A frame is the log power in bands, relative to the sound's own running level, stacked with frames of the recent past:
the map sees how bands move together and in time. Levels and maps come from the past only. `StyleFilter` is the step,
its `learn` makes a style of a recording, and `Listener` keeps what the content has shown so far and says where to move
it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gramophone.models.gaussian import Gaussian, Moments
from gramophone.models.mel import MelBands
from gramophone.models.stft import STFT, OverlapAdd, low_delay_windows
from gramophone.models.streaming import State, Streaming
from gramophone.models.transport import Affine, transport

_WINDOW_S = 1024 / 48_000
_HOPS = 4
_LAGS_S = (0.0, 0.011, 0.021, 0.043, 0.085)
_PERIOD_S = 0.08
_FLOOR_DB = -70.0
"""Below the running level; quieter bands are taken for this quiet."""
_GATE = 10 ** (-55 / 10)
"""Power below the recent peak; quieter frames are pauses and teach nothing."""
_PEAK_S = 5.0
_LEVEL_S = 8.0
_LOUDNESS_S = 3.0
_STEADY_S = 0.03
"""Time constant of gains in steady sound; at onsets they are free."""
_ONSET_DB = (1.0, 4.0)
"""Mean rise over the bands from one frame to the next: where gains begin to be free, where they are."""
_GAIN_DB = (-40.0, 24.0)
_PRIOR_S = 1.0
"""Seconds of content that the belief that it varies as the style does is worth."""
_REGULAR = 1e-2
_SILENCE = 1e-12
_CHUNK_FRAMES = 2048


class StyleFilter(Streaming):
    """Sound in, restyled sound out, in hops: `(1, C, n * hop)` both; channels share their gains.

    Controls: `before` and `after` `(B, D + 1)`, affine maps from stacked frames to bands with the offset last;
    `position` `(n,)` between them, `strength` `(n,)` 0..1 along the geodesic from the sound itself, `gain` `(n,)` a
    factor, and `adaptation` `()` seconds over which the level is known. State: see `initial_state`; `heard` reads it.

    `period` is the number of frames that the state remembers for `heard`: steps must not be longer. Rate in Hz.

    Raises:
        ValueError: the range in Hz is empty below half the rate.
    """

    def __init__(self, rate: int, bands: int, low: float, high: float) -> None:
        super().__init__()
        self.rate = rate
        self.hop = self.up = max(round(_WINDOW_S * rate / _HOPS), 4)
        self.window = _HOPS * self.hop
        self.delay = self.window - self.hop
        self.bands = bands
        self.period = max(round(_PERIOD_S * rate / self.hop), 1)
        self.lags = [round(lag * rate / self.hop) for lag in _LAGS_S]
        self.features = bands * len(self.lags)
        analysis, synthesis = low_delay_windows(self.window, self.window, self.hop)
        self._stft, self._overlap_add = STFT(analysis, self.hop), OverlapAdd(synthesis, self.hop, self.window)
        self._bands = MelBands(rate, self.window, bands, low, min(high, 0.49 * rate)).double()

    def frames(self, seconds: float) -> float:
        """Return how many frames, a fraction perhaps, make `seconds`."""
        return seconds * self.rate / self.hop

    def identity(self) -> Tensor:
        """Return the map that changes nothing, `(B, D + 1)`."""
        return torch.eye(self.bands, self.features + 1, dtype=torch.float64)

    def initial_state(self, x: Tensor) -> State:
        """Silence: spectra and sound under way, past bands, features and gate of a period, smoothed gains, levels."""
        return (
            *self._stft.initial_state(x),
            *self._overlap_add.initial_state(x),
            self._quiet_history().to(x.device),
            *(
                torch.zeros(shape, dtype=torch.float64, device=x.device)
                for shape in (
                    (self.period, self.features),
                    (self.period,),
                    (self.bands,),
                    (len(_Levels.__dataclass_fields__),),
                )
            ),
        )

    def heard(self, state: State) -> Tensor:
        """Return the stacked frames of the last period, pauses left out: `(n, D)`, oldest first."""
        _, _, _, features, gate, _, _ = state
        return features[gate > 0]

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Restyle a chunk of whole hops."""
        before, after, position, strength, gain, adaptation = controls
        past, pending, history, features, gate, smoothed, memory = state
        spectra, (past,) = self._stft(x, (past,))
        power = _power(spectra)
        totals = power.sum(1)
        levels = _Levels(*memory.tolist())
        level, loud = levels.listen(totals.tolist(), self, float(adaptation))
        bands = self._log_bands(power, level)
        stacked, history = self._stack(bands, history)
        wanted = torch.lerp(_apply(before, stacked), _apply(after, stacked), position[:, None].double())
        rise = bands - torch.cat([history[-len(bands) - 1 : -len(bands)], bands[:-1]])
        smoothed, gains_db = self._smooth((wanted - bands).clamp(*_GAIN_DB), smoothed, rise)
        gains = (10 ** (self._bands.spread(gains_db * strength[:, None]) / 20)).float()
        made = (power * gains.double().square()).sum(1)
        makeup = gains.new_tensor(levels.make_up(totals.tolist(), made.tolist(), self)) * gain
        y, (pending,) = self._overlap_add(spectra * (gains * makeup[:, None]), (pending,))
        features = torch.cat([features, stacked])[-self.period :]
        gate = torch.cat([gate, gate.new_tensor(loud)])[-self.period :]
        return y, (past, pending, history, features, gate, smoothed, memory.new_tensor(levels.as_list()))

    def learn(self, sound: Tensor) -> Gaussian | None:
        """Return the style of a recording `(C, T)` at this rate; None for one that is silent throughout."""
        padded = torch.nn.functional.pad(sound, (0, self.window + -sound.shape[1] % self.hop))
        state: State | None = None
        pieces = []
        for chunk in torch.split(padded[None], _CHUNK_FRAMES * self.hop, 2):
            spectra, state = self._stft(chunk, state)
            pieces.append(_power(spectra))
        power = torch.cat(pieces)
        totals = power.sum(1)
        loud = totals > max(float(totals.max()) * _GATE, _SILENCE)
        if not loud.any():
            return None
        bands = self._log_bands(power, totals[loud].mean().expand(len(power)))
        stacked, _ = self._stack(bands, self._quiet_history())
        style = Moments.nothing(self.features).after(stacked[loud]).gaussian()
        return Gaussian(style.mean, _lifted(style.covariance))

    def _quiet_history(self) -> Tensor:
        return torch.full((max(self.lags) + 1, self.bands), _FLOOR_DB, dtype=torch.float64)

    def _log_bands(self, power: Tensor, level: Tensor) -> Tensor:
        """Return levels in dB, `(n, B)`, of powers `(n, F)` relative to `level` `(n,)`, no lower than the floor."""
        relative = power @ self._bands.weights.t() * power.shape[1] / level[:, None]
        return 10 * (relative + 10 ** (_FLOOR_DB / 10)).log10()

    def _stack(self, bands: Tensor, history: Tensor) -> tuple[Tensor, Tensor]:
        """Return `bands` `(n, B)` beside their past, `(n, D)`, and the history after them."""
        known = torch.cat([history, bands])
        start = len(history)
        stacked = torch.cat([known[start - lag : start - lag + len(bands)] for lag in self.lags], 1)
        return stacked, known[-len(history) :].clone()

    def _smooth(self, gains: Tensor, smoothed: Tensor, rise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last and all of the gains `(n, B)` after a smoother that lets go at onsets."""
        steady = math.exp(-1 / self.frames(_STEADY_S))
        first, full = _ONSET_DB
        onset = ((rise.clamp_min(0).mean(1) - first) / (full - first)).clamp(0, 1)
        series = []
        for now, hold in zip(gains, (steady * (1 - onset)).tolist(), strict=True):
            smoothed = torch.lerp(now, smoothed, hold)
            series.append(smoothed)
        return smoothed, torch.stack(series)


@dataclass(frozen=True)
class Listener:
    """What a stream has shown of itself, and the map from there to a style.

    Everything here is off the path of the sound: a period's frames go in at its end, the map comes back one later.
    """

    shape: StyleFilter
    moments: Moments

    @staticmethod
    def new(shape: StyleFilter) -> Listener:
        """Return a listener that has heard nothing."""
        return Listener(shape, Moments.nothing(shape.features))

    def after(self, frames: Tensor, adaptation: float) -> Listener:
        """Return the listener once `frames` `(n, D)` have passed, older ones fading over `adaptation` seconds."""
        return replace(self, moments=self.moments.after(frames, math.exp(-1 / self.shape.frames(adaptation))))

    def map_to(self, style: Gaussian | None, tilt: float) -> Tensor:
        """Return the map `(B, D + 1)` from what was heard to `style`; the identity before anything was heard.

        `tilt` as in `transport`. Without a style the sound stays as it is.
        """
        if style is None or not self.moments.weight:
            return self.shape.identity()
        weight, prior = self.moments.weight, self.shape.frames(_PRIOR_S)
        own = _lifted(self.moments.gaussian().covariance)
        content = Gaussian(self.moments.mean, (weight * own + prior * style.covariance) / (weight + prior))
        affine: Affine = transport(content, style, tilt)
        rows = self.shape.bands  # of the stacked output only the present is heard
        return torch.cat([affine.matrix[:rows], affine.offset[:rows, None]], 1)


@dataclass
class _Levels:
    """Running levels, numbers that go from frame to frame: powers, and sums with the weights behind them."""

    peak: float
    level: float
    level_weight: float
    came: float
    went: float
    loudness_weight: float

    def as_list(self) -> list[float]:
        return [self.peak, self.level, self.level_weight, self.came, self.went, self.loudness_weight]

    def listen(self, totals: list[float], shape: StyleFilter, adaptation: float) -> tuple[Tensor, list[bool]]:
        """Return for each frame of power `totals` the level of the sound so far, and whether it is no pause."""
        fall = math.exp(-1 / shape.frames(_PEAK_S))
        fade = math.exp(-1 / shape.frames(adaptation))
        levels, loud = [], []
        for total in totals:
            self.peak = max(total, self.peak * fall)
            loud.append(total > max(self.peak * _GATE, _SILENCE))
            if loud[-1]:
                self.level = self.level * fade + total
                self.level_weight = self.level_weight * fade + 1
            levels.append(self.level / self.level_weight if self.level_weight else 1.0)
        return torch.tensor(levels, dtype=torch.float64), loud

    def make_up(self, came: list[float], went: list[float], shape: StyleFilter) -> list[float]:
        """Return for each frame the factor that keeps the loudness of what goes at that of what came."""
        fade = math.exp(-1 / shape.frames(_LOUDNESS_S))
        factors = []
        for a, b in zip(came, went, strict=True):
            self.came, self.went = self.came * fade + a, self.went * fade + b
            factors.append(math.sqrt((self.came + _SILENCE) / (self.went + _SILENCE)))
        return factors


def _power(spectra: Tensor) -> Tensor:
    """Return the mean power over channels, float64 `(n, F)`, of spectra `(1, C, n, F)`."""
    return torch.view_as_real(spectra[0]).double().square().sum(-1).mean(0)


def _apply(affine: Tensor, stacked: Tensor) -> Tensor:
    return torch.addmm(affine[:, -1], stacked, affine[:, :-1].t())


def _lifted(covariance: Tensor) -> Tensor:
    """Return a covariance that a map can divide by: every direction varies a little."""
    size = len(covariance)
    ball = _REGULAR * float(covariance.trace()) / size + _REGULAR
    return covariance + ball * torch.eye(size, dtype=covariance.dtype, device=covariance.device)
