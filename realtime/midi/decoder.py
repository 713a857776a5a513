"""From MIDI messages to events: a control moved or stepped, a program called, a clock tick.

A 14-bit controller sends a coarse byte, then a fine one (MIDI 1.0, control changes 0 to 31 and 32 to 63). Between the
two the value is only known to 1/128. What is reported then is the end of that span which is nearer to the value before,
so that a movement never seems to reverse, and a control without fine bytes works as one of 7 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import mido

Kind = Literal["cc", "cc14", "nrpn", "rpn", "bend", "pressure", "polypressure", "note"]

TOP_7, TOP_14 = 127, 16383
_CENTRE = 8192
_COARSE_DATA, _FINE_DATA, _INCREMENT, _DECREMENT = 6, 38, 96, 97
_SELECT: dict[int, tuple[Literal["nrpn", "rpn"], int]] = {
    99: ("nrpn", 0),
    98: ("nrpn", 1),
    101: ("rpn", 0),
    100: ("rpn", 1),
}
_FIRST_MODE, _SOUND_OFF, _RESET_CONTROLS, _NOTES_OFF = 120, 120, 121, 123
_MOST_FINE = 2048


@dataclass(frozen=True, slots=True)
class Control:
    """A knob, fader, key or wheel of a controller. `channel` is 1 to 16; `number` is 0 where the kind has only one."""

    kind: Kind
    channel: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class Moved:
    """A control has come to `value`, 0 to `top` (127 or 16383); a released key to 0."""

    control: Control
    value: int
    top: int = TOP_7

    @property
    def position(self) -> float:
        """The value on a scale of 0 to 1; exactly 0.5 for a bend wheel at rest."""
        if self.control.kind == "bend":
            return self.value / (2 * _CENTRE) if self.value <= _CENTRE else 0.5 + (self.value - _CENTRE) / (2 * 8191)
        return self.value / self.top


@dataclass(frozen=True, slots=True)
class Stepped:
    """A data increment (+1) or decrement (-1) of a parameter number."""

    control: Control
    steps: int


@dataclass(frozen=True, slots=True)
class Program:
    """A program, 0 to 127, called on a channel, 1 to 16."""

    channel: int
    number: int


@dataclass(frozen=True, slots=True)
class Beat:
    """MIDI clock: a tick (`clock`, 24 a quarter note), or the transport; the kinds are mido's message types."""

    kind: Literal["clock", "start", "continue", "stop"]


Event = Moved | Stepped | Program | Beat


class _Pair:
    """A coarse and a fine byte that make one value."""

    def __init__(self) -> None:
        self._coarse: int | None = None
        self._has_fine = False

    def coarse(self, byte: int) -> tuple[int, int] | None:
        """Return value and top after a coarse byte; None if the value depends on the fine byte to come."""
        before, self._coarse = self._coarse, byte
        if before is None or not self._has_fine:
            return byte, TOP_7
        if byte == before:
            return None
        return byte << 7 | (0 if byte > before else 127), TOP_14

    def fine(self, byte: int) -> tuple[int, int] | None:
        """Return value and top after a fine byte; None if no coarse one ever came."""
        if self._coarse is None:
            return None
        self._has_fine = True
        return self._coarse << 7 | byte, TOP_14


class MidiDecoder:
    """The state that it takes to read the messages of one port: 14-bit pairs, parameter numbers, keys that are down."""

    def __init__(self) -> None:
        self._pairs: dict[Control, _Pair] = {}
        self._selected: dict[int, tuple[Literal["nrpn", "rpn"], list[int | None]]] = {}
        self._held: dict[Control, None] = {}

    def decode(self, message: mido.Message) -> list[Event]:
        """Return the events of the port's next message, in order; none for a message that has no use here."""
        return list(self._events(message))

    def release(self, channel: int | None = None) -> list[Event]:
        """Release every key that is still down, on one channel, 1 to 16, or all: for a keyboard that is unplugged."""
        held = [key for key in self._held if channel in (None, key.channel)]
        for key in held:
            del self._held[key]
        return [Moved(key, 0) for key in held]

    def _events(self, message: mido.Message) -> Iterator[Event]:
        match message.type:
            case "control_change":
                yield from self._control_change(message.channel + 1, message.control, message.value)
            case "note_on":
                yield from self._note(Control("note", message.channel + 1, message.note), message.velocity)
            case "note_off":
                yield from self._note(Control("note", message.channel + 1, message.note), 0)
            case "polytouch":
                yield Moved(Control("polypressure", message.channel + 1, message.note), message.value)
            case "aftertouch":
                yield Moved(Control("pressure", message.channel + 1), message.value)
            case "pitchwheel":
                yield Moved(Control("bend", message.channel + 1), message.pitch + _CENTRE, TOP_14)
            case "program_change":
                yield Program(message.channel + 1, message.program)
            case "clock" | "start" | "continue" | "stop":
                yield Beat(message.type)
            case "reset":
                yield from self.release()

    def _note(self, key: Control, velocity: int) -> Iterator[Event]:
        if velocity:
            self._held[key] = None
        else:
            self._held.pop(key, None)
        yield Moved(key, velocity)

    def _control_change(self, channel: int, number: int, value: int) -> Iterator[Event]:
        if number in _SELECT:
            self._select(channel, number, value)
        elif number >= _FIRST_MODE:
            yield from self._mode(channel, number)
        elif number in (_COARSE_DATA, _FINE_DATA, _INCREMENT, _DECREMENT) and (chosen := self._chosen(channel)):
            yield from self._data_entry(chosen, number, value)
        else:
            yield Moved(Control("cc", channel, number), value)
            if number < 64:
                yield from self._pair(Control("cc14", channel, number % 32), number < 32, value)

    def _mode(self, channel: int, number: int) -> Iterator[Event]:
        if number == _RESET_CONTROLS:
            self._selected.pop(channel, None)
        elif number == _SOUND_OFF or number >= _NOTES_OFF:
            yield from self.release(channel)

    def _select(self, channel: int, number: int, value: int) -> None:
        kind, place = _SELECT[number]
        chosen, halves = self._selected.get(channel, (kind, [None, None]))
        if chosen != kind:
            halves = [None, None]
        halves[place] = value
        self._selected[channel] = kind, halves

    def _chosen(self, channel: int) -> Control | None:
        kind, (high, low) = self._selected.get(channel, ("rpn", [None, None]))
        if high is None or low is None or (high == low == TOP_7):
            return None
        return Control(kind, channel, high << 7 | low)

    def _data_entry(self, control: Control, number: int, value: int) -> Iterator[Event]:
        if number in (_INCREMENT, _DECREMENT):
            yield Stepped(control, 1 if number == _INCREMENT else -1)
        else:
            yield from self._pair(control, number == _COARSE_DATA, value)

    def _pair(self, control: Control, is_coarse: bool, byte: int) -> Iterator[Event]:
        if control not in self._pairs and len(self._pairs) >= _MOST_FINE:
            self._pairs.clear()  # a channel has 32,768 parameter numbers: a flood must not fill the memory
        pair = self._pairs.setdefault(control, _Pair())
        reading = pair.coarse(byte) if is_coarse else pair.fine(byte)
        if reading:
            yield Moved(control, *reading)
