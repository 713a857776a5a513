"""The way from mouth to ear, measured: a click goes out of the device and comes back in, by a cable or through the air.

What a program can know of its latency ends at the buffers that it fills; converters, drivers and the air come on top.
So the device's own way, from output to input, is measured: all outputs are silent but for one click, and the first
input sample above what was there before is its return. A sound that comes in leaves by so many samples later, and by
what blocks and chain take: nothing else lies between, as the callback counts those itself.
"""

from __future__ import annotations

import numpy as np

from gramophone.realtime.live.status import Status
from gramophone.realtime.stage import Audio

CLICK = 0.5
_CLICK_SAMPLES = 24
_QUIET_S, _LISTEN_S = 0.15, 1.0
_ABOVE = 4.0
"""So much louder than the loudest moment of the quiet before, a click is surely no noise."""
_LEAST = 0.004
NONE_CAME = -1.0


class LoopbackProbe:
    """Measures on request: `status["probe"]` counts the requests, `probe_done` those answered by `probe_samples`."""

    def __init__(self, status: Status) -> None:
        self._status = status
        self._answered = int(status["probe_done"])
        self._passed = self._quiet = self._last = 0
        self._noise = 0.0
        self._asked = False

    @property
    def measures(self) -> bool:
        """Whether the outputs belong to the measurement now."""
        if not self._asked and self._status["probe"] > self._answered:
            self._asked, self._passed, self._noise = True, 0, 0.0
            rate = max(self._status["rate"], 1.0)
            self._quiet, self._last = round(_QUIET_S * rate), round((_QUIET_S + _LISTEN_S) * rate)
        return self._asked

    def process(self, source: Audio, target: Audio) -> Audio:
        """Return what the outputs, `(outputs, frames)` like `target`, play while the inputs give `source`."""
        frames, begun = target.shape[1], self._passed
        self._passed += frames
        high = np.abs(source).max(axis=0, initial=0.0)
        # The click leaves with sample `_quiet`; what comes in before `_quiet` is what there is without one.
        before = high[: max(self._quiet - begun, 0)]
        self._noise = max(self._noise, float(before.max(initial=0.0)))
        if begun + frames > self._quiet:
            (loud,) = np.nonzero(high[len(before) :] > max(_ABOVE * self._noise, _LEAST))
            if len(loud):
                self._answer(float(begun + len(before) + loud[0] - self._quiet))
            elif self._passed >= self._last:
                self._answer(NONE_CAME)
        output = np.zeros_like(target)
        first, last = max(self._quiet - begun, 0), min(self._quiet + _CLICK_SAMPLES - begun, frames)
        if first < last:
            output[:, first:last] = CLICK
        return output

    def _answer(self, samples: float) -> None:
        self._status["probe_samples"] = samples
        self._answered = int(self._status["probe"])
        self._status["probe_done"] = self._answered
        self._asked = False
