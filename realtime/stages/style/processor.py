"""The live style processor: hop by hop through spectra and gains, with the style map updated in the background.

Every period (about 160 ms) the measured frames go to a background thread, which updates the statistics of the content
and computes the map to the style; one period later this map is collected and faded to over the next. Both happen at
fixed frames, so the result does not depend on block sizes or on the machine's speed.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from gramophone.models.parameters import Value
from gramophone.models.style.content_statistics import Aim, ContentStatistics, decay_per_frame
from gramophone.models.style.speech_detector import BANDS
from gramophone.realtime.dsp.fifo import Fifo
from gramophone.realtime.dsp.smoothing import Fade
from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.stage import Audio, Format
from gramophone.realtime.stages.background import lower_priority
from gramophone.realtime.stages.frame_spectra import FrameOverlap, FrameSpectra, advance
from gramophone.realtime.stages.one_thread import one_thread
from gramophone.realtime.stages.style.clips import StyleClips
from gramophone.realtime.stages.style.gains import GainChange, GainMap, GainParts, restyler, state_of

_PERIOD_S = 0.16
_SMOOTHED_S = {"strength": 0.05, "fill": 0.05, "gain": 0.05}
"""Parameters that move from frame to frame, and their smoothing times in seconds."""


class StyleProcessor:
    """A band layout in use: spectra and gains with their state, the maps that are faded between, the next one."""

    def __init__(self, form: Format, clips: StyleClips, values: Mapping[str, Value]) -> None:
        self._clips = clips
        layout = clips.layout
        self._grid = grid = layout.grid
        self._values = dict(values)
        self._fifo = Fifo(form.channels, grid.hop)
        self.delay = layout.delay + self._fifo.delay
        self._period = max(round(grid.frames(_PERIOD_S)), 1)
        self._maps = GainMap.of(Aim.at_rest(grid.bands)), GainMap.of(Aim.at_rest(grid.bands))
        self._past = zeros(form.channels, len(layout.analysis))
        self._spectra = FrameSpectra(layout.analysis, form.channels)
        self._overlap = FrameOverlap(layout.synthesis, len(layout.analysis), form.channels)
        self._observations = np.zeros((self._period, grid.bands + BANDS + 1), np.float32)
        self._count = 0
        self._statistics = ContentStatistics.new(grid)
        self._worker = ThreadPoolExecutor(1, "style-map", lower_priority)
        self._job: Future[tuple[ContentStatistics, Aim]] | None = None
        self._fades = {
            name: Fade(float(values[name]), round(grid.frames(seconds))) for name, seconds in _SMOOTHED_S.items()
        }
        self._fade = decay_per_frame(grid, float(values["adaptation"]))
        quiet = zeros(form.channels, grid.hop)
        spectra, state = self._spectra.values.view(np.float32), state_of(layout.plan, form.channels)
        self._restyler = restyler(GainParts(layout.plan, state, self._maps, spectra, self._observations))
        for hops in (1, 2):  # so that everything is compiled now and not in the first block
            self._step(quiet, 0, zeros(form.channels, hops * grid.hop)[:, : grid.hop])
            for kept in state:
                kept[:] = 0

    def set(self, name: str, value: Value) -> None:
        """Set a parameter, except those that need the clips to be analysed again."""
        self._values[name] = value
        if name in self._fades:
            self._fades[name].set(float(value))
        if name == "adaptation":
            self._fade = decay_per_frame(self._grid, float(value))

    def fits(self, clips: StyleClips) -> bool:
        """Return whether the styles of `clips` are in this band layout."""
        return clips.wanted == self._clips.wanted

    def set_clips(self, clips: StyleClips) -> None:
        """Change to other styles in the same band layout."""
        self._clips = clips

    def process(self, block: Audio) -> Audio:
        """Return the restyled sound, `(channels, frames)` both, `delay` samples late."""
        return self._fifo.process(block, self._restyle)

    def close(self) -> None:
        """End the background thread."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _restyle(self, sound: Audio) -> Audio:
        """Process whole hops, `(channels, k * hop)`."""
        output = np.empty(sound.shape, np.float32)
        hop = self._grid.hop
        for start in range(0, sound.shape[1], hop):
            into = self._count % self._period
            if not into:
                self._renew_map()
            self._step(sound[:, start : start + hop], into, output[:, start : start + hop])
            self._count += 1
        return output

    def _step(self, hop: Audio, into: int, output: Audio) -> None:
        """Process one hop, `into` frames after the beginning of a period."""
        advance(self._past, np.ascontiguousarray(hop))
        self._spectra.look(self._past)
        self._restyler(into, (into + 1) / self._period, self._changes(), self._count)
        self._overlap.add(self._spectra.values, output)

    def _changes(self) -> GainChange:
        """Return the parameters in the next frame."""
        strength, fill, gain_db = (float(np.asarray(fade.next(1)).item()) for fade in self._fades.values())
        return GainChange(strength, fill, 10 ** (gain_db / 20), self._fade)

    def _renew_map(self) -> None:
        """At the end of a period, fade to the map that was started at its beginning, and start the next."""
        self._maps[0].become(self._maps[1])
        if self._job:
            self._statistics, aim = self._job.result()
            self._maps[1].become(GainMap.of(aim))
        kept = 0 if self._values["freeze"] or not self._count else None
        observations = self._observations[:kept].copy()
        self._job = self._worker.submit(
            _update_statistics, self._statistics, observations, self._clips, dict(self._values)
        )


@one_thread
def _update_statistics(
    statistics: ContentStatistics, observations: Floats, clips: StyleClips, values: Mapping[str, Value]
) -> tuple[ContentStatistics, Aim]:
    adaptation, position, tilt, guard = (float(values[name]) for name in ("adaptation", "blend", "tilt", "guard"))
    grid = clips.layout.grid
    frames, speech_powers, loud = np.split(observations.astype(np.float64), [grid.bands, grid.bands + BANDS], 1)
    decay = decay_per_frame(grid, adaptation)
    statistics = statistics.after(frames, speech_powers, loud[:, 0] > 0, decay)
    return statistics, statistics.aim(grid, clips.style(position), tilt, guard)
