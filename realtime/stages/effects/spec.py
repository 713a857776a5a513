"""The form of a row of the effect table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gramophone.models.parameters import Parameter, Value

Convert = Callable[[Any, int], object]
"""A conversion from a parameter's value and the sample rate in Hz to the value of the pedalboard attribute."""


def unchanged(value: Value, rate: int) -> object:
    """Return the value unchanged: the conversion of most parameters."""
    return value


@dataclass(frozen=True)
class EffectParameter:
    """A parameter, and the attribute (and constructor argument) of the pedalboard class that it sets.

    `direct`: the class itself smooths a change, so the value is set at once.
    """

    parameter: Parameter
    attribute: str
    convert: Convert = unchanged
    direct: bool = False


@dataclass(frozen=True)
class EffectSpec:
    """One row: the class that computes the effect, its parameters, and what it needs in order to stream.

    `plugin`: a class of pedalboard, or `Echo` for our own delay. `change`: how parameters that are not direct change:
    by a fade between two instances that both process the input ("twin"); to a new instance, where setting the value
    would reset pedalboard ("new"); or to one made in the background, where that reads a file ("load"). `memory`: how
    long past input matters: "long" (envelopes, sweeps: the twin processes everything), "short" (filters: the twin
    starts from silence, as a step of the coefficients with sound inside can make it ten times as loud), "none".
    `width`: most channels that one instance takes; more are shared out over several instances. `longest_block`: longer
    blocks are cut. `hop`: the only block size that it is fed, in samples; 1: any. `slack`: samples by which its latency
    can still grow after the first silence, from its values and the rate in Hz. `slowest`: the values with the longest
    latency, which then holds for all values. `makeup_db`: gain applied after it. `constants`: further constructor
    arguments, from the rate in Hz.
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
