"""What the child process does: describe a plug-in, or play it block by block. The only place where plug-ins run."""

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
from gramophone.realtime.stages.plugins.channel_instances import ChannelInstances
from gramophone.realtime.stages.plugins.child_process import done, failed, refused, step_aside
from gramophone.realtime.stages.plugins.description import PluginParameter, encoded
from gramophone.realtime.stages.plugins.parameters import converter, describe, load, read_knobs
from gramophone.realtime.stages.plugins.pipe_signal import PipeSignal, PipeSignalError
from gramophone.realtime.stages.plugins.shared_memory import STATE, PluginMemory
from gramophone.realtime.system.realtime_priority import settle

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class PluginSource:
    """Which plug-in: its file, its name where the file holds several, and its state where one is kept."""

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
    _try(line, lambda: describe(source.load()), lambda description: description)
    os._exit(0)  # some plug-ins crash or hang when they are unloaded


def play_in_child(
    line: Connection,
    bells: Connection,
    polls: bool,
    memory: PluginMemory,
    source: PluginSource,
    rate: int,
    channels: int,
    values: Mapping[str, Value],
) -> None:
    """Load a plug-in with values, send its knobs and its latency, and then answer every ring until the bell breaks."""
    step_aside()
    done(line)
    player = _try(line, lambda: _Player(source, rate, channels, values), _Player.summary)
    settle()
    view, bell = memory.view(), PipeSignal(bells, polls)
    try:
        while bell.wait():
            if view.order[0] == STATE:
                done(line, player.state())
            else:
                frames = int(view.order[0])
                player.turn(view.knobs[: len(player.knobs)])
                view.output[:, :frames] = player.process(np.ascontiguousarray(view.input[:, :frames]))
            bell.ring()
    except PipeSignalError:
        pass
    except Exception as error:  # whatever it is, the plug-in is out of the sound and the player hears why
        failed(line, error)
    os._exit(0)


class _Player:
    """A plug-in with its knobs, which move to new values along ramps of their positions."""

    def __init__(self, source: PluginSource, rate: int, channels: int, values: Mapping[str, Value]) -> None:
        self._lanes = ChannelInstances(source.load, rate, channels)
        self._parameters = [plugin.parameters for plugin in self._lanes.plugins]
        self.knobs = read_knobs(self._lanes.plugins[0])
        self._converters = [converter(knob, self._parameters[0][knob.key]) for knob in self.knobs]
        self._encoded = encoded(self.knobs, values)
        for i, knob in enumerate(self.knobs):
            start = knob.encode(knob.parameter.default)
            if self._encoded[i] != start:  # else it stays where the plug-in or its state has it, to the last bit
                self._set(knob.key, self._converters[i](float(self._encoded[i])))
        self._positions = {knob.key: float(self._parameters[0][knob.key].raw_value) for knob in self.knobs}
        ramps = [Parameter(knob.key, 0.0, "", smoothing_ms=knob.parameter.smoothing_ms) for knob in self.knobs]
        self._ramps = Ramps(ramps, self._positions, rate)
        self._turned = False
        self._lanes.start()

    def summary(self) -> tuple[tuple[PluginParameter, ...], int]:
        """Return what the host wants to know: the knobs, and the latency in samples."""
        return self.knobs, self._lanes.delay

    def turn(self, wanted: NDArray[np.float64]) -> None:
        """Set out for the values that the host has written."""
        for i in np.flatnonzero(wanted != self._encoded):
            self._ramps.set(self.knobs[i].key, self._converters[i](float(wanted[i])))
            self._turned = True
        self._encoded[:] = wanted

    def process(self, block: Audio) -> Audio:
        moving = self._turned or self._ramps.moving
        self._turned = False
        pieces = []
        for start, stop, positions in self._ramps.segments(block.shape[1]):
            if moving:
                self._move(positions)
            pieces.append(self._lanes.process(block[:, start:stop]))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)

    def state(self) -> bytes:
        """Return the plug-in's state, knobs and all."""
        return bytes(self._lanes.plugins[0].raw_state)

    def _move(self, positions: Mapping[str, Value]) -> None:
        for key, position in positions.items():
            if position != self._positions[key]:
                self._positions[key] = float(position)
                self._set(key, float(position))

    def _set(self, key: str, position: float) -> None:
        for parameters in self._parameters:
            parameters[key].raw_value = position


def _try(line: Connection, make: Callable[[], _Made], tell: Callable[[_Made], object]) -> _Made:
    """Make something of a plug-in and tell the host of it; where that fails, tell why and end the process."""
    try:
        made = make()
        done(line, tell(made))
    except ValueError as error:  # what pedalboard raises for a plug-in that is not what is meant
        refused(line, error)
        os._exit(1)
    except Exception as error:  # whatever it is, the plug-in stays out of the sound and the player hears why
        failed(line, error)
        os._exit(1)
    return made
