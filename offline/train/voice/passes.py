"""The parts of a voice's forward pass that training needs one by one: normalise, encode, decode, synthesise."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.distributions import Normal

from gramophone.models.layers.streaming import State
from gramophone.models.nets.vae import gaussian
from gramophone.models.nets.voice import SYNTHESIS_STATE, Voice
from gramophone.models.units import COLOUR

NOISE_POSITIONS = 1 << 17
"""Positions in the fixed noise sequence from which training begins at random."""


def full_precision(x: Tensor) -> torch.autocast:
    """Return a context in which arithmetic is 32 bit whatever the plan's precision: audio needs 24 bits."""
    return torch.autocast(x.device.type, enabled=False)


def expecting(voice: Voice, frames: Tensor, moments: Tensor) -> State:
    """Return the normalisation's state once it has converged to given speaker statistics.

    Args:
        voice: the voice whose encoder normalises.
        frames: log-mel frames `[B, channels, n]`; the loudest of them sets the level.
        moments: mean and mean square of the channels, `[B, 2 * channels]`.
    """
    normalisation = voice.encoder.normalisation
    loudest = normalisation.level(frames.detach()).amax((1, 2))
    return normalisation.state_with(moments, loudest, normalisation.memory)


def normalised(voice: Voice, frames: Tensor, state: State) -> Tensor:
    """Return frames `[B, channels, n]` normalised by speaker from a state on, at full precision."""
    with full_precision(frames):
        return cast(Tensor, voice.encoder.normalisation(frames, state)[0])


def normalised_by_mean_speaker(voice: Voice, frames: Tensor) -> Tensor:
    """Return frames `[B, channels, n]` normalised by the mean speaker's statistics: they still tell the speaker."""
    mean_speaker = voice.encoder.normalisation.mean_speaker.to(frames).repeat(len(frames), 1)
    return normalised(voice, frames, expecting(voice, frames, mean_speaker))


def posterior_of(voice: Voice, frames: Tensor) -> Normal:
    """Return the posterior of the latents of normalised frames `[B, channels, n]`, the look-ahead taken out."""
    return gaussian(voice.encoder.layers(frames)[0][:, :, voice.encoder.delay :].float())


def envelopes_of(voice: Voice, z: Tensor, speaker: Tensor, prosody: Tensor) -> Tensor:
    """Return the spectral envelopes that the decoder's network predicts, `[B, envelopes, n]`.

    Args:
        voice: the voice whose decoder is used.
        z: latents `[B, latents, n]`.
        speaker: speakers' vectors `[B, speaker]`.
        prosody: octaves, voicing and loudness, `[B, PROSODY, n]`.
    """
    return cast(Tensor, voice.decoder.network(z, None, speaker, prosody)[0].float())


def synthesised(voice: Voice, envelopes: Tensor, prosody: Tensor, position: Tensor) -> Tensor:
    """Return the sound of envelopes, `[B, 1, T]`; `position` `[B, 1]` is where each example's noise begins."""
    state = (*voice.decoder.initial_state(envelopes)[-SYNTHESIS_STATE:-1], position)
    sound, _ = voice.decoder.synthesise(envelopes, state, prosody, envelopes.new_zeros(len(envelopes), COLOUR))
    return sound


def synthesised_frames(voice: Voice, envelopes: Tensor, prosody: Tensor) -> Tensor:
    """Return the log-mel frames of the sound of envelopes, `[B, channels, n]`, with noise from a random position."""
    with full_precision(envelopes):
        position = torch.zeros(len(envelopes), 1, dtype=torch.int64, device=envelopes.device).random_(NOISE_POSITIONS)
        return cast(Tensor, voice.encoder.features(synthesised(voice, envelopes, prosody, position))[0])
