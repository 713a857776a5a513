"""Results by name: what is there already is replaced only where that is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


class ResultError(RuntimeError):
    """A result would replace a file; the message names it and says what to do."""


def demand_new(files: Iterable[Path], *, overwrite: bool) -> None:
    """Check, before the work, that none of some files is there yet or may be overwritten, and that their folders are.

    Raises:
        ResultError: one is there, or cannot be overwritten, as it is no file; or its folder is not there.
    """
    for file in files:
        if not file.parent.is_dir():
            raise ResultError(f"{file}: there is no folder {file.parent}; make it first, or choose another --out")
        if file.is_dir():
            raise ResultError(f"{file} is there already, and no file; choose another --out")
        if os.path.lexists(file) and not overwrite:
            raise ResultError(f"{file} is there already; choose another --out, or --overwrite")
