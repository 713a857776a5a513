"""Feedback: the messages that set a controller's rings, lamps and motors to a parameter's value."""

from __future__ import annotations

import mido

from gramophone.realtime.midi.decoder import TOP_7, TOP_14, Moved, Stepped
from gramophone.realtime.midi.mapping import RELATIVE, ControlMapping

_SELECT = {"nrpn": (99, 98), "rpn": (101, 100)}
_FINE = ("cc14", "nrpn", "rpn", "bend")


def shown(mapping: ControlMapping, knob: float) -> int | None:
    """Return the value, 7 or 14 bits, that shows a normalised value, 0 to 1; None for controls without a display."""
    if mapping.control in ("clock", "pressure", "polypressure") or (mapping.mode in RELATIVE and not mapping.ring):
        return None
    position = mapping.from_knob(knob)
    if mapping.mode in ("toggle", "momentary"):
        position = float(position >= 0.5)
    return round(position * (TOP_14 if mapping.control in _FINE else TOP_7))


def messages(mapping: ControlMapping, channel: int, value: int) -> list[mido.Message]:
    """Return the messages that set the mapping's control, on `channel` 1 to 16, to `value`, 7 or 14 bits."""
    coarse, fine, number = value >> 7, value & 127, mapping.number

    def change(controller: int, to: int) -> mido.Message:
        return mido.Message("control_change", channel=channel - 1, control=controller, value=to)

    if mapping.control == "cc":
        return [change(number, value)]
    if mapping.control == "cc14":
        return [change(number, coarse), change(number + 32, fine)]
    if mapping.control in _SELECT:
        high, low = _SELECT[mapping.control]
        return [change(high, number >> 7), change(low, number & 127), change(6, coarse), change(38, fine)]
    if mapping.control == "bend":
        return [mido.Message("pitchwheel", channel=channel - 1, pitch=value - 8192)]
    return [mido.Message("note_on", channel=channel - 1, note=number, velocity=value)]


class Echo:
    """Recognises the feedback that a device sends back to us, which must not set the parameter.

    Motors and some lamps send it once, and of a 14-bit value perhaps the coarse part before the whole.
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
    """Return whether the control itself shows its value, as a fader does: its own moves are not sent back to it."""
    return mapping.mode != "toggle" and mapping.mode not in RELATIVE
