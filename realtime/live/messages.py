"""What the processes of the live engine say to each other over pipes; sound and knobs go through shared memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gramophone.models.parameters import Value
from gramophone.presets import Preset
from gramophone.realtime.stage import Format


@dataclass(frozen=True)
class AudioSettings:
    """Which device, how many channels, the wanted block (None: the device's own), and the worker's time in blocks."""

    choice: str
    channels: int
    block: int | None
    depth: int


@dataclass(frozen=True)
class Opened:
    """The audio process has opened a device: what it is called, its rate in Hz and block in frames."""

    name: str
    rate: int
    block: int


@dataclass(frozen=True)
class Lost:
    """The device has gone away; the audio process looks for it until it is back."""

    name: str


@dataclass(frozen=True)
class Failed:
    """A process ends because it cannot go on; `why` is meant for people."""

    why: str


@dataclass(frozen=True)
class Complaint:
    """Something that was asked for could not be done; what played goes on."""

    why: str


@dataclass(frozen=True)
class Play:
    """To a worker: play this preset, whose knobs are this generation on the board."""

    preset: Preset
    form: Format
    generation: int


@dataclass(frozen=True)
class Change:
    """To a worker: fade over to this preset, whose knobs are this generation on the board."""

    preset: Preset
    generation: int


@dataclass(frozen=True)
class Text:
    """To a worker: set a knob of this generation that takes a text."""

    address: str
    value: str
    generation: int


@dataclass(frozen=True)
class Stop:
    """To any process: end."""


@dataclass(frozen=True)
class Warm:
    """From a worker: all libraries are loaded, it can start at once."""


EventName = Literal["start", "set", "change", "mute", "bypass", "panic", "refresh"]


@dataclass(frozen=True)
class Event:
    """From a worker: what happened to the player just before block `block`.

    `value` is for start and change the preset, for set that of the knob at `address`, for mute and bypass on or off,
    for refresh whether the chain was made anew.
    """

    block: int
    name: EventName
    address: str = ""
    value: Value | Preset = True
