"""Activation maximisation: Adam in rounds, each with a fresh optimiser state, so that a run can resume from any round.

What keeps it off white noise (Mordvintsev, Olah and Tyka 2015; Olah, Mordvintsev and Schubert 2017, of pictures): a
canvas in the colours of music; coarse before fine, the bass first and the treble last; jitter, so that what is painted
must please wherever a chunk begins, at any colour, over a little noise; and a prior. The naive way has none of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gramophone.models.nets.tagger import RATE, Tagger
from gramophone.offline.dream.canvas import Canvas, Samples, Spectrum, faint_noise
from gramophone.offline.dream.priors import Priors
from gramophone.offline.dream.target import DreamGoal, DreamTarget
from gramophone.offline.stylise.descent import Descent

ROUND = 20
"""Steps of a round."""
_CHUNKS = 2
"""Chunks that a step looks at."""
_OPENING = 0.5
"""The share of the rounds in which ever more of the treble may move."""
_LOWEST_HZ = 500.0
_NOISE_DB = (-60.0, -30.0)
_TILT_DB = 6.0
_WEIGHTS = {"crowded": 1.0, "rough": 1.0}


@dataclass(frozen=True)
class Dream:
    """What is maximised, in how many steps; `naive` is the baseline: plain ascent in the samples.

    `rate` is how far a step goes, in root mean squares of where the dream begins.
    """

    target: DreamTarget
    steps: int = 300
    naive: bool = False
    rate: float = 0.1
    seed: int = 0


class Dreamer:
    """A dream of a tagger from a sound `(T,)` at 16 kHz, or from noise of so many samples.

    Raises:
        DreamError: as `DreamGoal`.
    """

    def __init__(self, tagger: Tagger, dream: Dream, frames: int, sound: Tensor | None = None) -> None:
        self._tagger, self._dream, self._goal = tagger, dream, DreamGoal(tagger, dream.target)
        self._canvas: Canvas = Samples() if dream.naive else Spectrum(frames)
        self._priors = Priors()
        begin = faint_noise(self._canvas, frames, dream.seed) if sound is None else sound
        self._start = self._canvas.start(begin)
        self._unit = self._start.square().mean().sqrt()

    def sound(self, x: Tensor) -> Tensor:
        """Return the sound `(T,)` of a place in the descent."""
        return self._canvas.sound(x)

    def dream(self, keep: Callable[[Descent], None], descent: Descent | None = None) -> Descent:
        """Go on from `descent`, or begin; KeyboardInterrupt keeps the last round. The loss never rises."""
        if descent is None:
            descent = Descent(self._start, 0, [self._losses(self._start)])
        try:
            while descent.steps < self._dream.steps:
                descent = self._round(descent, min(ROUND, self._dream.steps - descent.steps))
                keep(descent)
        except KeyboardInterrupt:
            pass
        return descent

    def _round(self, before: Descent, steps: int) -> Descent:
        x = before.x.detach().clone().requires_grad_(True)
        optimiser = torch.optim.Adam([x], lr=float(self._dream.rate * self._unit))
        chance = torch.Generator().manual_seed(self._dream.seed << 20 | before.steps)
        may_move = self._canvas.open_to(self._open_hz(before.steps))
        for _ in range(steps):
            optimiser.zero_grad()
            loss = self._weighted(self._canvas.sound(x), chance)
            loss.backward()  # type: ignore[no-untyped-call]
            assert x.grad is not None
            x.grad *= may_move
            optimiser.step()
        after = self._losses(x.detach())
        # jitter can lead a round astray: then it counts for nothing
        better = after["all"] <= before.curve[-1]["all"]
        return Descent(
            x.detach() if better else before.x,
            before.steps + steps,
            [*before.curve, after if better else before.curve[-1]],
        )

    def _open_hz(self, steps: int) -> float:
        """Return up to which frequency a round may move: rising by octaves to half the rate."""
        opened = min(steps / (_OPENING * self._dream.steps), 1.0)
        return float(_LOWEST_HZ * (RATE / 2 / _LOWEST_HZ) ** opened)

    def _weighted(self, sound: Tensor, chance: torch.Generator) -> Tensor:
        """Return the loss of a step."""
        if self._dream.naive:
            return self._goal.loss(self._chunks(sound))
        chunks = torch.stack([self._jittered(sound, chance) for _ in range(_CHUNKS)])
        priors = self._priors(sound)
        weighted = torch.stack([weight * priors[name] for name, weight in _WEIGHTS.items()])
        return self._goal.loss(chunks) + weighted.sum()

    @torch.no_grad()
    def _losses(self, x: Tensor) -> dict[str, float]:
        """Return every term of the loss of the whole sound, without jitter, and `all`, which never rises."""
        sound = self._canvas.sound(x)
        goal = float(self._goal.loss(self._chunks(sound)))
        priors = {name: float(value) for name, value in self._priors(sound).items()}
        weighted = 0.0 if self._dream.naive else sum(_WEIGHTS[name] * value for name, value in priors.items())
        return {self._dream.target.name: goal, **priors, "all": goal + weighted}

    def _chunks(self, sound: Tensor) -> Tensor:
        """Return chunks `(n, T)` half a chunk apart that cover the sound, which is repeated to fill the last."""
        size = self._tagger.chunk
        count = max(math.ceil((len(sound) - size) / (size // 2)), 0) + 1
        whole = sound.repeat(math.ceil((size + (count - 1) * (size // 2)) / len(sound)))
        return whole.unfold(0, size, size // 2)[:count]

    def _jittered(self, sound: Tensor, chance: torch.Generator) -> Tensor:
        """Return a chunk `(T,)` from anywhere in the sound, heard in a ring, through a tilted equaliser and noise."""
        size = self._tagger.chunk
        shift, tilt, decibels = (_drawn(chance, *limits) for limits in ((0, 1), (-_TILT_DB, _TILT_DB), _NOISE_DB))
        ring = sound.roll(int(shift * len(sound))).repeat(math.ceil(size / len(sound)))[:size]
        spectrum = torch.fft.rfft(ring)
        octaves = torch.linspace(-1, 1, len(spectrum))
        tilted = torch.fft.irfft(spectrum * 10 ** (tilt * octaves / 20), size)
        hiss = torch.randn(size, generator=chance) * tilted.detach().square().mean().sqrt()
        jittered: Tensor = tilted + hiss * 10 ** (decibels / 20)
        return jittered


def _drawn(chance: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=chance))
