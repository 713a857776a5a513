"""The parameter table: every parameter of a chain by its address, `stage.parameter`, macros first.

Presets, `--set`, OSC, MIDI, the web page and the docs all go through here; a value that passes fits its parameter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gramophone.models.parameters import Parameter, ParameterError, Value, lookup, suggest
from gramophone.presets import Preset, PresetError, StageSettings
from gramophone.realtime.macros import check_macros, macro_parameters, macros_of, targets_at, value_for
from gramophone.realtime.midi.mapping import ControlMapping, check_knob, from_row
from gramophone.realtime.stage import Keys, StageError
from gramophone.realtime.stage_registry import KindError, keys_of

COMMON = (
    Parameter("bypass", False, "leave the sound as it is, with the stage's latency kept", smoothing_ms=10),
    Parameter("mix", 1.0, "how much of the stage is heard: 0 dry, 1 wet; the dry sound is aligned"),
)
"""What every stage has beside its own parameters."""


def table(preset: Preset) -> dict[str, Parameter]:
    """Return the preset's macros, `macro.1` and so on, and the parameters of its chain, in its order, by address.

    Raises:
        PresetError: a stage's kind is unknown, or its settings do not make a stage.
    """
    return macro_parameters(preset) | chain_parameters(preset)


def chain_parameters(preset: Preset) -> dict[str, Parameter]:
    """Return the parameters of the preset's stages by address, in the order of the chain.

    Raises:
        PresetError: a stage's kind is unknown, or its settings do not make a stage.
    """
    return {f"{stage.name}.{knob.name}": knob for stage in preset.stages for knob in _keys(preset, stage).knobs}


def values_of(preset: Preset) -> dict[str, Value]:
    """Return every value that the preset holds, by its address `stage.key`; macros first, so that their targets win."""
    macros: dict[str, Value] = {
        address: macro.value for address, macro in macros_of(preset).items() if macro.value is not None
    }
    return macros | {f"{stage.name}.{key}": value for stage in preset.stages for key, value in stage.values.items()}


def with_values(preset: Preset, values: Mapping[str, Value]) -> Preset:
    """Return `preset` with the value at each address `stage.key` of `values` set.

    Raises:
        PresetError: the chain has no such stage.
    """
    return preset.with_values({_stage_and_key(address): value for address, value in values.items()})


def complete(preset: Preset) -> Preset:
    """Return `preset` with every parameter's and macro's value present, checked, and every file found.

    Raises:
        PresetError: a kind, key, value or mapping does not fit; the message names the file, the key and what was
            expected.
    """
    changes: dict[tuple[str, str], Value] = {}
    parameters: dict[str, Parameter] = {}
    unasked = set()
    for stage in preset.stages:
        keys = _keys(preset, stage)
        if keys.open:
            unasked.add(stage.name)
        knobs = {knob.name: knob for knob in keys.knobs}
        for key in stage.values:
            if not keys.open and key not in knobs and key not in keys.settings:
                hint = suggest(key, [*knobs, *keys.settings])
                raise PresetError(f"{preset.where}: stage {stage.name!r} ({stage.kind}) has no key {key!r}; {hint}")
        for key, knob in knobs.items():
            changes[stage.name, key] = _checked(preset, stage, knob)
            parameters[f"{stage.name}.{key}"] = knob
        for key, setting in keys.settings.items():
            changes[stage.name, key] = setting
    check_macros(preset, parameters, unasked)
    mappings_of(preset)
    return _with_macro_values(preset.with_values(changes), parameters)


def open_stages(preset: Preset) -> set[str]:
    """Return the names of stages that may have more parameters than the table: their plug-ins could not be asked.

    Raises:
        PresetError: a stage's kind is unknown, or its settings do not make a stage.
    """
    return {stage.name for stage in preset.stages if _keys(preset, stage).open}


def hops_s(preset: Preset) -> frozenset[float]:
    """Return the hops of the preset's stages in seconds; a stage that takes each block as it comes has none.

    Raises:
        PresetError: a stage's kind is unknown, or its settings do not make a stage.
    """
    return frozenset(_keys(preset, stage).hop_s for stage in preset.stages) - {0.0}


def concise(preset: Preset, written: Preset | None = None) -> Preset:
    """Return a complete preset without the values that are defaults, but with those that `written` holds.

    A macro's value is left out where the values of its targets say the same.
    """
    knobs = table(preset)
    written_keys = {(stage.name, key) for stage in written.stages for key in stage.values} if written else set()

    def is_news(stage: str, key: str, value: Value) -> bool:
        knob = knobs.get(f"{stage}.{key}")
        return knob is None or value != knob.default or (stage, key) in written_keys

    stages = tuple(
        replace(stage, values={key: value for key, value in stage.values.items() if is_news(stage.name, key, value)})
        for stage in preset.stages
    )
    bare = replace(preset, macros=tuple(replace(macro, value=None) for macro in preset.macros))
    followed = _with_macro_values(bare, knobs).macros
    valued = {macro.name for macro in written.macros if macro.value is not None} if written else set()
    macros = tuple(
        macro if macro.name in valued or macro.value != follower.value else replace(macro, value=None)
        for macro, follower in zip(preset.macros, followed, strict=True)
    )
    return replace(preset, stages=stages, macros=macros)


def overridden(preset: Preset, settings: Iterable[str]) -> Preset:
    """Return `preset` with `settings`, each of the form `stage.parameter=value` as on the command line, in place.

    `macro.1=value` sets the macro's targets as well; a later setting of one of them wins.

    Raises:
        PresetError: an address or a value does not fit; the message says what was expected.
    """
    knobs, macros = table(preset), macros_of(preset)
    changes: dict[str, Value] = {}
    for setting in settings:
        address, equals, text = setting.partition("=")
        if not equals:
            raise PresetError(f"--set {setting}: expected stage.parameter=value")
        try:
            changes[address] = value = lookup(knobs, address).parse(text)
            if address in macros:
                changes |= targets_at(macros[address], float(value), knobs)
        except ParameterError as error:
            raise PresetError(f"--set {setting}: {error}") from None
    return with_values(preset, changes)


def mappings_of(preset: Preset) -> tuple[ControlMapping, ...]:
    """Return the mappings that a preset brings, each checked against the chain.

    Raises:
        PresetError: a table is not a mapping, or its parameter is not one that a control can set.
    """
    if not preset.midi:
        return ()
    knobs, unasked = table(preset), open_stages(preset)
    found = []
    for number, row in enumerate(preset.midi, 1):
        try:
            mapping = from_row(row)
            if mapping.knob in knobs or mapping.knob.partition(".")[0] not in unasked:
                check_knob(mapping, knobs)
        except ParameterError as error:
            raise PresetError(f"{preset.where}: midi {number} ({row.get('knob', '?')}): {error}") from None
        found.append(mapping)
    return tuple(found)


def _with_macro_values(preset: Preset, parameters: Mapping[str, Parameter]) -> Preset:
    """Return a preset, complete but for its macros, with the value of each of them that has none."""
    values = values_of(preset)
    macros = tuple(
        macro if macro.value is not None else replace(macro, value=value_for(macro, values, parameters))
        for macro in preset.macros
    )
    return replace(preset, macros=macros)


def _stage_and_key(address: str) -> tuple[str, str]:
    stage, _, key = address.partition(".")
    return stage, key


def _keys(preset: Preset, stage: StageSettings) -> Keys:
    folder = preset.path.parent if preset.path else None
    try:
        keys = keys_of(stage.kind, stage.values, folder)
    except (KindError, StageError) as error:
        raise PresetError(f"{preset.where}: stage {stage.name!r}: {error}") from None
    return replace(keys, knobs=(*COMMON, *keys.knobs))


def _checked(preset: Preset, stage: StageSettings, knob: Parameter) -> Value:
    value = stage.values.get(knob.name, knob.default)
    try:
        checked = knob.check(value)
    except ParameterError as error:
        raise PresetError(f"{preset.where}: stage {stage.name!r}: {error}") from None
    if isinstance(checked, str) and not knob.choices and checked:
        try:
            return str(preset.find_file(checked))
        except PresetError as error:
            raise PresetError(f"{error} (key {stage.name}.{knob.name})") from None
    return checked
