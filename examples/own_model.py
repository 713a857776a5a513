"""A model of your own: a small causal network learns an amplifier by listening to it, and then streams.

    python own_model.py [STEPS]

It is made of the streaming layers, so the network that was trained on whole crops plays block by block without change;
`gramophone.realtime.kernels.executor` runs it as fast as the machine allows. To play it live, put the executor into a
stage of your own, as `own_stage` shows.
"""

import sys

import numpy as np
import torch

from gramophone.models.layers.composition import Sequential
from gramophone.models.layers.convolution import CausalConv1d
from gramophone.models.layers.streaming import Pointwise
from gramophone.presets import CLIPS, Preset, StageSettings
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import read
from gramophone.realtime.kernels.executor import make

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 400
CROP, BATCH, BLOCK = 2048, 8, 256

# What is to be learned: a guitar, dry and through an overdriven amplifier.
amplifier = Preset(
    "amplifier",
    (StageSettings("drive", "distortion", {"drive": 20.0}), StageSettings("speaker", "lowpass", {"frequency": 3000.0})),
)
dry, rate = read(CLIPS / "guitar.flac")
engine = Engine(amplifier, rate, dry.shape[0])
wet = engine.render(dry)
engine.close()

# The network: three dilated convolutions that look back 1.5 ms.
torch.manual_seed(0)
network = Sequential(
    CausalConv1d(1, 16, 3),
    Pointwise(torch.nn.Tanh()),
    CausalConv1d(16, 16, 5, dilation=4),
    Pointwise(torch.nn.Tanh()),
    CausalConv1d(16, 1, 3, dilation=16),
)
optimiser = torch.optim.Adam(network.parameters(), 3e-3)
pairs = torch.from_numpy(np.stack((dry[0], wet[0])))
for _ in range(STEPS):
    starts = torch.randint(0, pairs.shape[1] - CROP, (BATCH,))
    x, y = torch.stack([pairs[:, start : start + CROP] for start in starts]).unsqueeze(2).unbind(1)
    loss = (network(x)[0] - y).square().mean() / y.square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

# Whole, and block by block: the same samples.
sound = dry[None, :1, : 40 * BLOCK]
with torch.no_grad():
    whole = network(torch.from_numpy(sound))[0].numpy()
play = make(network, channels=1, block=BLOCK, device="cpu")
streamed = np.concatenate([play(sound[:, :, i : i + BLOCK]) for i in range(0, sound.shape[2], BLOCK)], axis=2)
print(f"error {10 * np.log10(loss.item()):.0f} dB; streamed and whole differ by {np.abs(streamed - whole).max():.1e}")
