"""Makes the task of a match from two recordings and a chain: it picks the loudest excerpts and refuses silent ones."""

from __future__ import annotations

import numpy as np

from gramophone.offline.data.audibility import demand_sound
from gramophone.offline.data.mono_audio import frame_levels
from gramophone.offline.match.knobs import SearchSpace
from gramophone.offline.match.prior import NO_PRIOR, Prior
from gramophone.offline.match.trial import Task
from gramophone.presets import Preset
from gramophone.realtime.dsp.resampler import mono
from gramophone.realtime.stage import Audio

LEVEL = "level"
"""The name of the gain stage that makes a matched chain as loud as the reference."""


def make_task(
    dry: tuple[Audio, int],
    reference: tuple[Audio, int],
    knobs: SearchSpace,
    excerpt_s: float,
    reference_s: float,
    prior: Prior = NO_PRIOR,
) -> Task:
    """Return the task of matching `dry` to `reference`, each audio and rate, of which the loudest excerpt is used.

    Raises:
        NothingToHearError: one of them is shorter than a second, silent, or broken.
    """
    for name, (audio, rate) in (("DRY", dry), ("REFERENCE", reference)):
        demand_sound(name, audio, rate)
    return Task(_loudest(*dry, excerpt_s), dry[1], mono(_loudest(*reference, reference_s)), reference[1], knobs, prior)


def _loudest(audio: Audio, rate: int, seconds: float) -> Audio:
    """Return the piece of `seconds` that is audible for longest: the mean of its levels' roots is largest."""
    length, hop = round(seconds * rate), max(rate // 10, 1)
    if audio.shape[1] <= length:
        return audio
    levels = np.sqrt(frame_levels(mono(audio), hop, hop))
    sums = np.cumsum(np.pad(levels, (1, 0)))
    frames = length // hop
    start = int(np.argmax(sums[frames:] - sums[:-frames])) * hop
    return audio[:, start : start + length]


def leveller(preset: Preset) -> str:
    """Return the name of the gain behind the chain that an earlier match put there; empty if there is none."""
    last = preset.stages[-1]
    return last.name if last.kind == "gain" and last.name.startswith(LEVEL) else ""
