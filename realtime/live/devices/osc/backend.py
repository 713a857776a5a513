"""Sound over OSC: for programs that can speak no other way. Blocks come as blobs, the answers go back as blobs.

The talker's blocks drive the engine. They come in bursts, as their scheduler and the network please, but the worker has
a block of time for each: so they are handed on one by one, a little faster than they would last.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from queue import SimpleQueue
from typing import Any

import numpy as np

from gramophone.realtime.live.devices.backend import AudioError, Backend, Process
from gramophone.realtime.live.devices.osc.options import parse_choice
from gramophone.realtime.live.devices.osc.packet import TO_US, SoundBlock, encode_sound
from gramophone.realtime.live.devices.osc.receiver import PlayoutBlock, Receiver
from gramophone.realtime.live.shared_state import LONGEST_BLOCK
from gramophone.realtime.osc.allow_list import AllowListError
from gramophone.realtime.osc.error_log import ErrorLog
from gramophone.realtime.osc.receive_buffer import enlarge
from gramophone.realtime.osc.udp import ListenError, allow_list, listen
from gramophone.realtime.system.realtime_priority import SOUND, real_time

Address = tuple[Any, ...]

_LARGEST = 65_536
_PACE = 0.75
"""The least time from block to block, as a share of how long a block lasts."""
_MOST_WAITING = 64
"""More blocks than this are handed on at once: the talker is faster than its sound."""
_EMPTIED_AT_ONCE = 256


class OscBackend(Backend):
    """A UDP port that talks and listens; see `OscAudioChoice` for `name`. Rate and block are those of the first talker.

    A mono talker is heard on every channel and gets the first one back.

    Raises:
        AudioError: the port cannot be had, or who may speak is not clear.
    """

    kind = "osc"

    def __init__(self, name: str, channels: int, block: int | None) -> None:
        if block:
            raise AudioError(f"block of {block} frames: sound over OSC comes in the talker's blocks; leave --block out")
        choice = parse_choice(name)
        try:
            self._allow_list = allow_list(choice.host, choice.allow)
            self._socket = listen(choice.host, choice.port)
        except AllowListError as error:
            raise AudioError(f"sound over OSC: {error}") from None
        except ListenError as error:
            raise AudioError(f"sound over OSC {error}; choose another with --audio osc:PORT") from None
        self.port: int = self._socket.getsockname()[1]
        enlarge(self._socket)
        self.name = f"OSC on {choice.host} port {self.port}"
        self.rate = self.block = 0
        self.lost = threading.Event()
        self._news: SimpleQueue[str] = SimpleQueue()
        self._news.put(f"{self.name}: waiting for sound at {TO_US}")
        self._errors = ErrorLog(self._news.put)
        self._listener: Receiver[Address] = Receiver(channels, LONGEST_BLOCK, choice.jitter, self._errors)
        self._channels, self._jitter, self._to = channels, choice.jitter, choice.to
        self._turns: deque[PlayoutBlock[Address]] = deque()
        self._due = 0.0
        self._wake, self._woken = socket.socketpair()
        self._running = False
        self._thread = threading.Thread(target=self._run, name="osc audio", daemon=True)

    @property
    def xruns(self) -> int:
        """How many blocks had to be concealed."""
        return self._listener.arrivals.concealed

    @property
    def held(self) -> int:
        """The jitter buffer, in samples."""
        return self._jitter * self.block

    @property
    def figures(self) -> Mapping[str, int]:
        """What became of the packets."""
        return {**asdict(self._listener.arrivals), "refused": self._listener.refused}

    def wait_until_known(self, seconds: float) -> bool:
        """Return whether a talker has told rate and block; wait for one so long."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            if not self.rate and selector.select(seconds):
                self._hear()
        return bool(self.rate)

    def news(self) -> list[str]:
        """Return what was wrong with what came."""
        return [self._news.get() for _ in range(self._news.qsize())]

    def start(self, process: Process) -> None:
        """Hand on what comes, in a thread of its own."""
        self._process = process
        self._running = True
        self._thread.start()

    def close(self) -> None:
        """Give the port back."""
        if self._running:
            self._running = False
            self._wake.send(b"\0")
            self._thread.join()
        for sock in (self._socket, self._wake, self._woken):
            sock.close()

    def _run(self) -> None:
        real_time(SOUND)
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while self._running:
                selector.select(max(self._due - time.monotonic(), 0.0) if self._turns else None)
                try:
                    self._hear()
                    self._play()
                except Exception as error:  # never a stopped thread
                    self._errors.add("internal", f"{type(error).__name__}: {error}")

    def _hear(self) -> None:
        """Take in what has come."""
        for _ in range(_EMPTIED_AT_ONCE):
            try:
                data, peer = self._socket.recvfrom(_LARGEST)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # Windows reports here that an earlier answer could not be delivered
                continue
            if peer[0] in self._allow_list:
                self._take(self._listener.receive(data, peer, time.monotonic()))
            else:
                self._listener.refuse("stranger", "a packet from one who is not on the allow-list", peer[:1])

    def _take(self, turns: list[PlayoutBlock[Address]]) -> None:
        """Let blocks wait for their time. Another rate is another device: it is opened anew."""
        if self.lost.is_set():
            return
        self.rate = self.rate or self._listener.rate
        self.block = self._listener.frames
        if self._listener.rate != self.rate:
            self._news.put(f"{self.name}: the sound is at {self._listener.rate} Hz now; beginning anew")
            self.lost.set()
            return
        self._turns.extend(turns)

    def _play(self) -> None:
        """Play the blocks whose time has come, and answer."""
        while self._turns and (len(self._turns) > _MOST_WAITING or time.monotonic() >= self._due):
            block, talker = self._turns.popleft()
            sound = block.sound
            lasts = sound.shape[1] / block.rate
            self._due = max(self._due, time.monotonic() - lasts) + _PACE * lasts
            # one microphone is heard on every channel
            spread = sound[np.minimum(np.arange(self._channels), len(sound) - 1)]
            self._answer(block._replace(sound=self._process(spread)[: len(sound)]), self._to or talker)

    def _answer(self, block: SoundBlock, peer: Address) -> None:
        try:
            self._socket.sendto(encode_sound(block), peer)
        except OSError as error:
            self._errors.add("answer dropped", f"to {peer[0]}: {error.strerror}")
