"""What is sent to a controller so that its rings, lamps and motors show where a knob stands."""

from __future__ import annotations

from gramophone.realtime.midi.decoder import TOP_7, TOP_14, Moved, Stepped
from gramophone.realtime.midi.mapping import RELATIVE, ControlMapping

_SELECT = {"nrpn": (99, 98), "rpn": (101, 100)}
_FINE = ("cc14", "nrpn", "rpn", "bend")


def shown(mapping: ControlMapping, knob: float) -> int | None:
    """Return the value, 7 or 14 bits, that shows `knob`, 0 to 1; None for controls that cannot show anything."""
    if mapping.control in ("clock", "pressure", "polypressure") or (mapping.mode in RELATIVE and not mapping.ring):
        return None
    position = mapping.from_knob(knob)
    if mapping.mode in ("toggle", "momentary"):
        position = float(position >= 0.5)
    return round(position * (TOP_14 if mapping.control in _FINE else TOP_7))


def messages(mapping: ControlMapping, channel: int, value: int) -> list[bytes]:
    """Return the messages that set the mapping's control, on `channel` 1 to 16, to `value`."""
    high, low, number = value >> 7, value & 127, mapping.number
    status = channel - 1

    def change(controller: int, to: int) -> bytes:
        return bytes((0xB0 | status, controller, to))

    if mapping.control == "cc":
        return [change(number, value)]
    if mapping.control == "cc14":
        return [change(number, high), change(number + 32, low)]
    if mapping.control in _SELECT:
        coarse, fine = _SELECT[mapping.control]
        return [change(coarse, number >> 7), change(fine, number & 127), change(6, high), change(38, low)]
    if mapping.control == "bend":
        return [bytes((0xE0 | status, low, high))]
    return [bytes((0x90 | status, number, value))]


class Echo:
    """Recognises what a controller sends back because it was sent there, which must not turn the knob.

    Motors and some lamps do so: once, and of a 14-bit value perhaps the coarse part before the whole.
    """

    def __init__(self) -> None:
        self._sent: int | None = None
        self._left = 0

    def sent(self, value: int, top: int) -> None:
        """Note what has been sent."""
        self._sent, self._left = value, 2 if top == TOP_14 else 1

    def is_echo(self, event: Moved | Stepped) -> bool:
        """Whether `event` only repeats what has been sent."""
        sent, self._left = self._sent, self._left - 1
        if sent is None or self._left < 0 or isinstance(event, Stepped):
            self._sent = None
            return False
        if event.value == sent:
            self._sent = None
            return True
        coarse = event.value >> 7 if event.top == TOP_14 else event.value
        if self._left > 0 and coarse == sent >> 7:
            return True
        self._sent = None
        return False


def shows_itself(mapping: ControlMapping) -> bool:
    """Whether the control stands where it says, so that its own movements are not sent back to it."""
    return mapping.mode != "toggle" and mapping.mode not in RELATIVE
