"""Instances of one plug-in that together take any number of channels, in blocks of any size, at a constant latency.

Runs in the child process only. Left alone, pedalboard starts a plug-in afresh when a block is longer than any before
and takes a block with fewer frames than channels for another layout; and it holds back the first samples, as many as
the plug-in reports as its latency, where a stage must give one sample for every sample.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np

from gramophone.realtime.stage import Audio
from gramophone.realtime.stages.plugins.parameters import takes

LONGEST = 1024
"""The longest block that a plug-in is given; longer ones are cut."""

SILENCE_S = 1.0
"""What a plug-in hears first, in whole blocks: many fade in or move to their values when they start, and not by the
count of samples."""


class ChannelInstances:
    """As many instances as the channels take: all channels in one, else pairs, else one by one.

    `load` makes an instance. A stereo plug-in hears a single channel on both sides, and the mean comes back. Samples
    come `delay` later: the latency that the plug-in reports at this rate.

    Raises:
        ValueError: the plug-in takes neither so many channels at once, nor two, nor one.
    """

    def __init__(self, load: Callable[[], Any], rate: int, channels: int) -> None:
        import pedalboard

        first = load()
        width = _width(first, channels)
        starts = range(0, channels, width)
        self.plugins = [first, *(load() for _ in starts[1:])]
        for plugin in self.plugins[1:]:
            takes(plugin, width)  # as the first was asked: all hear the same
        self._rate, self._channels, self._width = rate, channels, width
        self._missing = len(starts) * width - channels
        # the gain of 0 dB remembers the layout of the channels where a plug-in guesses it from the block's shape
        self._chains = [[pedalboard.Gain(0.0), plugin] for plugin in self.plugins]
        self.delay = 0

    def start(self) -> None:
        """Hear silence, so that every later block finds the plug-in prepared for it and settled on its values."""
        silence = np.zeros((self._channels, LONGEST), np.float32)
        for _ in range(ceil(SILENCE_S * self._rate / LONGEST)):
            self.process(silence)
        self.delay = int(self.plugins[0].reported_latency_samples)

    def process(self, block: Audio) -> Audio:
        """Return the output for `block`, both `(channels, frames)`, frames >= 1."""
        made = self._run(block)
        held_back = block.shape[1] - made.shape[1]
        return np.pad(made, ((0, 0), (held_back, 0))) if held_back else made

    def _run(self, block: Audio) -> Audio:
        import pedalboard

        if self._missing:
            block = np.concatenate((block, np.repeat(block[-1:], self._missing, axis=0)))
        lanes = [block[start : start + self._width] for start in range(0, block.shape[0], self._width)]
        made = [
            pedalboard.process(lane, self._rate, chain, LONGEST, False)
            for lane, chain in zip(lanes, self._chains, strict=True)
        ]
        joined = made[0] if len(made) == 1 else np.concatenate(made)
        if not self._missing:
            return joined
        last = self._channels - 1
        return np.concatenate((joined[:last], joined[last:].mean(axis=0, keepdims=True, dtype=np.float32)))


def _width(plugin: Any, channels: int) -> int:
    for width in (channels, 2, 1):
        if takes(plugin, width):
            return width
    raise ValueError(f"{plugin.name} takes neither {channels} channels at once, nor two, nor one")
