"""What follows from parameters, computed when they change and not for every frame."""

from __future__ import annotations

from collections.abc import Callable
from operator import is_
from typing import Generic, TypeVar

_Made = TypeVar("_Made")


class Kept(Generic[_Made]):
    """A function whose result is kept for as long as it is called with the same objects, which must not change."""

    def __init__(self, make: Callable[..., _Made]) -> None:
        self._make = make
        self._given: tuple[object, ...] = ()
        self._made: _Made

    def __call__(self, *given: object) -> _Made:
        """Return the result for these objects, at least one."""
        if len(given) != len(self._given) or not all(map(is_, given, self._given)):
            self._made, self._given = self._make(*given), given
        return self._made

    def forget(self) -> None:
        """Compute it anew with the next call."""
        self._given = ()
