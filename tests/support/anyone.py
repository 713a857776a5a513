"""A small model of anybody's voice with random weights, its checkpoint and a card."""

import pytest
import torch

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.anyone import Anyone, AnyoneShape, VoiceMap

SHAPE = AnyoneShape(width=16, dilations=(1, 2), content=6, voices=2, residual_width=16, residual_dilations=(1, 2))
KNOWN = ("anna", "bob")
IDENTITY = "0123"


def made(shape=SHAPE):
    torch.manual_seed(0)
    model = Anyone(shape).eval().requires_grad_(False)
    model.universal.copy_(0.1 * torch.randn_like(model.universal))
    model.set_known([voice(shape, number) for number in range(shape.voices)])
    return model


def voice(shape=SHAPE, seed=0):
    """A voice whose spectrum falls, and whose maps are random."""
    chance = torch.Generator().manual_seed(seed)
    mean = torch.linspace(3, -3, shape.envelope) + 0.5 * torch.randn(shape.envelope, generator=chance)
    mean[-1] = -12.0
    maps = 0.1 * torch.randn(len(shape.shrinkages), shape.inputs, shape.envelope, generator=chance)
    return VoiceMap(torch.tensor([7.0 + seed, 0.2]), mean, torch.ones(shape.envelope), maps)


def card(shape=SHAPE):
    return Card(shape.rate, shape.hop, shape.ahead * shape.hop, speakers=KNOWN, notes={"identity": IDENTITY})


@pytest.fixture(scope="session")
def anyone(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "anyone.safetensors"
    save(path, made(), card())
    return str(path)
