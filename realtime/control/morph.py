"""Morphing: interpolation between two presets.

A number is interpolated along its normalised value, so that equal steps of a frequency are equal intervals. Everything
else (switches, choices, files, and stages that only one of the presets has) changes over half way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from gramophone.models.parameters import Parameter, Value
from gramophone.presets import MACRO, Preset, StageSettings
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.macros import macros_of, same_macros
from gramophone.realtime.parameter_table import complete, table, values_of

StageIdentity = tuple[str, str, Mapping[str, Value]]
"""Name, kind and fixed settings of a stage: with other settings (another model or plug-in) it is another stage."""


class Morph:
    """The way from preset `first` to preset `second`.

    Raises:
        PresetError: one of them does not fit the parameter table.
    """

    def __init__(self, first: Preset, second: Preset) -> None:
        self._ends = complete(first), complete(second)
        parameters = table(self._ends[0])
        there = chain_of(self._ends[1], table(self._ends[1]))
        shared = [stage for stage in chain_of(self._ends[0], parameters) if stage in there]
        start, end = (values_of(preset) for preset in self._ends)
        self._shared = [
            (parameter, (name, parameter.name), start[address], end[address])
            for name, *_ in shared
            for address, parameter in parameters.items()
            if address == f"{name}.{parameter.name}"
        ]
        if same_macros(*self._ends):
            self._shared += [
                (parameters[address], (MACRO, address.partition(".")[2]), start[address], end[address])
                for address in macros_of(self._ends[0])
            ]

    def at(self, position: float) -> Preset:
        """Return the preset at `position`, 0 (the first) to 1 (the second), with every value.

        Raises:
            ValueError: the position is not from 0 to 1.
        """
        if not (math.isfinite(position) and 0 <= position <= 1):
            raise ValueError(f"morph position {position}: expected a number from 0 to 1")
        nearer = self._ends[position >= 0.5]
        return nearer.with_values(
            {place: _between(parameter, start, end, position) for parameter, place, start, end in self._shared}
        )


class Morpher:
    """The way that was chosen last between two presets, named as `find` finds them, and where on it the sound is.

    Any thread may call.
    """

    def __init__(self, controller: Controller, find: Callable[[str], Preset]) -> None:
        self._controller, self._find = controller, find
        self.names: tuple[str, str] | None = None
        """The two presets by name; None before the first."""
        self.position = 0.0
        """Where on the way, 0 to 1."""
        self._morph: tuple[tuple[Preset, Preset], Morph] | None = None

    def move(self, position: float, names: tuple[str, str]) -> None:
        """Go to a position, 0 to 1, of the way between two presets by name.

        Raises:
            PresetError, RefusedError: there is no such preset, or it does not fit.
        """
        ends = self._find(names[0]), self._find(names[1])
        self.names, self.position = names, position
        if self._morph and self._morph[0] == ends:
            play(self._controller, self._morph[1].at(position))
        else:  # which may take long: plug-ins are asked for their parameters
            self._controller.prepare(lambda: (ends, Morph(*ends)), self._begin)
        if "morph" in self._controller.actions:
            self._controller.show("morph", position)

    def _begin(self, morph: tuple[tuple[Preset, Preset], Morph]) -> None:
        self._morph = morph
        play(self._controller, morph[1].at(self.position))


def play(controller: Controller, preset: Preset) -> None:
    """Play `preset`, complete: set parameters where its chain plays already, else fade over to it.

    Raises:
        PresetError: it does not fit; what plays goes on.
    """
    parameters, playing = controller.parameters, controller.preset
    if chain_of(playing, parameters) != chain_of(preset, parameters) or not same_macros(playing, preset):
        controller.enter(preset)
        return
    controller.set_many({address: value for address, value in values_of(preset).items() if address in parameters})


def chain_of(preset: Preset, parameters: Mapping[str, Parameter]) -> list[StageIdentity]:
    """Return the chain of a complete preset without the values of `parameters`, those that it has by address."""

    def fixed_settings(stage: StageSettings) -> Mapping[str, Value]:
        return {key: value for key, value in stage.values.items() if f"{stage.name}.{key}" not in parameters}

    return [(stage.name, stage.kind, fixed_settings(stage)) for stage in preset.stages]


def _between(parameter: Parameter, first: Value, second: Value, position: float) -> Value:
    if not parameter.is_number or first == second or position in (0, 1):
        return second if position >= 0.5 else first
    start, end = parameter.position_of(first), parameter.position_of(second)
    return parameter.value_at(start + (end - start) * position)
