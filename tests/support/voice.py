"""A small voice model, its checkpoint, and test sounds."""

import numpy as np
import pytest
import torch

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.voice import Voice, VoiceShape
from gramophone.models.units import MEDIAN_PITCH
from support.pitch import whisper
from support.stage import noise

RATE, HOP = 16_000, 128


SHAPE = VoiceShape(bands=16, width=8, units=2, latents=3, layers=3, channels=8, speakers=3, speaker=5)


SPEAKERS = ("anna", "bob", "flute")


USUAL_HZ = {"anna": 220.0, "flute": 700.0}


def made(shape=SHAPE):
    """A voice with random weights, whose noise is about as loud as its tone."""
    torch.manual_seed(0)
    model = Voice(shape).eval().requires_grad_(False)
    model.decoder.network.out.bias[shape.points :] = 1.0
    return model


def card(shape=SHAPE):
    return Card(shape.rate, shape.hop, shape.ahead * shape.hop, speakers=SPEAKERS, notes={MEDIAN_PITCH: USUAL_HZ})


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "voice.safetensors"
    save(path, made(), card())
    return str(path)


def sung(seconds=1.0, hz=150.0, rate=RATE):
    """A voice-like tone that comes and goes."""
    time = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * hz * number * time) / number for number in range(1, 12)) / 8
    return (tone * (0.3 + 0.7 * np.sin(2 * np.pi * 2.5 * time) ** 2)).astype(np.float32)[None]


BAD = {
    "silence": np.zeros((1, 2 * RATE)),
    "noise": 0.1 * noise(2 * RATE),
    "shouting": np.clip(8 * sung(2.0), -1, 1),
    "whisper": whisper(2 * RATE)[None],
    "polyphony": sum(sung(2.0, hz) for hz in (130, 164, 196, 233)) / 3,
    "too low": sung(2.0, 31),
    "too high": 0.3 * np.sin(2 * np.pi * 3100 * np.arange(2 * RATE) / RATE)[None],
    "of 8 kHz": np.repeat(sung(2.0, rate=8_000), 2, axis=1) * 0.5,
    "clicks": np.tile(np.eye(1, 4000, 100), 8) * 0.9,
    "quiet": 1e-4 * sung(2.0),
}
