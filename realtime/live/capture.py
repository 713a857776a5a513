"""The device's input for some seconds, taken from the ring that it is written to while it plays on."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from gramophone.presets.clips import ClipError
from gramophone.realtime.live.shared_state import SharedState
from gramophone.realtime.stage import Audio

_LOOK_S = 0.02
_PATIENCE_LOOKS = 150
"""So often nothing new may be found: a device that gives no block for 3 s is gone."""


def capture_input(
    shared: SharedState, seconds: float, stopped: threading.Event, progress: Callable[[float], None]
) -> tuple[Audio, int]:
    """Return the chain's input of the next `seconds`, `(channels, frames)`, and its rate; less if `stopped` is set.

    `progress` is called with the seconds that are there. A block that came and went unseen is silent.

    Raises:
        ClipError: no device is open, or it has gone meanwhile.
    """
    rate = int(shared.status["rate"])
    if not rate:
        raise ClipError("no sound device is open")
    blocks: list[Audio] = []
    number, frames, idle = shared.inputs.newest + 1, 0, 0
    while frames < seconds * rate and not stopped.wait(_LOOK_S):
        idle = 0 if number <= shared.inputs.newest else idle + 1
        if idle > _PATIENCE_LOOKS or int(shared.status["rate"]) not in (0, rate):
            raise ClipError("the sound device has gone")
        for each in range(number, shared.inputs.newest + 1):
            taken = shared.inputs.read(each)
            if taken or blocks:
                blocks.append(taken.sound if taken else np.zeros_like(blocks[-1]))
                frames += blocks[-1].shape[1]
            number = each + 1
        progress(frames / rate)
    if not blocks:
        raise ClipError("nothing was recorded")
    return np.concatenate(blocks, axis=1)[:, : round(seconds * rate)], rate
