"""Results by name: what is there already is replaced only where that is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


class ResultError(RuntimeError):
    """A result would replace a file; the message names it and says what to do."""


def demand_new(files: Iterable[Path], *, overwrite: bool) -> None:
    """Check that none of some files is there yet, or that those which are may be overwritten.

    Raises:
        ResultError: one is there, or cannot be overwritten, as it is no file.
    """
    for file in files:
        if file.is_dir():
            raise ResultError(f"{file} is there already, and no file; choose another --out")
        if os.path.lexists(file) and not overwrite:
            raise ResultError(f"{file} is there already; choose another --out, or --overwrite")
