"""The plug-in's parameters and the controller's: what each of the host's controls stands for, and what it shows.

Macros are the preset's; a chain without macros shows its first numbers in their place. A free parameter that stands for
nothing yet takes, when the host moves it, the parameter that was moved last on the page, by OSC or by MIDI.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from gramophone.models.parameters import ParameterError, Value
from gramophone.realtime.bridge.link import BridgeLink
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.macros import macros_of
from gramophone.realtime.parameter_table import COMMON

PRESET, FIRST_MACRO, MACROS, FIRST_FREE, FREE = 2, 3, 8, 11, 5
"""Parameters of the plug-in by index, and how many there are; bypass (0) and mix (1) it does itself."""
_ALIKE = 1e-6


class HostParameters:
    """Sets what the host's macros and free parameters stand for; any other change is reported to the host.

    `free` are addresses of the controller, empty where a free parameter stands for nothing.
    """

    def __init__(self, controller: Controller, link: BridgeLink, free: Sequence[str] = ()) -> None:
        self._controller, self._link = controller, link
        self._free = [*free, *[""] * FREE][:FREE]
        self._known: dict[int, float] = {}
        self._setting: tuple[int, int] | None = None
        """The thread and the index of what the host sets now."""
        self._moved_last = ""
        self._held = self._reports = False
        self._addresses = self._current()
        controller.listen(self._note)
        controller.listen_parameters(self.report)

    @property
    def free(self) -> tuple[str, ...]:
        """What the free parameters stand for."""
        return tuple(self._free)

    @free.setter
    def free(self, addresses: Sequence[str]) -> None:
        self._free = [*addresses, *[""] * FREE][:FREE]
        self.report()

    def set(self, index: int, value: float) -> None:
        """Set what parameter `index` of the host stands for to a normalised value, if it is not there already.

        Raises:
            ParameterError: it does not take the value.
        """
        self._known[index] = value
        free = index - FIRST_FREE
        if 0 <= free < FREE and not self._free[free] and self._moved_last:
            self._free[free], self._moved_last = self._moved_last, ""
            self.report()
        address = self._addresses.get(index)
        if not address or abs(self._controller.get_0to1(address) - value) <= _ALIKE:
            return
        self._setting = threading.get_ident(), index
        try:
            self._controller.set_0to1(address, value)
        finally:
            self._setting = None

    @contextmanager
    def all_at_once(self) -> Iterator[None]:
        """Report what a preset brings only at the end: what the host sets together with it is not to be undone."""
        self._held, self._reports = True, False
        try:
            yield
        finally:
            self._held = False
            if self._reports:
                self.report()

    def report(self) -> None:
        """Report what every parameter stands for, and its value."""
        if self._held:
            self._addresses, self._reports = self._current(), True
            return
        self._addresses = now = self._current()
        for index in (*range(FIRST_MACRO, FIRST_MACRO + MACROS), *range(FIRST_FREE, FIRST_FREE + FREE)):
            address = now.get(index, "")
            self._link.name_parameter(index, self._name(address))
            if address:
                self._show(index, self._controller.get_0to1(address))

    def _current(self) -> dict[int, str]:
        """Return the addresses that parameters stand for now, by index."""
        parameters = self._controller.parameters
        common = {knob.name for knob in COMMON}
        numbers = [
            address
            for address, knob in parameters.items()
            if knob.is_number and address.partition(".")[2] not in common
        ]
        macros = [*macros_of(self._controller.preset)] or numbers
        free = {FIRST_FREE + place: address for place, address in enumerate(self._free) if address in parameters}
        return dict(enumerate(macros[:MACROS], FIRST_MACRO)) | free

    def _name(self, address: str) -> str:
        if not address:
            return ""
        macro = macros_of(self._controller.preset).get(address)
        return macro.name if macro else address

    def _note(self, address: str, _value: Value) -> None:
        """Report a change to the host, unless it comes from there."""
        from_host = self._setting is not None and self._setting[0] == threading.get_ident()
        if not from_host:
            self._moved_last = address
        for index, shown in list(self._addresses.items()):
            if shown == address and not (from_host and self._setting and self._setting[1] == index):
                with suppress(ParameterError):  # another preset has come meanwhile, and with it the next report
                    self._show(index, self._controller.get_0to1(address))

    def _show(self, index: int, value: float) -> None:
        if abs(self._known.get(index, math.inf) - value) > _ALIKE:
            self._known[index] = value
            self._link.set_parameter(index, value)
