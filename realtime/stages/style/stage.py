"""The style stage: its parameters, clips analysed in the background, and the fade from one band layout to another.

It runs on the CPU on any device: its tensors are so small that a GPU would only add transfers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gramophone.models.parameters import Parameter, Value, grouped
from gramophone.realtime.dsp.smoothing import Amount, Fade, crossfade
from gramophone.realtime.stage import Audio, Format
from gramophone.realtime.stages.background import Background, BackgroundStage

if TYPE_CHECKING:
    from gramophone.realtime.stages.style.clips import StyleClips
    from gramophone.realtime.stages.style.processor import StyleProcessor

_Analysis: TypeAlias = "tuple[StyleClips, StyleProcessor | None]"
"""The analysed clips and, where the band layout changes, a processor for it."""

_FADE_S = 0.1
_PARAMETERS = (
    *grouped(
        "style",
        Parameter("clip", "", "sound whose style is taken: any audio file"),
        Parameter("clip2", "", "second style, to blend with the first"),
        Parameter("blend", 0.0, "from the first clip's style (0) to the second's (1)"),
        Parameter("strength", 1.0, "how far the sound goes towards the style", smoothing_ms=50),
    ),
    *grouped(
        "colour",
        Parameter("detail", 64.0, "few bands keep the tune, many reach the style", "bands", (4, 128), "log"),
        Parameter("tilt", 0.75, "what is matched: 0 mean spectrum, 0.5 dynamics too, 1 also how bands move together"),
        Parameter("fill", 1.0, "noise shaped like the style where the sound has nothing to give", smoothing_ms=50),
        Parameter("guard", 1.0, "how far speech is kept clear at the expense of the style"),
    ),
    *grouped(
        "statistics",
        Parameter("adaptation", 8.0, "how long the statistics of the input reach back", "s", (0.5, 60), "log"),
        Parameter("low", 40.0, "lowest frequency with a band of its own", "Hz", (20, 2000), "log"),
        Parameter("high", 20000.0, "highest frequency with a band of its own", "Hz", (2500, 20000), "log"),
        Parameter("freeze", False, "hold the statistics of the input as they are"),
        advanced=True,
    ),
    Parameter("gain", 0.0, "louder or softer than what comes in", "dB", (-24, 24), smoothing_ms=50),
)
_ANALYSED = ("clip", "clip2", "detail", "low", "high")
"""Parameters whose change needs the clips to be analysed again."""


class StyleStage(BackgroundStage[_Analysis]):
    """Plays its input in the style of a clip.

    Raises:
        StageError: a clip cannot be read, or is silent.
    """

    kind = "style"
    compiles = True
    parameters = _PARAMETERS
    hop_s = 256 / 48_000

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        # Imported here, so that reading the parameters does not import numba.
        from gramophone.realtime.stages.style.clips import StyleClips
        from gramophone.realtime.stages.style.processor import StyleProcessor

        self._form = form
        self._values = {knob.name: values.get(knob.name, knob.default) for knob in _PARAMETERS}
        self.background = Background[_Analysis]("style-clips")
        self._current = StyleProcessor(form, StyleClips.learn(form.rate, self._values), self._values)
        self._outgoing: StyleProcessor | None = None
        self._fade, self._warm_up = Fade(0.0, 1), 0
        self.delay = self._current.delay

    def set(self, name: str, value: Value) -> None:
        """Set a parameter. A new clip or band layout is analysed in the background and faded to when it is ready.

        A clip that cannot be analysed is named in the log, and the old one stays.
        """
        self._values[name] = value
        if name in _ANALYSED:
            self.background.submit(partial(self._analyse, dict(self._values)))
        for processor in filter(None, (self._current, self._outgoing)):
            processor.set(name, value)

    def process(self, block: Audio) -> Audio:
        """Return the restyled sound, `(channels, frames)` both, `delay` samples late."""
        if not self._outgoing:
            self._collect()
        if not self._outgoing:
            return self._current.process(block)
        old, new = self._outgoing.process(block), self._current.process(block)
        mixed = crossfade(old, new, self._next_shares(block.shape[1]))
        if not self._fade.left:
            self._outgoing.close()
            self._outgoing = None
        return mixed

    def close(self) -> None:
        """End the background threads."""
        super().close()
        for processor in filter(None, (self._current, self._outgoing)):
            processor.close()

    def _analyse(self, values: Mapping[str, Value]) -> _Analysis:
        """Return the analysed clips and, where the band layout changes, a processor for it; takes seconds."""
        from gramophone.realtime.stages.style.clips import StyleClips
        from gramophone.realtime.stages.style.processor import StyleProcessor

        clips = StyleClips.learn(self._form.rate, values)
        return clips, None if self._current.fits(clips) else StyleProcessor(self._form, clips, values)

    def _adopt(self, made: _Analysis) -> None:
        clips, processor = made
        if processor is None:
            self._current.set_clips(clips)
            return
        for name, value in self._values.items():  # changes made in the meantime
            processor.set(name, value)
        self._outgoing, self._current = self._current, processor
        self._fade, self._warm_up = Fade(0.0, round(_FADE_S * self._form.rate)), processor.delay
        self._fade.set(1.0)

    def _next_shares(self, frames: int) -> Amount:
        """Return the gains of the new processor: 0 until it has been fed for as long as its delay."""
        silent = min(self._warm_up, frames)
        self._warm_up -= silent
        shares = self._fade.next(frames - silent)
        return _after(silent, shares, frames - silent) if silent else shares


def _after(silent: int, amount: Amount, frames: int) -> Amount:
    """Return 0 for `silent` samples, and then `amount` for `frames` samples."""
    return np.concatenate((np.zeros(silent, np.float32), np.broadcast_to(amount, frames)))
