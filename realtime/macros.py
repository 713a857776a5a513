"""Macros over the parameter table: which values of its targets a macro stands for, and where it stands for given ones.

Between `low` and `high` a target moves along its own normalised value, so that equal steps of a macro are equal
intervals of a frequency; switches and choices take the nearest.
"""

from __future__ import annotations

from collections.abc import Mapping

from gramophone.models.parameters import Parameter, ParameterError, Value, lookup
from gramophone.presets import MACRO, Macro, MacroTarget, Preset, PresetError

Parameters = Mapping[str, Parameter]
"""The parameters of a chain's stages by their addresses, `stage.parameter`."""


def macros_of(preset: Preset) -> dict[str, Macro]:
    """Return the preset's macros by their addresses, `macro.1` to `macro.8`."""
    return {f"{MACRO}.{number}": macro for number, macro in enumerate(preset.macros, 1)}


def macro_parameters(preset: Preset) -> dict[str, Parameter]:
    """Return a parameter from 0 to 1 for each macro by its address; its default is the preset's value."""
    return {address: _parameter(macro) for address, macro in macros_of(preset).items()}


def targets_at(macro: Macro, value: float, parameters: Parameters) -> dict[str, Value]:
    """Return the value of each target, by address, for a macro's `value`, 0 to 1.

    Targets that a plug-in which could not be asked may have are left out.
    """
    return {
        target.parameter: _target_at(target, value, parameters[target.parameter])
        for target in macro.targets
        if target.parameter in parameters
    }


def value_for(macro: Macro, values: Mapping[str, Value], parameters: Parameters) -> float:
    """Return where the macro, 0 to 1, has its first target nearest to its value of `values`, which fit `parameters`."""
    for target in macro.targets:
        if target.parameter in parameters:
            parameter = parameters[target.parameter]
            low, high = (parameter.position_of(parameter.check(end)) for end in (target.low, target.high))
            share = (parameter.position_of(values[target.parameter]) - low) / (high - low)
            return float(min(max(share, 0.0), 1.0) ** (1.0 / target.curve))
    return 0.0


def check_macros(preset: Preset, parameters: Parameters, unasked: set[str]) -> None:
    """Check the targets of the preset's macros; stages of `unasked` may have parameters beyond `parameters`.

    Raises:
        PresetError: a target is no parameter that a macro can set, or cannot have its value at an end.
    """
    for number, macro in enumerate(preset.macros, 1):
        for target in macro.targets:
            if target.parameter not in parameters and target.parameter.partition(".")[0] in unasked:
                continue
            try:
                _check_target(target, parameters)
            except ParameterError as error:
                raise PresetError(f"{preset.where}: macro {number} ({macro.name}): {error}") from None


def same_macros(one: Preset, other: Preset) -> bool:
    """Return whether two presets have the same macros, but for their values."""
    return [(macro.name, macro.targets) for macro in one.macros] == [
        (macro.name, macro.targets) for macro in other.macros
    ]


def _parameter(macro: Macro) -> Parameter:
    description = f"{macro.name}: {macro.help}" if macro.help else macro.name
    # what its targets need to arrive is their own business
    return Parameter(macro.name, 0.0 if macro.value is None else macro.value, description, smoothing_ms=0.0)


def _target_at(target: MacroTarget, value: float, parameter: Parameter) -> Value:
    ends = parameter.check(target.low), parameter.check(target.high)
    if value in (0.0, 1.0):
        return ends[int(value)]
    low, high = map(parameter.position_of, ends)
    return parameter.value_at(low + (high - low) * value**target.curve)


def _check_target(target: MacroTarget, parameters: Parameters) -> None:
    parameter = lookup(parameters, target.parameter)
    if isinstance(parameter.default, str) and not parameter.choices:
        raise ParameterError(f"parameter = {target.parameter!r}: takes a file name; expected one with a range")
    for key, end in (("low", target.low), ("high", target.high)):
        try:
            parameter.check(end)
        except ParameterError:
            found = f"{target.parameter}: {key} = {end!r}"
            raise ParameterError(f"{found}: expected {parameter.expected}") from None
    if parameter.check(target.low) == parameter.check(target.high):
        raise ParameterError(f"{target.parameter}: low = high = {target.low!r}: expected two values")
