"""The main functions of the child process: describe a plug-in, or play it block by block."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gramophone.models.parameters import Parameter, Value
from gramophone.realtime.dsp.smoothing import Ramps
from gramophone.realtime.stage import Audio
from gramophone.realtime.stages.plugins.child_process import done, failed, refused, step_aside
from gramophone.realtime.stages.plugins.description import PluginParameter, encoded
from gramophone.realtime.stages.plugins.parameters import ChannelInstances, converter, describe, load, read_knobs
from gramophone.realtime.stages.plugins.pipe_signal import STATE, PipeSignal, PipeSignalError, PluginMemory
from gramophone.realtime.system.realtime_priority import settle

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class PluginSource:
    """A plug-in: its file, its name where the file holds several, and its saved state or none."""

    path: str
    plugin_name: str = ""
    state: bytes = b""

    def load(self) -> Any:
        """Return the plug-in."""
        return load(self.path, self.plugin_name, self.state)


def describe_in_child(line: Connection, source: PluginSource) -> None:
    """Load a plug-in and send its description."""
    step_aside()
    done(line)
    _report(line, lambda: describe(source.load()), lambda description: description)
    os._exit(0)  # some plug-ins crash or hang when they are unloaded


def play_in_child(
    line: Connection,
    signals: Connection,
    polls: bool,
    memory: PluginMemory,
    source: PluginSource,
    rate: int,
    channels: int,
    values: Mapping[str, Value],
) -> None:
    """Load a plug-in with values, send its parameters and latency, then process a block for every signal received."""
    step_aside()
    done(line)
    player = _report(line, lambda: _Player(source, rate, channels, values), _Player.summary)
    settle()
    view, signal = memory.view(), PipeSignal(signals, polls)
    try:
        while signal.wait():
            if view.order[0] == STATE:
                done(line, player.state())
            else:
                frames = int(view.order[0])
                player.set_targets(view.knobs[: len(player.knobs)])
                view.output[:, :frames] = player.process(np.ascontiguousarray(view.input[:, :frames]))
            signal.send()
    except PipeSignalError:
        pass
    except Exception as error:  # any error: the host bypasses the plug-in and shows the reason
        failed(line, error)
    os._exit(0)


class _Player:
    """A plug-in with its parameters, which move to new values along ramps of their normalised values."""

    def __init__(self, source: PluginSource, rate: int, channels: int, values: Mapping[str, Value]) -> None:
        self._instances = ChannelInstances(source.load, rate, channels)
        self._parameters = [plugin.parameters for plugin in self._instances.plugins]
        self.knobs = read_knobs(self._instances.plugins[0])
        self._converters = [converter(knob, self._parameters[0][knob.key]) for knob in self.knobs]
        self._encoded = encoded(self.knobs, values)
        for i, knob in enumerate(self.knobs):
            start = knob.encode(knob.parameter.default)
            if self._encoded[i] != start:  # else it keeps the exact value of the plug-in or its state
                self._set(knob.key, self._converters[i](float(self._encoded[i])))
        self._normalised = {knob.key: float(self._parameters[0][knob.key].raw_value) for knob in self.knobs}
        ramps = [Parameter(knob.key, 0.0, "", smoothing_ms=knob.parameter.smoothing_ms) for knob in self.knobs]
        self._ramps = Ramps(ramps, self._normalised, rate)
        self._changed = False
        self._instances.start()

    def summary(self) -> tuple[tuple[PluginParameter, ...], int]:
        """Return the parameters, and the latency in samples."""
        return self.knobs, self._instances.delay

    def set_targets(self, targets: NDArray[np.float64]) -> None:
        """Start to move to the encoded values `(parameters,)` that the host has written."""
        for i in np.flatnonzero(targets != self._encoded):
            self._ramps.set(self.knobs[i].key, self._converters[i](float(targets[i])))
            self._changed = True
        self._encoded[:] = targets

    def process(self, block: Audio) -> Audio:
        moving = self._changed or self._ramps.moving
        self._changed = False
        pieces = []
        for start, stop, normalised in self._ramps.segments(block.shape[1]):
            if moving:
                self._set_moving(normalised)
            pieces.append(self._instances.process(block[:, start:stop]))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)

    def state(self) -> bytes:
        """Return the plug-in's state, parameters included."""
        return bytes(self._instances.plugins[0].raw_state)

    def _set_moving(self, normalised: Mapping[str, Value]) -> None:
        for key, normalised_value in normalised.items():
            if normalised_value != self._normalised[key]:
                self._normalised[key] = float(normalised_value)
                self._set(key, float(normalised_value))

    def _set(self, key: str, normalised_value: float) -> None:
        for parameters in self._parameters:
            parameters[key].raw_value = normalised_value


def _report(line: Connection, make: Callable[[], _Made], summarise: Callable[[_Made], object]) -> _Made:
    """Make something of a plug-in and send a summary to the host; where that fails, send why and end the process."""
    try:
        made = make()
        done(line, summarise(made))
    except ValueError as error:  # what pedalboard raises for a plug-in that is not what is meant
        refused(line, error)
        os._exit(1)
    except Exception as error:  # any error: the host bypasses the plug-in and shows the reason
        failed(line, error)
        os._exit(1)
    return made
