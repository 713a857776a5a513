"""The effect stage: a built-in effect whose parameters change without clicks and whose blocks may have any size.

Setting pedalboard's parameters makes a step in the output, and many small steps are no better: in trials each step of a
moving threshold or cutoff clicked. So a change is a crossfade between two instances of the effect, one with the old
values and one with the new. Filter modes change the same way, and so do impulse responses once they have been loaded in
the background. A change during a fade waits for the fade's end, so a moving parameter is followed in straight lines of
one smoothing time each. Only parameters that pedalboard smooths itself (`EffectParameter.direct`) are set at once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache, partial
from typing import ClassVar

import numpy as np

from gramophone.models.parameters import Value
from gramophone.realtime.dsp.meters import ReductionMeter
from gramophone.realtime.dsp.smoothing import Fade, crossfade
from gramophone.realtime.stage import Audio, Format, Stage, StageError
from gramophone.realtime.stages.background import Background, BackgroundStage
from gramophone.realtime.stages.effects.delay import DelayStage
from gramophone.realtime.stages.effects.plugin import EffectPlugin
from gramophone.realtime.stages.effects.table import EFFECTS, REFUSED, EffectSpec

_LOG = logging.getLogger(__name__)

_HOLD_MS = 3.0
"""How long an instance with new values runs before the fade, until the transient of the change has decayed."""


class EffectStage(Stage):
    """One of pedalboard's effects. `effect_stage` makes a class of this for each row of the table.

    Values that are not given take their defaults.

    Raises:
        StageError: the effect cannot run in this format, or a file it needs cannot be read.
    """

    kind: ClassVar[str]
    effect: ClassVar[EffectSpec]

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        self._form = form
        self._parameters = {knob.parameter.name: knob for knob in self.effect.knobs}
        self._targets = {name: values.get(name, k.parameter.default) for name, k in self._parameters.items()}
        slowest = {**self._targets, **self.effect.slowest}
        self._least_delay = EffectPlugin(self.effect, form, slowest).delay if self.effect.slowest else 0
        self._main = self._make_instance(self._targets)
        self.delay = self._main.delay
        fades = not all(knob.direct for knob in self.effect.knobs)
        self._twin = self._make_instance(self._targets) if fades and self.effect.change == "twin" else None
        self._incoming: EffectPlugin | None = None
        self._warm_up = 0
        self._fade = Fade(1.0, 1)
        self._reduction = ReductionMeter(form.channels, self.delay) if self.effect.passes_db else None

    def set(self, name: str, value: Value) -> None:
        """Set a target, effective from the next block on.

        Raises:
            StageError: there is no such parameter.
        """
        knob = self._parameters.get(name)
        if knob is None:
            raise StageError(f"{self.kind}: no parameter {name!r}, expected one of {', '.join(self._parameters)}")
        if value == self._targets[name]:
            return
        if knob.direct:
            for instance in (self._main, self._twin):
                if instance is not None:
                    instance.set(name, value)
        self._targets[name] = value

    def process(self, block: Audio) -> Audio:
        """Return the effect of `block`, `(channels, frames)` both, `delay` samples later."""
        output = self._process(block)
        if self._reduction:
            self._reduction.add(block, output)
        return output

    def read_reduction_db(self) -> float:
        """Return by how much it has turned its input down since the last call, in dB, 0 or less."""
        passes_db = self.effect.passes_db
        return self._reduction.read(passes_db(self._targets)) if self._reduction and passes_db else 0.0

    def _process(self, block: Audio) -> Audio:
        frames = block.shape[1]
        pieces = []
        start = 0
        while start < frames:
            self._start_fade()
            stop = min(frames, start + self._run_length(frames))
            pieces.append(self._run(block[:, start:stop]))
            start = stop
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces, axis=1) if pieces else block.copy()

    def _make_instance(self, values: Mapping[str, Value]) -> EffectPlugin:
        return EffectPlugin(self.effect, self._form, values, self._least_delay)

    def _start_fade(self) -> None:
        """Start a fade to the target values if they differ and no fade is under way."""
        if self._incoming is not None or self._main.values == self._targets:
            return
        changed = [name for name, value in self._targets.items() if self._main.values[name] != value]
        if self._twin is None:
            self._incoming = self._make_incoming()
            self._warm_up = self.delay
        else:
            self._incoming = self._twin
            for name in changed:
                self._incoming.set(name, self._targets[name])
            if self.effect.memory == "short":
                self._twin.restart()
            self._warm_up = round(_HOLD_MS * self._form.rate / 1000)
        longest_ms = max(self._parameters[name].parameter.smoothing_ms for name in changed)
        self._fade = Fade(0.0, round(longest_ms * self._form.rate / 1000))
        self._fade.set(1.0)

    def _make_incoming(self) -> EffectPlugin:
        """Return an instance with the new values, where there is no twin to take them."""
        return self._make_instance(self._targets)

    def _run_length(self, frames: int) -> int:
        """Return for how many samples nothing changes."""
        if self._incoming is None:
            return frames
        return self._warm_up or self._fade.left

    def _run(self, block: Audio) -> Audio:
        old = self._main(block)
        if self._incoming is None:
            if self._twin is not None and self.effect.memory == "long":
                self._twin(block)
            return old
        new = self._incoming(block)
        if self._warm_up:
            self._warm_up -= block.shape[1]
            return old
        mixed = crossfade(old, new, self._fade.next(block.shape[1]))
        if not self._fade.left:
            self._finish_fade(self._incoming)
        return mixed

    def _finish_fade(self, incoming: EffectPlugin) -> None:
        """Make the new instance the main one, and the old one, set to the same values, its twin."""
        if self._twin is not None:
            self._twin = self._main
            for name, value in incoming.values.items():
                if self._twin.values[name] != value:
                    self._twin.set(name, value)
        self._main, self._incoming = incoming, None


class LoadedStage(BackgroundStage[EffectPlugin], EffectStage):
    """An effect whose parameters name files, which are loaded in the background.

    A file that cannot be used is named in the log, and the old one stays.
    """

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        super().__init__(form, values)
        self.background = Background[EffectPlugin](f"{self.kind}-loader")
        self._loaded = self._main

    def set(self, name: str, value: Value) -> None:
        """Load a file in the background, to fade to when it is ready.

        Raises:
            StageError: there is no such parameter.
        """
        if name not in self._parameters:
            super().set(name, value)
        self.background.submit(partial(self._make_instance, {**self._targets, name: value}))

    def process(self, block: Audio) -> Audio:
        """Return the effect of `block`, `(channels, frames)` both, `delay` samples later."""
        if self._incoming is None:
            self._collect()
        return super().process(block)

    def _adopt(self, made: EffectPlugin) -> None:
        self._loaded, self._targets = made, dict(made.values)

    def _make_incoming(self) -> EffectPlugin:
        return self._loaded


@cache
def effect_stage(kind: str) -> type[Stage]:
    """Return the stage class of the built-in effect `kind`, a key of `EFFECTS`.

    Raises:
        StageError: there is no such effect, or it cannot stream; the message says why.
    """
    if kind in REFUSED:
        raise StageError(f"{kind}: cannot be played live, {REFUSED[kind]}")
    if kind not in EFFECTS:
        raise StageError(f"{kind}: no such effect, expected one of {', '.join(EFFECTS)}")
    effect = EFFECTS[kind]
    base = DelayStage if effect.plugin == "Echo" else LoadedStage if effect.change == "load" else EffectStage
    body = {
        "kind": kind,
        "effect": effect,
        "parameters": effect.parameters,
        "reduces": effect.passes_db is not None,
        "__doc__": effect.description,
    }
    return type(f"{effect.plugin}Stage", (base,), body)
