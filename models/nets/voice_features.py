"""The voice's input features: log-mel frames, their normalisation by speaker, and loudness."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gramophone.models.layers.streaming import State, Streaming
from gramophone.models.layers.vocoder_features import LogMel
from gramophone.models.units import LOG_MEL_SCALE, SILENCE

FINE_BANDS, FINE = 8, 4
"""Fine bands, and how many times a frame they are measured: they locate a plosive within its frame."""
MEMORY = 1000.0
"""Length of the running statistics in audible frames: 8 s at 125 Hz."""
_EXPECTED = 40.0
"""Weight in frames of the mean speaker's statistics before the first frame."""
FAINTEST = 2.0
"""Least level in nats taken as the loudest, so that silence is not amplified: speech at -50 dBFS."""
PAUSE, FADE = 8.0, 4.0
"""Nats below the loudest at which a frame's weight is 0, and over which it falls to 0: 35 and 17 dB."""
SOFTENING = 0.0024
"""Nats per frame by which the loudest level decays: 1.3 dB/s at 125 Hz."""
LEAST_SPREAD = 0.05
"""Least standard deviation divided by."""
MOST = 5.0
"""Largest normalised magnitude."""
_AT_ONCE = 256


class VoiceFeatures(Streaming):
    """Sound `[B, 1, T]` -> log-mel frames, `[B, bands + FINE * FINE_BANDS, T / hop]`.

    The bands have a window of four hops that ends with the frame's hop. The fine bands, measured `FINE` times a frame,
    have a window of one hop.
    """

    def __init__(self, rate: int, hop: int, bands: int) -> None:
        super().__init__()
        self.hop = hop
        self.coarse = LogMel(rate, hop, bands)
        self.fine = LogMel(rate, hop // FINE, FINE_BANDS)

    def initial_state(self, x: Tensor) -> State:
        """Return the state after silence."""
        return *self.coarse.initial_state(x), *self.fine.initial_state(x)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Return the frames of one chunk."""
        coarse, coarse_state = self.coarse.step(x, state[:1])
        fine, fine_state = self.fine.step(x, state[1:])
        parts = fine.reshape(x.shape[0], FINE_BANDS, x.shape[2] // self.hop, FINE).permute(0, 3, 1, 2).flatten(1, 2)
        return torch.cat([coarse, parts], 1), (*coarse_state, *fine_state)


class SpeakerNormalisation(Streaming):
    """Log-mel frames `[B, bands + others, n]`, normalised by the speaker's running statistics; the same shape.

    The level of each frame is subtracted, then each channel has mean 0 and variance 1 over the last `memory` audible
    frames (mean and variance normalisation, Viikki and Laurila 1998), so that speaker and room are removed. Pauses, far
    softer than the loudest recent frame, are 0. The statistics start from those of the mean speaker, the buffer
    `mean_speaker` `[2 * channels]`: means, then mean squares. State: the recent loudest level `[B, 1, 1]` in nats, the
    number of frames in the statistics `[B, 1, 1]`, and the statistics `[B, 2 * channels, 1]`.
    """

    mean_speaker: Tensor

    def __init__(self, bands: int, others: int, memory: float = MEMORY) -> None:
        super().__init__()
        self.bands, self.channels, self.memory = bands, bands + others, memory
        self.register_buffer("mean_speaker", torch.cat([torch.zeros(self.channels), torch.ones(self.channels)]))
        self.register_load_state_dict_pre_hook(_with_present_name)  # type: ignore[no-untyped-call]

    def initial_state(self, x: Tensor) -> State:
        """Return the state before any sound: the mean speaker's statistics, with little weight."""
        moments = self.mean_speaker.to(x).repeat(x.shape[0], 1)
        return self.state_with(moments, x.new_full((x.shape[0],), FAINTEST), _EXPECTED)

    def state_with(self, moments: Tensor, loudest: Tensor, frames: float) -> State:
        """Return the state with given statistics.

        Args:
            moments: means, then mean squares, `[B, 2 * channels]`.
            loudest: the recent loudest level in nats, `[B]`.
            frames: the number of frames that the statistics count as, `memory` at most.
        """
        loudest = loudest.clamp_min(FAINTEST)[:, None, None]
        return loudest, torch.full_like(loudest, min(frames, self.memory)), moments[:, :, None]

    def level(self, frames: Tensor) -> Tensor:
        """Return the level of frames in nats, `[B, 1, n]`; about 9 for speech at -20 dBFS."""
        return (LOG_MEL_SCALE * frames[:, : self.bands]).logsumexp(1, keepdim=True) - math.log(self.bands)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Normalise one chunk."""
        pieces = []
        for piece in torch.split(x, _AT_ONCE, 2):
            normalised, state = self._piece(piece, state)
            pieces.append(normalised)
        return torch.cat(pieces, 2), state

    def _piece(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """Normalise a few frames at once: the decay from each of them to each later one is a matrix."""
        level = self.level(frames)
        loudest = self.loudest(level, state[0])
        audible = ((level - loudest + PAUSE) / FADE).clamp(0, 1)
        count = (state[1] + audible.cumsum(2)).clamp_max(self.memory)
        shapes = frames - level / LOG_MEL_SCALE
        moments = _running(torch.cat([shapes, shapes.square()], 1), audible / count, state[2])
        mean, square = moments.chunk(2, 1)
        spread = (square - mean.square()).clamp_min(LEAST_SPREAD**2).sqrt()
        normalised = ((shapes - mean) / spread).clamp(-MOST, MOST) * audible
        return normalised, tuple(map(_last, state, (loudest, count, moments)))

    def loudest(self, level: Tensor, old: Tensor) -> Tensor:
        """Return the largest level so far, `[B, 1, n]`; past levels decay."""
        since = torch.arange(level.shape[2] + 1, device=level.device, dtype=level.dtype)
        ago = since[1:, None] - since
        known = torch.cat([old, level], 2)[:, :, None] - SOFTENING * ago
        return known.masked_fill(ago < 0, FAINTEST).amax(3).clamp_min(FAINTEST)


def _with_present_name(_module: nn.Module, weights: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Accept weights that were saved when `mean_speaker` was called `usual`."""
    if f"{prefix}usual" in weights:
        weights[f"{prefix}mean_speaker"] = weights.pop(f"{prefix}usual")


def _last(old: Tensor, new: Tensor) -> Tensor:
    """Return the last of old and new frames, `[B, C, 1]`."""
    return torch.cat([old, new], 2)[:, :, -1:].clone(memory_format=torch.contiguous_format)


def _running(series: Tensor, weights: Tensor, old: Tensor) -> Tensor:
    """Return the running mean `[B, C, n]`: at each frame `old + weight * (frame - old)`."""
    kept = (1 - weights).log().cumsum(2)
    fading = (kept.transpose(1, 2) - kept).tril().exp().tril() * weights
    return series @ fading.transpose(1, 2) + old * kept.exp()


class Loudness(Streaming):
    """Sound `[B, 1, T]` -> loudness in nats, `[B, 1, T / hop]`: the log RMS in a Hann window of two hops.

    The window ends with the frame's hop, so its centre is the end of the hop before: a delay of one frame. `SILENCE` is
    the least value.
    """

    delay = 1
    window: Tensor

    def __init__(self, hop: int) -> None:
        super().__init__()
        self.hop = hop
        window = torch.hann_window(2 * hop)
        self.register_buffer("window", window / window.sum(), persistent=False)

    def initial_state(self, x: Tensor) -> State:
        """Return the state after silence."""
        return (x.new_zeros(x.shape[0], 1, 1),)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Return the frames of one chunk."""
        hops = x.reshape(x.shape[0], 1, x.shape[2] // self.hop, self.hop).square()
        rising, falling = (hops @ half for half in self.window.chunk(2))
        known = torch.cat([state[0], rising], 2)
        power = known[:, :, :-1] + falling
        return power.clamp_min(math.exp(2 * SILENCE)).log() / 2, (known[:, :, -1:].clone(),)
