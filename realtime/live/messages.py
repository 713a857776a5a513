"""What the processes of the live engine say to each other over pipes; sound and knobs go through shared memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # whoever only starts processes need not wait for what these load
    from gramophone.models.parameters import Value
    from gramophone.presets import Preset
    from gramophone.realtime.live.shared_state import SharedState
    from gramophone.realtime.stage import Format


@dataclass(frozen=True)
class AudioSettings:
    """Which device, how many of its inputs and outputs (`sockets`) and channels of the chain, and in which blocks.

    `block` None is the device's own; `spare` is as for `depth.depth`.
    """

    choice: str
    sockets: int
    channels: int
    block: int | None
    spare: int | None


@dataclass(frozen=True)
class Opened:
    """The audio process has opened a device: what it is called, its rate in Hz and block in frames.

    `inputs` and `outputs`: how many it has, None where it has as many as are asked for.
    """

    name: str
    rate: int
    block: int
    inputs: int | None = None
    outputs: int | None = None


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
class Refused:
    """From a worker: the preset of this generation cannot be played; that of generation `playing` plays on."""

    why: str
    generation: int
    playing: int


@dataclass(frozen=True)
class Play:
    """To a worker: play this preset, whose knobs are this generation on the board, from and to this memory."""

    preset: Preset
    form: Format
    generation: int
    shared: SharedState


@dataclass(frozen=True)
class Change:
    """To a worker: fade over to this preset, whose knobs are this generation on the board."""

    preset: Preset
    generation: int


@dataclass(frozen=True)
class Text:
    """To a worker: the text that the board will mean by this number."""

    number: int
    value: str


@dataclass(frozen=True)
class Ask:
    """To a worker: tell what the stages hold beside their knobs."""

    number: int


@dataclass(frozen=True)
class Held:
    """From a worker: the answer to the question of that number, for the chain that plays as this generation."""

    number: int
    generation: int
    values: Mapping[tuple[str, str], Value]


@dataclass(frozen=True)
class LeftOut:
    """From a worker: why stages are left out of the sound, by name; told whenever that changes."""

    why: Mapping[str, str]


@dataclass(frozen=True)
class Warm:
    """From a worker: all libraries are loaded, it can start at once."""


EventName = Literal["start", "set", "change", "mute", "bypass", "panic", "refresh", "take"]


@dataclass(frozen=True)
class Event:
    """From a worker: what happened to the player just before block `block`.

    `value` is for start and change the preset, for set that of the knob at `address`, for mute and bypass on or off,
    for refresh whether the chain was made anew, for take the number of the change that the stage at `address` has made
    ready in the background and takes over with this block.
    """

    block: int
    name: EventName
    address: str = ""
    value: Value | Preset = True
