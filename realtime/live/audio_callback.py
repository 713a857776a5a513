"""The device's callback: it writes the block that came in, and returns what the worker made of an earlier one.

The worker has some blocks of time (`status.budget_blocks`). If its block is not there in time, or there is no worker,
the dry sound is played, as late as the chain would be; the late block is never played, so latency does not grow.

Inputs and outputs of the device are connected to the channels of the chain here, outside of all this: wet and dry come
from and go to the same inputs and outputs, at the same time, and a recording is of the chain's channels.
"""

from __future__ import annotations

import numpy as np

from gramophone.realtime.dsp.channel_matrix import ChannelMatrix, Matrix
from gramophone.realtime.dsp.delay_line import LONGEST_DELAY, DelayLine
from gramophone.realtime.dsp.input_guard import InputGuard
from gramophone.realtime.dsp.smoothing import Fade, crossfade
from gramophone.realtime.live.audition import AuditionPlayer
from gramophone.realtime.live.loopback import LoopbackProbe
from gramophone.realtime.live.parameter_memory import ParameterMemory
from gramophone.realtime.live.shared_state import INPUTS, OUTPUTS, SWITCH_PLACES, SharedState
from gramophone.realtime.live.status import MOVE_SAMPLES, budget_blocks
from gramophone.realtime.stage import Audio
from gramophone.realtime.switches import SWITCHES
from gramophone.realtime.system.wakeup import Wake

_SILENCING = [
    SWITCH_PLACES[name] for name, switch in SWITCHES.items() if switch.output == "silence" and not switch.momentary
]


class AudioCallback:
    """The audio process's end of the block rings. The device calls `process`, and nothing else does.

    `channels` of the chain; `spare` blocks on top of the worker's one, None: what the chain that plays needs.
    """

    def __init__(self, shared: SharedState, wake: Wake, channels: int, spare: int | None = 0) -> None:
        self._inputs, self._outputs, self._wake = shared.inputs, shared.outputs, wake
        self._parameters, self._status = shared.parameters, shared.status
        self._spare = spare
        self._source, self._target = _Side(shared.routes, INPUTS, channels), _Side(shared.routes, OUTPUTS, channels)
        self._number = self._inputs.newest + 1
        self._history = DelayLine(channels, longest=LONGEST_DELAY)
        self._delay = int(self._status["delay"])
        self._last = np.zeros((channels, 1), np.float32)
        self._wet = self._begun = False
        self._missed = self._status["underruns"]
        self._guard = InputGuard()
        self._probe = LoopbackProbe(self._status)
        self._audition = AuditionPlayer(shared.audition)
        self._before = self._status["non_finite"], self._status["limited"]
        self._frames = self._budget = self._former_budget = 0
        self._move = Fade(1.0, MOVE_SAMPLES)
        self._leaving: Fade | None = None

    def leave(self, samples: int) -> None:
        """Fade the output to silence, within so many samples, for good."""
        leaving = Fade(1.0, samples)
        leaving.set(0.0)
        self._leaving = leaving

    def process(self, block: Audio) -> Audio:
        """Return the output, of the shape of `block`, `(channels, frames)`. Never waits, never raises."""
        try:
            safe = self._made_harmless(block)
            measures = self._probe.measures
            source = self._source.process(np.zeros_like(safe) if measures else safe)
            output = self._process(self._audition.process(source))
            self._last = output[:, -1:]
            output = self._target.process(output)
            output = self._probe.process(safe, output) if measures else output
            return output * self._leaving.next(output.shape[1]) if self._leaving else output
        except Exception:  # whatever it is, the device must get its block; the count shows that there is a bug
            self._status["errors"] += 1
            return np.zeros_like(block)

    def _made_harmless(self, block: Audio) -> Audio:
        """Return the input as it may go to the worker, to a recording and, dry, to the loudspeaker; count the rest."""
        safe = self._guard.process(block)
        if safe is not block:
            self._status["non_finite"] = self._before[0] + self._guard.non_finite
            self._status["limited"] = self._before[1] + self._guard.limited
        return safe

    def _process(self, block: Audio) -> Audio:
        number = self._number
        self._number += 1
        self._inputs.write(number, block)
        self._wake.set()
        self._history.write(block)
        self._status["blocks"] = number + 1
        frames = block.shape[1]
        self._follow_budget(number, frames)
        share = np.asarray(self._move.next(frames)) if self._move.left else None
        wet = self._wet_sound(number, frames, share)
        if wet is None:
            return self._fall_back(frames, share)
        if self._wet:
            return wet
        self._wet = self._begun = True
        rising = np.linspace(0, 1, frames, endpoint=False, dtype=np.float32)
        return crossfade(self._dry_sound(frames, share), wet, rising)

    def _follow_budget(self, number: int, frames: int) -> None:
        """Begin to move to the budget that the chain needs now. To a shorter one only where the worker is ahead."""
        wanted = budget_blocks(self._status, self._spare, frames)
        if frames != self._frames:  # other blocks are another latency at once
            self._frames, self._budget = frames, wanted
            self._move = Fade(1.0, MOVE_SAMPLES)
            return
        is_in_time = not self._wet or self._outputs.newest >= number - wanted
        if wanted != self._budget and is_in_time and not self._move.left:
            self._former_budget, self._budget = self._budget, wanted
            self._move = Fade(0.0, MOVE_SAMPLES)
            self._move.set(1.0)

    def _wet_sound(self, number: int, frames: int, share: Audio | None) -> Audio | None:
        """Return the chain's sound that is due, or None; during a move, faded from the former budget's."""
        taken = self._outputs.read(number - self._budget)
        if taken is None or taken.sound.shape[1] != frames:
            return None
        self._delay = taken.delay
        if share is None:
            return taken.sound
        former = self._outputs.read(number - self._former_budget)
        if former is None or former.sound.shape[1] != frames:
            return taken.sound
        return crossfade(former.sound, taken.sound, share)

    def _fall_back(self, frames: int, share: Audio | None) -> Audio:
        """Return the dry sound. Where it follows the chain's, the step between the two dies away within the block."""
        if self._begun:
            self._missed += 1
            self._status["underruns"] = self._missed
        dry = self._dry_sound(frames, share)
        if self._wet:
            self._wet = False
            dry += (self._last - dry[:, :1]) * np.linspace(1, 0, frames, endpoint=False, dtype=np.float32)
        return dry

    def _dry_sound(self, frames: int, share: Audio | None) -> Audio:
        """Return the input as late as the chain's sound would be; during a move, faded from the former budget's."""
        dry = self._history.read(frames, self._budget * frames + self._delay)
        if share is not None:
            dry = crossfade(self._history.read(frames, self._former_budget * frames + self._delay), dry, share)
        if any(self._parameters.switch(place) for place in _SILENCING):
            dry = np.zeros_like(dry)
        return dry


class _Side:
    """The device's inputs or outputs, connected to the channels as the memory of routes has it by now."""

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
