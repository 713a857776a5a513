"""Kinds of stage by name: the built-in effects, what is loaded only when a chain asks for it, and other packages' own.

A package brings a stage by an entry point of the group `gramophone.stages`: its name is the kind, its object a subclass
of `Stage`. In the package's `pyproject.toml`:

    [project.entry-points."gramophone.stages"]
    wobble = "wobble:WobbleStage"
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import cast

from gramophone.models.parameters import Parameter, Value
from gramophone.realtime.stage import Format, Keys, Parts, Stage
from gramophone.realtime.stages.effects.table import EFFECTS, REFUSED

_LOADED = {
    "denoise": "gramophone.realtime.stages.denoise.stage:DenoiseStage",
    "latent": "gramophone.realtime.stages.latent.stage:LatentStage",
    "mosaic": "gramophone.realtime.stages.mosaic.stage:MosaicStage",
    "nam": "gramophone.realtime.stages.nam.stage:NamStage",
    "plugin": "gramophone.realtime.stages.plugins.stage:PluginStage",
    "style": "gramophone.realtime.stages.style.stage:StyleStage",
    "voice": "gramophone.realtime.stages.voice.stage:VoiceStage",
    "wavenet": "gramophone.realtime.stages.wavenet.stage:WaveNetStage",
}

GROUP = "gramophone.stages"
"""The group of entry points by which other packages bring stages."""


class KindError(ValueError):
    """No stage is of this kind; the message lists those there are, or why it cannot be used."""


def kinds() -> list[str]:
    """Return every kind of stage by name."""
    return sorted({*_LOADED, *EFFECTS, *_of_packages()})


def keys_of(kind: str, values: Mapping[str, Value], folder: Path | None) -> Keys:
    """Return what a stage of this kind with these `values`, in a preset in `folder`, may hold.

    Raises:
        KindError: there is no such kind.
        StageError: its settings do not make a stage; the message says why.
    """
    if kind in EFFECTS:
        return Keys(EFFECTS[kind].parameters)
    return _stage_class(kind).keys(values, folder)


def usual_parameters(kind: str) -> tuple[Parameter, ...]:
    """Return the parameters that every stage of this kind has, whatever it loads.

    Raises:
        KindError: there is no such kind.
    """
    return _stage_class(kind).parameters


def reduces(kind: str) -> bool:
    """Return whether stages of this kind report by how much they turn sounds down.

    Raises:
        KindError: there is no such kind.
    """
    return EFFECTS[kind].passes_db is not None if kind in EFFECTS else _stage_class(kind).reduces


def compiles(kind: str) -> bool:
    """Return whether stages of this kind have kernels that numba compiles.

    Raises:
        KindError: there is no such kind.
    """
    return kind not in EFFECTS and _stage_class(kind).compiles


def parts_of(kind: str, form: Format, values: Mapping[str, Value]) -> Parts:
    """Return what several processes can compile at once of a stage of this kind.

    Raises:
        KindError: there is no such kind.
        StageError: its settings do not make a stage; the message says why.
    """
    return _stage_class(kind).parts(form, values)


def make_stage(kind: str, form: Format, values: Mapping[str, Value]) -> Stage:
    """Return a stage of this kind for audio of this format.

    Raises:
        KindError: there is no such kind.
        StageError: the stage cannot be made; the message says why.
    """
    return _stage_class(kind)(form, values)


def _stage_class(kind: str) -> type[Stage]:
    if kind in _LOADED:
        module, _, name = _LOADED[kind].partition(":")
        return cast("type[Stage]", getattr(importlib.import_module(module), name))
    if kind in EFFECTS:
        from gramophone.realtime.stages.effects.stage import effect_stage

        return effect_stage(kind)
    if kind in _of_packages():
        return _package_stage(_of_packages()[kind])
    if kind in REFUSED:
        raise KindError(f"kind {kind!r} cannot be played live: {REFUSED[kind]}")
    raise KindError(f"unknown kind {kind!r}; expected one of {', '.join(kinds())}")


@cache
def _of_packages() -> dict[str, EntryPoint]:
    """Return the stages of other packages by kind; they are looked for once, when a kind is not one of ours."""
    return {point.name: point for point in entry_points(group=GROUP)}


def _package_stage(point: EntryPoint) -> type[Stage]:
    """Return the stage class of another package, which may fail in any way."""
    where = f"kind {point.name!r} of {point.dist.name if point.dist else 'a package'} ({point.value})"
    try:
        found = point.load()
    except Exception as error:
        raise KindError(f"{where} cannot be loaded: {type(error).__name__}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Stage)):
        raise KindError(f"{where}: {found!r}: expected a subclass of gramophone.realtime.stage.Stage")
    return found
