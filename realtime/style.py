"""The style stage: the live style filter with its knobs, fed hop by hop, its map renewed in the background.

Every period (about 80 ms) what was heard goes to a background thread, which updates the statistics of the content and
computes the map to the style; one period later the map is collected and faded to over the next. Both happen at fixed
frames, so the result does not depend on how the sound was cut into blocks or how fast the machine is.

It runs on the CPU whatever the device: its tensors are so small that a GPU would only add the way there and back.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gramophone.models.gaussian import Gaussian
from gramophone.models.parameters import Parameter, Value
from gramophone.models.streaming import State
from gramophone.models.style import Listener, StyleFilter
from gramophone.models.transport import blend
from gramophone.realtime.fifo import Fifo
from gramophone.realtime.files import SoundFileError, read
from gramophone.realtime.smoothing import Fade, crossfade
from gramophone.realtime.stage import Audio, Format, Stage, StageError

_FADE_S = 0.1
_PARAMETERS = (
    Parameter("clip", "", "sound whose style is taken: any audio file"),
    Parameter("clip2", "", "second style, to blend with the first"),
    Parameter("blend", 0.0, "from the first clip's style (0) to the second's (1)"),
    Parameter("strength", 1.0, "how far the sound goes towards the style", smoothing_ms=50),
    Parameter("detail", 24.0, "few bands keep the tune, many reach the style", "bands", (4, 128), "log"),
    Parameter("tilt", 1.0, "what is matched: 0 mean spectrum, 0.5 dynamics too, 1 also how bands move together"),
    Parameter("adaptation", 8.0, "how long the stage remembers what it heard", "s", (0.5, 60), "log"),
    Parameter("low", 40.0, "lowest frequency with a band of its own", "Hz", (20, 2000), "log"),
    Parameter("high", 20000.0, "highest frequency with a band of its own", "Hz", (2500, 20000), "log"),
    Parameter("freeze", False, "keep the map as it is, whatever comes"),
    Parameter("gain", 0.0, "louder or softer than what comes in", "dB", (-24, 24), smoothing_ms=50),
)
_SMOOTHING_MS = {knob.name: knob.smoothing_ms for knob in _PARAMETERS}
_LEARNT = ("clip", "clip2", "detail", "low", "high")
"""Knobs whose change takes learning the clips anew."""


class StyleStage(Stage):
    """Plays what comes in the style of a clip.

    Raises:
        StageError: a clip cannot be read.
    """

    parameters = _PARAMETERS

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        self._form = form
        self._values = {knob.name: values.get(knob.name, knob.default) for knob in _PARAMETERS}
        self._learner = ThreadPoolExecutor(1, "style-learner", _step_back)
        self._order: Future[_Lesson] | None = None
        self._playing = _Player(form, _Lesson.learn(form.rate, self._values), self._values)
        self._leaving: _Player | None = None
        self._share = Fade(0.0, 1)
        self.delay = self._playing.delay

    def set(self, name: str, value: Value) -> None:
        """Turn a knob. A new clip or band layout is learnt in the background and faded to when it is ready."""
        self._values[name] = value
        if name in _LEARNT:
            if self._order:
                self._order.cancel()
            self._order = self._learner.submit(_Lesson.learn, self._form.rate, dict(self._values))
        for player in filter(None, (self._playing, self._leaving)):
            player.set(name, value)

    def process(self, block: Audio) -> Audio:
        """Return the restyled sound, `(channels, frames)` both, `delay` samples late."""
        if self._order and self._order.done() and not self._leaving:
            order, self._order = self._order, None
            self._take(order.result())
        if not self._leaving:
            return self._playing.process(block)
        old, new = self._leaving.process(block), self._playing.process(block)
        mixed = crossfade(old, new, self._share.next(block.shape[1]))
        if not self._share.left:
            self._leaving.close()
            self._leaving = None
        return mixed

    def close(self) -> None:
        """End the background threads."""
        self._learner.shutdown(wait=True, cancel_futures=True)
        for player in filter(None, (self._playing, self._leaving)):
            player.close()

    def _take(self, lesson: _Lesson) -> None:
        if self._playing.teach(lesson):
            return
        self._leaving, self._playing = self._playing, _Player(self._form, lesson, self._values)
        self._share = Fade(0.0, round(_FADE_S * self._form.rate))
        self._share.set(1.0)


@dataclass(frozen=True)
class _Lesson:
    """A band layout and the clips' styles in it; None for a clip that is not given or silent."""

    filter: StyleFilter
    layout: tuple[Value, ...]
    styles: tuple[Gaussian | None, Gaussian | None]

    @staticmethod
    @torch.inference_mode()
    def learn(rate: int, values: Mapping[str, Value]) -> _Lesson:
        """Learn the clips that `values` name.

        Raises:
            StageError: a clip cannot be read.
        """
        layout = detail, low, high = values["detail"], values["low"], values["high"]
        style_filter = StyleFilter(rate, round(float(detail)), float(low), float(high))
        first, second = (_learn_clip(style_filter, str(values[name])) for name in ("clip", "clip2"))
        return _Lesson(style_filter, layout, (first, second))

    def style(self, position: float) -> Gaussian | None:
        """Return the style at `position` between the clips; where one teaches nothing, the other's."""
        first, second = self.styles
        if first is None or second is None:
            return first or second
        if position in (0.0, 1.0):
            return second if position else first
        return blend(first, second, position)


class _Player:
    """One band layout at work: the filter with its state, the maps that it fades between, and the one to come."""

    def __init__(self, form: Format, lesson: _Lesson, values: Mapping[str, Value]) -> None:
        self._lesson = lesson
        self._filter = lesson.filter
        self._values = dict(values)
        self._fifo = Fifo(form.channels, self._filter.hop)
        self.delay = self._filter.delay + self._fifo.delay
        self._state: State = self._filter.initial_state(torch.zeros(1, form.channels, 0))
        self._frame = 0
        self._before = self._after = self._filter.identity()
        self._listener = Listener.new(self._filter)
        self._worker = ThreadPoolExecutor(1, "style-map", _step_back)
        self._job: Future[tuple[Listener, Tensor]] | None = None
        self._fades = {name: self._fade(name) for name in ("strength", "gain")}

    def set(self, name: str, value: Value) -> None:
        self._values[name] = value
        if name in self._fades:
            self._fades[name].set(float(value))

    def teach(self, lesson: _Lesson) -> bool:
        """Take over other styles if they are in this band layout; return whether they are."""
        if lesson.layout != self._lesson.layout:
            return False
        self._lesson = lesson
        return True

    def process(self, block: Audio) -> Audio:
        return self._fifo.process(block, self._restyle)

    def close(self) -> None:
        self._worker.shutdown(wait=True, cancel_futures=True)

    @torch.inference_mode()
    def _restyle(self, sound: Audio) -> Audio:
        """Pass whole hops through the filter, no step beyond the end of a period."""
        x = torch.from_numpy(sound)[None]
        pieces = []
        while x.shape[2]:
            into = self._frame % self._filter.period
            if not into:
                self._turn()
            frames = min(x.shape[2] // self._filter.hop, self._filter.period - into)
            samples = frames * self._filter.hop
            pieces.append(self._step(x[:, :, :samples], into, frames))
            self._frame += frames
            x = x[:, :, samples:]
        return (pieces[0] if len(pieces) == 1 else torch.cat(pieces, 2))[0].numpy()

    def _step(self, x: Tensor, into: int, frames: int) -> Tensor:
        position = torch.arange(into + 1, into + frames + 1) / self._filter.period
        strength, gain_db = (torch.as_tensor(fade.next(frames)).expand(frames) for fade in self._fades.values())
        adaptation = torch.tensor(float(self._values["adaptation"]))
        controls = (self._before, self._after, position, strength, 10 ** (gain_db / 20), adaptation)
        y, self._state = self._filter.forward(x, self._state, *controls)
        return y

    def _turn(self) -> None:
        """At the end of a period: fade to the map that was ordered at its start, and order the next."""
        self._before = self._after
        if self._job:
            self._listener, self._after = self._job.result()
        frozen = bool(self._values["freeze"])
        heard = self._filter.heard(self._state)[: 0 if frozen else None]
        self._job = self._worker.submit(
            _renew,
            self._listener,
            heard,
            self._lesson,
            *(float(self._values[n]) for n in ("adaptation", "blend", "tilt")),
        )

    def _fade(self, name: str) -> Fade:
        return Fade(float(self._values[name]), round(self._filter.frames(_SMOOTHING_MS[name] / 1000)))


@torch.inference_mode()
def _renew(
    listener: Listener, heard: Tensor, lesson: _Lesson, adaptation: float, position: float, tilt: float
) -> tuple[Listener, Tensor]:
    listener = listener.after(heard, adaptation)
    return listener, listener.map_to(lesson.style(position), tilt)


def _learn_clip(style_filter: StyleFilter, clip: str) -> Gaussian | None:
    if not clip:
        return None
    try:
        sound, rate = read(Path(clip))
    except SoundFileError as error:
        raise StageError(f"clip: {error}") from None
    sound = np.nan_to_num(sound, nan=0.0, posinf=0.0, neginf=0.0)
    if rate != style_filter.rate:
        import soxr

        sound = np.ascontiguousarray(soxr.resample(sound.T, rate, style_filter.rate).T)
    return style_filter.learn(torch.from_numpy(sound))


def _step_back() -> None:
    """Give way to the sound: on Linux a thread has a priority of its own."""
    with contextlib.suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
