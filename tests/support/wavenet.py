"""A small WaveNet checkpoint."""

import torch

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.wavenet import WaveNet, WaveNetShape

SHAPE = WaveNetShape(layers=6, cycle=3, residual=8, skip=12, speakers=3, speaker=4)


SPEAKERS = ("anna", "bob", "eve:2")


def checkpoint(path, shape=SHAPE, **card):
    torch.manual_seed(0)
    net = WaveNet(shape).eval().requires_grad_(False)
    net.head[3].weight.mul_(8)
    save(path, net, Card(8000, hop=shape.hop, **({"speakers": SPEAKERS} | card)))
    return net
