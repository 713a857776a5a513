"""What a mosaic is made of: the frames of a clip that a sound can be put together from, and bands to compare them in.

A sound is decomposed on the frames of a clip and on their copies at other pitches (Driedger, Prätzlich and Müller, "Let
it bee", ISMIR 2015; Coleman, "Descriptor control of sound transformations and mosaicing synthesis", 2013). The bands
are a quarter-tone apart. On that scale a change of pitch is a shift by whole bands, so copies at other pitches need
neither memory nor analysis of their own.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gramophone.models.layers.mel import hz_to_mel
from gramophone.models.layers.stft import STFT, low_delay_windows
from gramophone.models.layers.streaming import State
from gramophone.models.units import BANDS_PER_SEMITONE, LEVEL_BANDS, MODULATION_HZ, MOST_SEMITONES

_LOWEST_HZ, _HIGHEST_HZ = 55.0, 16_000.0
_LEVELS_FROM_HZ = 40.0
_HOP_S = 256 / 48_000
_ANALYSIS_HOPS = 16
_ATOMS = 768
_FRAMES = 1500
"""Frames of a clip that are looked at, at most."""
_GATE = 10 ** (-50 / 10)
"""Power relative to the loudest frame; quieter frames are pauses, which nothing is made of."""
_TINY = 1e-9
_LEVEL_GATE = 1e-4
_LEVEL_HOPS = 2
_COMPRESSION = 0.5
"""Exponent of magnitudes where frames are compared: weak partials count, too."""
_BLUR_BANDS = 6.0
_AHEAD_S = 0.1
_CHUNK = 64


@dataclass(frozen=True)
class Filters:
    """Triangular bands over bins: `weights` `(bands, F)`, and the bins that each begins at and ends before."""

    weights: Tensor
    spans: Tensor


@dataclass(frozen=True)
class MosaicLayout:
    """The analysis and synthesis of mosaics at one rate in Hz.

    `window` `(N,)` looks at what is played, `dual` `(S,)` lies over the last samples of a frame in synthesis, `short`
    `(S,)` over the same in measuring levels. `notes` are bands a quarter-tone apart, of long frames; `levels` of long,
    `short_levels` of short frames.
    """

    rate: int
    hop: int
    window: Tensor
    dual: Tensor
    short: Tensor
    notes: Filters
    levels: Filters
    short_levels: Filters

    @staticmethod
    def of(rate: int, hops: int) -> MosaicLayout:
        """Return the layout at `rate` Hz with synthesis windows of `hops` hops, an even number up to 16."""
        hop = max(round(_HOP_S * rate), 4)
        span = hops * hop
        length = _ANALYSIS_HOPS * hop
        window, dual = low_delay_windows(length, span, hop)
        top = 0.45 * rate
        return MosaicLayout(
            rate,
            hop,
            window,
            dual,
            torch.hann_window(span, dtype=torch.float64).sqrt().float(),
            _notes(rate, length, top),
            _levels(rate, length, top),
            _levels(rate, span, top),
        )


@dataclass(frozen=True)
class Atoms:
    """The frames of a clip that mosaics are made of, in the order of the clip.

    `spectra` `(A, B)` are magnitudes in notes' bands, rows that sum to 1; `ends` `(A,)` the samples that the frames end
    at; `amplitudes` `(A,)` the root of the frames' energy; `attacks` `(A,)` how much begins within the next tenth of a
    second, 0 nothing to 1 as much as anywhere in the clip; `mean` `(B,)` the clip's mean magnitudes, sum 1;
    `modulation` `(LEVEL_BANDS, rates)` the powers of its levels in nats by rate, those of `MODULATION_HZ`.
    """

    spectra: Tensor
    ends: Tensor
    amplitudes: Tensor
    attacks: Tensor
    mean: Tensor
    modulation: Tensor


def learn(layout: MosaicLayout, sound: Tensor) -> Atoms | None:
    """Return the atoms of a recording `(C, T)` at the layout's rate; None for one that is silent throughout."""
    length = len(layout.window)
    stride = layout.hop * max(2, math.ceil(sound.shape[1] / layout.hop / _FRAMES))
    stft = STFT(layout.window, stride)
    padded = torch.nn.functional.pad(sound, (0, stride + -sound.shape[1] % stride))
    state: State | None = None
    pieces, energies = [], []
    for chunk in torch.split(padded[None], _CHUNK * stride, 2):
        spectra, state = stft(chunk, state)
        power = spectra[0].abs().square().mean(0)
        pieces.append(power.sqrt() @ layout.notes.weights.t())
        energies.append(power.sum(1))
    bands, energy = torch.cat(pieces), torch.cat(energies)
    sums = bands.sum(1)
    loud = (energy > max(float(energy.max()) * _GATE, _TINY * length)) & (sums > 0)
    whole = loud & ((torch.arange(len(loud)) + 1) * stride <= sound.shape[1])
    (places,) = (whole if whole.any() else loud).nonzero(as_tuple=True)
    if not len(places):
        return None
    mean = bands[places].mean(0)
    chosen = places[torch.linspace(0, len(places) - 1, min(_ATOMS, len(places))).long()]
    return Atoms(
        bands[chosen] / sums[chosen, None],
        ((chosen + 1) * stride).clamp(max=sound.shape[1]),
        energy[chosen].sqrt(),
        _attacks(layout, bands, stride)[chosen],
        mean / mean.sum(),
        _modulation(layout, sound),
    )


def _modulation(layout: MosaicLayout, sound: Tensor) -> Tensor:
    """Return the powers of a sound's levels in nats by rate of modulation, `(LEVEL_BANDS, rates)`."""
    span, stride = len(layout.short), _LEVEL_HOPS * layout.hop
    padded = torch.nn.functional.pad(sound, (0, max(span - sound.shape[1], 0)))
    levels = torch.cat(
        [
            torch.fft.rfft(part * layout.short).abs().square().mean(0) @ layout.short_levels.weights.t()
            for part in torch.split(padded.unfold(1, span, stride), _CHUNK, 1)
        ]
    )
    relative = levels / levels.mean(0).clamp_min(_TINY)
    logs = relative.clamp_min(_LEVEL_GATE).log()
    spectrum = torch.fft.rfft(logs - logs.mean(0), dim=0).abs().square() / len(logs) ** 2
    spectrum[1:] *= 2
    # The low-passes of the stage as they are there, a frame in every hop.
    turn = 2 * math.pi * torch.arange(len(spectrum), dtype=torch.float64) / len(logs) / _LEVEL_HOPS
    back = torch.polar(torch.ones_like(turn), -turn)
    slow = [torch.ones_like(back)]
    for hz in reversed(MODULATION_HZ):
        hold = math.exp(-2 * math.pi * hz * layout.hop / layout.rate)
        slow.append((1 - hold) / (1 - hold * back))
    parts = [(above - below).abs().square().float() @ spectrum for above, below in itertools.pairwise(slow)]
    return torch.stack(parts[::-1], 1)


def _attacks(layout: MosaicLayout, bands: Tensor, stride: int) -> Tensor:
    """Return how much begins soon after each frame, 0 to 1: the spectral flux of the frames to come."""
    logs = (bands + 1e-3 * bands.mean()).log()
    flux = torch.nn.functional.pad(logs.diff(dim=0).clamp_min(0).mean(1), (1, 0))
    ahead = max(round(_AHEAD_S * layout.rate / stride), 1)
    soon = torch.nn.functional.pad(flux[None, None], (0, ahead)).unfold(2, ahead + 1, 1).amax(3)[0, 0]
    low, high = torch.quantile(soon, torch.tensor([0.1, 0.95])).tolist()
    placed: Tensor = ((soon - low) / max(high - low, 0.01)).clamp(0, 1)
    return placed


def keys(spectra: Tensor, *, blurred: bool = False) -> Tensor:
    """Return what frames `(A, B)` are compared by, `(A, B + 2 * margin)`: compressed, with zeros for an octave around.

    It is what stands out from half an octave around it, the partials, since envelopes are brought to the clip's
    anyway; or, `blurred`, the half octaves, so that frames of one colour are alike whatever their pitch.
    """
    compressed = spectra**_COMPRESSION
    around = compressed @ blur(spectra.shape[1]).t()
    margin = BANDS_PER_SEMITONE * MOST_SEMITONES + 1
    return torch.nn.functional.pad(around if blurred else (compressed - around).clamp_min(0), (margin, margin))


def blur(bands: int) -> Tensor:
    """Return a matrix `(B, B)` whose rows average over half an octave of bands."""
    index = torch.arange(bands, dtype=torch.float64)
    weights = (-0.5 * ((index[:, None] - index) / _BLUR_BANDS).square()).exp()
    return (weights / weights.sum(1, keepdim=True)).float()


def _notes(rate: int, length: int, top: float) -> Filters:
    """Return triangles a quarter-tone wide, or as wide as a bin where that is more."""
    octaves = math.log2(min(_HIGHEST_HZ, top) / _LOWEST_HZ)
    count = int(12 * BANDS_PER_SEMITONE * octaves)
    centres = _LOWEST_HZ * 2 ** (torch.arange(count, dtype=torch.float64) / (12 * BANDS_PER_SEMITONE))
    bin_hz = rate / length
    widths = (centres * (2 ** (1 / (12 * BANDS_PER_SEMITONE)) - 1)).clamp_min(bin_hz)
    hz = torch.arange(length // 2 + 1, dtype=torch.float64) * bin_hz
    return _filters((1 - (hz - centres[:, None]).abs() / widths[:, None]).clamp_min(0))


def _levels(rate: int, length: int, top: float) -> Filters:
    """Return overlapping triangles in mel that add up to 1 in every bin."""
    hz = torch.arange(length // 2 + 1, dtype=torch.float64) * (rate / length)
    low, high = hz_to_mel(torch.tensor([_LEVELS_FROM_HZ, min(_HIGHEST_HZ, top)], dtype=torch.float64)).tolist()
    place = ((hz_to_mel(hz) - low) / (high - low) * (LEVEL_BANDS - 1)).clamp(0, LEVEL_BANDS - 1)
    return _filters((1 - (place - torch.arange(LEVEL_BANDS)[:, None]).abs()).clamp_min(0))


def _filters(weights: Tensor) -> Filters:
    spans = [(int(row.nonzero()[0]), int(row.nonzero()[-1]) + 1) if row.any() else (0, 0) for row in weights]
    return Filters(weights.float(), torch.tensor(spans))
