"""A morph: the way from one preset to another, as presets.

What can be swept is swept along its knob (equal steps of a frequency are equal intervals); the rest, switches, choices,
clips, and stages that only one of them has, changes over half way.
"""

from __future__ import annotations

import math

from gramophone.models.parameters import Parameter, Value
from gramophone.presets import Preset, StageSettings
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.parameter_table import complete, table

Layout = tuple[tuple[str, str, str], ...]
_MADE_OF = ("model", "path")
"""Keys that say what a stage is made of: another model or plugin is another stage."""


class Morph:
    """The way from preset `first` to preset `second`.

    Raises:
        PresetError: one of them does not fit the parameter table.
    """

    def __init__(self, first: Preset, second: Preset) -> None:
        self._ends = complete(first), complete(second)
        self._knobs = table(first) | table(second)
        there = {stage.name: stage for stage in self._ends[1].stages}
        self._shared = {
            stage.name: (stage, there[stage.name])
            for stage in self._ends[0].stages
            if stage.name in there and _identity(there[stage.name]) == _identity(stage)
        }

    def at(self, position: float) -> Preset:
        """Return the preset at a position: 0 the first, 1 the second.

        Raises:
            ValueError: the position is not from 0 to 1.
        """
        if not (math.isfinite(position) and 0 <= position <= 1):
            raise ValueError(f"morph position {position}: expected a number from 0 to 1")
        near = self._ends[position >= 0.5]
        changes: dict[tuple[str, str], Value] = {}
        for name, (first, second) in self._shared.items():
            for key, value in first.values.items():
                if knob := self._knobs.get(f"{name}.{key}"):
                    changes[name, key] = _between(knob, value, second.values[key], position)
        return near.with_values(changes)


def play(controller: Controller, preset: Preset) -> None:
    """Let the desk play `preset`, complete: by turning knobs where its chain is in place, else by fading over to it.

    Raises:
        PresetError: it does not fit; what plays goes on.
    """
    if layout(controller.preset) != layout(preset):
        controller.change(preset)
        return
    changes = {f"{stage.name}.{key}": value for stage in preset.stages for key, value in stage.values.items()}
    controller.set_many({address: value for address, value in changes.items() if address in controller.parameters})


def layout(preset: Preset) -> Layout:
    """Return the preset's chain, without values: each stage's name, kind, and what it is made of."""
    return tuple(_identity(stage) for stage in preset.stages)


def _identity(stage: StageSettings) -> tuple[str, str, str]:
    return stage.name, stage.kind, " ".join(str(stage.values.get(key, "")) for key in _MADE_OF)


def _between(knob: Parameter, first: Value, second: Value, position: float) -> Value:
    if not knob.is_number or first == second or position in (0, 1):
        return second if position >= 0.5 else first
    start, end = knob.position_of(first), knob.position_of(second)
    return knob.value_at(start + (end - start) * position)
