"""What a voice model hears of a sound: how it differs from what the voice is usually like, and how loud it is."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gramophone.models.layers.streaming import State, Streaming
from gramophone.models.layers.vocoder_features import SCALE, LogMel

FINE_BANDS, FINE = 8, 4
"""Bands that are heard several times a frame, so that it is known where in the frame a consonant bursts."""
SILENCE = -11.5
"""Loudness, in nats, from which on down there is nothing to hear: -100 dBFS."""
MEMORY = 1000.0
"""Audible frames that a listener remembers: 8 s at 125 Hz."""
_EXPECTED = 40.0
"""Frames that what is expected before anything was heard counts as."""
FAINTEST = 2.0
"""Level, in nats, below which nothing counts as loud, or silence would be blown up: speech at -50 dBFS."""
PAUSE, FADE = 8.0, 4.0
"""Nats below the loudest at which a frame counts no more, and over which it fades to that: 35 and 17 dB."""
SOFTENING = 0.0024
"""Nats per frame by which the loudest fades: 1.3 dB/s at 125 Hz."""
LEAST_SPREAD = 0.05
MOST = 5.0
_AT_ONCE = 256


class VoiceFeatures(Streaming):
    """Sound `(B, 1, T)` -> log-mel frames, `(B, bands + FINE * FINE_BANDS, T / hop)`.

    The bands look at a window of four hops that ends with the frame's; the fine bands, a group for each part of the
    hop in turn, at one of a hop.
    """

    def __init__(self, rate: int, hop: int, bands: int) -> None:
        super().__init__()
        self.hop = hop
        self.coarse = LogMel(rate, hop, bands)
        self.fine = LogMel(rate, hop // FINE, FINE_BANDS)

    def initial_state(self, x: Tensor) -> State:
        """Silence before."""
        return *self.coarse.initial_state(x), *self.fine.initial_state(x)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Return the frames of one chunk."""
        coarse, heard = self.coarse.step(x, state[:1])
        fine, heard_finely = self.fine.step(x, state[1:])
        parts = fine.reshape(x.shape[0], FINE_BANDS, x.shape[2] // self.hop, FINE).permute(0, 3, 1, 2).flatten(1, 2)
        return torch.cat([coarse, parts], 1), (*heard, *heard_finely)


class SpeakerNormalisation(Streaming):
    """Frames `(B, bands + others, n)` as of nobody in particular: their level, long-term mean and spread are taken out.

    What is left says how a frame differs from what this voice, in this room, is usually like: 0 on average with a
    spread of 1 per channel, and 0 for what is far softer than the loudest of late, for a pause says nothing. (Mean and
    variance normalisation, Viikki and Laurila 1998, on log-mel frames; the moments are running ones, over the last
    `memory` audible frames, and begin with those of voices as usual.) State: the level of the loudest of late
    `(B, 1, 1)`, how many frames the moments are of `(B, 1, 1)`, and the moments, `(B, 2 * channels, 1)`: means, then
    mean squares.
    """

    usual: Tensor

    def __init__(self, bands: int, others: int, memory: float = MEMORY) -> None:
        super().__init__()
        self.bands, self.channels, self.memory = bands, bands + others, memory
        self.register_buffer("usual", torch.cat([torch.zeros(self.channels), torch.ones(self.channels)]))

    def initial_state(self, x: Tensor) -> State:
        """Nothing has been heard: a voice as usual is expected, and soon forgotten."""
        return self.accustomed(self.usual.to(x).repeat(x.shape[0], 1), x.new_full((x.shape[0],), FAINTEST), _EXPECTED)

    def accustomed(self, moments: Tensor, loudest: Tensor, frames: float) -> State:
        """Return the state of who has heard so many frames of such moments `(B, 2 * channels)`."""
        loudest = loudest.clamp_min(FAINTEST)[:, None, None]
        return loudest, torch.full_like(loudest, min(frames, self.memory)), moments[:, :, None]

    def level(self, frames: Tensor) -> Tensor:
        """Return the level of frames in nats, `(B, 1, n)`; speech at -20 dBFS is at about 9."""
        return (SCALE * frames[:, : self.bands]).logsumexp(1, keepdim=True) - math.log(self.bands)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Return the frames of one chunk."""
        pieces = []
        for piece in torch.split(x, _AT_ONCE, 2):
            heard, state = self._piece(piece, state)
            pieces.append(heard)
        return torch.cat(pieces, 2), state

    def _piece(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """Return a few frames: what decays from each of them to each later one is a matrix."""
        level = self.level(frames)
        loudest = self.loudest(level, state[0])
        audible = ((level - loudest + PAUSE) / FADE).clamp(0, 1)
        count = (state[1] + audible.cumsum(2)).clamp_max(self.memory)
        shapes = frames - level / SCALE
        moments = _running(torch.cat([shapes, shapes.square()], 1), audible / count, state[2])
        mean, square = moments.chunk(2, 1)
        spread = (square - mean.square()).clamp_min(LEAST_SPREAD**2).sqrt()
        heard = ((shapes - mean) / spread).clamp(-MOST, MOST) * audible
        return heard, tuple(map(_last, state, (loudest, count, moments)))

    def loudest(self, level: Tensor, old: Tensor) -> Tensor:
        """Return the level of the loudest frame so far, each the softer the longer ago."""
        since = torch.arange(level.shape[2] + 1, device=level.device, dtype=level.dtype)
        ago = since[1:, None] - since
        known = torch.cat([old, level], 2)[:, :, None] - SOFTENING * ago
        return known.masked_fill(ago < 0, FAINTEST).amax(3).clamp_min(FAINTEST)


def _last(old: Tensor, new: Tensor) -> Tensor:
    """Return the last frame of what was and what is new, `(B, C, 1)`."""
    return torch.cat([old, new], 2)[:, :, -1:].clone(memory_format=torch.contiguous_format)


def _running(series: Tensor, weights: Tensor, old: Tensor) -> Tensor:
    """Return the running mean `(B, C, n)` that goes so far towards each frame: `old + weight * (frame - old)`, ..."""
    kept = (1 - weights).log().cumsum(2)
    fading = (kept.transpose(1, 2) - kept).tril().exp().tril() * weights
    return series @ fading.transpose(1, 2) + old * kept.exp()


class Loudness(Streaming):
    """Sound `(B, 1, T)` -> its loudness, `(B, 1, T / hop)`: the logarithm of the RMS in a Hann window of two hops.

    A frame's window ends with its hop: it speaks of the end of the hop before, which is the `delay`. `SILENCE` is the
    least.
    """

    delay = 1
    window: Tensor

    def __init__(self, hop: int) -> None:
        super().__init__()
        self.hop = hop
        window = torch.hann_window(2 * hop)
        self.register_buffer("window", window / window.sum(), persistent=False)

    def initial_state(self, x: Tensor) -> State:
        """Silence before."""
        return (x.new_zeros(x.shape[0], 1, 1),)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Return the frames of one chunk."""
        hops = x.reshape(x.shape[0], 1, x.shape[2] // self.hop, self.hop).square()
        rising, falling = (hops @ half for half in self.window.chunk(2))
        known = torch.cat([state[0], rising], 2)
        power = known[:, :, :-1] + falling
        return power.clamp_min(math.exp(2 * SILENCE)).log() / 2, (known[:, :, -1:].clone(),)
