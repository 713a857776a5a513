"""Bench: OSC messages a second of one core, from UDP packets to the parameter memory, and what they cost the audio."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Mapping, Sequence

import numpy as np

from gramophone.models.parameters import Value
from gramophone.offline.bench.timing import LONG_CHAIN
from gramophone.presets import Preset, load
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.osc import AddressSpace
from gramophone.realtime.control.osc.server import OscServer
from gramophone.realtime.live.parameter_memory import ParameterMemory
from gramophone.realtime.live.preset_generations import ParameterReader, PresetGenerations
from gramophone.realtime.live.shared_state import SWITCH_PLACES
from gramophone.realtime.osc.packet import encode
from gramophone.realtime.parameter_table import chain_parameters, complete

_MESSAGES = 12_000
_PARAMETERS = 20
_RANGE = (0.3, 0.6)
_READS = 2000


class _Memory:
    """What a session does with values: they go into the parameter memory, all that come at once as one edition."""

    def __init__(self, preset: Preset) -> None:
        self._memory = ParameterMemory(4096, len(SWITCH_PLACES))
        self.generation = PresetGenerations(self._memory).add(preset)
        self.editions = 0

    def set_many(self, changes: Mapping[str, Value]) -> None:
        """Write one edition."""
        index = self.generation.index
        self._memory.set(self.generation.number, {index[name]: float(value) for name, value in changes.items()})
        self.editions += 1

    def change(self, preset: Preset) -> None:
        """Refuse: the bench changes no preset."""
        raise AssertionError("no preset is changed here")

    def read_us(self, changed: int) -> float:
        """Return the median processor time in us in which the worker finds so many changes before a block."""
        reader, preset = ParameterReader(self._memory), self.generation.preset
        places = {name: place for place, (name, kind) in enumerate(self.generation.places) if kind is float}
        names = list(places)[:changed]
        values = np.zeros(len(self.generation.places))
        reader.follow(chain_parameters(preset), self.generation.number, values)
        times = []
        for number in range(_READS):
            if names:
                self.set_many(dict.fromkeys(names, float(number)))
            start = time.thread_time_ns()
            reader.changes()
            times.append((time.thread_time_ns() - start) / 1000)
        return round(float(np.median(times[1:])), 2)

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()


def measure() -> dict[str, object]:
    """Return messages a second of processor time by how they come, and the worker's cost in us a block."""
    memory = _Memory(complete(load(LONG_CHAIN)))
    space = AddressSpace(Controller(memory.generation.preset, memory))
    server = OscServer(space, 0, "127.0.0.1", ())
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(("127.0.0.1", server.port))
    single = _messages(space)
    bundles = [_bundle(single[start : start + 20]) for start in range(0, _MESSAGES, 20)]
    try:
        rates = {
            "in bursts of 400": _rate(server, sender, single, 400),
            "in bursts of 20": _rate(server, sender, single, 20),
            "one by one": _rate(server, sender, single, 1),
            "in bundles of 20, one by one": _rate(server, sender, bundles, 1, messages=20),
        }
        costs = {f"{changed} parameters changed": memory.read_us(changed) for changed in (0, 1, _PARAMETERS)}
    finally:
        sender.close()
        server.start()
        server.stop()
        memory.close()
    refused = sum(space.errors.counts.values())
    return {
        "messages_a_processor_second": rates,
        "worker_us_a_block": costs,
        "refused": refused,
        "load": round(os.getloadavg()[0], 1),
    }


def _messages(space: AddressSpace) -> list[bytes]:
    """Return messages that set some parameters in turn to values of their range."""
    noise = np.random.default_rng(0)
    numbers = [
        path for path, method in space.methods.items() if path.count("/") == 3 and all(map(method.surely_takes, _RANGE))
    ]
    paths = numbers[:_PARAMETERS]
    return [encode(paths[k % len(paths)], (float(noise.uniform(*_RANGE)),)) for k in range(_MESSAGES)]


def _bundle(messages: Sequence[bytes]) -> bytes:
    return b"#bundle\0" + struct.pack(">Q", 1) + b"".join(struct.pack(">i", len(each)) + each for each in messages)


def _rate(server: OscServer, sender: socket.socket, packets: Sequence[bytes], burst: int, messages: int = 1) -> int:
    """Return messages a second of processor time; `burst` packets wait in the socket whenever the server looks."""
    spent = 0.0
    for start in range(0, len(packets), burst):
        for packet in packets[start : start + burst]:
            sender.send(packet)
        began = time.thread_time()
        server._serve()
        while server._queue:
            server._serve()
        spent += time.thread_time() - began
        server._written_at = 0.0
    return round(len(packets) * messages / spent)
