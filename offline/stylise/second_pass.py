"""The second pass of an offline mosaic: levels where somebody speaks, and attacks of what has hardly any.

Words are in the levels of bands against each other, and in how these move. Live, a mosaic's levels miss the content's
by some 6 dB: its frames are summed after they were measured, and the filter from the content's spectrum to the clip's
is estimated as the sound goes by. With the whole sound at hand, that filter is the mean difference over all loud
frames; what levels miss is measured in the sum and corrected there. Words then bear more texture.

The gain by which as much begins as in the content, where that has hardly attacks, is measured in the sum as well, in
frames that are whole.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from gramophone.models.units import LEVEL_BANDS
from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.stage import Audio
from gramophone.realtime.stages.frame_spectra import FrameOverlap, FrameSpectra, advance
from gramophone.realtime.stages.mosaic.attacks import follow, no_rises
from gramophone.realtime.stages.mosaic.layout import LiveLayout, live_layout
from gramophone.realtime.stages.mosaic.output_level import PAUSE_FROM, PAUSE_OVER, level
from gramophone.realtime.stages.mosaic.parameters import KNOBS, WINDOWS
from gramophone.realtime.stages.mosaic.shaping import Amounts
from gramophone.realtime.stages.mosaic.speech import listen
from gramophone.realtime.stages.mosaic.state import filtered, memory_of, powers

Blocks = Callable[[], Iterable[Audio]]
"""Gives a sound from its beginning each time that it is called, in blocks `(channels, frames)` of any lengths."""

_AHEAD_S = 3.0
"""How much later the speech detector is asked: it assumes speech at first, for two or three seconds."""
_FLOOR = 1e-4
"""Of a band's mean power, and of the frames'; below it a band is not raised, and nothing is learnt from a frame."""
_TINY = 1e-9
_ATTACK_HOPS = 8
"""Of frames in which attacks are measured: 43 ms."""
_LEAST, _MOST = -6.0, 4.0
"""Nats of power by which a band is lowered or raised at most."""
_SPOKEN_TEXTURE = 0.9
_USUAL_TEXTURE = next(float(knob.default) for knob in KNOBS if knob.name == "texture")


class SecondPass:
    """What the second pass has to know of a content at `rate` Hz, of so many channels; from there on, the pass itself.

    `texture` is the stage's parameter for the first pass.
    """

    def __init__(self, content: Blocks, rate: int, channels: int) -> None:
        self._content, self._channels = content, channels
        self._layout = layout = live_layout(rate, WINDOWS["short"])
        self._late = layout.hops - 1
        meter, levels, certain = _Meter(layout, channels), [], []
        for hop in self._hops(content()):
            levels.append(meter(hop).copy())
            certain.append(float(listen(layout.speech, meter.power)))
        self._levels = np.array(levels)
        self._power = self._levels.sum(1)
        self._loud = self._power > _FLOOR * self._power.mean()
        self._usual = float(self._power[self._loud].mean()) if self._loud.any() else 0.0
        self._floor = _FLOOR * self._levels.mean(0) + _TINY
        ahead = np.arange(len(certain)) + round(_AHEAD_S * rate / layout.hop)
        self._exact = np.array(certain)[np.minimum(ahead, len(certain) - 1)]
        speech = float(self._exact[self._loud].mean()) if self._loud.any() else 0.0
        self.texture = _USUAL_TEXTURE + (_SPOKEN_TEXTURE - _USUAL_TEXTURE) * speech

    def __call__(self, wet: Blocks, strength: float) -> Iterator[Audio]:
        """Yield `wet`, the content's mosaic in line with it, as the pass corrects it, in blocks of any lengths.

        At a strength of 0, where `wet` is the content, it is yielded as it is.
        """
        if strength == 0:
            yield from wet()
            return
        frames = 0

        def counted() -> Iterator[Audio]:
            nonlocal frames
            for block in wet():
                frames += block.shape[1]
                yield block

        sound: Iterable[Audio] = counted()
        if self._exact.any():
            sound = self._levelled(self._approached(sound, self._wanted(wet)), strength)
        done = 0
        for hop in self._attacked(sound, strength):
            # By the time that the last hop comes, which silence fills up, all frames are counted.
            yield hop[:, : frames - done]
            done += hop.shape[1]

    def _wanted(self, wet: Blocks) -> Floats:
        """Return the logs of the content's levels, through the filter that leads to the mosaic's, `(N, K)`."""
        meter = _Meter(self._layout, self._channels)
        found = np.array([meter(hop).copy() for hop in self._hops(wet())])
        logs = np.log(np.maximum(self._levels, self._floor))
        weights = self._exact * self._loud
        change = weights @ (np.log(found + _TINY) - logs) / max(float(weights.sum()), _TINY)
        wanted: Floats = (logs + change).astype(np.float32)
        return wanted

    def _approached(self, sound: Iterable[Audio], wanted: Floats) -> Iterator[Audio]:
        """Yield `sound` in hops nearer to the levels `wanted`, in line with it."""
        layout, channels = self._layout, self._channels
        meter = _Meter(layout, channels)
        overlap = FrameOverlap(layout.short / np.float32(layout.hops / 2), len(layout.short), channels)
        for frame, hop in enumerate(self._hops(sound)):
            change = self._change(frame, meter(hop), wanted[frame])
            meter.spectra *= np.exp(0.5 * change).astype(np.float32) @ layout.shape.short_levels
            output = zeros(channels, layout.hop)
            overlap.add(meter.spectra, output)
            if frame >= self._late:
                yield output

    def _change(self, frame: int, levels: Floats, wanted: Floats) -> Floats:
        """Return by how many nats of power the bands `(K,)` of a frame are to be raised."""
        change: Floats = np.clip(wanted - np.log(levels + _TINY), _LEAST, _MOST)
        below = self._levels[frame] < self._floor
        change[below] = np.minimum(change[below], 0)
        change *= self._exact[frame]
        own, found = self._power[frame], float(levels @ np.exp(change))
        allowed = PAUSE_OVER * own * max(1.0, (own / (PAUSE_FROM * self._usual + _TINY)) ** 2)
        if found > allowed:
            change += self._exact[frame] * np.log((allowed + _TINY) / found)
        return change

    def _levelled(self, sound: Iterable[Audio], strength: float) -> Iterator[Audio]:
        """Yield hops of `sound` as loud as the content and quiet in its pauses, as the stage has them."""
        layout = self._layout
        memory = memory_of(layout.shape, self._channels)
        amounts = Amounts(strength, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
        for pair, output in zip(itertools.pairwise(self._hops(self._content())), sound, strict=False):
            level(layout.shape, memory, np.concatenate(pair, axis=1), output, amounts)
            yield output

    def _attacked(self, sound: Iterable[Audio], strength: float) -> Iterator[Audio]:
        """Yield hops of `sound` in which as much begins as in the content, where that has hardly attacks of its own.

        Gains lie in the middle of the frames that they are measured in.
        """
        layout, channels = self._layout, self._channels
        length, late = _ATTACK_HOPS * layout.hop, _ATTACK_HOPS // 2
        window = np.hanning(length + 1)[:-1].astype(np.float32)
        rises = no_rises(layout.rate, length, layout.hop)
        own, found = zeros(channels, length), zeros(channels, length)
        looks = FrameSpectra(window, channels), FrameSpectra(window, channels)
        before = 1.0
        pairs = zip(self._hops(self._content(), late), self._hops(sound, late), strict=False)
        for frame, (content, hop) in enumerate(pairs):
            advance(own, content)
            advance(found, hop)
            follow(rises, looks[0].look(own), looks[1].look(found), strength)
            gain = math.exp(0.5 * rises.gain[0])
            if frame >= late:
                middle = found[:, length - (late + 1) * layout.hop : length - late * layout.hop]
                yield middle * np.linspace(before, gain, layout.hop, endpoint=False, dtype=np.float32)
            before = gain

    def _hops(self, sound: Iterable[Audio], late: int = 0) -> Iterator[Audio]:
        """Yield a sound in hops, and as many of silence until its last frame, or the one so `late`, is whole."""
        yield from _hops(sound, self._layout.hop)
        yield from [zeros(self._channels, self._layout.hop)] * (late or self._late)


class _Meter:
    """Measures the levels of a sound's frames, hop by hop: `power` `(F,)` and `spectra` `(C, F)` of the newest."""

    def __init__(self, layout: LiveLayout, channels: int) -> None:
        self._shape = layout.shape
        self._past = zeros(channels, len(layout.short))
        self._frames = FrameSpectra(layout.short, channels)
        self.power, self._levels = zeros(len(layout.short) // 2 + 1), zeros(LEVEL_BANDS)
        self.spectra = self._frames.values

    def __call__(self, hop: Audio) -> Floats:
        """Return the levels `(K,)` of the frame that ends with `hop` `(C, hop)`; valid until the next call."""
        advance(self._past, hop)
        self._frames.look(self._past)
        powers(self.spectra, self.power)
        filtered(self._shape.short_levels, self._shape.short_spans, self.power, self._levels)
        return self._levels


def _hops(blocks: Iterable[Audio], hop: int) -> Iterator[Audio]:
    """Yield a sound in hops, silence behind its end in the last."""
    left = None
    for block in blocks:
        sound = block if left is None else np.concatenate((left, block), axis=1)
        whole = sound.shape[1] - sound.shape[1] % hop
        for start in range(0, whole, hop):
            yield np.ascontiguousarray(sound[:, start : start + hop])
        left = sound[:, whole:]
    if left is not None and left.shape[1]:
        yield np.pad(left, ((0, 0), (0, hop - left.shape[1])))
