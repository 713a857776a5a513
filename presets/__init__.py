"""Sounds by name: chains as TOML, small factory weights, style clips, and the loader.

The law of this room: data, not code; a preset states what plays, never how.
"""

from gramophone.presets.checks import PresetError, name_of
from gramophone.presets.library import (
    DEFAULT,
    is_own,
    load,
    names,
    own_folder,
    path_of,
    save_own,
    unnamed,
)
from gramophone.presets.macro import MACRO, MOST_MACROS, Macro, MacroTarget
from gramophone.presets.preset import CLIPS, Preset, StageSettings, parse, read, save

__all__ = [
    "CLIPS",
    "DEFAULT",
    "MACRO",
    "MOST_MACROS",
    "Macro",
    "MacroTarget",
    "Preset",
    "PresetError",
    "StageSettings",
    "is_own",
    "load",
    "name_of",
    "names",
    "own_folder",
    "parse",
    "path_of",
    "read",
    "save",
    "save_own",
    "unnamed",
]
