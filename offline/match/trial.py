"""A trial: the dry sound through the chain with given values, and its distance to the reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gramophone.offline.data.mono_audio import Sound, resampled
from gramophone.offline.match.knobs import SearchSpace
from gramophone.offline.match.prior import NO_PRIOR, Prior
from gramophone.offline.match.style_distance import ReferenceStyle
from gramophone.presets import Preset
from gramophone.realtime.dsp.resampler import mono
from gramophone.realtime.engine import Engine
from gramophone.realtime.stage import Audio

_BLOCK = 4096
_HOPELESS_DB = 1e3
"""The distance of an output with NaN or infinity."""

_SLOW_TO_MAKE = "plugin"
"""The kind of stage that takes longer to make than to play: it is kept, and silenced between trials."""

_TAIL_S = 3.0
_INAUDIBLE = 1e-5


class MatchError(RuntimeError):
    """A reference cannot be matched; the message says what was found and what to do."""


@dataclass(frozen=True)
class Task:
    """What is matched to what; travels to the worker processes. `reference` is mono."""

    dry: Audio
    rate: int
    reference: Sound
    reference_rate: int
    knobs: SearchSpace
    prior: Prior = NO_PRIOR
    """Without one, only the sound counts."""


class Trial:
    """Plays the task's dry sound through its chain, again and again.

    A chain of built-in stages is made anew each time, so a trial is exactly what plays live from silence.

    Raises:
        PresetError: the chain does not fit.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._rate = min(task.rate, task.reference_rate)
        self._style = ReferenceStyle(resampled(task.reference, task.reference_rate, self._rate), self._rate)
        self._engine = Engine(task.knobs.preset, task.rate, len(task.dry), "cpu")
        self._keeps = any(stage.kind == _SLOW_TO_MAKE for stage in task.knobs.preset.stages)

    def __call__(self, positions: Sequence[float]) -> float:
        """Return the objective in dB of `positions`: the distance, and what the prior adds."""
        task = self._task
        return self.distance(self.render(task.knobs.at(positions))) + task.prior.cost(task.knobs, positions)

    def distance(self, audio: Audio) -> float:
        """Return how far a sound is from the reference, in dB."""
        return self._style(self._heard(audio)) if np.isfinite(audio).all() else _HOPELESS_DB

    def distances(self, audio: Audio) -> dict[str, float]:
        """Return the distance in each view, in dB."""
        return self._style.distances(self._heard(audio))

    def render(self, preset: Preset) -> Audio:
        """Return the dry sound through `preset`, which differs from the task's in values only.

        Raises:
            MatchError: a stage has been left out of the sound.
        """
        if self._keeps:
            self._turn(preset)
            self._fall_silent()
        else:
            self._engine.restart(self._engine.prepare(preset))
        output = np.concatenate(list(self._engine.aligned(_cut(self._task.dry))), axis=1)
        for stage, why in self._engine.chain.status.items():
            raise MatchError(f"stage {stage!r} does not play: {why}")
        return output

    def close(self) -> None:
        """Give back what the engine holds."""
        self._engine.close()

    def _turn(self, preset: Preset) -> None:
        now = self._engine.preset
        for stage in preset.stages:
            for key, value in stage.values.items():
                if now.stage(stage.name).values[key] != value:
                    self._engine.set(f"{stage.name}.{key}", value)

    def _fall_silent(self) -> None:
        """Feed silence until the tail of the trial before has decayed, and no parameter moves."""
        silence = np.zeros((len(self._task.dry), _BLOCK), np.float32)
        for _ in range(round(_TAIL_S * self._task.rate / _BLOCK) + 1):
            if np.abs(self._engine.process(silence)).max() < _INAUDIBLE:
                return

    def _heard(self, audio: Audio) -> Sound:
        return resampled(mono(audio), self._task.rate, self._rate)


def _cut(audio: Audio) -> Iterator[Audio]:
    for start in range(0, audio.shape[1], _BLOCK):
        yield audio[:, start : start + _BLOCK]
