"""The clips that a mosaic is made of: their sound, and the dictionary of their atoms for the compiled kernels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gramophone.models.parameters import Value
from gramophone.models.units import BANDS_PER_SEMITONE, MOST_SEMITONES
from gramophone.realtime.dsp.resampler import demand_audible, read_clip
from gramophone.realtime.kernels.arrays import Doubles, Floats, packed
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.stage import Audio
from gramophone.realtime.stages.mosaic.layout import LiveLayout
from gramophone.realtime.stages.mosaic.matching import Dictionary
from gramophone.realtime.stages.prepared import prepared

if TYPE_CHECKING:
    from gramophone.models.style.mosaic import Atoms

_F = np.float32
LONGEST_S = 60.0
"""Seconds of a clip that are used."""
_AFTER = 4
_SAME = 1e-6
"""Samples of a clip by which a grain may be off and still be where it was."""
_FASTEST = 2.0 ** ((MOST_SEMITONES + 1) / 12)
CLIPS = ("clip", "clip2")
compiled = partial(jit, forceinline=False)


@dataclass(frozen=True)
class MosaicClips:
    """The clips in use: `sounds`, both `(C, T)` with room around them, and their atoms; no dictionary without clips."""

    dictionary: Dictionary | None
    sounds: tuple[Audio, Audio]
    before: int

    @staticmethod
    def learn(layout: LiveLayout, channels: int, values: Mapping[str, Value]) -> MosaicClips:
        """Analyse the clips that `values` name, for so many channels.

        Raises:
            StageError: a clip cannot be read, or what is used of it is silent.
        """
        before = math.ceil(_FASTEST * len(layout.window)) + _AFTER
        clips = [Path(str(values[name])) if values[name] else None for name in CLIPS]
        dictionary = prepared(_learn, layout.rate, layout.hops, *clips)
        first, second = (_placed(_read(clip, layout.rate), channels, before) for clip in clips)
        return MosaicClips(dictionary, (first, second), before)

    @property
    def both(self) -> tuple[bool, bool]:
        """Whether either clip has atoms."""
        if self.dictionary is None:
            return False, False
        first, second, end = self.dictionary.starts
        return bool(second > first), bool(end > second)


def _read(clip: Path | None, rate: int) -> Audio:
    if not clip:
        return np.zeros((1, 1), np.float32)
    used = read_clip(str(clip), rate)[:, : round(LONGEST_S * rate)]
    return np.ascontiguousarray(demand_audible(str(clip), used))


def _learn(rate: int, hops: int, *clips: Path | None) -> Dictionary | None:
    import torch

    from gramophone.models.style.mosaic import MosaicLayout, learn

    layout, sounds = MosaicLayout.of(rate, hops), [_read(clip, rate) for clip in clips]
    with torch.inference_mode():
        atoms = [learn(layout, torch.from_numpy(sound)) for sound in sounds]
        return _dictionary(atoms, [sound.shape[1] for sound in sounds])


def _placed(sound: Audio, channels: int, before: int) -> Audio:
    """Return a clip's sound for so many channels, with silence around it."""
    sound = sound.mean(0, keepdims=True) if channels == 1 else sound[np.arange(channels) % len(sound)]
    return np.ascontiguousarray(np.pad(sound, ((0, 0), (before, _AFTER))), np.float32)


def _dictionary(clips: list[Atoms | None], lengths: list[int]) -> Dictionary | None:
    import torch

    from gramophone.models.style.mosaic import keys

    known = [atoms for atoms in clips if atoms]
    if not known:
        return None
    spectra = torch.cat([atoms.spectra for atoms in known])
    key = packed(keys(spectra))
    numbers = np.repeat([i for i, atoms in enumerate(clips) if atoms], [len(atoms.ends) for atoms in known])
    counts = [len(atoms.ends) if atoms else 0 for atoms in clips]
    mean = torch.stack([(atoms or known[0]).mean for atoms in clips])
    return Dictionary(
        packed(spectra),
        key,
        packed(keys(spectra, blurred=True)),
        _norms(key, spectra.shape[1]),
        np.concatenate([atoms.ends.double().numpy() for atoms in known]),
        numbers.astype(np.int64),
        packed(torch.cat([atoms.amplitudes for atoms in known])),
        packed(torch.cat([atoms.attacks for atoms in known])),
        np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        packed(mean),
        packed(torch.stack([(atoms or known[0]).modulation for atoms in clips])),
        np.asarray(lengths, np.float64),
    )


def _norms(key: Floats, bands: int) -> Floats:
    """Return the norms of what is left of each key when it is shifted, `(A, 2 * margin + 1)`."""
    margin = BANDS_PER_SEMITONE * MOST_SEMITONES + 1
    energy = np.cumsum(np.pad(key.astype(np.float64) ** 2, ((0, 0), (1, 0))), axis=1)
    starts = margin - np.arange(-margin, margin + 1)
    inside = energy[:, starts + bands] - energy[:, starts]
    whole = energy[:, -1:]
    # What falls off the ends counts as a misfit.
    return np.ascontiguousarray(np.sqrt(np.maximum(inside, 0.25 * whole) + 1e-12).astype(np.float32))


@compiled
def read_grain(
    sound: Audio, before: int, held: Audio, last: Doubles, clip: int, end: float, stride: float, hop: int
) -> None:
    """Bring `held` `(C, N)` to what ends before sample `end` of a clip's `sound`, read `stride` samples a sample.

    `last` `(3,)` is the clip, end and stride of what it holds: where that goes on, a hop is read. Between samples:
    cubic Hermite interpolation (Catmull and Rom 1974).
    """
    length, new = held.shape[1], 0
    if last[0] == clip and last[2] == stride and abs(last[1] + hop * stride - end) < _SAME:
        new = length - hop
        for channel in range(len(held)):
            line = held[channel]
            for i in range(new):
                line[i] = line[i + hop]
    last[0], last[1], last[2] = clip, end, stride
    first = before + end - 1.0 - (length - 1) * stride
    for channel in range(len(held)):
        line, into = sound[channel], held[channel]
        for i in range(new, length):
            place = first + i * stride
            at = int(place)
            x = _F(place - at)
            a, b, c, d = line[at - 1], line[at], line[at + 1], line[at + 2]
            slope, later = _F(0.5) * (c - a), _F(0.5) * (d - b)
            into[i] = b + x * (
                slope + x * (_F(3) * (c - b) - _F(2) * slope - later + x * (slope + later - _F(2) * (c - b)))
            )


@compiled
def add_grain(held: Audio, amount: float, into: Audio) -> None:
    """Add so much of a grain to `into`, `(C, N)` both."""
    for channel in range(len(into)):
        line, sum_ = held[channel], into[channel]
        for i in range(len(line)):
            sum_[i] += _F(amount) * line[i]
