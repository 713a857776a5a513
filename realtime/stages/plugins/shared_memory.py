"""Memory shared by a plug-in's host and its child process: a block in each direction, and the parameters' values.

It has no name in the file system, so nothing is left behind however either process ends.
"""

from __future__ import annotations

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
