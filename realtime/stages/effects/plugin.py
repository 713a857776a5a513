"""One instance of a built-in effect that streams: any block sizes and channels, at a constant latency.

pedalboard 0.9 alone does not stream in general: a plugin is reset when a block is longer than any before, a block with
fewer frames than channels is taken for another layout, and channels beyond the plugin's number stay untouched.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

import numpy as np
import pedalboard

from gramophone.models.parameters import Value
from gramophone.realtime.dsp.fifo import Fifo
from gramophone.realtime.stage import Audio, Format, StageError
from gramophone.realtime.stages.effects.table import EffectSpec

_SILENCE = 8192
"""Samples of silence that a new instance processes first, as its longest block."""

_SILENCE_IN_HOPS = 4096
"""The same for an instance that is fed hops: longer than any latency."""


class EffectPlugin:
    """An effect with parameter values. Call it with blocks `(channels, frames)`, frames >= 1.

    `delay` is its latency in samples; the constructor's `delay` is the least that it shall have.

    Raises:
        StageError: pedalboard is too old, or refuses the rate, channels or a value; the message names the effect.
    """

    def __init__(self, effect: EffectSpec, form: Format, values: Mapping[str, Value], delay: int = 0) -> None:
        self._effect = effect
        self._rate, self._channels = form.rate, form.channels
        self._parameters = {knob.parameter.name: knob for knob in effect.knobs}
        self.values = dict(values)
        arguments = effect.constants(form.rate)
        arguments |= {k.attribute: k.convert(values[name], form.rate) for name, k in self._parameters.items()}
        plugin = getattr(pedalboard, effect.plugin, None)
        if plugin is None:
            raise StageError(f"{effect.plugin}: not in pedalboard {version('pedalboard')}; upgrade it")
        starts = range(0, form.channels, effect.width)
        self._groups = [slice(start, start + effect.width) for start in starts]
        try:
            self._chains = [_chain(plugin(**arguments), effect.makeup_db) for _ in self._groups]
            missing, most_missing = self._run_silence(form.channels)
        except (ValueError, RuntimeError, TypeError) as error:
            raise StageError(f"{effect.plugin} at {form.rate} Hz, {form.channels} channels: {error}") from None
        own_latency = most_missing + effect.slack(values, form.rate)
        self._fifo = Fifo(form.channels, effect.hop) if effect.hop > 1 else None
        hop_delay = self._fifo.delay if self._fifo else 0
        self._latency = max(own_latency, delay - hop_delay)
        self.delay = self._latency + hop_delay
        self._buffered = np.zeros((form.channels, self._latency - missing), np.float32)

    def __call__(self, block: Audio) -> Audio:
        """Return the effect's output for `block`, both `(channels, frames)`."""
        return self._pull(block) if self._fifo is None else self._fifo.process(block, self._pull)

    def set(self, name: str, value: Value) -> None:
        """Set a value at once, without a fade."""
        parameter = self._parameters[name]
        self.values[name] = value
        converted = parameter.convert(value, self._rate)
        for chain in self._chains:
            setattr(chain[1], parameter.attribute, converted)

    def restart(self) -> None:
        """Clear the state; only for effects without latency."""
        for chain in self._chains:
            chain[1].reset()
        self._run_silence(self._channels)  # `reset` also forgets the longest block

    def _run_silence(self, channels: int) -> tuple[int, int]:
        """Process silence; return how many samples of output are missing at the end, and at most."""
        in_hops = self._effect.hop > 1
        size = self._effect.hop if in_hops else self._effect.longest_block
        silence = np.zeros((channels, size), np.float32)
        missing = most_missing = 0
        for _ in range(0, _SILENCE_IN_HOPS if in_hops else _SILENCE, size):
            missing += size - self._run(silence).shape[1]
            most_missing = max(most_missing, missing)
        return missing, most_missing

    def _pull(self, block: Audio) -> Audio:
        """Return as many samples as came in, from earlier output and the plugin's present one."""
        frames = block.shape[1]
        if self._effect.hop == 1:
            return self._run(block)
        pieces = [self._pull_hop(block[:, i : i + self._effect.hop]) for i in range(0, frames, self._effect.hop)]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)

    def _pull_hop(self, block: Audio) -> Audio:
        output = np.concatenate((self._buffered, self._run(block)), axis=1)
        frames = block.shape[1]
        if output.shape[1] < frames:
            raise StageError(f"{self._effect.plugin} fell behind its latency of {self.delay} samples")
        self._buffered = output[:, frames:]
        return output[:, :frames]

    def _run(self, block: Audio) -> Audio:
        size = self._effect.longest_block
        if len(self._chains) == 1:
            return pedalboard.process(block, self._rate, self._chains[0], size, False)
        output = [
            pedalboard.process(block[group], self._rate, chain, size, False)
            for group, chain in zip(self._groups, self._chains, strict=True)
        ]
        return np.concatenate(output, axis=0)


def _chain(plugin: pedalboard.Plugin, makeup_db: float) -> list[pedalboard.Plugin]:
    """Return the plugin behind a gain of 0 dB, which keeps the channel layout where other plugins would not."""
    chain: list[pedalboard.Plugin] = [pedalboard.Gain(0.0), plugin]
    if makeup_db:
        chain.append(pedalboard.Gain(makeup_db))
    return chain
