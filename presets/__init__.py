"""Sounds by name: chains as TOML, small factory weights, style clips, and the loader.

The law of this room: data, not code; it says what, never how.
"""

from gramophone.presets.preset import (
    CLIPS,
    DEFAULT,
    Preset,
    PresetError,
    StageSettings,
    load,
    names,
    parse,
    save,
)

__all__ = ["CLIPS", "DEFAULT", "Preset", "PresetError", "StageSettings", "load", "names", "parse", "save"]
