"""What a plug-in says of itself: its name, channels, latency, and its parameters as knobs of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gramophone.models.parameters import Parameter, Value

Reading = Literal["value", "switch", "choice", "position"]
"""How a knob is read: in the plug-in's unit, on or off, one of its texts, or as a bare position 0..1."""

SETTINGS: Mapping[str, Value] = {"plugin": "", "plugin_name": "", "state": "", "load_timeout": 10.0}
"""What a stage of kind `plugin` is made of, with defaults."""

_TAKEN = {"name", "kind", "bypass", "mix", *SETTINGS}
_GAP = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class PluginParameter:
    """A parameter of a plug-in, which pedalboard calls `key`."""

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
        """Return what `as_dict` described.

        Raises:
            KeyError, TypeError, ValueError: it is not such data.
        """
        knobs = tuple(
            PluginParameter(**{**knob, "parameter": _parameter(knob["parameter"])}) for knob in plain["knobs"]
        )
        return cls(**{**plain, "widths": tuple(plain["widths"]), "knobs": knobs})


def encoded(knobs: Sequence[PluginParameter], values: Mapping[str, Value]) -> NDArray[np.float64]:
    """Return the value of every knob as a number, its default where `values` has none."""
    return np.array([knob.encode(values.get(knob.parameter.name, knob.parameter.default)) for knob in knobs])


def knob_name(name: str, index: int, taken: Mapping[str, object]) -> str:
    """Return what a parameter is called in the table: small letters, digits and '-', unlike any in `taken`."""
    plain = _GAP.sub("-", name.lower()).strip("-") or f"parameter-{index}"
    if plain in _TAKEN:
        plain = f"plugin-{plain}"
    unlike, count = plain, 1
    while unlike in taken:
        count += 1
        unlike = f"{plain}-{count}"
    return unlike


def _parameter(plain: Mapping[str, Any]) -> Parameter:
    return Parameter(**{**plain, "range": tuple(plain["range"]), "choices": tuple(plain["choices"])})
