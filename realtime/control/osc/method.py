"""A method: one address of the OSC space, what it takes and answers, and how a client should show it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gramophone.realtime.osc.packet import Message, Sendable

Answer = tuple[Sendable, ...]
Ranges = Sequence[Mapping[str, Any] | None]


class OscMethod(ABC):
    """An address; what follows is what OSCQuery tells of it.

    `key` names what it turns: of messages that are waiting for the same key only the newest counts.
    `changes_parameters` says that other addresses may come and go when it is written, `together` that the controller
    sets its `key` at once with others: see `AddressSpace.turn`.
    """

    types: str = "f"
    unit: str = ""
    clips: bool = False
    default: Answer = ()
    readable: bool = True
    writable: bool = True
    changes_parameters: ClassVar[bool] = False
    together: ClassVar[bool] = False

    def __init__(self, path: str, key: str, description: str) -> None:
        self.path = path
        self.key = key
        self.description = description

    @property
    def ranges(self) -> Ranges:
        """What each argument may be; none where anything may."""
        return ()

    def surely_takes(self, number: float) -> bool:
        """Return whether a message with one number, of which only the newest counts, is written whatever plays."""
        return False

    @abstractmethod
    def check(self, message: Message) -> Any:
        """Return what `write` takes for the message; None where there is nothing to do.

        Raises:
            RefusedError: the method does not take the message's arguments.
        """

    @abstractmethod
    def write(self, checked: Any) -> None:
        """Do what the message asked for.

        Raises:
            ParameterError: there is no such knob any more.
            PresetError: a preset does not fit.
        """

    def read(self) -> Answer:
        """Return the value as it is now; () where there is none.

        Raises:
            ParameterError: there is no such knob any more.
        """
        return ()
