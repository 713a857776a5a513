"""The live style processor: hop by hop through spectra and gains, with the style map updated in the background.

Every period (about 160 ms) the measured frames go to a background thread, which updates the statistics of the content
and computes the map to the style; one period later this map is collected and faded to over the next. Both happen at
fixed frames, so the result does not depend on block sizes or on the machine's speed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gramophone.models.parameters import Value
from gramophone.models.style.content_statistics import Aim, ContentStatistics, decay_per_frame
from gramophone.models.style.speech_detector import BANDS
from gramophone.models.style.style import Style, StyleBands, blended, powers
from gramophone.realtime.dsp.fifo import Fifo
from gramophone.realtime.dsp.resampler import read_clip
from gramophone.realtime.dsp.smoothing import Amount, Fade
from gramophone.realtime.stage import Audio, Format
from gramophone.realtime.stages.background import lower_priority
from gramophone.realtime.stages.style.gains import GainChange, GainTarget, MapArrays, StyleControl

_PERIOD_S = 0.16
_SMOOTHED_S = {"strength": 0.05, "fill": 0.05, "gain": 0.05}
"""Parameters that move from frame to frame, and their smoothing times in seconds."""


@dataclass(frozen=True)
class StyleClips:
    """A band layout and the clips' styles in it; None for a clip that is not given or silent."""

    bands: StyleBands
    layout: tuple[Value, ...]
    styles: tuple[Style | None, Style | None]

    @staticmethod
    def learn(rate: int, values: Mapping[str, Value]) -> StyleClips:
        """Analyse the clips that `values` name.

        Raises:
            StageError: a clip cannot be read.
        """
        layout = detail, low, high = values["detail"], values["low"], values["high"]
        with torch.inference_mode():
            bands = StyleBands(rate, round(float(detail)), float(low), float(high))
        with ThreadPoolExecutor(2, "style-clip") as pool:
            first, second = pool.map(_learn_clip, (bands, bands), (str(values[name]) for name in ("clip", "clip2")))
        return StyleClips(bands, layout, (first, second))

    def style(self, position: float) -> Style | None:
        """Return the style at `position` between the clips; where one is missing, the other's."""
        first, second = self.styles
        if first is None or second is None:
            return first or second
        if position in (0.0, 1.0):
            return second if position else first
        return blended(first, second, position)


class StyleProcessor:
    """A band layout in use: spectra and gains with their state, the maps that are faded between, the next one."""

    def __init__(self, form: Format, clips: StyleClips, values: Mapping[str, Value]) -> None:
        self._clips = clips
        self._bands = bands = clips.bands
        self._values = dict(values)
        self._fifo = Fifo(form.channels, bands.hop)
        self.delay = bands.overlap_add.delay + self._fifo.delay
        self._period = max(round(bands.frames(_PERIOD_S)), 1)
        identity = MapArrays.of(Aim.at_rest(bands.bands))
        self._target = GainTarget(identity, identity)
        self._control = StyleControl(bands, form.channels)
        quiet = torch.zeros(1, form.channels, 0)
        self._past = bands.stft.initial_state(quiet)
        self._pending = bands.overlap_add.initial_state(quiet)
        self._observations = np.zeros((self._period, bands.bands + BANDS + 1), np.float32)
        self._count = 0
        self._statistics = ContentStatistics.new(bands)
        self._worker = ThreadPoolExecutor(1, "style-map", lower_priority)
        self._job: Future[tuple[ContentStatistics, Aim]] | None = None
        self._fades = {
            name: Fade(float(values[name]), round(bands.frames(seconds))) for name, seconds in _SMOOTHED_S.items()
        }

    def set(self, name: str, value: Value) -> None:
        """Set a parameter, except those that need the clips to be analysed again."""
        self._values[name] = value
        if name in self._fades:
            self._fades[name].set(float(value))

    def fits(self, clips: StyleClips) -> bool:
        """Return whether the styles of `clips` are in this band layout."""
        return clips.layout == self._clips.layout

    def set_clips(self, clips: StyleClips) -> None:
        """Change to other styles in the same band layout."""
        self._clips = clips

    def process(self, block: Audio) -> Audio:
        """Return the restyled sound, `(channels, frames)` both, `delay` samples late."""
        return self._fifo.process(block, self._restyle)

    def close(self) -> None:
        """End the background thread."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    @torch.inference_mode()
    def _restyle(self, sound: Audio) -> Audio:
        """Process whole hops, `(channels, k * hop)`, the spectra of one period at a time."""
        x = torch.from_numpy(sound)[None]
        pieces = []
        while x.shape[2]:
            into = self._count % self._period
            if not into:
                self._renew_map()
            frames = min(x.shape[2] // self._bands.hop, self._period - into)
            samples = frames * self._bands.hop
            pieces.append(self._step(x[:, :, :samples], into, frames))
            self._count += frames
            x = x[:, :, samples:]
        return (pieces[0] if len(pieces) == 1 else torch.cat(pieces, 2))[0].numpy()

    def _step(self, x: Tensor, into: int, frames: int) -> Tensor:
        spectra, self._past = self._bands.stft.step(x, self._past)
        power = powers(spectra).numpy()
        gains, fill = np.empty((2, *power.shape[1:]), np.float32)
        shares = np.empty((len(power), frames), np.float32)
        for i, controls in enumerate(self._controls_per_frame(frames)):
            part = self._control.restyle(power[:, i], self._target, (into + i + 1) / self._period, controls)
            gains[i], fill[i], shares[:, i] = part.gains, part.fill, part.shares
            observations = self._observations[into + i]
            observations[: self._bands.bands], observations[self._bands.bands : -1], observations[-1] = (
                part.frame,
                part.speech_powers,
                part.loud,
            )
        filling = torch.from_numpy(fill * shares[:, :, None])
        hiss = self._bands.hiss(self._count, frames, x.shape[1])
        spectra = spectra * torch.from_numpy(gains) + hiss * filling
        y, self._pending = self._bands.overlap_add.step(spectra, self._pending)
        return y

    def _controls_per_frame(self, frames: int) -> Iterator[GainChange]:
        """Yield the parameters in each of the next frames."""
        fade = decay_per_frame(self._bands, float(self._values["adaptation"]))
        moves = (_each(self._fades[name].next(frames), frames) for name in ("strength", "fill", "gain"))
        for strength, fill, gain_db in zip(*moves, strict=True):
            yield GainChange(strength, fill, 10 ** (gain_db / 20), fade)

    def _renew_map(self) -> None:
        """At the end of a period, fade to the map that was started at its beginning, and start the next."""
        next_map = self._target.after
        if self._job:
            self._statistics, aim = self._job.result()
            next_map = MapArrays.of(aim)
        self._target = GainTarget(self._target.after, next_map)
        kept = 0 if self._values["freeze"] or not self._count else None
        observations = torch.from_numpy(self._observations[:kept].copy())
        self._job = self._worker.submit(
            _update_statistics, self._statistics, observations, self._clips, dict(self._values)
        )


def _each(amount: Amount, frames: int) -> list[float]:
    """Return a gain for each frame."""
    return [float(value) for value in np.broadcast_to(amount, frames)]


@torch.inference_mode()
def _update_statistics(
    statistics: ContentStatistics, observations: Tensor, clips: StyleClips, values: Mapping[str, Value]
) -> tuple[ContentStatistics, Aim]:
    adaptation, position, tilt, guard = (float(values[name]) for name in ("adaptation", "blend", "tilt", "guard"))
    frames, speech_powers, loud = torch.split(observations.double(), [clips.bands.bands, BANDS, 1], 1)
    decay = decay_per_frame(clips.bands, adaptation)
    statistics = statistics.after(frames, speech_powers, loud[:, 0] > 0, decay)
    return statistics, statistics.aim(clips.bands, clips.style(position), tilt, guard)


@torch.inference_mode()
def _learn_clip(bands: StyleBands, clip: str) -> Style | None:
    if not clip:
        return None
    return bands.learn(torch.from_numpy(read_clip(clip, bands.rate)))
