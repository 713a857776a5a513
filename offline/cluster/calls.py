"""A function called with each of some items: one after another in this process, or by the machines of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class ClusterError(RuntimeError):
    """A cluster cannot be used; the message says what was found and what to do."""


@dataclass(frozen=True)
class LostCall:
    """A call that never ended: the processes or machines that ran it did. `why` says how, and how often."""

    why: str


class Caller(Protocol):
    """Calls a function with each of some items."""

    def results(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, R | LostCall]]:
        """Yield each item with what `function` returned for it, in the order in which they are done.

        What `function` raises ends the iteration.
        """


class InTurn:
    """Calls a function in this process, one item after another."""

    def results(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, R | LostCall]]:
        """Yield each item with what `function` returned for it, in their order."""
        for item in items:
            yield item, function(item)


def kept(item: object, result: R | LostCall) -> R:
    """Return the result of a call.

    Raises:
        ClusterError: the call was lost.
    """
    if isinstance(result, LostCall):
        raise ClusterError(f"{item}: {result.why}")
    return result
