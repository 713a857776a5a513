"""Which knobs are on the board, and where: in the order of the chain, and behind them the switches.

A text does not fit there: it travels by pipe under a number of its own, and the board says which number is heard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gramophone.models.parameters import Parameter
from gramophone.presets import Preset
from gramophone.realtime.live.shared_state import BYPASS, MUTE, PANIC

Place = tuple[str, type]
"""A knob's address, and what it takes: float, bool or str."""

SWITCHES = {"mute": MUTE, "bypass": BYPASS, "panic": PANIC}
"""The places of what is turned beside knobs."""

AS_IN_PRESET = 0.0
"""The number of a text that has not been set since the preset was laid out."""


def slots(parameters: Mapping[str, Parameter]) -> list[Place]:
    """Return the knobs in the order of their places."""
    return [(address, type(knob.default)) for address, knob in parameters.items()]


def values_at(knobs: Sequence[Place], preset: Preset) -> list[float]:
    """Return the values that a complete preset gives to these knobs."""
    values = {f"{stage.name}.{key}": value for stage in preset.stages for key, value in stage.values.items()}
    return [AS_IN_PRESET if kind is str else float(values[address]) for address, kind in knobs]
