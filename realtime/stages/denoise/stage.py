"""The denoise stage: takes fans, traffic, hum and keys away from a voice, before it is changed.

It is mono inside, as a voice is: it works on the mean of the channels (`mono_sum.py`), and all of them get the result.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gramophone.models.parameters import Parameter, Value
from gramophone.realtime.dsp.meters import ReductionMeter
from gramophone.realtime.dsp.smoothing import Ramps
from gramophone.realtime.stage import Audio, Format, Stage
from gramophone.realtime.stages.denoise.deep_filter import DELAY, HOP, RATE, UNLIMITED_DB, DeepFilter, DeepFilterError

if TYPE_CHECKING:
    from gramophone.realtime.dsp.rate_adapter import Finish
    from gramophone.realtime.kernels.arrays import Floats

_LOG = logging.getLogger(__name__)
REDUCTION = Parameter(
    "reduction", 40.0, "how far noise is reduced at most: 0 not at all, 100 without a limit", "dB", (0, UNLIMITED_DB)
)


class DenoiseStage(Stage):
    """Takes noise away from a voice, at any sample rate and block size.

    Where the library is not installed the sound passes as it is, and `status` says what to do.
    """

    kind = "denoise"
    parameters = (REDUCTION,)
    hop_s = HOP / RATE
    reduces = True

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        from gramophone.realtime.dsp.rate_adapter import RateAdapter
        from gramophone.realtime.stages.mono_sum import MonoSum

        self._status = ""
        self._filter: DeepFilter | None = None
        try:
            self._filter = DeepFilter()
        except DeepFilterError as error:
            self._status = str(error)
            _LOG.warning("denoise: %s", error)
            return
        self._ramps = Ramps((REDUCTION,), values, RATE, HOP)
        self._reduction = ReductionMeter(1, DELAY)
        self._mono_sum = MonoSum(form.rate)
        self._rate_adapter = RateAdapter(form.rate, RATE, HOP, DELAY)
        self.delay = self._rate_adapter.delay

    def set(self, name: str, value: Value) -> None:
        """Set the reduction; it moves there from hop to hop."""
        if self._filter:
            self._ramps.set(name, value)

    def process(self, block: Audio) -> Audio:
        """Return the sound with less noise, `(channels, frames)` both, `delay` samples late."""
        if not self._filter:
            return block
        output = self._rate_adapter.process(self._mono_sum.process(block), self._begin)
        return np.broadcast_to(output, block.shape).copy()

    def read_reduction_db(self) -> float:
        """Return by how much the sound is softer than its noisy input since the last call, in dB, 0 or less."""
        return self._reduction.read() if self._filter else 0.0

    @property
    def status(self) -> str:
        """Why noise passes; empty while the stage works."""
        return self._status

    def close(self) -> None:
        """Free the network."""
        if self._filter:
            self._filter.close()
            self._filter = None

    def _begin(self, hop: Floats) -> Finish:
        assert self._filter
        for _start, _stop, values in self._ramps.segments(HOP):
            self._filter.limit(float(values[REDUCTION.name]))
        output = self._filter.process(hop)
        self._reduction.add(hop[None], output[None])
        return lambda: output
