"""JACK: ports `gramophone:in_1 …` and `out_1 …`, connected to the sound card, in time with every other client.

Latency for JACK: the part of its interface that JACK-Client leaves out.

The server asks every client, in the order of the signal, for the latency of its ports; recorders and
DAWs align by the answer.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from ctypes.util import find_library
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.live.devices.backend import AudioError, Backend, Process

Channel = NDArray[np.float32]
"""One channel's samples, `(frames,)`."""
_CAPTURE, _PLAYBACK = 0, 1


class _Range(ctypes.Structure):
    _fields_ = (("min", ctypes.c_uint32), ("max", ctypes.c_uint32))


_Callback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p)


class JackLatency:
    """The latency of one client, between all its inputs and all its outputs. Made before the client is activated."""

    def __init__(self, client: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        self._jack = ctypes.CDLL(find_library("jack"))
        self._client = _address(client)
        self._inputs, self._outputs = [_address(p) for p in inputs], [_address(p) for p in outputs]
        self._samples = 0
        self._callback = _Callback(self._answer)  # kept here: the server holds no reference
        self._jack.jack_set_latency_callback(self._client, self._callback, None)

    def announce(self, samples: int) -> None:
        """Announce that the output is `samples` later than the input."""
        if samples != self._samples:
            self._samples = samples
            self._jack.jack_recompute_total_latencies(self._client)

    def _answer(self, mode: int, _argument: object) -> None:
        """Give the side that is asked for the other side's latency and ours on top."""
        known, asked = (self._inputs, self._outputs) if mode == _CAPTURE else (self._outputs, self._inputs)
        ranges = [self._get(port, mode) for port in known]
        low = min((r.min for r in ranges), default=0) + self._samples
        high = max((r.max for r in ranges), default=0) + self._samples
        for port in asked:
            self._jack.jack_port_set_latency_range(port, mode, ctypes.byref(_Range(low, high)))

    def _get(self, port: ctypes.c_void_p, mode: int) -> _Range:
        found = _Range()
        self._jack.jack_port_get_latency_range(port, mode, ctypes.byref(found))
        return found


def _address(wrapped: Any) -> ctypes.c_void_p:
    """Return the C pointer that a JACK-Client object holds."""
    import jack

    return ctypes.c_void_p(int(jack._ffi.cast("uintptr_t", wrapped._ptr)))


@dataclass(frozen=True)
class JackChoice:
    """What follows `jack:`: the server's name, `name=` the client's, `connect=no` to leave its ports unconnected."""

    server: str = ""
    client: str = "gramophone"
    connect: bool = True


def parse_choice(text: str) -> JackChoice:
    """Return the choice that `text`, such as `SERVER,name=voice,connect=no`, stands for.

    Raises:
        AudioError: a word of it is none of these.
    """
    server, *words = text.split(",")
    choice = JackChoice(server)
    for word in words:
        key, _, value = word.partition("=")
        if key == "name" and value:
            choice = replace(choice, client=value)
        elif word in ("connect=no", "connect=yes"):
            choice = replace(choice, connect=value == "yes")
        else:
            raise AudioError(f"audio jack: {word!r}: expected jack:SERVER,name=NAME,connect=no")
    return choice


class JackBackend(Backend):
    """A client of the running server (never starts one). The block is the server's; asking for another sets it there.

    See `JackChoice` for `name`. The server adds a number to a name that another client has.

    Raises:
        AudioError: JACK is not installed, no server runs under this name, or it refuses the client's name.
    """

    kind = "jack"
    asks_always = True

    def __init__(self, name: str, channels: int, block: int | None) -> None:
        choice = parse_choice(name)
        jack = load_jack()
        try:
            self._client = jack.Client(choice.client, no_start_server=True, servername=choice.server or None)
        except jack.JackOpenError:
            where = f"no JACK server {choice.server!r} runs" if choice.server else "no JACK server runs"
            raise AudioError(f"{where} (start one with jackd or qjackctl)") from None
        if block and block != self._client.blocksize:
            self._set_block(jack, block)
        self.name = f"JACK client {self._client.name}"
        self.rate, self.block = self._client.samplerate, self._client.blocksize
        self.lost = threading.Event()
        self._xruns = 0
        self._inputs = [self._client.inports.register(f"in_{i + 1}") for i in range(channels)]
        self._outputs = [self._client.outports.register(f"out_{i + 1}") for i in range(channels)]
        self._latency: Any = None
        self._connects = choice.connect

    @property
    def xruns(self) -> int:
        """How often the server missed its time, whatever the cause."""
        return self._xruns

    def start(self, process: Process) -> None:
        """Go live, and connect to the sound card's ports one by one, unless the choice says not to."""
        inputs, outputs = self._inputs, self._outputs
        buffers: dict[int, Any] = {}

        def on_block(frames: int) -> None:
            block = buffers.get(frames)
            if block is None:
                block = buffers[frames] = np.zeros((len(inputs), frames), np.float32)
            # While the server changes its block, a port's array may still, or already, be of the other size. What was
            # raised here would make JACK-Client ask this client for no block any more, for ever.
            for row, port in zip(block, inputs, strict=True):
                _copy(port.get_array(), row)
            for row, port in zip(process(block), outputs, strict=True):
                _copy(row, port.get_array())

        def on_block_size(frames: int) -> None:
            self.block = frames

        def on_xrun(_delay_us: float) -> None:
            self._xruns += 1

        def on_shutdown(_status: object, _reason: str) -> None:
            self.lost.set()

        self._client.set_process_callback(on_block)
        self._client.set_blocksize_callback(on_block_size)
        self._client.set_xrun_callback(on_xrun)
        self._client.set_shutdown_callback(on_shutdown)
        self._latency = JackLatency(self._client, inputs, outputs)
        self._client.activate()
        if self._connects:
            self._connect()

    def announce_latency(self, samples: int) -> None:
        """Announce to every client, through the server, by how many `samples` our output is late."""
        self._latency.announce(samples)

    def close(self) -> None:
        """Leave the server."""
        if not self.lost.is_set():
            self._client.deactivate()
        self._client.close()

    def _set_block(self, jack: Any, block: int) -> None:
        try:
            self._client.blocksize = block
        except jack.JackError:
            self._client.close()
            raise AudioError(f"JACK block of {block} frames: the server refuses; expected a power of two") from None

    def _connect(self) -> None:
        """Connect to the sound card; a mono one feeds every input."""
        sources = self._client.get_ports(is_audio=True, is_output=True, is_physical=True)
        targets = self._client.get_ports(is_audio=True, is_input=True, is_physical=True)
        for i, port in enumerate(self._inputs if sources else ()):
            self._client.connect(sources[min(i, len(sources) - 1)], port)
        for port, target in zip(self._outputs, targets, strict=False):
            self._client.connect(port, target)


def _copy(source: Channel, target: Channel) -> None:
    """Copy one channel's samples; silence where `target` is longer than `source`."""
    frames = min(len(source), len(target))
    target[:frames] = source[:frames]
    target[frames:] = 0


def load_jack() -> Any:
    """Return the JACK-Client library, made quiet.

    Raises:
        AudioError: it or JACK itself is not installed.
    """
    try:
        import jack
    except (ImportError, OSError) as error:
        raise AudioError(f"JACK is not installed ({error})") from None
    jack.set_error_function(lambda _message: None)
    jack.set_info_function(lambda _message: None)
    return jack
