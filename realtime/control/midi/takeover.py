"""How one mapped control turns its knob: directly, after pick-up, by clicks of an encoder, or as a button."""

from __future__ import annotations

from gramophone.realtime.midi.decoder import Moved, Stepped
from gramophone.realtime.midi.mapping import RELATIVE, ControlMapping

NEAR = 1 / 64
"""How near to the knob a control with pick-up must come to take it."""


class Takeover:
    """The state of one mapping: positions of the control in, positions of the knob out, all 0 to 1."""

    def __init__(self, mapping: ControlMapping) -> None:
        self.mapping = mapping
        self._left_at: float | None = None
        self._aim = 0.0
        self._last: float | None = None
        self._pressed = False

    def turn(self, event: Moved | Stepped, knob: float) -> float | None:
        """Return where the knob, now at `knob`, is to go; None for where it is."""
        if isinstance(event, Stepped):
            return self._step(event.steps, knob)
        if self.mapping.mode in RELATIVE:
            return self._step(clicks(self.mapping.mode, event.value), knob)
        if self.mapping.mode in ("toggle", "momentary"):
            return self._press(event, knob)
        if self.mapping.mode == "pickup":
            return self._pick_up(event, knob)
        if event.control.kind == "note" and not event.value:
            return None
        return self.mapping.to_knob(event.position)

    def left(self, knob: float) -> None:
        """Note where the knob came to stand after `turn`: elsewhere by the next time, and another hand has moved it."""
        self._left_at = knob

    def _step(self, steps: int, knob: float) -> float | None:
        if knob != self._left_at:
            self._aim = self.mapping.from_knob(knob)
        self._aim = min(max(self._aim + steps * self.mapping.step, 0.0), 1.0)
        return self.mapping.to_knob(self._aim)

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

    def _pick_up(self, event: Moved, knob: float) -> float | None:
        goal, last = self.mapping.to_knob(event.position), self._last
        self._last = goal
        crosses = last is not None and (last - knob) * (goal - knob) <= 0
        if knob == self._left_at or crosses or abs(goal - knob) <= NEAR:
            return goal
        return None


def clicks(mode: str, value: int) -> int:
    """Return by how many clicks an encoder of that mode was turned, right positive, when it sends `value` (7 bits)."""
    if mode == "twos-complement":
        return value if value < 64 else value - 128
    if mode == "binary-offset":
        return value - 64
    return value if value < 64 else 64 - value


def _is_down(event: Moved) -> bool:
    return event.value > 0 if event.control.kind == "note" else event.position >= 0.5
