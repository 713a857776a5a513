"""The search space of a match: parameters of a chain as normalised values, by the parameter table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gramophone.models.parameters import Parameter, Value
from gramophone.presets import Preset, PresetError
from gramophone.realtime.parameter_table import COMMON, chain_parameters

FEW = 4
"""Up to so many choices are tried out; knobs with more stay as the preset has them unless they are asked for."""

_OWN_BUSINESS = {knob.name for knob in COMMON} | {"freeze"}
"""Played, not set: a reverb that is frozen from the start never hears the sound."""


@dataclass(frozen=True)
class SearchSpace:
    """The parameters of the complete `preset` that are searched, by address."""

    preset: Preset
    turned: Mapping[str, Parameter]

    @property
    def start(self) -> list[float]:
        """The preset's own values, normalised."""
        return [self._position(address) for address in self.turned]

    @property
    def steps(self) -> list[int]:
        """How many values each parameter has: 0 for numbers, 2 for switches."""
        return [0 if knob.is_number else len(knob.choices) or 2 for knob in self.turned.values()]

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """The kind of stage and the name of each parameter."""
        split = map(_split, self.turned)
        return [(self.preset.stage(stage).kind, name) for stage, name in split]

    def at(self, positions: Sequence[float]) -> Preset:
        """Return the preset with these normalised values; numbers are rounded to four significant digits."""
        return self.preset.with_values(
            {
                _split(address): _rounded(knob, float(position))
                for (address, knob), position in zip(self.turned.items(), positions, strict=True)
            }
        )

    def _position(self, address: str) -> float:
        stage, key = _split(address)
        return self.turned[address].position_of(self.preset.stage(stage).values[key])


def choose(preset: Preset, free: Sequence[str] = (), fixed: Sequence[str] = ()) -> SearchSpace:
    """Return the search space of a complete preset.

    All numbers, switches and choices of at most four, but not `bypass`, `mix` or `freeze`; nothing of a bypassed stage.
    Patterns such as `room.*` or `*.mix` add parameters (`free`) or leave them as they are (`fixed`, which wins).

    Raises:
        PresetError: a pattern matches no parameter, or none is left.
    """
    knobs = {address: knob for address, knob in chain_parameters(preset).items() if knob.is_number or _options(knob)}
    for pattern in (*free, *fixed):
        if not any(fnmatchcase(address, pattern) for address in knobs):
            raise PresetError(f"{preset.where}: no knob that could be turned fits {pattern!r}; {_there(knobs)}")
    turned = {
        address: knob
        for address, knob in knobs.items()
        if not _fits(address, fixed) and (_fits(address, free) or _is_usual(preset, address, knob))
    }
    if not turned:
        raise PresetError(f"{preset.where}: nothing to turn in this chain; {_there(knobs)}")
    return SearchSpace(preset, turned)


def _is_usual(preset: Preset, address: str, knob: Parameter) -> bool:
    stage, key = _split(address)
    if key in _OWN_BUSINESS or preset.stage(stage).values["bypass"]:
        return False
    return knob.is_number or _options(knob) <= FEW


def _options(knob: Parameter) -> int:
    """Return how many values a knob can have that is no number; 0 for files."""
    return 2 if isinstance(knob.default, bool) else len(knob.choices)


def _fits(address: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(address, pattern) for pattern in patterns)


def _rounded(knob: Parameter, position: float) -> Value:
    value = knob.value_at(position)
    if not knob.is_number:
        return value
    low, high = knob.range
    return min(max(float(f"{value:.4g}"), low), high)


def _split(address: str) -> tuple[str, str]:
    stage, _, key = address.partition(".")
    return stage, key


def _there(knobs: Mapping[str, Parameter]) -> str:
    names = ", ".join(knobs)
    return f"expected stages with knobs (--free adds {names})" if names else "none of its stages has a knob"
