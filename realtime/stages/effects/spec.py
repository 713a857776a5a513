"""What a row of the effect table says about an effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gramophone.models.parameters import Parameter, Value

Convert = Callable[[Any, int], object]
"""From a knob's value and the sample rate in Hz to what the pedalboard attribute takes."""


def as_it_is(value: Value, rate: int) -> object:
    """Return the value: the conversion of most knobs."""
    return value


@dataclass(frozen=True)
class EffectParameter:
    """A parameter and the attribute (and constructor argument) of the pedalboard class that it sets.

    `direct`: the class itself moves to a new value without a click, so it is set at once.
    """

    parameter: Parameter
    attribute: str
    convert: Convert = as_it_is
    direct: bool = False


@dataclass(frozen=True)
class EffectSpec:
    """One row: the class that makes the sound, its knobs, and what it needs in order to stream.

    `plugin`: a class of pedalboard, or our own `Echo`.
    `change`: how knobs that are not direct change: by a fade between two instances that both hear everything
    ("twin"), or to a new instance, where pedalboard starts afresh when the value is set ("new"); one that is made in
    the background where that takes a file ("load").
    `memory`: how long what it heard matters: "long" (envelopes, sweeps: a twin hears everything), "short" (filters: a
    twin starts from silence; stepping its coefficients with sound inside can make it ten times as loud), "none".
    `width`: the most channels that one instance takes; more are shared out over several.
    `longest_block`: longer ones are cut up. `hop`: the only size it is fed with; 1 is any.
    `slack`: by how many samples its debt can still grow after the first silence, from its values and the rate.
    `slowest`: the values with the longest latency, which then holds for all values.
    `makeup_db`: gain applied after it. `constants`: further constructor arguments, from the rate.
    """

    plugin: str
    description: str
    knobs: tuple[EffectParameter, ...] = ()
    change: Literal["twin", "new", "load"] = "twin"
    memory: Literal["long", "short", "none"] = "long"
    width: int = 64
    longest_block: int = 8192
    hop: int = 1
    slack: Callable[[Mapping[str, Any], int], int] = lambda values, rate: 0
    slowest: Mapping[str, Value] = field(default_factory=dict)
    makeup_db: float = 0.0
    constants: Callable[[int], dict[str, object]] = lambda rate: {}

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The effect's part of the parameter table."""
        return tuple(knob.parameter for knob in self.knobs)
