"""A match: search, then loudness, then the contribution of each effect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gramophone.offline.data.mono_audio import Sound, audible, frame_levels
from gramophone.offline.match.search import Budget, SearchResult, Watch, search
from gramophone.offline.match.style_distance import overall
from gramophone.offline.match.task import LEVEL, leveller
from gramophone.offline.match.trial import Task, Trial
from gramophone.offline.match.workers import Workers
from gramophone.presets import Preset, StageSettings
from gramophone.realtime.dsp.resampler import mono
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stage import Audio

_FRAME_S = 0.1


@dataclass(frozen=True)
class Match:
    """A chain matched to a reference. Distances are in dB, by view."""

    preset: Preset
    """The chain with the values found, and a gain behind it that makes it as loud as the reference."""

    found: SearchResult
    dry: Mapping[str, float]
    start: Mapping[str, float]
    """With the preset's own values."""

    matched: Mapping[str, float]
    worth: Mapping[str, float]
    """How much further from the reference the sound is without each stage."""

    sound: Audio
    """The dry excerpt through the preset."""

    @property
    def reduction(self) -> float:
        """By which share the dry sound's distance is gone: 1 is all of it."""
        before = overall(self.dry)
        return 1 - overall(self.matched) / before if before else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, for JSON."""
        return {
            "distance": {
                name: {"all": overall(views), **views}
                for name, views in (("dry", self.dry), ("start", self.start), ("matched", self.matched))
            },
            "reduction": self.reduction,
            "worth": dict(self.worth),
            "values": {stage.name: dict(stage.values) for stage in self.preset.stages},
            "evaluations": self.found.evaluations,
            "runs": self.found.runs,
            "curve": self.found.curve,
            "stopped": self.found.stopped,
        }


def match(task: Task, budget: Budget, jobs: int, watch: Watch, seed: int = 0) -> Match:
    """Search for the knobs' positions with `jobs` processes; KeyboardInterrupt ends that and keeps the best.

    Raises:
        MatchError: the chain does not play.
        PresetError: the chain does not fit the sound.
    """
    with Workers(task, jobs) as workers:
        found = search(workers, task.knobs.start, task.knobs.steps, budget, watch, seed=seed, side_by_side=jobs)
    trial = Trial(task)
    try:
        return _report(task, found, trial)
    finally:
        trial.close()


def _report(task: Task, found: SearchResult, trial: Trial) -> Match:
    preset = task.knobs.at(found.positions.tolist())
    sound = trial.render(preset)
    distance = trial.distance(sound)
    worth = {
        stage.name: trial.distance(trial.render(preset.with_values({(stage.name, "bypass"): True}))) - distance
        for stage in preset.stages
        if not stage.values["bypass"]
    }
    gain_db = _decibels(_loudness(task.reference, task.reference_rate) / _loudness(mono(sound), task.rate))
    return Match(
        preset=levelled_by(preset, gain_db),
        found=found,
        dry=trial.distances(task.dry),
        start=trial.distances(trial.render(task.knobs.preset)),
        matched=trial.distances(sound),
        worth=worth,
        sound=sound * np.float32(10 ** (gain_db / 20)),
    )


def levelled_by(preset: Preset, gain_db: float) -> Preset:
    """Return `preset` with the gain behind its last stage, in one that was put there before or in a new one."""
    name = leveller(preset)
    if name:
        return preset.with_values({(name, "gain"): _in_range(float(preset.stage(name).values["gain"]) + gain_db)})
    taken = {stage.name for stage in preset.stages}
    name = next(name for name in (LEVEL, *(f"{LEVEL}-{n}" for n in range(2, len(taken) + 3))) if name not in taken)
    stage = StageSettings(name, "gain", {"gain": _in_range(gain_db)})
    return complete(replace(preset, stages=(*preset.stages, stage)))


def _in_range(gain_db: float) -> float:
    from gramophone.realtime.stages.effects.table import EFFECTS

    low, high = EFFECTS["gain"].parameters[0].range
    return round(min(max(gain_db, low), high), 1)


def _loudness(sound: Sound, rate: int) -> float:
    """Return the RMS of the audible frames."""
    size = max(round(_FRAME_S * rate), 1)
    level = frame_levels(sound, size, size)
    return float(np.sqrt(np.mean(level[audible(level)] ** 2)))


def _decibels(ratio: float) -> float:
    return 20 * math.log10(ratio) if math.isfinite(ratio) and ratio > 0 else 0.0
