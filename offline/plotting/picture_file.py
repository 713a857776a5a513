"""Pictures as files: whole under their name or not at all, marked with what made them, and with any name as a label."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from gramophone.offline.console import plain
from gramophone.offline.results import demand_new
from gramophone.offline.urls import Place
from gramophone.presets.atomic import atomic_write, create_part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_Place = TypeVar("_Place", bound=Place)


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


def demand_place(out: Path, *, overwrite: bool) -> Path:
    """Check, before minutes of work, that a result's picture can be written; return where it lies.

    Raises:
        PictureError: the folder cannot be written.
        ResultError: the folder is missing, or a picture is there already, and not to be overwritten.
    """
    picture = picture_of(out)
    demand_new([picture], overwrite=overwrite)
    try:
        create_part(picture).unlink()
    except OSError as error:
        raise PictureError(f"{picture}: cannot be written: {error.strerror}; choose another --out") from None
    return picture
