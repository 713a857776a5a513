"""Pictures as files: whole under their name or not at all, marked with what made them, and with any name as a label."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from gramophone.offline.console import plain
from gramophone.offline.urls import Place
from gramophone.presets.atomic import atomic_write, create_part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_Place = TypeVar("_Place", bound=Place)
_MARK = b"Software\0gramophone "
"""How a picture's text (PNG, 11.3.4.3) begins that names what made it."""
_HEAD_BYTES = 1 << 12


class PictureError(ValueError):
    """A result with a picture beside it cannot be written; the message names the file and says why."""


def label(text: str) -> str:
    """Return a text as matplotlib draws it letter by letter: between two `$` it would expect a formula."""
    return plain(text).replace("$", r"\$")


def save_picture(figure: Figure, picture: Path, made: str = "") -> None:
    """Write a figure as PNG, marked as made by `made`, or else by this version.

    Raises:
        OSError: it cannot be written.
    """
    with atomic_write(picture) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # letters that the font lacks are drawn as boxes
        figure.savefig(part, format="png", metadata={"Software": made or f"gramophone {version('gramophone')}"})


def picture_of(target: _Place) -> _Place:
    """Return where the picture of a result lies."""
    return cast(_Place, target.parent / f"{target.stem}.png")


def demand_place(out: Path) -> Path:
    """Check, before minutes of work, that a result and its picture can be written; return where the picture lies.

    Raises:
        PictureError: the folder is missing or cannot be written, or a picture is there that gramophone did not draw.
    """
    picture = picture_of(out)
    if not out.parent.is_dir():
        raise PictureError(f"{out}: no folder {out.parent} to write into")
    try:
        create_part(picture).unlink()
        with picture.open("rb") as file:
            is_own = _MARK in file.read(_HEAD_BYTES)
    except FileNotFoundError:
        return picture
    except OSError as error:
        raise PictureError(f"{picture}: cannot be written: {error.strerror}; choose another --out") from None
    if not is_own:
        raise PictureError(f"{picture} is there already, and gramophone did not draw it; choose another --out")
    return picture
