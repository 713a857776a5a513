"""A mapping: which control sets which parameter, and how. Data that a preset keeps in its `[[midi]]` tables.

    [[midi]]
    knob = "style.strength"
    control = "cc"
    number = 7
    mode = "pickup"

The table `KEYS` describes what each key may hold; checks, errors and docs follow from it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace

from gramophone.models.parameters import Parameter, ParameterError, Value, lookup
from gramophone.presets import Preset
from gramophone.realtime.midi.clock import SYNCED_UNITS
from gramophone.realtime.switches import ACTIONS, SWITCHES, is_button

KINDS = ("cc", "cc14", "nrpn", "rpn", "bend", "pressure", "polypressure", "note", "clock")
RELATIVE = ("twos-complement", "binary-offset", "signed-bit")
MODES = ("absolute", "pickup", *RELATIVE, "toggle", "momentary")
_LAST_NUMBER = {"cc": 119, "cc14": 31, "nrpn": 16383, "rpn": 16383, "polypressure": 127, "note": 127}
_DISPLAYED = {"cc": "CC", "cc14": "CC 14-bit", "nrpn": "NRPN", "rpn": "RPN", "polypressure": "key pressure"}

KEYS = (
    Parameter("knob", "", "what it sets: stage.parameter, or a switch or action: bypass, mute, next-preset ..."),
    Parameter("control", "cc", "the kind of control; clock for a time in beats", choices=KINDS),
    Parameter("number", 0.0, "of the controller, parameter or note", range=(0, 16383)),
    Parameter("channel", 0.0, "1 to 16; 0 for any", range=(0, 16)),
    Parameter("port", "", "part of the name of the only device it accepts; empty for any"),
    Parameter("mode", "absolute", "how a movement is understood", choices=MODES),
    Parameter("low", 0.0, "where on the knob the control's lower end lies, 0 to 1"),
    Parameter("high", 1.0, "where on the knob the control's upper end lies, 0 to 1"),
    Parameter("curve", 1.0, "the exponent of the way between: 1 straight, 2 fine at the lower end", range=(0.1, 10)),
    Parameter("invert", False, "reverse the direction"),
    Parameter("step", 1 / 127, "how far one click of an encoder, or one increment, goes", range=(0.0001, 1)),
    Parameter("ring", False, "the encoder has lights to show where the knob stands"),
    Parameter("beats", 1.0, "of control clock: how many quarter notes the knob's time lasts", range=(1 / 64, 64)),
)


@dataclass(frozen=True)
class ControlMapping:
    """One control for one parameter; the fields are described in `KEYS`.

    Raises:
        ParameterError: a field does not hold what it should; the message names the key.
    """

    knob: str
    control: str = "cc"
    number: int = 0
    channel: int = 0
    port: str = ""
    mode: str = "absolute"
    low: float = 0.0
    high: float = 1.0
    curve: float = 1.0
    invert: bool = False
    step: float = 1 / 127
    ring: bool = False
    beats: float = 1.0

    def __post_init__(self) -> None:
        for key in KEYS:
            key.check(getattr(self, key.name))
        for name in ("number", "channel"):
            if getattr(self, name) != int(getattr(self, name)):
                raise ParameterError(f"{name} = {getattr(self, name)}: expected a whole number")
            object.__setattr__(self, name, int(getattr(self, name)))
        if not self.knob:
            raise ParameterError("key 'knob' is missing")
        if self.number > (last := _LAST_NUMBER.get(self.control, 0)):
            raise ParameterError(f"number = {self.number}: expected {f'0 to {last}' if last else 0} for {self.control}")
        if self.low >= self.high:
            raise ParameterError(f"low = {self.low:g}: expected less than high = {self.high:g}; use invert = true")
        if self.mode in RELATIVE and self.control != "cc":
            raise ParameterError(f"mode = {self.mode!r}: expected control = 'cc', found {self.control!r}")

    def to_knob(self, position: float) -> float:
        """Return the parameter's normalised value for the control's position, both 0 to 1."""
        position = min(max(position, 0.0), 1.0)
        if self.invert:
            position = 1.0 - position
        return self.low + (self.high - self.low) * math.pow(position, self.curve)

    def from_knob(self, knob: float) -> float:
        """Return the control's position, 0 to 1, for a normalised value; at an end if that is outside the range."""
        share = min(max((knob - self.low) / (self.high - self.low), 0.0), 1.0)
        position = math.pow(share, 1.0 / self.curve)
        return 1.0 - position if self.invert else position

    def accepts(self, channel: int, port: str) -> bool:
        """Return whether it takes events of a channel, 1 to 16, of a port."""
        return self.channel in (0, channel) and self.port.lower() in port.lower()

    @property
    def words(self) -> str:
        """The control's name on a display, such as `CC 21 ch 1`."""
        number = f" {self.number}" if self.control in _LAST_NUMBER else ""
        beats = f" {self.beats:g} beats" if self.control == "clock" else ""
        channel = f" ch {self.channel}" if self.channel else ""
        return f"{_DISPLAYED.get(self.control, self.control)}{number}{beats}{channel}"

    def row(self) -> dict[str, Value]:
        """Return the `[[midi]]` table for a preset: what differs from the defaults."""
        defaults = {field.name: field.default for field in fields(self)}
        row = {key: value for key, value in asdict(self).items() if value != defaults[key]}
        return {"knob": self.knob, "control": self.control, **row}


def from_row(row: Mapping[str, Value]) -> ControlMapping:
    """Return the mapping that a `[[midi]]` table describes.

    Raises:
        ParameterError: a key is unknown or does not hold what it should.
    """
    known = [key.name for key in KEYS]
    for key in row:
        if key not in known:
            raise ParameterError(f"unknown key {key!r}; expected {', '.join(known)}")
    return ControlMapping(**{"knob": "", **row})  # type: ignore[arg-type]


def with_mappings(preset: Preset, mappings: Iterable[ControlMapping]) -> Preset:
    """Return `preset` with `mappings` in place of its own, ready to be saved; tables that stay keep their wording."""
    written = {}
    for row in preset.midi:
        with contextlib.suppress(ParameterError):
            written[from_row(row)] = row
    return replace(preset, midi=tuple(written.get(mapping) or mapping.row() for mapping in mappings))


def check_knob(mapping: ControlMapping, knobs: Mapping[str, Parameter]) -> None:
    """Check that the mapping's knob is one of `knobs`, or an action, and can be set by that kind of control.

    Raises:
        ParameterError: it is not.
    """
    if mapping.knob in SWITCHES | ACTIONS and mapping.control != "clock":
        if is_button(mapping.knob) and mapping.mode == "toggle":
            raise ParameterError(f"mode = 'toggle': {mapping.knob} cannot be left on; use momentary")
        return
    knob = lookup(knobs, mapping.knob)
    if mapping.control == "clock" and knob.unit not in SYNCED_UNITS:
        units = ", ".join(SYNCED_UNITS)
        raise ParameterError(f"knob = {mapping.knob!r}: control 'clock' sets times and rates, in {units}")
    if isinstance(knob.default, str) and not knob.choices:
        raise ParameterError(f"knob = {mapping.knob!r}: takes a file name, which no control can set")
