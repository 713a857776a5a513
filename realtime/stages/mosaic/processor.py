"""The live mosaic processor: hop by hop through spectra, grains of the clips, and overlap-add.

A long analysis window with a short synthesis window that ends at the same sample, as in the style stage: the notes are
separated in 85 ms of sound, the latency is that of the short window.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gramophone.models.parameters import Value
from gramophone.models.units import LEVEL_BANDS, MODULATION_HZ
from gramophone.realtime.dsp.fifo import Fifo
from gramophone.realtime.dsp.smoothing import Ramps
from gramophone.realtime.kernels.arrays import zeros
from gramophone.realtime.stage import Audio, Format
from gramophone.realtime.stages.frame_spectra import Complex, FrameOverlap, FrameSpectra, advance
from gramophone.realtime.stages.mosaic.attacks import Attacks
from gramophone.realtime.stages.mosaic.clips import MosaicClips, add_grain, read_grain
from gramophone.realtime.stages.mosaic.layout import LiveLayout
from gramophone.realtime.stages.mosaic.matching import GRAINS, Choice, Dictionary, match, no_grains, work_space
from gramophone.realtime.stages.mosaic.modulation import no_modulation
from gramophone.realtime.stages.mosaic.output_level import level
from gramophone.realtime.stages.mosaic.parameters import KNOBS
from gramophone.realtime.stages.mosaic.shaping import Amounts, join, look
from gramophone.realtime.stages.mosaic.state import memory_of

_FULL_GRAIN = 0.25
"""Value of `grain` from which on the texture is all grains; at 0 the content is only filtered."""
_ALL_HIGHS = 0.75
"""Value of `texture` from which on there is nothing else above the lows; these come in from 0.5 on."""
_SHORTEST_S, _LONGEST_S = 0.04, 1.0
_MARGIN = (0.05, 0.3)
_FEWEST, _MOST = 1, GRAINS


class MosaicProcessor:
    """A layout in use, with its state."""

    def __init__(self, form: Format, layout: LiveLayout, clips: MosaicClips, values: Mapping[str, Value]) -> None:
        self._layout, self._clips = layout, clips
        self._hop = hop = layout.hop
        self._fifo = Fifo(form.channels, hop)
        self.delay = len(layout.dual) - hop + self._fifo.delay
        self._ramps = Ramps(KNOBS, values, form.rate, hop)
        self._shape = layout.shape
        self._memory = memory_of(self._shape, form.channels)
        self._speech = layout.speech
        self._first = len(layout.window) - len(layout.dual)
        self._held, self._last = zeros(GRAINS, form.channels, len(layout.window)), np.full((GRAINS, 3), -1.0)
        self._grains, self._work = no_grains(), work_space(self._shape.blur)
        window, short, channels = layout.window, layout.short, form.channels
        self._past, self._read = (zeros(channels, len(window)) for _ in range(2))
        self._content, self._texture = FrameSpectra(window, channels), FrameSpectra(window, channels)
        self._content_now, self._texture_now = FrameSpectra(short, channels), FrameSpectra(short, channels)
        self._overlap = FrameOverlap(layout.dual, len(window), channels)
        self._attacks = Attacks(layout.attacks, channels)
        self._target = zeros(len(layout.shape.blur))
        self._modulations = zeros(LEVEL_BANDS, len(MODULATION_HZ))
        self._modulation = no_modulation(hop / layout.rate)
        self._target_of: tuple[float, Dictionary] | None = None

    def set(self, name: str, value: Value) -> None:
        """Set a parameter, except the clips."""
        self._ramps.set(name, value)

    def set_clips(self, clips: MosaicClips) -> None:
        """Change to other clips; what plays ends, and the next frame begins with theirs."""
        self._clips = clips
        self._grains.atoms[:] = -1
        self._last[:] = -1

    def process(self, block: Audio) -> Audio:
        """Return the mosaic, `(channels, frames)` both, `delay` samples late."""
        return self._fifo.process(block, self._hops)

    def _hops(self, sound: Audio) -> Audio:
        output = np.empty_like(sound)
        hop = self._hop
        for start, stop, values in self._ramps.segments(sound.shape[1]):
            for at in range(start, stop, hop):
                self._frame(sound[:, at : at + hop], values, output[:, at : at + hop])
        return output

    def _frame(self, sound: Audio, values: Mapping[str, Value], output: Audio) -> None:
        advance(self._past, sound)
        spectra = self._content.look(self._past)
        dictionary = self._clips.dictionary
        if dictionary is not None:
            self._make(dictionary, spectra, values)
        self._overlap.add(spectra, output)
        if dictionary is not None:
            self._attacks.shape(self._past, self._overlap.pending, output, float(values["strength"]))
            aligned = self._past[:, self._first : self._first + 2 * self._hop]
            level(self._shape, self._memory, aligned, output, self._amounts(values))

    def _make(self, dictionary: Dictionary, spectra: Complex, values: Mapping[str, Value]) -> None:
        """Turn `spectra`, the content's, into those of the mosaic."""
        second, frozen = self._second(values), bool(values["freeze"])
        if self._target_of is None or self._target_of[0] != second or self._target_of[1] is not dictionary:
            mean = (1 - second) * dictionary.means[0] + second * dictionary.means[1]
            np.matmul(self._shape.blur, mean, out=self._target)
            self._modulations = (1 - second) * dictionary.modulations[0] + second * dictionary.modulations[1]
            self._target_of = second, dictionary
        short = self._content_now.look(self._past)
        onset = look(self._shape, self._memory, self._speech, spectra, short, self._target, frozen)
        choice = self._choice(values, second, onset)
        match(dictionary, self._grains, self._work, self._memory.bands, choice, self._hop)
        self._read[:] = 0
        for grain in range(GRAINS):
            atom = int(self._grains.atoms[grain])
            if atom >= 0:
                self._read_grain(dictionary, grain, atom)
        texture, texture_now = self._texture.look(self._read), self._texture_now.look(self._read)
        amounts = self._amounts(values)
        join(
            self._shape,
            self._memory,
            spectra,
            texture,
            texture_now,
            self._modulation,
            self._modulations,
            amounts,
        )

    def _read_grain(self, dictionary: Dictionary, grain: int, atom: int) -> None:
        amount = float(self._grains.amounts[grain]) / max(float(dictionary.amplitudes[atom]), 1e-9)
        if amount > 0:
            stride = 2.0 ** (float(self._grains.shifts[grain]) / 24)
            clip, end = int(dictionary.clips[atom]), float(self._grains.ends[grain])
            held = self._held[grain]
            read_grain(
                self._clips.sounds[clip], self._clips.before, held, self._last[grain], clip, end, stride, self._hop
            )
            add_grain(held, amount, self._read)

    def _second(self, values: Mapping[str, Value]) -> float:
        """Return the second clip's share; where one has no sound, the other is all."""
        first, second = self._clips.both
        return float(values["blend"]) if first and second else float(second)

    def _choice(self, values: Mapping[str, Value], second: float, onset: bool) -> Choice:
        grain, pitch = float(values["grain"]), values["pitch"]
        seconds = _SHORTEST_S * (_LONGEST_S / _SHORTEST_S) ** grain
        low, high = _MARGIN
        return Choice(
            grains=_MOST - round(float(values["sharpness"]) * (_MOST - _FEWEST)),
            reach=round(float(values["reach"])) if pitch == "follow" else 0,
            blurred=pitch == "free",
            hold=max(round(seconds * self._layout.rate / self._hop), 1),
            margin=low + (high - low) * grain,
            centre=float(values["position"]),
            region=float(values["region"]),
            speed=float(values["speed"]),
            second=second,
            freeze=bool(values["freeze"]),
            onset=bool(onset),
            aligned=0.5 * float(values["onsets"]),
        )

    def _amounts(self, values: Mapping[str, Value]) -> Amounts:
        texture, grain, onsets = (float(values[name]) for name in ("texture", "grain", "onsets"))
        playing = min(grain / _FULL_GRAIN, 1.0)
        exact = float(values["guard"]) * float(self._speech.level[3])
        return Amounts(
            strength=float(values["strength"]),
            low=max(2 * texture - 1, 0.0) * playing,
            high=min(texture / _ALL_HIGHS, 1.0) * playing,
            fine=min(2 * texture, 1.0),
            tuned=1.0 if values["pitch"] == "follow" else min(2 - 2 * texture, 1.0),
            onsets=onsets + (1 - onsets) * exact,
            dynamics=float(values["dynamics"]) * (1 - exact),
            exact=exact,
            gain=10 ** (float(values["gain"]) / 20),
        )
