"""Bench: how fast WaveNet S learns on one core, and in how much memory, with and without what makes it quick.

Each case is a process of its own, for the allocator reads its settings only once; the cases take turns.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gramophone.models.nets.wavenet import SIZES, WaveNet, WaveNetShape
from gramophone.offline.train.allocator import SETTINGS

_RATE, _CROPS = 16_000, 4
_STEPS, _ROUNDS = 4, 3
_CASES = {
    "conv1d": ("conv1d", "fp32", False),
    "conv1d_bf16": ("conv1d", "bf16", False),
    "products": ("products", "fp32", False),
    "products_bf16": ("products", "bf16", False),
    "products_bf16_allocator": ("products", "bf16", True),
}
"""Layers, precision, and whether the allocator keeps what was freed; the last is how `gramophone train` runs."""


def measure() -> dict[str, object]:
    """Return by case the seconds a step of four crops of a second takes, hours of sound an hour, and memory."""
    runs = [{name: _run(*case) for name, case in _CASES.items()} for _ in range(_ROUNDS)]
    return {
        name: {
            "step_s": round(step_s := float(np.median([run[name]["step_s"] for run in runs])), 2),
            "hours_an_hour": round(_CROPS / step_s, 1),
            "peak_mebibytes": max(run[name]["peak_mebibytes"] for run in runs),
        }
        for name in _CASES
    }


def _run(layers: str, precision: str, kept: bool) -> dict[str, float]:
    plain = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    environment = {**plain, "OMP_NUM_THREADS": "1", **(SETTINGS if kept else {})}
    command = [sys.executable, "-m", "gramophone.offline.bench.training", layers, precision]
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(told.splitlines()[-1])
    return found


def _learn(layers: str, precision: str) -> dict[str, float]:
    """Take some steps in this process; return the median step's seconds and the most memory that was held."""
    torch.manual_seed(0)
    net: nn.Module = WaveNet(SIZES["S"]) if layers == "products" else _Conv1dWaveNet(SIZES["S"])
    optimizer = torch.optim.Adam(net.parameters())
    levels = torch.randint(0, 256, (_CROPS, 1, _RATE + 1))
    narrow = torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()

    def step() -> None:
        with narrow:
            said = net(levels[:, :, :-1])
            loss = F.cross_entropy((said[0] if isinstance(said, tuple) else said).float(), levels[:, 0, 1:])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    step()
    return {
        "step_s": float(np.median([_timed(step) for _ in range(_STEPS)])),
        "peak_mebibytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _timed(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class _Conv1dWaveNet(nn.Module):
    """The same network written plainly: channels first, of torch's own convolutions."""

    def __init__(self, shape: WaveNetShape) -> None:
        super().__init__()
        residual, skip = shape.residual, shape.skip
        self.shape = shape
        self.entry = nn.Embedding(256, residual)
        self.gates = nn.ModuleList(nn.Conv1d(residual, 2 * residual, 2, dilation=d) for d in shape.dilations)
        self.exits = nn.ModuleList(nn.Conv1d(residual, residual + skip, 1) for _ in shape.dilations)
        self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(skip, skip, 1), nn.ReLU(), nn.Conv1d(skip, 256, 1))

    def forward(self, levels: Tensor) -> Tensor:
        """Return logits `(B, 256, T)` for levels `(B, 1, T)`."""
        path = self.entry(levels[:, 0]).transpose(1, 2)
        skips = torch.zeros(())
        for gate, exit_, dilation in zip(self.gates, self.exits, self.shape.dilations, strict=True):
            tanh, sigmoid = gate(F.pad(path, (dilation, 0))).chunk(2, 1)
            out = exit_(torch.tanh(tanh) * torch.sigmoid(sigmoid))
            path = path + out[:, : self.shape.residual]
            skips = skips + out[:, self.shape.residual :]
        logits: Tensor = self.head(skips)
        return logits


if __name__ == "__main__":
    print(json.dumps(_learn(sys.argv[1], sys.argv[2])))
