"""`gramophone presets`: what there is to play, and the knobs of each."""

from __future__ import annotations

import json as json_format

from rich.console import Console
from rich.table import Table

from gramophone.presets import load, names


def describe_presets(*, json: bool) -> None:
    """Print the factory presets with what each is good for."""
    presets = [load(name) for name in names()]
    if json:
        print(json_format.dumps([{"name": p.name, "title": p.title, "description": p.description} for p in presets]))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "chain", "what it is good for"):
        table.add_column(column, overflow="fold")
    for preset in presets:
        table.add_row(preset.name, " > ".join(stage.name for stage in preset.stages), preset.description)
    Console().print(table)


def describe_preset(name: str, *, json: bool) -> None:
    """Print a preset's knobs: address, value, range and meaning.

    Raises:
        PresetError: there is no such preset, or it does not fit.
    """
    from gramophone.realtime.parameter_table import complete, table

    preset = complete(load(name))
    values = {f"{stage.name}.{key}": value for stage in preset.stages for key, value in stage.values.items()}
    knobs = table(preset)
    if json:
        rows = [
            {"address": address, "value": values[address], "expected": knob.expected, "description": knob.description}
            for address, knob in knobs.items()
        ]
        print(json_format.dumps({"name": preset.name, "title": preset.title, "parameters": rows}))
        return
    grid = Table(title=f"{preset.title}: {preset.description}", title_justify="left", box=None, pad_edge=False)
    for column in ("knob", "value", "expected", "what it does"):
        grid.add_column(column, overflow="fold")
    for address, knob in knobs.items():
        value = values[address]
        grid.add_row(address, f"{value:g}" if isinstance(value, float) else str(value), knob.expected, knob.description)
    Console().print(grid)
