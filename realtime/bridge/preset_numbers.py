"""The presets by number, as the plug-in's parameter `preset` calls them: each keeps its number, whatever comes or goes.

The names stand in a file of the user's configuration, a line each; what is new is added at its end. The plug-in reads
it, too, to show names in place of numbers.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from platformdirs import user_config_path

from gramophone.presets import DEFAULT, names
from gramophone.presets.atomic import atomic_write

MOST = 127
"""The highest number; presets beyond are called by state, page, OSC and MIDI only."""


def numbers_file() -> Path:
    """Return the file that holds the names in the order of their numbers, from 1."""
    return user_config_path("gramophone") / "bridge.presets"


def numbered_presets() -> list[str]:
    """Return the names of the presets by number less one, those that are gone with them; new ones are added."""
    path = numbers_file()
    try:
        known = path.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError):
        known = []
    new = [name for name in names() if name not in known]
    if new:
        known += new
        with suppress(OSError):  # a folder that cannot be written: the numbers hold for this time
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as part:
                part.write_text("".join(f"{name}\n" for name in known), "utf-8")
    return known[:MOST]


def preset_of(number: int) -> str:
    """Return the name of a preset by number; the default for 0 and for numbers that there are not."""
    known = numbered_presets()
    return known[number - 1] if 1 <= number <= len(known) else DEFAULT
