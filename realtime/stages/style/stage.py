"""The style stage: its knobs, clips learnt in the background, and the fade from one band layout to another.

It runs on the CPU whatever the device: its tensors are so small that a GPU would only add the way there and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gramophone.models.parameters import Parameter, Value
from gramophone.realtime.dsp.smoothing import Amount, Fade, crossfade
from gramophone.realtime.stage import Audio, Format
from gramophone.realtime.stages.background import Background, BackgroundStage

if TYPE_CHECKING:
    from gramophone.realtime.stages.style.processor import StyleClips, StyleProcessor

_Learnt: TypeAlias = "tuple[StyleClips, StyleProcessor | None]"
"""What the clips teach, and where the bands are laid out anew, a player for them."""

_FADE_S = 0.1
_PARAMETERS = (
    Parameter("clip", "", "sound whose style is taken: any audio file"),
    Parameter("clip2", "", "second style, to blend with the first"),
    Parameter("blend", 0.0, "from the first clip's style (0) to the second's (1)"),
    Parameter("strength", 1.0, "how far the sound goes towards the style", smoothing_ms=50),
    Parameter("detail", 64.0, "few bands keep the tune, many reach the style", "bands", (4, 128), "log"),
    Parameter("tilt", 0.75, "what is matched: 0 mean spectrum, 0.5 dynamics too, 1 also how bands move together"),
    Parameter("fill", 1.0, "noise shaped like the style where the sound has nothing to give", smoothing_ms=50),
    Parameter("guard", 1.0, "how far speech is kept clear at the style's cost"),
    Parameter("adaptation", 8.0, "how long the stage remembers what it heard", "s", (0.5, 60), "log"),
    Parameter("low", 40.0, "lowest frequency with a band of its own", "Hz", (20, 2000), "log"),
    Parameter("high", 20000.0, "highest frequency with a band of its own", "Hz", (2500, 20000), "log"),
    Parameter("freeze", False, "keep to what was learnt of the sound, whatever comes"),
    Parameter("gain", 0.0, "louder or softer than what comes in", "dB", (-24, 24), smoothing_ms=50),
)
_LEARNT = ("clip", "clip2", "detail", "low", "high")
"""Knobs whose change takes learning the clips anew."""


class StyleStage(BackgroundStage[_Learnt]):
    """Plays what comes in the style of a clip.

    Raises:
        StageError: a clip cannot be read.
    """

    kind = "style"
    parameters = _PARAMETERS
    hop_s = 256 / 48_000

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        # Here, and not above: whoever only asks for the knobs need not wait for torch.
        from gramophone.realtime.stages.style.processor import StyleClips, StyleProcessor

        self._form = form
        self._values = {knob.name: values.get(knob.name, knob.default) for knob in _PARAMETERS}
        self.background = Background[_Learnt]("style-learner")
        self._playing = StyleProcessor(form, StyleClips.learn(form.rate, self._values), self._values)
        self._leaving: StyleProcessor | None = None
        self._share, self._filling = Fade(0.0, 1), 0
        self.delay = self._playing.delay

    def set(self, name: str, value: Value) -> None:
        """Turn a knob. A new clip or band layout is learnt in the background and faded to when it is ready.

        A clip that cannot be learnt is named in the log, and the old one stays.
        """
        self._values[name] = value
        if name in _LEARNT:
            self.background.ask(partial(self._learn, dict(self._values)))
        for player in filter(None, (self._playing, self._leaving)):
            player.set(name, value)

    def process(self, block: Audio) -> Audio:
        """Return the restyled sound, `(channels, frames)` both, `delay` samples late."""
        if not self._leaving:
            self._look()
        if not self._leaving:
            return self._playing.process(block)
        old, new = self._leaving.process(block), self._playing.process(block)
        mixed = crossfade(old, new, self._next_shares(block.shape[1]))
        if not self._share.left:
            self._leaving.close()
            self._leaving = None
        return mixed

    def close(self) -> None:
        """End the background threads."""
        super().close()
        for player in filter(None, (self._playing, self._leaving)):
            player.close()

    def _learn(self, values: Mapping[str, Value]) -> _Learnt:
        """Return what the clips teach and, where the bands are laid out anew, a player for them. Takes its time."""
        from gramophone.realtime.stages.style.processor import StyleClips, StyleProcessor

        clips = StyleClips.learn(self._form.rate, values)
        return clips, None if self._playing.fits(clips) else StyleProcessor(self._form, clips, values)

    def _enter(self, made: _Learnt) -> None:
        clips, player = made
        if player is None:
            self._playing.teach(clips)
            return
        for name, value in self._values.items():  # what was turned while it was being made
            player.set(name, value)
        self._leaving, self._playing = self._playing, player
        self._share, self._filling = Fade(0.0, round(_FADE_S * self._form.rate)), player.delay
        self._share.set(1.0)

    def _next_shares(self, frames: int) -> Amount:
        """Return how much of the new player is heard: nothing yet of what it says before it has heard anything."""
        waiting = min(self._filling, frames)
        self._filling -= waiting
        shares = self._share.next(frames - waiting)
        return _after(waiting, shares, frames - waiting) if waiting else shares


def _after(silent: int, amount: Amount, frames: int) -> Amount:
    """Return nothing for `silent` samples, and then `amount` for so many frames."""
    return np.concatenate((np.zeros(silent, np.float32), np.broadcast_to(amount, frames)))
