"""MIDI learn: which of the controls that move the performer means, and which kind of control it is.

A fader, a key, a button and an encoder differ in what they send:

- a key or pad sends a note on and its note off;
- a button sends 0 and 127, nothing between;
- an encoder repeats the same small step: 1 or 127 (two's complement), 65 or 63 (binary offset), 1 or 65 (signed bit);
  one direction alone can be ambiguous, so the hint requests both;
- a fader moves over values that follow each other; with fine bytes, right behind the coarse ones.

One stray message, or a worn fader that trembles, is none of these.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from gramophone.models.parameters import Parameter
from gramophone.realtime.midi.decoder import Control, Event, Moved, Stepped
from gramophone.realtime.midi.mapping import RELATIVE, ControlMapping
from gramophone.realtime.switches import is_button

_LEAST_TRAVEL = 8
_PRESSED_HARD = 64
_LEAST_CLICKS = 4
_FASTEST_CLICK = 10
_MOST_SEEN = 64


class Learner:
    """Finds a control for the parameter `knob` at `address` (None: a switch): events in, a mapping out."""

    def __init__(self, address: str, knob: Parameter | None) -> None:
        self.address = address
        self._is_switch = knob is None or isinstance(knob.default, bool)
        self._seen: dict[Control, list[int]] = {}
        self._steps: dict[Control, int] = {}
        self._pairs: dict[Control, int] = {}
        self._last: Control | None = None

    @property
    def hint(self) -> str:
        """What the performer should do now, in words."""
        if any(_is_encoder(values) for values in self._seen.values()):
            return "turn it back the other way, one click at a time"
        return "move a control, press a button or play a key"

    def receive(self, event: Event) -> ControlMapping | None:
        """Take an event; return the mapping as soon as it is clear which control is meant, else None."""
        if isinstance(event, Stepped):
            self._steps[event.control] = self._steps.get(event.control, 0) + 1
            return self._mapping(event.control, "absolute") if self._steps[event.control] > 2 else None
        if not isinstance(event, Moved):
            return None
        control = event.control
        if control.kind == "cc14" or (control.kind == "cc" and self._is_fine_byte(control)):
            return None
        values = self._seen.setdefault(control, [])
        values.append(event.value >> 7 if event.top > 127 else event.value)
        del values[:-_MOST_SEEN]
        return self._recognised(control, values)

    def _is_fine_byte(self, control: Control) -> bool:
        """Whether a controller is the fine byte right behind its coarse one."""
        coarse = replace(control, number=control.number - 32)
        before, self._last = self._last, control
        if before != coarse or not 32 <= control.number < 64:
            return False
        self._pairs[coarse] = self._pairs.get(coarse, 0) + 1
        return True

    def _recognised(self, control: Control, values: list[int]) -> ControlMapping | None:
        if control.kind == "note":
            return self._mapping(control, self._button_mode()) if self._was_pressed(values) else None
        if control.kind in ("pressure", "polypressure"):
            return self._mapping(control, "absolute") if max(values) - min(values) >= _PRESSED_HARD else None
        if control.kind == "bend":
            return self._mapping(control, "absolute") if _wanders(values) else None
        finest = self._finest(control)
        if finest.kind == "cc" and set(values) == {0, 127}:
            return self._mapping(control, self._button_mode())
        if finest.kind == "cc" and _readings(values):
            mode = _encoder_mode(values)
            return self._mapping(control, mode) if mode else None
        return self._mapping(finest, self._fader_mode()) if _wanders(values) else None

    def _was_pressed(self, values: list[int]) -> bool:
        return len(values) > 1 and values[-1] == 0 and values[-2] > 0

    def _button_mode(self) -> str:
        if is_button(self.address):
            return "momentary"
        return "toggle" if self._is_switch else "absolute"

    def _fader_mode(self) -> str:
        return "absolute" if self._is_switch else "pickup"

    def _finest(self, control: Control) -> Control:
        """Return the 14-bit control that this is the coarse part of, if fine bytes came right behind."""
        return replace(control, kind="cc14") if self._pairs.get(control, 0) > 1 else control

    def _mapping(self, control: Control, mode: str) -> ControlMapping:
        return ControlMapping(self.address, control.kind, control.number, control.channel, mode=mode)


_CLUSTERS: dict[str, tuple[range, range]] = {
    "twos-complement": (range(1, _FASTEST_CLICK + 1), range(128 - _FASTEST_CLICK, 128)),
    "binary-offset": (range(65, 65 + _FASTEST_CLICK), range(64 - _FASTEST_CLICK, 64)),
    "signed-bit": (range(1, _FASTEST_CLICK + 1), range(65, 65 + _FASTEST_CLICK)),
}


def _readings(values: list[int]) -> list[str]:
    """Return the encoder modes in which every value is a small step."""
    return [mode for mode in RELATIVE if all(any(v in side for side in _CLUSTERS[mode]) for v in values)]


def _is_encoder(values: list[int]) -> bool:
    """Whether small steps are repeated as no fader repeats its position."""
    repeats = sum(a == b for a, b in pairwise(values))
    return len(values) >= _LEAST_CLICKS and repeats * 3 >= len(values) and bool(_readings(values))


def _encoder_mode(values: list[int]) -> str | None:
    """Return the mode of an encoder whose values have only one reading; None otherwise."""
    readings = _readings(values)
    return readings[0] if len(readings) == 1 and _is_encoder(values) else None


def _wanders(values: list[int]) -> bool:
    return len(set(values)) >= 3 and max(values) - min(values) >= _LEAST_TRAVEL
