"""`gramophone presets`: the presets that can be played by name, and the parameters of each."""

from __future__ import annotations

from gramophone.offline.console import add_row, new_table, print_json, print_table, say
from gramophone.presets import Preset, PresetError, load, names, unnamed


def describe_presets(*, json: bool) -> None:
    """Print the presets of the library with what each is good for.

    A file of the user's own that is no preset hides none of the others: it is named with its error, in JSON under the
    key `error`, else on standard error.
    """
    found: dict[str, Preset | PresetError] = {}
    for name in names():
        try:
            found[name] = load(name)
        except PresetError as error:
            found[name] = error
    for path, why in unnamed().items():
        found[str(path)] = PresetError(f"{path}: {why}")
    if json:
        print_json([_as_dict(name, preset) for name, preset in found.items()])
        return
    table = new_table("name", "chain", "what it is good for")
    for name, preset in found.items():
        if isinstance(preset, Preset):
            add_row(table, name, " > ".join(stage.name for stage in preset.stages), preset.description)
    print_table(table)
    for preset in found.values():
        if isinstance(preset, PresetError):
            say(f"error: {preset}")


def describe_preset(name: str, *, json: bool) -> None:
    """Print a preset's parameters: address, value, range and meaning.

    Raises:
        PresetError: there is no such preset, or a value does not fit its parameter.
    """
    from gramophone.realtime.parameter_table import complete, table, values_of

    preset = complete(load(name))
    values = values_of(preset)
    knobs = table(preset)
    if json:
        rows = [
            {"address": address, "value": values[address], "expected": knob.expected, "description": knob.description}
            for address, knob in knobs.items()
        ]
        print_json({"name": preset.name, "title": preset.title, "parameters": rows})
        return
    grid = new_table("knob", "value", "expected", "what it does", title=f"{preset.title}: {preset.description}")
    for address, knob in knobs.items():
        value = values[address]
        add_row(
            grid, address, f"{value:g}" if isinstance(value, float) else str(value), knob.expected, knob.description
        )
    print_table(grid)


def _as_dict(name: str, preset: Preset | PresetError) -> dict[str, str]:
    if isinstance(preset, PresetError):
        return {"name": name, "title": "", "description": "", "error": str(preset)}
    return {"name": name, "title": preset.title, "description": preset.description}
