"""An OSC method: one address of the address space, what it takes and returns, and how clients should show it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gramophone.realtime.osc.packet import Message, Sendable

Answer = tuple[Sendable, ...]
Ranges = Sequence[Mapping[str, Any] | None]


class OscMethod(ABC):
    """One address; its attributes are those that OSCQuery describes.

    `key` names what it sets: of writes that wait for the same key only the newest counts.
    `changes_parameters` says that other addresses may come and go when it is written, `together` that the controller
    sets its `key` at once with others: `check` returns a `Change` for `AddressSpace.apply`. `takes_a_while` says that
    what became of it may be known only after `write` has returned; a notice tells it.
    """

    types: str = "f"
    unit: str = ""
    clips: bool = False
    default: Answer = ()
    tags: tuple[str, ...] = ()
    """Marks for clients: `key r`, the key of the page that does the same; `group pitch`, a heading; `advanced`."""
    readable: bool = True
    writable: bool = True
    changes_parameters: ClassVar[bool] = False
    together: ClassVar[bool] = False
    takes_a_while: ClassVar[bool] = False

    def __init__(self, path: str, key: str, description: str) -> None:
        self.path = path
        self.key = key
        self.description = description

    @property
    def ranges(self) -> Ranges:
        """The range (MIN, MAX) or choices (VALS) of each argument; () where there is no limit."""
        return ()

    def surely_takes(self, number: float) -> bool:
        """Return whether a message with one number is sure to be written, so that older ones can be dropped for it."""
        return False

    @abstractmethod
    def check(self, message: Message) -> Any:
        """Return what `write` takes for the message; None where there is nothing to do.

        Raises:
            RefusedError: the method does not take the message's arguments.
        """

    @abstractmethod
    def write(self, checked: Any) -> None:
        """Do what the message means.

        Raises:
            ParameterError: there is no such parameter any more.
            PresetError: a preset does not fit.
        """

    def written(self) -> Answer:
        """Return the value that the preset that plays has for it; () where that says nothing.

        Raises:
            ParameterError: there is no such parameter any more.
        """
        return ()

    def read(self) -> Answer:
        """Return the value as it is now; () where there is none.

        Raises:
            ParameterError: there is no such parameter any more.
        """
        return ()
