"""Instances of one plug-in that together take any number of channels, in blocks of any size, at a constant latency.

Used in the child process only. pedalboard alone resets a plug-in when a block is longer than any before, takes a block
with fewer frames than channels for another layout, and holds back the first samples, as many as the plug-in reports as
its latency, where a stage must return one sample for each sample.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np

from gramophone.realtime.stage import Audio
from gramophone.realtime.stages.plugins.parameters import takes

LONGEST = 1024
"""The longest block in samples that a plug-in is given; longer ones are cut."""

SILENCE_S = 1.0
"""Seconds of silence processed first: many plug-ins fade in or ramp to their values at their start."""


class ChannelInstances:
    """As many instances as the channels need: one for all channels, else one a pair, else one a channel.

    `load` makes an instance, `rate` is in Hz. A stereo plug-in gets a single channel on both inputs, and the mean of
    its outputs is returned. `delay` is the latency in samples that the plug-in reports.

    Raises:
        ValueError: the plug-in takes neither that many channels at once, nor two, nor one.
    """

    def __init__(self, load: Callable[[], Any], rate: int, channels: int) -> None:
        import pedalboard

        first = load()
        width = _width(first, channels)
        starts = range(0, channels, width)
        self.plugins = [first, *(load() for _ in starts[1:])]
        for plugin in self.plugins[1:]:
            takes(plugin, width)  # probed like the first one, so that all have the same state
        self._rate, self._channels, self._width = rate, channels, width
        self._padding = len(starts) * width - channels
        # the gain of 0 dB remembers the layout of the channels where a plug-in guesses it from the block's shape
        self._chains = [[pedalboard.Gain(0.0), plugin] for plugin in self.plugins]
        self.delay = 0

    def start(self) -> None:
        """Process silence, so that the plug-in is prepared for any block and settled on its values."""
        silence = np.zeros((self._channels, LONGEST), np.float32)
        for _ in range(ceil(SILENCE_S * self._rate / LONGEST)):
            self.process(silence)
        self.delay = int(self.plugins[0].reported_latency_samples)

    def process(self, block: Audio) -> Audio:
        """Return the output for `block`, both `(channels, frames)`, frames >= 1."""
        output = self._run(block)
        held_back = block.shape[1] - output.shape[1]
        return np.pad(output, ((0, 0), (held_back, 0))) if held_back else output

    def _run(self, block: Audio) -> Audio:
        import pedalboard

        if self._padding:
            block = np.concatenate((block, np.repeat(block[-1:], self._padding, axis=0)))
        groups = [block[start : start + self._width] for start in range(0, block.shape[0], self._width)]
        output = [
            pedalboard.process(group, self._rate, chain, LONGEST, False)
            for group, chain in zip(groups, self._chains, strict=True)
        ]
        joined = output[0] if len(output) == 1 else np.concatenate(output)
        if not self._padding:
            return joined
        last = self._channels - 1
        return np.concatenate((joined[:last], joined[last:].mean(axis=0, keepdims=True, dtype=np.float32)))


def _width(plugin: Any, channels: int) -> int:
    for width in (channels, 2, 1):
        if takes(plugin, width):
            return width
    raise ValueError(f"{plugin.name} takes neither {channels} channels at once, nor two, nor one")
