"""The content encoder: phonetic content apart from the speaker, learned by a causal network from a recogniser.

The teacher is the residual stream before the fifth of the six blocks of Moonshine tiny (Jeffries et al. 2024), which
distinguishes phones by itself, and hardly speakers once the speaker's mean and spread are removed; the student looks
24 ms ahead where the teacher has the whole sound. Distillation of content features into a causal network follows LLVC
(Sadov et al. 2023); normalised log-mel frames as input are those of the voice models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gramophone.models.layers.composition import Residual, Sequential
from gramophone.models.layers.convolution import CausalConv1d
from gramophone.models.layers.streaming import Pointwise, State, Streaming
from gramophone.models.nets.voice_features import FINE, FINE_BANDS, SpeakerNormalisation, VoiceFeatures

LEVEL_CENTRE, LEVEL_SCALE = -3.0, 2.0
"""Levels lie about so many nats below the loudest of late, give or take so many."""
LEVEL_LEAST = -3.0
_AT_ONCE = 256
_FEATURE_STATES, _NORMALISATION_STATES = 2, 3


@dataclass(frozen=True)
class ContentShape:
    """Frames of `bands` mel bands each `hop` samples through residual units of `width`, one of each of `dilations`.

    `content` is the number of output channels; `ahead` the frames that the encoder waits for, and `early` those after
    which it says the same less surely.
    """

    rate: int = 16_000
    hop: int = 128
    bands: int = 64
    width: int = 192
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 1, 2, 4)
    content: int = 96
    ahead: int = 3
    early: int = 1


class ContentEncoder(Streaming):
    """Sound `(B, 1, T)` -> content, `(B, 2 content, T / hop)`; frame `n` speaks of the hop `n - ahead`.

    The second half of the channels speaks of the hop `n - early`, where the delay has to be short. State: that of the
    features, of the speaker normalisation, of the convolutions.
    """

    def __init__(self, shape: ContentShape) -> None:
        super().__init__()
        self.shape = shape
        self.hop, self.delay = shape.hop, shape.ahead
        self.features = VoiceFeatures(shape.rate, shape.hop, shape.bands)
        self.normalisation = SpeakerNormalisation(shape.bands, FINE * FINE_BANDS)
        self.trunk = causal_trunk(self.channels, shape.width, shape.dilations, 2 * shape.content)

    @property
    def channels(self) -> int:
        """Channels of the normalised frames: the bands, the fine bands and the level."""
        return self.normalisation.channels + 1

    def initial_state(self, x: Tensor) -> State:
        """Silence before, from a speaker who is expected to be as speakers usually are."""
        frames = x.new_zeros(x.shape[0], self.normalisation.channels, 0)
        return self._state(x, self.normalisation.initial_state(frames))

    def state_with(self, x: Tensor, moments: Tensor, loudest: Tensor) -> State:
        """Return the state for a known speaker of `x`, by moments `(B, 2 C)` and the loudest level `(B,)`."""
        return self._state(x, self.normalisation.state_with(moments, loudest, self.normalisation.memory))

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Return the content of one chunk."""
        both = _FEATURE_STATES + _NORMALISATION_STATES
        frames, heard = self.features.step(x, state[:_FEATURE_STATES])
        normalised, adapted = self.normalised(frames, state[_FEATURE_STATES:both])
        content, convolved = self.trunk.step(normalised, state[both:])
        return content, (*heard, *adapted, *convolved)

    def normalised(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        """Return frames of the features `(B, C, n)` without the speaker's statistics, and their level, `(B, C + 1, n)`.

        `state` is the speaker normalisation's.
        """
        pieces = []
        for piece in torch.split(frames, _AT_ONCE, 2):
            level = self.normalisation.level(piece)
            below = level - self.normalisation.loudest(level, state[0])
            shapes, state = self.normalisation.step(piece, state)
            levels = ((below - LEVEL_CENTRE) / LEVEL_SCALE).clamp_min(LEVEL_LEAST)
            pieces.append(torch.cat([shapes, levels], 1))
        return torch.cat(pieces, 2), state

    def _state(self, x: Tensor, normalisation: State) -> State:
        trunk = self.trunk.initial_state(x.new_zeros(x.shape[0], self.channels, 0))
        return (*self.features.initial_state(x), *normalisation, *trunk)


class RecordingMoments:
    """The statistics that the encoder is accustomed to a speaker by, gathered over any number of sounds of theirs."""

    def __init__(self, encoder: ContentEncoder) -> None:
        normalisation = encoder.normalisation
        self._listener = SpeakerNormalisation(
            normalisation.bands, normalisation.channels - normalisation.bands, float("inf")
        )
        self._listener.mean_speaker = normalisation.mean_speaker
        self._state: State | None = None
        self._loudest: list[Tensor] = []

    def add(self, frames: Tensor) -> None:
        """Add frames of the features `(1, C, n)`."""
        _, self._state = self._listener(frames, self._state)
        self._loudest.append(self._listener.level(frames).amax(2)[:, 0])

    def known(self) -> tuple[Tensor, Tensor]:
        """Return the moments `(1, 2 C)` and the usual loudest level `(1,)` in nats: what `state_with` takes.

        Raises:
            ValueError: nothing was added.
        """
        if self._state is None:
            raise ValueError("no sound of the speaker was added")
        return self._state[2][:, :, 0], torch.stack(self._loudest).median(0).values


@torch.no_grad()
def content_of(encoder: ContentEncoder, sound: Tensor) -> Tensor:
    """Return the content `(T / hop, content)` of a sound `(T,)`, aligned with it, with the statistics of all of it."""
    late = encoder.delay * encoder.hop
    padded = nn.functional.pad(sound, (0, late))[None, None]
    moments = RecordingMoments(encoder)
    moments.add(encoder.features(padded[..., :-late])[0])
    both, _ = encoder(padded, encoder.state_with(padded, *moments.known()))
    content: Tensor = both[0, : encoder.shape.content, encoder.delay :].t()
    return content


def causal_trunk(inputs: int, width: int, dilations: Sequence[int], outputs: int) -> Sequential:
    """Return a network `(B, inputs, n)` -> `(B, outputs, n)`, delay 0: residual units of `width`, one a dilation."""
    return Sequential(
        CausalConv1d(inputs, width, 3),
        Pointwise(nn.GELU()),
        *(Residual(_unit(width, dilation)) for dilation in dilations),
        CausalConv1d(width, outputs, 1),
    )


def _unit(width: int, dilation: int) -> Sequential:
    return Sequential(CausalConv1d(width, width, 3, dilation), Pointwise(nn.GELU()), CausalConv1d(width, width, 1))
