"""A two-way wake-up signal between two processes, with timeouts; the end of the other process is noticed at once.

A byte through a pipe. Where the system can poll it, a round trip takes 16 us; the portable variant over
`multiprocessing`'s connections takes 54 us (medians, two processes on a 2-core machine).

Memory shared by a plug-in's host and its child process: a block in each direction, and the parameters' values.

It has no name in the file system, so nothing is left behind however either process ends.
"""

from __future__ import annotations

import os
import select
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext
from typing import Any

import numpy as np

LONGEST_BLOCK = 8192
MOST_KNOBS = 8192
STATE = -1
"""The value of `order` that asks for the plug-in's state instead of processing frames."""


class PluginMemory:
    """The shared memory. Made by the host, passed to the child when it starts; `view` it in either process."""

    def __init__(self, context: SpawnContext, channels: int) -> None:
        self._channels = channels
        self._order = context.RawArray("q", 1)
        self._knobs = context.RawArray("d", MOST_KNOBS)
        self._sound = context.RawArray("f", 2 * channels * LONGEST_BLOCK)

    def view(self) -> PluginMemoryView:
        """Return the memory as arrays."""
        return PluginMemoryView(self._order, self._knobs, self._sound, self._channels)


class PluginMemoryView:
    """The shared memory as arrays.

    `order` `(1,)` is the number of frames to process, or `STATE`. `knobs` `(MOST_KNOBS,)` holds the parameters' encoded
    values. `input` and `output` are `(channels, LONGEST_BLOCK)`, of which the first frames are in use.
    """

    def __init__(self, order: Any, knobs: Any, sound: Any, channels: int) -> None:
        self.order = np.frombuffer(order, np.int64)
        self.knobs = np.frombuffer(knobs, np.float64)
        both = np.frombuffer(sound, np.float32).reshape(2, channels, LONGEST_BLOCK)
        self.input, self.output = both[0], both[1]


POLLS = hasattr(select, "poll")
"""Whether this system polls file descriptors: everywhere but on Windows."""


class PipeSignalError(EOFError):
    """The other process is gone."""


class PipeSignal:
    """One end of a two-way signal. `polls=False` is the portable variant; both ends must use the same."""

    def __init__(self, line: Connection, polls: bool = POLLS) -> None:
        self._line = line
        self._fd = line.fileno() if polls else -1
        self._poll = select.poll() if polls else None
        if self._poll:
            self._poll.register(self._fd, select.POLLIN)

    def send(self) -> None:
        """Wake the other process.

        Raises:
            PipeSignalError: it is gone.
        """
        try:
            if self._poll:
                os.write(self._fd, b"!")
            else:
                self._line.send_bytes(b"!")
        except OSError:
            raise PipeSignalError from None

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a signal; return whether one came within `timeout_s` seconds (None: no limit).

        Raises:
            PipeSignalError: the other process is gone.
        """
        try:
            if self._poll:
                return self._wait_on_poll(self._poll, timeout_s)
            if timeout_s is not None and not self._line.poll(timeout_s):
                return False
            self._line.recv_bytes(1)
        except (OSError, EOFError):
            raise PipeSignalError from None
        return True

    def close(self) -> None:
        """Close this end; the other process notices."""
        self._line.close()

    def _wait_on_poll(self, poll: select.poll, timeout_s: float | None) -> bool:
        if timeout_s is not None and not poll.poll(timeout_s * 1000):
            return False
        if not os.read(self._fd, 1):
            raise PipeSignalError
        return True
