"""PortAudio: the sound cards of macOS, Windows and plain ALSA, by name."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from gramophone.realtime.live.devices.backend import AudioError, Backend, Process

_BLOCK = 256


class PortAudioBackend(Backend):
    """The device whose name contains `name`, for input and output alike; the system's default without a name.

    Raises:
        AudioError: PortAudio is not installed, or there is no such device.
    """

    kind = "portaudio"

    def __init__(self, name: str, channels: int, block: int | None) -> None:
        self._library = load_portaudio()
        wanted = name or None
        try:
            source = self._library.query_devices(wanted, "input")
            target = self._library.query_devices(wanted, "output")
        except (ValueError, self._library.PortAudioError) as error:
            raise AudioError(_missing(self._library, name, error)) from None
        self.name = f"{source['name']} > {target['name']}"
        self.rate, self.block = int(target["default_samplerate"]), block or _BLOCK
        self.lost = threading.Event()
        self._channels = channels
        self._counts = min(channels, source["max_input_channels"]), min(channels, target["max_output_channels"])
        self.inputs, self.outputs = source["max_input_channels"], target["max_output_channels"]
        self._devices = source["index"], target["index"]
        self._stream: Any = None
        self._xruns = 0
        self._closing = False

    @property
    def xruns(self) -> int:
        """How often the device reported that it ran over or dry."""
        return self._xruns

    def start(self, process: Process) -> None:
        """Open the stream."""
        channels, (inputs, outputs) = self._channels, self._counts
        block = np.zeros((channels, self.block), np.float32)

        def on_block(source: Any, target: Any, _frames: int, _time: object, flags: Any) -> None:
            self._xruns += bool(flags)
            # one microphone feeds every channel
            block[:] = source.T if inputs == channels else source.T[np.minimum(np.arange(channels), inputs - 1)]
            target[:] = process(block)[:outputs].T

        def on_end() -> None:
            if not self._closing:
                self.lost.set()

        try:
            self._stream = self._library.Stream(
                samplerate=self.rate,
                blocksize=self.block,
                device=self._devices,
                channels=(inputs, outputs),
                dtype="float32",
                latency="low",
                callback=on_block,
                finished_callback=on_end,
            )
            self._stream.start()
        except self._library.PortAudioError as error:
            raise AudioError(f"{self.name}: cannot be opened: {error}") from None

    def close(self) -> None:
        """Close the stream, and let the library look for devices anew when it is opened again."""
        self._closing = True
        if self._stream is not None:
            self._stream.close(ignore_errors=True)
        self._library._terminate()
        self._library._initialize()


def load_portaudio() -> Any:
    """Return the sounddevice library.

    Raises:
        AudioError: it or PortAudio itself is not installed.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise AudioError(f"PortAudio is not installed ({error})") from None
    return sounddevice


def _missing(library: Any, name: str, error: Exception) -> str:
    names = [device["name"] for device in library.query_devices()]
    if name and names:
        return f"PortAudio device {name!r}: {error}; expected part of one of {', '.join(names)}"
    return "PortAudio finds no device that records and plays"
