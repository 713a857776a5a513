"""The live style at work: hop by hop through spectra and control, its aim renewed in the background.

Every period (about 160 ms) what was heard goes to a background thread, which updates the statistics of the content and
computes the map to the style; one period later this aim is collected and faded to over the next. Both happen at fixed
frames, so the result does not depend on how the sound was cut into blocks or how fast the machine is.
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
from gramophone.realtime.dsp.clip_reader import read_clip
from gramophone.realtime.dsp.fifo import Fifo
from gramophone.realtime.dsp.smoothing import Amount, Fade
from gramophone.realtime.stage import Audio, Format
from gramophone.realtime.stages.background import step_back
from gramophone.realtime.stages.style.gains import GainChange, GainTarget, Place, StyleControl

_PERIOD_S = 0.16
_SMOOTHED_S = {"strength": 0.05, "fill": 0.05, "gain": 0.05}
"""Knobs that move from frame to frame, and how long they take."""


@dataclass(frozen=True)
class StyleClips:
    """A band layout and the clips' styles in it; None for a clip that is not given or silent."""

    bands: StyleBands
    layout: tuple[Value, ...]
    styles: tuple[Style | None, Style | None]

    @staticmethod
    def learn(rate: int, values: Mapping[str, Value]) -> StyleClips:
        """Learn the clips that `values` name.

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
        """Return the style at `position` between the clips; where one teaches nothing, the other's."""
        first, second = self.styles
        if first is None or second is None:
            return first or second
        if position in (0.0, 1.0):
            return second if position else first
        return blended(first, second, position)


class StyleProcessor:
    """One band layout playing: spectra and control with their state, the aims between which it fades, the next one."""

    def __init__(self, form: Format, clips: StyleClips, values: Mapping[str, Value]) -> None:
        self._clips = clips
        self._bands = bands = clips.bands
        self._values = dict(values)
        self._fifo = Fifo(form.channels, bands.hop)
        self.delay = bands.overlap_add.delay + self._fifo.delay
        self._period = max(round(bands.frames(_PERIOD_S)), 1)
        rest = Place.of(Aim.at_rest(bands.bands))
        self._target = GainTarget(rest, rest)
        self._control = StyleControl(bands, form.channels)
        quiet = torch.zeros(1, form.channels, 0)
        self._past = bands.stft.initial_state(quiet)
        self._pending = bands.overlap_add.initial_state(quiet)
        self._heard = np.zeros((self._period, bands.bands + BANDS + 1), np.float32)
        self._count = 0
        self._listener = ContentStatistics.new(bands)
        self._worker = ThreadPoolExecutor(1, "style-map", step_back)
        self._job: Future[tuple[ContentStatistics, Aim]] | None = None
        self._fades = {
            name: Fade(float(values[name]), round(bands.frames(seconds))) for name, seconds in _SMOOTHED_S.items()
        }

    def set(self, name: str, value: Value) -> None:
        """Turn a knob, but for those that take learning."""
        self._values[name] = value
        if name in self._fades:
            self._fades[name].set(float(value))

    def fits(self, clips: StyleClips) -> bool:
        """Whether the styles of `clips` are in the band layout that plays."""
        return clips.layout == self._clips.layout

    def teach(self, clips: StyleClips) -> None:
        """Take over other styles in the same band layout."""
        self._clips = clips

    def process(self, block: Audio) -> Audio:
        """Return the restyled sound, `(channels, frames)` both, `delay` samples late."""
        return self._fifo.process(block, self._restyle)

    def close(self) -> None:
        """End the background thread."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    @torch.inference_mode()
    def _restyle(self, sound: Audio) -> Audio:
        """Pass whole hops through, the spectra of one period at a time."""
        x = torch.from_numpy(sound)[None]
        pieces = []
        while x.shape[2]:
            into = self._count % self._period
            if not into:
                self._turn()
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
        for i, turn in enumerate(self._turns(frames)):
            part = self._control.restyle(power[:, i], self._target, (into + i + 1) / self._period, turn)
            gains[i], fill[i], shares[:, i] = part.gains, part.fill, part.shares
            heard = self._heard[into + i]
            heard[: self._bands.bands], heard[self._bands.bands : -1], heard[-1] = part.frame, part.guard, part.loud
        filling = torch.from_numpy(fill * shares[:, :, None])
        hiss = self._bands.hiss(self._count, frames, x.shape[1])
        spectra = spectra * torch.from_numpy(gains) + hiss * filling
        y, self._pending = self._bands.overlap_add.step(spectra, self._pending)
        return y

    def _turns(self, frames: int) -> Iterator[GainChange]:
        """Yield where the knobs stand in each of the next frames."""
        fade = decay_per_frame(self._bands, float(self._values["adaptation"]))
        moves = (_each(self._fades[name].next(frames), frames) for name in ("strength", "fill", "gain"))
        for strength, fill, gain_db in zip(*moves, strict=True):
            yield GainChange(strength, fill, 10 ** (gain_db / 20), fade)

    def _turn(self) -> None:
        """At the end of a period: fade to the aim that was ordered at its start, and order the next."""
        place = self._target.after
        if self._job:
            self._listener, aim = self._job.result()
            place = Place.of(aim)
        self._target = GainTarget(self._target.after, place)
        kept = 0 if self._values["freeze"] or not self._count else None
        heard = torch.from_numpy(self._heard[:kept].copy())
        self._job = self._worker.submit(_renew, self._listener, heard, self._clips, dict(self._values))


def _each(amount: Amount, frames: int) -> list[float]:
    """Return an amount for each frame."""
    return [float(value) for value in np.broadcast_to(amount, frames)]


@torch.inference_mode()
def _renew(
    listener: ContentStatistics, heard: Tensor, clips: StyleClips, values: Mapping[str, Value]
) -> tuple[ContentStatistics, Aim]:
    adaptation, position, tilt, guard = (float(values[name]) for name in ("adaptation", "blend", "tilt", "guard"))
    frames, powers_heard, loud = torch.split(heard.double(), [clips.bands.bands, BANDS, 1], 1)
    decay = decay_per_frame(clips.bands, adaptation)
    listener = listener.after(frames, powers_heard, loud[:, 0] > 0, decay)
    return listener, listener.aim(clips.bands, clips.style(position), tilt, guard)


@torch.inference_mode()
def _learn_clip(bands: StyleBands, clip: str) -> Style | None:
    if not clip:
        return None
    return bands.learn(torch.from_numpy(read_clip(clip, bands.rate)))
