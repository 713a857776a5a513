"""The mosaic stage: its parameters, and clips analysed in the background.

[[stages]]
name = "mosaic"
kind = "mosaic"
clip = "choir.flac"
texture = 0.6              # 0 the tune in the clip's colour, 1 the clip's texture
window = "short"           # a setting: "short" is 21 ms late, "long" 43 ms and smoother, "longest" 85 ms

It runs on the CPU on any device: its arrays are so small that a GPU would only add transfers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gramophone.models.parameters import Value
from gramophone.realtime.dsp.delay_line import DelayLine
from gramophone.realtime.dsp.smoothing import Fade, crossfade
from gramophone.realtime.stage import Audio, Format, Keys, StageError, refuse_setting
from gramophone.realtime.stages.background import Background, BackgroundStage
from gramophone.realtime.stages.mosaic.parameters import CLIP_KNOBS, KNOBS, WINDOWS

if TYPE_CHECKING:
    from gramophone.realtime.stages.mosaic.clips import MosaicClips

_FADE_S = 0.05
_ANALYSED = tuple(knob.name for knob in CLIP_KNOBS)


class MosaicStage(BackgroundStage["MosaicClips"]):
    """Plays its input as a mosaic of a clip's sounds.

    Raises:
        StageError: a clip cannot be read, or is silent.
    """

    kind = "mosaic"
    compiles = True
    parameters = CLIP_KNOBS + KNOBS
    hop_s = 256 / 48_000

    @classmethod
    def keys(cls, values: Mapping[str, Value], folder: Path | None) -> Keys:
        """Return the parameters and the setting `window`.

        Raises:
            StageError: there is no such window.
        """
        return Keys(cls.parameters, {"window": _window(values)}, hop_s=cls.hop_s)

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        # Imported here, so that reading the parameters does not import numba.
        from gramophone.realtime.stages.mosaic.clips import MosaicClips
        from gramophone.realtime.stages.mosaic.layout import live_layout
        from gramophone.realtime.stages.mosaic.processor import MosaicProcessor

        self._form = form
        self._values = {knob.name: values.get(knob.name, knob.default) for knob in self.parameters}
        self._layout = live_layout(form.rate, WINDOWS[_window(values)])
        self.background = Background["MosaicClips"]("mosaic-clips")
        clips = MosaicClips.learn(self._layout, form.channels, self._values)
        self._processor = MosaicProcessor(form, self._layout, clips, self._values)
        self.delay = self._processor.delay
        # A whole and its parts differ by rounding: at strength 0 the input itself is played.
        self._dry = DelayLine(form.channels, self.delay)
        self._wet = Fade(float(self._values["strength"] != 0), round(_FADE_S * form.rate))

    def set(self, name: str, value: Value) -> None:
        """Set a parameter. A new clip is analysed in the background and played when it is ready.

        A clip that cannot be analysed is named in the log, and the old one stays.

        Raises:
            StageError: `name` is a setting of the stage.
        """
        refuse_setting(name, ("window",))
        self._values[name] = value
        if name in _ANALYSED:
            self.background.submit(partial(self._analyse, dict(self._values)))
            return
        self._processor.set(name, value)
        if name == "strength":
            self._wet.set(float(value != 0))

    def process(self, block: Audio) -> Audio:
        """Return the mosaic, `(channels, frames)` both, `delay` samples late."""
        self._collect()
        wet = self._processor.process(block)
        self._dry.write(block)
        amount = self._wet.next(block.shape[1])
        if amount.ndim == 0 and amount == 1:
            return wet
        return crossfade(self._dry.read(block.shape[1]), wet, amount)

    def _analyse(self, values: Mapping[str, Value]) -> MosaicClips:
        from gramophone.realtime.stages.mosaic.clips import MosaicClips

        return MosaicClips.learn(self._layout, self._form.channels, values)

    def _adopt(self, made: MosaicClips) -> None:
        self._processor.set_clips(made)


def _window(values: Mapping[str, Value]) -> str:
    name = values.get("window", next(iter(WINDOWS)))
    if name not in WINDOWS:
        raise StageError(f"window = {name!r}: expected one of {', '.join(WINDOWS)}")
    return str(name)
