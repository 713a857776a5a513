"""Functions compiled by numba, and kept compiled from one start to the next wherever that can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def jit(function: Callable[..., Any], forceinline: bool = True, reassociate: bool = False) -> Callable[..., Any]:
    """Return a function of a module compiled, without the interpreter's lock, its multiply-adds contracted.

    Its sums stay in the order that they are written in unless it may `reassociate` them.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": {"contract", "reassoc"} if reassociate else {"contract"},
        "error_model": "numpy",
        "forceinline": forceinline,
    }
    try:
        kept: Callable[..., Any] = njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        kept = njit(**options)(function)
    return kept
