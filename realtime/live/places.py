"""Which knobs are on the board, and where: numbers and switches in the order of the chain; texts go another way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gramophone.models.parameters import Parameter
from gramophone.presets import Preset

Place = tuple[str, bool]
"""A knob's address, and whether it is a switch."""


def places(parameters: Mapping[str, Parameter]) -> list[Place]:
    """Return the knobs on the board in the order of their places."""
    return [
        (address, isinstance(knob.default, bool))
        for address, knob in parameters.items()
        if not isinstance(knob.default, str)
    ]


def values_at(knobs: Sequence[Place], preset: Preset) -> list[float]:
    """Return the values that a complete preset gives to these knobs."""
    values = {f"{stage.name}.{key}": value for stage in preset.stages for key, value in stage.values.items()}
    return [float(values[address]) for address, _ in knobs]
