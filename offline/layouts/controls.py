"""What a layout shows: the macros of a preset and the parameters of each of its stages, as pages of controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gramophone.models.parameters import Parameter, Value
from gramophone.presets import MACRO, Preset
from gramophone.realtime.parameter_table import table, values_of

ROOT, NORMALISED, PARAMETER_PAGE = "/gramophone", "/gramophone/n", "/param"
"""Where addresses in the parameters' units, normalised ones, and those of the page of eight begin."""
PAGE_SIZE = 8


@dataclass(frozen=True)
class SurfaceControl:
    """One control: its label, address below `ROOT` and `NORMALISED`, and normalised value, 0 to 1."""

    label: str
    path: str
    kind: Literal["number", "switch", "choice"]
    position: float
    choices: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The address that takes and sends the normalised value."""
        return f"{NORMALISED}/{self.path}"


@dataclass(frozen=True)
class SurfacePage:
    """Controls that belong together, under a title."""

    title: str
    controls: tuple[SurfaceControl, ...]


def pages_of(preset: Preset) -> list[SurfacePage]:
    """Return a page of the macros, if a complete preset has any, and one for each stage; files have no control.

    Raises:
        PresetError: the preset does not fit the parameter table.
    """
    parameters, values = table(preset), values_of(preset)
    names = [MACRO, *(stage.name for stage in preset.stages)]
    pages = [
        SurfacePage("play" if name == MACRO else name, tuple(_controls(name, parameters, values))) for name in names
    ]
    return [page for page in pages if page.controls]


def _controls(stage: str, parameters: Mapping[str, Parameter], values: Mapping[str, Value]) -> list[SurfaceControl]:
    """Return the controls of a stage (or of the macros): its own first, `bypass` and `mix`, which all have, behind."""
    found = []
    for address, parameter in parameters.items():
        owner, _, name = address.partition(".")
        if owner == stage and (parameter.choices or not isinstance(parameter.default, str)):
            kind: Literal["number", "switch", "choice"] = (
                "number" if parameter.is_number else "choice" if parameter.choices else "switch"
            )
            position = parameter.position_of(values.get(address, parameter.default))
            label = parameter.name if stage == MACRO else name
            found.append(SurfaceControl(label, f"{owner}/{name}", kind, round(position, 4), parameter.choices))
    return sorted(found, key=lambda control: control.path.endswith(("/bypass", "/mix")))
