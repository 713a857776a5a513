"""JACK clients that run beside Gramophone in a bench, each in a process of its own.

A bare client passes its input through and counts what it misses; a source feeds Gramophone music, and, when asked,
noise to measure by how many samples what comes back is late.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.live.devices.jack import load_jack
from gramophone.realtime.system.realtime_priority import belong_to_parent, settle

_NOISE = 1 << 16
"""Samples of noise, repeated: more than any latency that is measured."""
_COMPARED = 40
"""Blocks in which the latency has to be the same."""
_TAKES_S = 5.0


class Bare:
    """A client that does nothing but pass sound through; `missed` blocks are cycles that ended before it was asked."""

    def __init__(self, server: str) -> None:
        self._client: Any = load_jack().Client("bare", no_start_server=True, servername=server)
        self._source = self._client.inports.register("in")
        self._target = self._client.outports.register("out")
        self._expected = -1
        self.missed = self.xruns = 0
        self._client.set_process_callback(self._pass_through)
        self._client.set_xrun_callback(self._count)
        self._client.activate()
        self._client.connect(self._target, "system:playback_1")

    def close(self) -> None:
        """Leave the server, before it ends: the library's thread would outlive it, and crash as this process ends."""
        self._client.deactivate()
        self._client.close()

    def _pass_through(self, frames: int) -> None:
        now = self._client.last_frame_time
        if self._expected >= 0:
            self.missed += max(round((now - self._expected) / frames), 0)
        self._expected = now + frames
        self._target.get_array()[:] = self._source.get_array()

    def _count(self, _delay_us: float) -> None:
        self.xruns += 1


class BurstSource:
    """A client that plays `music` `(frames,)` into Gramophone, and listens to what comes out."""

    def __init__(self, server: str, music: NDArray[np.float32]) -> None:
        self._jack = load_jack()
        self._client: Any = self._jack.Client("source", no_start_server=True, servername=server)
        self._target = self._client.outports.register("out")
        self._source = self._client.inports.register("in")
        self._music = music
        self._noise = np.random.default_rng(0).normal(0, 0.1, _NOISE).astype(np.float32)
        self._playing = self._music
        self._at = 0
        self._heard: deque[tuple[int, NDArray[np.float32]]] = deque(maxlen=_COMPARED)
        self._is_full = threading.Event()
        self._client.set_process_callback(self._play)
        self._client.activate()
        self._connect("out", "gramophone:in_1")
        self._connect("out", "gramophone:in_2")
        self._connect("out", "bare:in")
        self._client.connect("gramophone:out_1", self._source)

    def latency(self) -> int:
        """Return by how many samples noise comes back late, bit for bit; -1 if it does not, or not steadily."""
        self._playing = self._noise
        deadline = time.monotonic() + _TAKES_S
        try:
            while time.monotonic() < deadline:
                self._heard.clear()
                self._is_full.clear()
                self._is_full.wait(max(deadline - time.monotonic(), 0))
                lags = {self._lag(at, block) for at, block in list(self._heard)}
                if len(lags) == 1 and lags != {-1}:
                    return lags.pop()
        finally:
            self._playing = self._music
        return -1

    def _lag(self, at: int, block: NDArray[np.float32]) -> int:
        for place in np.flatnonzero(self._noise == block[0]):
            if np.array_equal(self._noise[(place + np.arange(len(block))) % _NOISE], block):
                return int((at - place) % _NOISE)
        return -1

    def _connect(self, own: str, other: str) -> None:
        self._client.connect(f"source:{own}", other)

    def _play(self, frames: int) -> None:
        playing = self._playing
        self._target.get_array()[:] = playing[(self._at + np.arange(frames)) % len(playing)]
        self._heard.append((self._at, self._source.get_array().copy()))
        if len(self._heard) == _COMPARED:
            self._is_full.set()
        self._at += frames


def run_bare(server: str, control: Connection) -> None:
    """Be a bare client; reply to every message but `Stop` with the missed blocks and xruns so far."""
    belong_to_parent()
    client = Bare(server)
    settle()
    control.send(None)
    while control.recv() == "figures":
        control.send((client.missed, client.xruns))


def run_source(server: str, music: NDArray[np.float32], control: Connection) -> None:
    """Be a source; reply to every message but `Stop` with the present latency in samples."""
    belong_to_parent()
    client = BurstSource(server, music)
    settle()
    control.send(None)
    while control.recv() == "latency":
        control.send(client.latency())
