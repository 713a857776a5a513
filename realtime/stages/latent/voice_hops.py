"""A voice model between blocks: what the latent and the voice stage have in common.

It is mono inside: the sum of the channels (`stages/mono_sum.py`), without hum and the noise of the room
(`stages/voice_conditioner.py`), goes through the model hop by hop, and all channels get the same output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

import numpy as np

from gramophone.models.parameters import Parameter, Value
from gramophone.realtime.dsp.rate_adapter import Finish, RateAdapter
from gramophone.realtime.dsp.smoothing import Fade, Ramps
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stage import Audio
from gramophone.realtime.stages.latent.parameters import AIR, GATE
from gramophone.realtime.stages.voice_conditioner import VoiceConditioner


class HopModel(Protocol):
    """A model at `rate` Hz that takes hops of `hop` samples and is `delay` samples late.

    The second half of a hop's work may be put off by `deferral_s` seconds.
    """

    rate: int
    hop: int
    delay: int
    deferral_s: float

    def prepare(self) -> None:
        """Do what does not need the samples of the next hop; called in a block that completes no hop."""


class VoiceHops:
    """Blocks at `rate` Hz through a model that works hop by hop, with the parameters of each hop.

    `knobs` move from hop to hop, `AIR` and `GATE` among them from sample to sample. `weigh` returns the weights of the
    model's speakers by the values of the knobs. The output is `delay` samples late.
    """

    def __init__(
        self,
        rate: int,
        model: HopModel,
        knobs: Iterable[Parameter],
        values: Mapping[str, Value],
        weigh: Callable[[Mapping[str, Value]], Floats],
    ) -> None:
        self._model, self._weigh = model, weigh
        self._rate_adapter = RateAdapter(rate, model.rate, model.hop, model.delay, model.deferral_s)
        self.delay = self._rate_adapter.delay
        self._conditioner = VoiceConditioner(rate)
        # On a grid of hops: values move from frame to frame.
        self._ramps = Ramps((knob for knob in knobs if knob.name != AIR.name), values, model.rate, model.hop)
        self._fades = {
            knob.name: Fade(float(values[knob.name]), round(knob.smoothing_ms * rate / 1000)) for knob in (AIR, GATE)
        }
        self._held: tuple[Floats, Mapping[str, Value]]
        self.refresh()

    @classmethod
    def parts(cls, rate: int) -> tuple[Callable[[], object], ...]:
        """Return what is compiled for this, as `Stage.parts` does."""
        return (partial(VoiceConditioner, rate),)

    def set(self, name: str, value: Value) -> None:
        """Set a parameter; it takes effect with the next hop."""
        if name in self._fades:
            self._fades[name].set(float(value))
        if name != AIR.name:
            self._ramps.set(name, value)

    def refresh(self) -> None:
        """Weigh the speakers anew at the next hop."""
        self._edition = -1

    def process(self, block: Audio, begin: Callable[[Floats], Finish]) -> Audio:
        """Return the output for a block, `(channels, frames)` both; `begin` does the first half of a hop's work."""
        mono = self._conditioner.process(block, self._fades[GATE.name].next(block.shape[1]))
        output = self._rate_adapter.process(mono, begin, self._fades[AIR.name].next(len(mono)))
        if self._rate_adapter.has_time:
            self._model.prepare()
        channels = np.empty(block.shape, np.float32)
        channels[:] = output
        return channels

    def next_values(self) -> tuple[Floats, Mapping[str, Value]]:
        """Return the weights of the speakers and the parameters of the next hop, the same objects until they change."""
        ((_, _, values),) = self._ramps.segments(self._model.hop)
        if self._ramps.edition != self._edition:  # a copy, as the second half may come later
            self._edition, self._held = self._ramps.edition, (self._weigh(values), dict(values))
        return self._held

    @property
    def gain_db(self) -> float:
        """By how much the gate turns the input down now, in dB, 0 or less."""
        return self._conditioner.gain_db
