"""What the processes of the live engine send each other over pipes; sound and values go through shared memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # starting a process need not wait for what these load
    from gramophone.models.parameters import Value
    from gramophone.presets import Preset
    from gramophone.realtime.live.shared_state import SharedState
    from gramophone.realtime.stage import Format


@dataclass(frozen=True)
class AudioSettings:
    """Which device, how many of its inputs and outputs (`sockets`) and channels of the chain, and in which blocks.

    `block` in frames, None is the device's own; `spare` is as for `status.budget_blocks`. A `patient` process waits for
    a device that cannot be opened. `home`: where another controller finds the process when its own has gone, for which
    it waits `patience_s`; None: it ends.
    """

    choice: str
    sockets: int
    channels: int
    block: int | None
    spare: int | None
    patient: bool = False
    home: Path | None = None
    patience_s: float = 0.0


@dataclass(frozen=True)
class Opened:
    """From the audio process: a device is open. Its name, rate in Hz and block in frames.

    `inputs` and `outputs`: how many it has, None where it has as many as are asked for.
    """

    name: str
    rate: int
    block: int
    inputs: int | None = None
    outputs: int | None = None


@dataclass(frozen=True)
class Lost:
    """From the audio process: the device has gone away; it looks for it until it is back."""

    name: str


@dataclass(frozen=True)
class Failed:
    """From any process: it ends because it cannot go on; `why` is meant for people."""

    why: str


@dataclass(frozen=True)
class Complaint:
    """From any process: something that was asked for could not be done; what played goes on."""

    why: str


@dataclass(frozen=True)
class Compiling:
    """From a worker: code of `what` is compiled for this machine, for so many more seconds; None: it is done."""

    left_s: int | None
    what: str


@dataclass(frozen=True)
class Refused:
    """From a worker: the preset of this generation cannot be played; that of generation `playing` plays on."""

    why: str
    generation: int
    playing: int


@dataclass(frozen=True)
class Play:
    """To a worker: play this preset, whose values are this generation of the parameter memory, from and to `shared`.

    `warm_up` is as for `Player`. `home`: where another controller finds the worker when its own has gone, for which it
    waits `patience_s`; None: it ends.
    """

    preset: Preset
    form: Format
    generation: int
    shared: SharedState
    warm_up: bool = True
    home: Path | None = None
    patience_s: float = 0.0


@dataclass(frozen=True)
class Resumed:
    """From a worker to another controller: it plays the preset of this generation, or is about to, at `rate` Hz."""

    generation: int
    rate: int


@dataclass(frozen=True)
class PresetChange:
    """To a worker: fade over to this preset, whose values are this generation of the parameter memory."""

    preset: Preset
    generation: int


@dataclass(frozen=True)
class Text:
    """To a worker: the text that this number stands for in the parameter memory."""

    number: int
    value: str


@dataclass(frozen=True)
class Ask:
    """To a worker: send what the stages hold beside their parameters, as `Held`."""

    number: int


@dataclass(frozen=True)
class Held:
    """From a worker: the answer to `Ask` of that number, for the chain that plays as this generation."""

    number: int
    generation: int
    values: Mapping[tuple[str, str], Value]


@dataclass(frozen=True)
class LeftOut:
    """From a worker: why stages are left out of the sound, by name; sent whenever that changes.

    `failures`: how often each stage that failed so far was made again.
    """

    why: Mapping[str, str]
    failures: Mapping[str, int]


@dataclass(frozen=True)
class Warm:
    """From a worker: all libraries are loaded, it can start at once."""


@dataclass(frozen=True)
class Event:
    """From a worker: what happened to the player just before block `block`.

    `name` and `value` are one of: `start` and `change`, the preset; `set`, the value of the parameter at `address`; a
    switch's name, on or off; `refresh`, whether the chain was made anew; `take`, the number of the change that the
    stage at `address` has made ready in the background and takes over with this block.
    """

    block: int
    name: str
    address: str = ""
    value: Value | Preset = True
