"""Soft takeover and the other modes in which a control sets its parameter: directly, by encoder clicks, as a button."""

from __future__ import annotations

from gramophone.realtime.midi.decoder import Moved, Stepped
from gramophone.realtime.midi.mapping import RELATIVE, ControlMapping

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
