"""The control reference: every parameter of every kind of stage, from the table that OSC, MIDI and the page read."""

from __future__ import annotations

from collections.abc import Iterator

from gramophone.models.parameters import Parameter, Value
from gramophone.presets import load, names
from gramophone.presets.models import model_names
from gramophone.realtime.midi.clock import SYNCED_UNITS
from gramophone.realtime.parameter_table import COMMON
from gramophone.realtime.stage import StageError
from gramophone.realtime.stage_registry import keys_of, kinds, usual_parameters
from gramophone.realtime.switches import ACTIONS, SWITCHES, Action, Switch

_HEAD = "| knob | what it does | range | unless given | unit | OSC | MIDI |\n|---|---|---|---|---|---|---|"


def control_reference() -> str:
    """Return the page, Markdown."""
    return "\n\n".join([_INTRODUCTION, _switches(), _common(), *_stages(), *_presets()]) + "\n"


_INTRODUCTION = """# Control reference

Made from the parameter table when this site was built, so it is what the programs accept.

A knob of a stage called `voice` is `voice.pitch` for `--set` and MIDI mappings, `/gramophone/voice/pitch` over OSC in
its unit, and `/gramophone/n/voice/pitch` from 0 to 1. The stage's name is the one in the preset; without one it is the
stage's kind, as below. MIDI: *yes* any control, *switch* a pad or button, *beats* also a length in quarter notes at the
tempo; `—`: set it by name, not with a control."""


def _switches() -> str:
    lines = ["## Switches and actions\n", "| OSC | `knob` in a MIDI mapping | what it does |\n|---|---|---|"]
    rows: list[Switch | Action] = [*SWITCHES.values(), *ACTIONS.values()]
    for row in rows:
        lines.append(f"| `/gramophone/{row.name}` | `{row.name}` | {_cell(row.description)} |")
    return "\n".join(lines)


def _common() -> str:
    return "\n".join(("## Every stage\n", _HEAD, *(_row("<stage>", knob) for knob in COMMON)))


def _stages() -> Iterator[str]:
    for kind in kinds():
        for title, values in _variants(kind):
            try:
                knobs = keys_of(kind, values, None).knobs
            except StageError:  # it loads a file that each preset names, or this model is for another kind
                knobs = () if values else usual_parameters(kind)
            if not knobs:
                continue
            stage = f"## `{kind}`" + (f" with the model `{title}`" if title else "")
            yield "\n".join((f"{stage}\n", _HEAD, *(_row(kind, knob) for knob in knobs)))


def _variants(kind: str) -> Iterator[tuple[str, dict[str, Value]]]:
    """Yield the settings by which a kind of stage has different parameters: the models that come with Gramophone."""
    if kind in ("latent", "wavenet"):
        for model in model_names():
            yield model, {"model": model}
    else:
        yield "", {}


def _presets() -> Iterator[str]:
    """Yield the macros of each preset."""
    yield "## Macros of the presets"
    yield "Over OSC `/gramophone/macro/1` to `8`, 0 to 1; for `--set` and MIDI `macro.1` to `macro.8`."
    rows = ["| preset | title | macros |\n|---|---|---|"]
    for name in names():
        preset = load(name)
        macros = ", ".join(f"{number} {macro.name}" for number, macro in enumerate(preset.macros, 1))
        rows.append(f"| `{name}` | {_cell(preset.title)} | {_cell(macros)} |")
    yield "\n".join(rows)


def _row(stage: str, knob: Parameter) -> str:
    default = knob.default
    if isinstance(default, bool):
        span, shown, midi = "on, off", "on" if default else "off", "switch"
    elif isinstance(default, str):
        span = ", ".join(knob.choices) if knob.choices else "a sound file"
        shown, midi = default or "none", "yes" if knob.choices else "—"
    else:
        low, high = knob.range
        span = f"{low:g} to {high:g}" + (", by ratios" if knob.curve == "log" else "")
        shown, midi = f"{default:g}", "yes, beats" if knob.unit in SYNCED_UNITS else "yes"
    name = knob.name
    cells = (f"`{name}`", knob.description, span, shown, knob.unit, f"`/gramophone/{stage}/{name}`", midi)
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
