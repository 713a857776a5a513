"""Soft takeover and the other modes in which a control sets its parameter, and feedback to the controller.

A control sets its parameter directly, by encoder clicks, or as a button. Feedback sets a controller's rings, lamps and
motors to a parameter's value.
"""

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


def feedback_messages(mapping: ControlMapping, channel: int, value: int) -> list[mido.Message]:
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


NEAR = 1 / 64
"""How near to the parameter's normalised value a control must come to take it over, in mode `pickup`."""


class Takeover:
    """The state of one mapping: events of its control in, normalised values of its parameter out, 0 to 1."""

    def __init__(self, mapping: ControlMapping) -> None:
        self.mapping = mapping
        self._left_at: float | None = None
        self._goal = 0.0
        self._last: float | None = None
        self._pressed = False

    def move(self, event: Moved | Stepped, knob: float) -> float | None:
        """Return the parameter's new normalised value, now `knob`; None if it is to stay."""
        if isinstance(event, Stepped):
            return self._step(event.steps, knob)
        if self.mapping.mode in RELATIVE:
            return self._step(clicks(self.mapping.mode, event.value), knob)
        if self.mapping.mode in ("toggle", "momentary"):
            return self._press(event, knob)
        if self.mapping.mode == "pickup":
            return self._take_over(event, knob)
        if event.control.kind == "note" and not event.value:
            return None
        return self.mapping.to_knob(event.position)

    def leave(self, knob: float) -> None:
        """Note the normalised value after `move`; if it differs by the next call, something else has changed it."""
        self._left_at = knob

    def _step(self, steps: int, knob: float) -> float | None:
        if knob != self._left_at:
            self._goal = self.mapping.from_knob(knob)
        self._goal = min(max(self._goal + steps * self.mapping.step, 0.0), 1.0)
        return self.mapping.to_knob(self._goal)

    def _press(self, event: Moved, knob: float) -> float | None:
        before, self._pressed = self._pressed, _is_down(event)
        if self._pressed == before:
            return None
        low, high = self.mapping.to_knob(0.0), self.mapping.to_knob(1.0)
        if self.mapping.mode == "momentary":
            return high if self._pressed else low
        if not self._pressed:
            return None
        return low if abs(knob - high) < abs(knob - low) else high

    def _take_over(self, event: Moved, knob: float) -> float | None:
        goal, last = self.mapping.to_knob(event.position), self._last
        self._last = goal
        crosses = last is not None and (last - knob) * (goal - knob) <= 0
        if knob == self._left_at or crosses or abs(goal - knob) <= NEAR:
            return goal
        return None


def clicks(mode: str, value: int) -> int:
    """Return how many clicks clockwise an encoder of that mode means when it sends `value`, 0 to 127."""
    if mode == "twos-complement":
        return value if value < 64 else value - 128
    if mode == "binary-offset":
        return value - 64
    return value if value < 64 else 64 - value


def _is_down(event: Moved) -> bool:
    return event.value > 0 if event.control.kind == "note" else event.position >= 0.5
