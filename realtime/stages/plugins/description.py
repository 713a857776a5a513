"""The description of a plug-in: its name, channels, latency, and its parameters as parameters of a stage.

The errors of plug-ins: the preset does not fit the plug-in, or the plug-in itself fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gramophone.models.parameters import Parameter, Value
from gramophone.realtime.stage import StageError


class PluginError(StageError):
    """A plug-in cannot be used as the preset says; the message says what to change."""


class PluginFailedError(RuntimeError):
    """A plug-in hung or crashed; the message names it and says what happened. The audio continues without it."""


Reading = Literal["value", "switch", "choice", "position"]
"""How a parameter's value is expressed: in the plug-in's unit, on or off, as one of its texts, or normalised 0..1."""

SETTINGS: Mapping[str, Value] = {"plugin": "", "plugin_name": "", "state": "", "load_timeout": 10.0}
"""The settings of a stage of kind `plugin`, with their defaults."""

_RESERVED = {"name", "kind", "bypass", "mix", *SETTINGS}
_GAP = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class PluginParameter:
    """A parameter of a plug-in, whose name in pedalboard is `key`."""

    parameter: Parameter
    key: str
    reading: Reading

    def encode(self, value: Value) -> float:
        """Return a value of the parameter as one number."""
        if self.reading == "choice":
            return float(self.parameter.choices.index(str(value)))
        return float(value)


@dataclass(frozen=True)
class Description:
    """A plug-in as it was found.

    `latency_samples` is what it reports at 48 kHz; `widths` are the channel counts, of 1 and 2, that it takes.
    """

    name: str
    maker: str
    version: str
    category: str
    latency_samples: int
    widths: tuple[int, ...]
    knobs: tuple[PluginParameter, ...]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The plug-in's part of the parameter table."""
        return tuple(knob.parameter for knob in self.knobs)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Description:
        """Return the description that `as_dict` wrote.

        Raises:
            KeyError, TypeError, ValueError: `plain` has another form.
        """
        knobs = tuple(
            PluginParameter(**{**knob, "parameter": _parameter(knob["parameter"])}) for knob in plain["knobs"]
        )
        return cls(**{**plain, "widths": tuple(plain["widths"]), "knobs": knobs})


def encoded(knobs: Sequence[PluginParameter], values: Mapping[str, Value]) -> NDArray[np.float64]:
    """Return the values of all parameters as numbers, `(parameters,)`; defaults where `values` has none."""
    return np.array([knob.encode(values.get(knob.parameter.name, knob.parameter.default)) for knob in knobs])


def knob_name(name: str, index: int, taken: Mapping[str, object]) -> str:
    """Return a parameter's name in the stage: small letters, digits and '-', different from all in `taken`."""
    plain = _GAP.sub("-", name.lower()).strip("-") or f"parameter-{index}"
    if plain in _RESERVED:
        plain = f"plugin-{plain}"
    unlike, count = plain, 1
    while unlike in taken:
        count += 1
        unlike = f"{plain}-{count}"
    return unlike


def _parameter(plain: Mapping[str, Any]) -> Parameter:
    return Parameter(**{**plain, "range": tuple(plain["range"]), "choices": tuple(plain["choices"])})
