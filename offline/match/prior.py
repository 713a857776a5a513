"""A Gaussian prior over the values of effects, from presets that people made (Yu et al. 2025, arXiv 2505.11315).

Where the sound alone does not say which values made it, those that are usual are likelier: the squared deviations from
the presets' mean are added to the distance, which makes the search one for the likeliest values (maximum a posteriori).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from gramophone.models.parameters import Parameter
from gramophone.offline.match.knobs import SearchSpace
from gramophone.presets import Preset, StageSettings
from gramophone.presets.library import FACTORY
from gramophone.presets.preset import read
from gramophone.realtime.stage_registry import kinds
from gramophone.realtime.stages.effects.table import EFFECTS

USUAL_WEIGHT_DB = 0.03
"""The weight of `match` unless another is given; chosen on other presets than those of the figures (docs/match.md)."""

_UNIFORM_VARIANCE = 1 / 12
_UNIFORM_COUNT = 2
"""Each variance is that of the values and of so many draws from all of the range: few values say little."""


class Normal(NamedTuple):
    """Mean and standard deviation of a parameter's normalised values (0 to 1)."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Prior:
    """The cost of values: `weight_db` times the sum of their squared deviations from `usual`, in standard deviations.

    `usual` is by kind of effect and name of parameter; other parameters cost nothing. At weight 0 nothing does.
    """

    weight_db: float = 0.0
    usual: Mapping[tuple[str, str], Normal] = field(default_factory=dict)

    def cost(self, space: SearchSpace, positions: Sequence[float]) -> float:
        """Return the cost in dB of normalised values `positions` of the parameters of `space`."""
        if not self.weight_db:
            return 0.0
        known = zip(map(self.usual.get, space.kinds), positions, strict=True)
        return self.weight_db * float(sum(((x - of.mean) / of.deviation) ** 2 for of, x in known if of))


NO_PRIOR = Prior()


def factory_prior(weight_db: float, without: str = "") -> Prior:
    """Return the prior over the factory presets' values; the preset called `without` is left out.

    Raises:
        PresetError: a factory preset cannot be read.
    """
    if not weight_db:
        return NO_PRIOR
    return Prior(weight_db, usual_values(read(path) for path in sorted(FACTORY.glob("*.toml")) if path.stem != without))


def usual_values(presets: Iterable[Preset]) -> dict[tuple[str, str], Normal]:
    """Return mean and deviation of each number that a preset sets, by kind of effect and name of parameter.

    A stage that leaves the number out counts with its default, which is what it plays. Presets with a kind of stage
    that is not installed are passed over.
    """
    known = set(kinds())
    stages = [
        stage
        for preset in presets
        if all(stage.kind in known for stage in preset.stages)
        for stage in preset.stages
        if stage.kind in EFFECTS
    ]
    of_kind: dict[str, list[StageSettings]] = defaultdict(list)
    for stage in stages:
        of_kind[stage.kind].append(stage)
    return {
        (kind, number.name): _normal([_normalised(number, stage) for stage in alike])
        for kind, alike in of_kind.items()
        for number in EFFECTS[kind].parameters
        if number.is_number and any(number.name in stage.values for stage in alike)
    }


def _normalised(number: Parameter, stage: StageSettings) -> float:
    return number.position_of(number.check(stage.values.get(number.name, number.default)))


def _normal(values: Sequence[float]) -> Normal:
    mean = float(np.mean(values))
    squares = float(np.sum((np.asarray(values) - mean) ** 2))
    variance = (squares + _UNIFORM_COUNT * _UNIFORM_VARIANCE) / (len(values) + _UNIFORM_COUNT)
    return Normal(mean, variance**0.5)
