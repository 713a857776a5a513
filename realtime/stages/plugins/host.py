"""The host's side of a plug-in in a child process: one round trip a block, within a bounded time.

A block is sent and returned within the same callback, so the child adds no latency; it costs the time of two process
wake-ups.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress

import numpy as np

from gramophone.models.parameters import Value
from gramophone.realtime.stage import Audio, Format
from gramophone.realtime.stages.plugins.child_main import PluginSource, play_in_child
from gramophone.realtime.stages.plugins.child_process import CONTEXT, PluginProcess
from gramophone.realtime.stages.plugins.description import PluginFailedError, encoded
from gramophone.realtime.stages.plugins.pipe_signal import (
    LONGEST_BLOCK,
    POLLS,
    STATE,
    PipeSignal,
    PipeSignalError,
    PluginMemory,
)

TIMEOUT_S = 5.0
"""Seconds that a block may take: a plug-in that is only slow on a busy machine must not be given up."""

_REALTIME_TIMEOUT_S = 1.0
"""The same under real-time priority, where other programs cannot be the reason."""


class PluginHost:
    """A plug-in, called `name` in errors, that plays in a child process. `delay` is its latency in samples.

    Raises:
        PluginError: the plug-in does not fit the preset.
        PluginFailedError: it did not load within `load_s` seconds, or crashed.
    """

    def __init__(
        self,
        name: str,
        source: PluginSource,
        form: Format,
        values: Mapping[str, Value],
        load_s: float,
        *,
        polls: bool = POLLS,
    ) -> None:
        self._name = name
        memory = PluginMemory(CONTEXT, form.channels)
        ours, theirs = CONTEXT.Pipe()
        self._signal = PipeSignal(ours, polls)
        with closing(theirs):
            self._child = PluginProcess(
                name, play_in_child, theirs, polls, memory, source, form.rate, form.channels, dict(values)
            )
        try:
            self._child.wait_until_up()
            knobs, self.delay = self._child.expect(load_s, "loading")
        except Exception:
            self.close()
            raise
        self.pid = self._child.pid
        self._knobs = {knob.parameter.name: (i, knob) for i, knob in enumerate(knobs)}
        self._view = memory.view()
        self._view.knobs[: len(knobs)] = encoded(knobs, values)
        self._timeout_s = 0.0

    def set(self, name: str, value: Value) -> None:
        """Set a parameter's target; it takes effect with the next block."""
        index, knob = self._knobs[name]
        self._view.knobs[index] = knob.encode(value)

    def process(self, block: Audio) -> Audio:
        """Return the plug-in's output for `block`, both `(channels, frames)`, `delay` samples later.

        Raises:
            PluginFailedError: the plug-in hung or crashed.
        """
        if not self._timeout_s:  # the first block: only now is it known which thread feeds the plug-in
            self._timeout_s = _REALTIME_TIMEOUT_S if self._child.match_priority() else TIMEOUT_S
        frames = block.shape[1]
        output = np.empty_like(block)
        for start in range(0, frames, LONGEST_BLOCK):
            stop = min(frames, start + LONGEST_BLOCK)
            self._view.input[:, : stop - start] = block[:, start:stop]
            self._exchange(stop - start)
            output[:, start:stop] = self._view.output[:, : stop - start]
        return output

    def state(self) -> bytes:
        """Return the plug-in's state. Blocks the audio meanwhile, so it has the same timeout as a block.

        Raises:
            PluginFailedError: the plug-in hung or crashed.
        """
        self._view.order[0] = STATE
        self._notify()
        state: bytes = self._child.expect(TIMEOUT_S, "returning its state")
        self._wait()
        return state

    def close(self) -> None:
        """End the child process."""
        self._signal.close()
        self._child.close()

    def _exchange(self, frames: int) -> None:
        self._view.order[0] = frames
        self._notify()
        self._wait()

    def _notify(self) -> None:
        with suppress(PipeSignalError):  # `_wait` will fail and find the reason
            self._signal.send()

    def _wait(self) -> None:
        timeout_s = self._timeout_s or TIMEOUT_S
        try:
            if not self._signal.wait(timeout_s):
                raise PluginFailedError(f"{self._name}: while playing: no answer after {timeout_s:g} s")
        except PipeSignalError:
            self._child.expect(TIMEOUT_S, "playing")
