"""Audio devices: the interface of a backend, and how one is found by name.

`--audio` takes `auto`, or a backend's name with, after a colon, what it is to open: `jack:SERVER,name=NAME,connect=no`,
`portaudio:DEVICE`, `osc:PORT`.
"""

from __future__ import annotations

import importlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, cast

from gramophone.realtime.stage import Audio

Process = Callable[[Audio], Audio]
"""Called by the device for each block, `(channels, frames)` in and out; never waits, never raises."""

_BACKENDS = {
    "jack": "gramophone.realtime.live.devices.jack:JackBackend",
    "portaudio": "gramophone.realtime.live.devices.portaudio:PortAudioBackend",
    "osc": "gramophone.realtime.live.devices.osc.backend:OscBackend",
}
_PREFERRED = ("jack", "portaudio")


class AudioError(RuntimeError):
    """No sound can be recorded or played here; the message names the device and what to do."""


class Backend(ABC):
    """An open device of some `kind`: `name` for people, `rate` in Hz, `block` in frames.

    `lost` is set once it has gone away by itself. `inputs` and `outputs`: how many it has, None where it has as many as
    are asked for. Made by name, number of channels, and the wanted block size (None: the device's own).

    Raises:
        AudioError: there is no such device, or it is busy.
    """

    kind: ClassVar[str]
    asks_always: ClassVar[bool] = False
    """Whether it asks for block after block as long as it is there: one that asks no more is opened again."""
    rate: int
    block: int
    name: str
    lost: threading.Event
    inputs: int | None = None
    outputs: int | None = None

    @abstractmethod
    def __init__(self, name: str, channels: int, block: int | None) -> None: ...

    @abstractmethod
    def start(self, process: Process) -> None:
        """Begin to call `process` for every block.

        Raises:
            AudioError: the device refuses.
        """

    @property
    @abstractmethod
    def xruns(self) -> int:
        """How often the device itself missed a block."""

    @property
    def held(self) -> int:
        """Samples that the device buffers besides the block that it collects."""
        return 0

    @property
    def figures(self) -> Mapping[str, int]:
        """What else the device counts: fields of `Status` by name."""
        return {}

    def wait_until_known(self, seconds: float) -> bool:
        """Return whether `rate` and `block` are known; one that receives them waits at most so many `seconds`."""
        return True

    def news(self) -> list[str]:
        """Return sentences for people since the last call."""
        return []

    def announce_latency(self, samples: int) -> None:  # noqa: B027 - few systems have a place for it
        """Announce to the system by how many `samples` the output is later than the input."""

    @abstractmethod
    def close(self) -> None:
        """Close the device."""


def open_backend(choice: str, channels: int, block: int | None) -> Backend:
    """Return the open device that `choice` stands for; `auto` is JACK where a server runs, else PortAudio.

    Raises:
        AudioError: there is none, or it cannot be opened.
    """
    if choice != "auto":
        kind, _, name = choice.partition(":")
        if kind not in _BACKENDS:
            raise AudioError(f"audio {choice!r}: expected auto, file or one of {', '.join(_BACKENDS)}")
        return _backend_class(kind)(name, channels, block)
    found = []
    for kind in _PREFERRED:
        try:
            return _backend_class(kind)("", channels, block)
        except AudioError as error:
            found.append(str(error))
    raise AudioError(f"no sound device: {'; '.join(found)}; `gramophone devices` lists what there is")


def _backend_class(kind: str) -> type[Backend]:
    module, _, name = _BACKENDS[kind].partition(":")
    return cast("type[Backend]", getattr(importlib.import_module(module), name))
