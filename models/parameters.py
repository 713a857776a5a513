"""Parameters as data: what a knob is called, what it may be, and how it moves.

One table of these generates OSC addresses, MIDI scaling, web controls, preset validation, `--set` and the docs.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

Value = float | bool | str
Curve = Literal["linear", "log"]


class ParameterError(ValueError):
    """A value that a parameter cannot take; the message says what was found and what was expected."""


@dataclass(frozen=True)
class Parameter:
    """One knob.

    `default` decides the type: a number, a switch (bool) or a text (a choice where `choices` is given, else a file).
    Numbers lie in `range` (both ends included) and are in `unit`; `curve` is how 0..1 maps onto the range.
    `smoothing_ms` is the time a change takes to arrive; 0 for what takes effect at once. `group` is the heading under
    which a surface shows it, beside others of its stage; what is `advanced` is folded away.
    """

    name: str
    default: Value
    description: str
    unit: str = ""
    range: tuple[float, float] = (0.0, 1.0)
    curve: Curve = "linear"
    smoothing_ms: float = 20.0
    choices: tuple[str, ...] = ()
    group: str = ""
    advanced: bool = False

    def __post_init__(self) -> None:
        low, high = self.range
        if low >= high or (self.curve == "log" and low <= 0):
            raise ParameterError(f"{self.name}: range {low}..{high} does not suit a {self.curve} curve")
        self.check(self.default)

    @property
    def is_number(self) -> bool:
        """Whether the value is a number (and so can be swept and smoothed)."""
        return not isinstance(self.default, bool | str)

    @property
    def expected(self) -> str:
        """What values are allowed, in words, for errors and docs."""
        if isinstance(self.default, bool):
            return "true or false"
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if isinstance(self.default, str):
            return "a file name"
        low, high = self.range
        return f"a number from {low:g} to {high:g}" + (f" {self.unit}" if self.unit else "")

    def check(self, value: object) -> Value:
        """Return `value` in the parameter's type.

        Raises:
            ParameterError: the value has another type, is not finite or lies outside range or choices.
        """
        if isinstance(self.default, bool):
            if isinstance(value, bool):
                return value
        elif isinstance(self.default, str):
            if isinstance(value, str) and (not self.choices or value in self.choices):
                return value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            low, high = self.range
            if math.isfinite(value) and low <= value <= high:
                return float(value)
        raise ParameterError(f"{self.name} = {value!r}: expected {self.expected}")

    def parse(self, text: str) -> Value:
        """Return the value that `text` (from a command line) stands for, with the unit allowed behind a number.

        Raises:
            ParameterError: the text does not stand for an allowed value.
        """
        if isinstance(self.default, bool):
            switches = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
            return self.check(switches.get(text.strip().lower(), text))
        if isinstance(self.default, str):
            return self.check(text)
        bare = text.strip()
        if self.unit and bare.endswith(self.unit):
            bare = bare[: -len(self.unit)]
        try:
            return self.check(float(bare))
        except ValueError:
            raise ParameterError(f"{self.name} = {text!r}: expected {self.expected}") from None

    def to_0to1(self, value: float) -> float:
        """Return where `value` lies on the knob, 0 to 1."""
        low, high = self.range
        if self.curve == "log":
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)

    def from_0to1(self, position: float) -> float:
        """Return the value at `position` (0 to 1, clamped) of the knob."""
        low, high = self.range
        position = min(max(position, 0.0), 1.0)
        if self.curve == "log":
            return float(low * (high / low) ** position)
        return low + (high - low) * position

    def position_of(self, value: Value) -> float:
        """Return the position, 0 to 1, of a value that `check` returned: switches at the ends, choices evenly between.

        Raises:
            ParameterError: the value is a file name.
        """
        if isinstance(value, bool):
            return float(value)
        if isinstance(value, str):
            self._demand_choices()
            return self.choices.index(value) / max(len(self.choices) - 1, 1)
        return self.to_0to1(value)

    def value_at(self, position: float) -> Value:
        """Return the value at a position, 0 to 1 (clamped): of switches and choices the nearest one.

        Raises:
            ParameterError: the parameter is a file name, or the position is not a number.
        """
        if not math.isfinite(position):
            raise ParameterError(f"{self.name}: position {position}: expected a number from 0 to 1")
        position = min(max(position, 0.0), 1.0)
        if isinstance(self.default, bool):
            return position >= 0.5
        if isinstance(self.default, str):
            self._demand_choices()
            return self.choices[round(position * (len(self.choices) - 1))]
        low, high = self.range
        return min(max(self.from_0to1(position), low), high)

    def _demand_choices(self) -> None:
        if not self.choices:
            raise ParameterError(f"{self.name} takes a file name: it has no position between 0 and 1")


def grouped(group: str, *parameters: Parameter, advanced: bool = False) -> tuple[Parameter, ...]:
    """Return parameters in a group, folded away if they are `advanced`."""
    return tuple(replace(parameter, group=group, advanced=advanced) for parameter in parameters)


def lookup(knobs: Mapping[str, Parameter], address: str) -> Parameter:
    """Return the parameter at `address`.

    Raises:
        ParameterError: there is none; the message names the nearest ones.
    """
    if address not in knobs:
        raise ParameterError(f"no parameter {address!r}; {suggest(address, knobs)}")
    return knobs[address]


def suggest(key: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown `key`: the nearest of those `known`, or all of them."""
    options = list(known)
    near = difflib.get_close_matches(key, options, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(options)}"
