"""What the device's callback does: push the block that came in, pop what the worker made of an earlier one.

The worker has some blocks of time (`depth.py`). If its block is not there in time, or there is no worker, the dry
sound is played, as late as the chain would be; the late block is never played, so latency does not grow.

Inputs and outputs of the device are connected to the channels of the chain here, on the outside of all this: wet or
dry, what is heard comes from and goes to the same sockets, at the same time, and what is recorded knows no sockets.
"""

from __future__ import annotations

import numpy as np

from gramophone.realtime.dsp.channel_matrix import ChannelMatrix, Matrix
from gramophone.realtime.dsp.delay_line import LONGEST_DELAY, DelayLine
from gramophone.realtime.live.latency_budget import depth
from gramophone.realtime.live.parameter_memory import ParameterMemory
from gramophone.realtime.live.shared_state import INPUTS, MUTE, OUTPUTS, SharedState
from gramophone.realtime.stage import Audio
from gramophone.realtime.system.wakeup import Wake


class AudioCallback:
    """The audio process's end of the rings. `process` is called by the device, and by nothing else."""

    def __init__(self, shared: SharedState, wake: Wake, channels: int, spare: int | None = 0) -> None:
        self._inputs, self._outputs, self._wake = shared.inputs, shared.outputs, wake
        self._knobs, self._status = shared.knobs, shared.status
        self._spare = spare
        self._heard, self._played = _Side(shared.routes, INPUTS, channels), _Side(shared.routes, OUTPUTS, channels)
        self._number = self._inputs.newest + 1
        self._history = DelayLine(channels, longest=LONGEST_DELAY)
        self._delay = int(self._status["delay"])
        self._last = np.zeros((channels, 1), np.float32)
        self._wet = self._begun = False
        self._missed = self._status["underruns"]

    def process(self, block: Audio) -> Audio:
        """Return what is to be heard now, of the shape of `block`, `(channels, frames)`. Never waits, never raises."""
        try:
            output = self._process(self._heard.process(block))
            self._last = output[:, -1:]
            return self._played.process(output)
        except Exception:  # whatever it is, the device must get its block; the count shows that there is a bug
            self._status["errors"] += 1
            return np.zeros_like(block)

    def _process(self, block: Audio) -> Audio:
        number = self._number
        self._number += 1
        self._inputs.write(number, block)
        self._wake.ring()
        self._history.write(block)
        self._status["blocks"] = number + 1
        frames = block.shape[1]
        taken = self._outputs.read(number - self._depth(frames))
        if taken is None or taken.sound.shape[1] != frames:
            return self._fall_back(frames)
        self._delay = taken.delay
        if self._wet:
            return taken.sound
        self._wet = self._begun = True
        rising = np.linspace(0, 1, frames, endpoint=False, dtype=np.float32)
        return self._dry(frames) * (1 - rising) + taken.sound * rising

    def _fall_back(self, frames: int) -> Audio:
        """Return the dry sound. Where it follows the chain's, the step between the two dies away within the block."""
        if self._begun:
            self._missed += 1
            self._status["underruns"] = self._missed
        dry = self._dry(frames)
        if self._wet:
            self._wet = False
            dry += (self._last - dry[:, :1]) * np.linspace(1, 0, frames, endpoint=False, dtype=np.float32)
        return dry

    def _depth(self, frames: int) -> int:
        return depth(self._status, self._spare, frames)

    def _dry(self, frames: int) -> Audio:
        dry = self._history.read(frames, self._depth(frames) * frames + self._delay)
        if self._knobs.switch(MUTE):
            dry[:] = 0
        return dry


class _Side:
    """The device's inputs or outputs, connected to the channels as the board of routes says by now."""

    def __init__(self, routes: ParameterMemory, side: int, channels: int) -> None:
        self._shape = channels, routes.size // channels
        self._inward = side == INPUTS
        self._reader = routes.reader(side, np.zeros(routes.size))
        self._reader.changes()
        self._patch = ChannelMatrix(self._matrix())

    def process(self, block: Audio) -> Audio:
        """Return the channels' sound of inputs, or the outputs' of channels, `(rows, frames)`."""
        if self._reader.changes():
            self._patch.set(self._matrix())
        return self._patch.process(block)

    def _matrix(self) -> Matrix:
        matrix = self._reader.known.reshape(self._shape)
        return matrix if self._inward else matrix.T
