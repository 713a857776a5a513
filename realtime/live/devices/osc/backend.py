"""Sound over OSC, for programs that have no other way. Blocks come as blobs, the results go back as blobs.

The sender's blocks are the engine's clock. They come in bursts, as scheduler and network have it, but the worker has
a block of time for each: so they are passed on one by one, a little faster than they would last.
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
from gramophone.realtime.live.devices.osc.packet import TO_US, SoundBlock, encode_sound, parse_choice
from gramophone.realtime.live.devices.osc.receiver import PlayoutBlock, Receiver
from gramophone.realtime.live.shared_state import LONGEST_BLOCK
from gramophone.realtime.osc.arguments import ErrorLog
from gramophone.realtime.osc.udp import AllowListError, ListenError, allow_list, enlarge, listen
from gramophone.realtime.system.realtime_priority import SOUND, real_time

Address = tuple[Any, ...]

_LARGEST = 65_536
_PACE = 0.75
"""The least time from block to block, as a share of how long a block lasts."""
_MOST_WAITING = 64
"""More waiting blocks than this are passed on at once: the sender is faster than its sound."""
_EMPTIED_AT_ONCE = 256


class OscBackend(Backend):
    """A UDP port; see `OscAudioChoice` for `name`. Rate and block are those of the first sender.

    A mono sender feeds every channel and is sent the first one.

    Raises:
        AudioError: the port cannot be had, or which peers are allowed is not clear.
    """

    kind = "osc"

    def __init__(self, name: str, channels: int, block: int | None) -> None:
        if block:
            raise AudioError(f"block of {block} frames: sound over OSC comes in the sender's blocks; leave --block out")
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
        self._receiver: Receiver[Address] = Receiver(channels, LONGEST_BLOCK, choice.jitter, self._errors)
        self._channels, self._jitter, self._to = channels, choice.jitter, choice.to
        self._due_blocks: deque[PlayoutBlock[Address]] = deque()
        self._due = 0.0
        self._wake, self._woken = socket.socketpair()
        self._running = False
        self._thread = threading.Thread(target=self._run, name="osc audio", daemon=True)

    @property
    def xruns(self) -> int:
        """How many blocks had to be concealed."""
        return self._receiver.arrivals.concealed

    @property
    def held(self) -> int:
        """The jitter buffer, in samples."""
        return self._jitter * self.block

    @property
    def figures(self) -> Mapping[str, int]:
        """What became of the packets."""
        return {**asdict(self._receiver.arrivals), "refused": self._receiver.refused}

    def wait_until_known(self, seconds: float) -> bool:
        """Return whether a sender's rate and block are known; wait so many `seconds` for one."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            if not self.rate and selector.select(seconds):
                self._receive()
        return bool(self.rate)

    def news(self) -> list[str]:
        """Return what was wrong with what came."""
        return [self._news.get() for _ in range(self._news.qsize())]

    def start(self, process: Process) -> None:
        """Pass on what comes, in a thread of its own."""
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
                selector.select(max(self._due - time.monotonic(), 0.0) if self._due_blocks else None)
                try:
                    self._receive()
                    self._play()
                except Exception as error:  # never a stopped thread
                    self._errors.add("internal", f"{type(error).__name__}: {error}")

    def _receive(self) -> None:
        """Take in what has come."""
        for _ in range(_EMPTIED_AT_ONCE):
            try:
                data, peer = self._socket.recvfrom(_LARGEST)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # Windows reports here that an earlier answer could not be delivered
                continue
            if peer[0] in self._allow_list:
                self._take(self._receiver.receive(data, peer, time.monotonic()))
            else:
                self._receiver.refuse("stranger", "a packet from a peer that is not on the allow-list", peer[:1])

    def _take(self, due: list[PlayoutBlock[Address]]) -> None:
        """Let blocks wait for their time. Another rate is another device: it is opened anew."""
        if self.lost.is_set():
            return
        self.rate = self.rate or self._receiver.rate
        self.block = self._receiver.frames
        if self._receiver.rate != self.rate:
            self._news.put(f"{self.name}: the sound is at {self._receiver.rate} Hz now; beginning anew")
            self.lost.set()
            return
        self._due_blocks.extend(due)

    def _play(self) -> None:
        """Play the blocks whose time has come, and answer."""
        while self._due_blocks and (len(self._due_blocks) > _MOST_WAITING or time.monotonic() >= self._due):
            block, sender = self._due_blocks.popleft()
            sound = block.sound
            lasts = sound.shape[1] / block.rate
            self._due = max(self._due, time.monotonic() - lasts) + _PACE * lasts
            # one microphone feeds every channel
            spread = sound[np.minimum(np.arange(self._channels), len(sound) - 1)]
            self._reply(block._replace(sound=self._process(spread)[: len(sound)]), self._to or sender)

    def _reply(self, block: SoundBlock, peer: Address) -> None:
        try:
            self._socket.sendto(encode_sound(block), peer)
        except OSError as error:
            self._errors.add("answer dropped", f"to {peer[0]}: {error.strerror}")
