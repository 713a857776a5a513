"""Models in the form of nn~, exported by its own package, and broken ones."""

import math

import cached_conv
import nn_tilde
import torch
from torch import nn

HOP, LATENTS, LATE = 64, 8, 100


class Filterbank(nn_tilde.Module):
    """An orthonormal transform of each hop, cut to its first latents, of the sound `LATE` samples before."""

    def __init__(self, latents=HOP, late=LATE):
        super().__init__()
        self.late, self.hop = late, HOP
        basis = torch.linalg.qr(torch.randn(HOP, HOP, generator=torch.Generator().manual_seed(0)))[0]
        self.register_buffer("basis", basis[:latents].contiguous())
        self.register_buffer("past", torch.zeros(1, 1, late))
        self.register_buffer("sampling_rate", torch.tensor(48_000))
        self.register_attribute("gain", 1.0)
        self.register_attribute("mute", False)
        self.register_method("encode", 1, 1, latents, HOP, test_method=False)
        self.register_method("decode", latents, HOP, 1, 1, test_method=False)

    @torch.jit.export
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        known = torch.cat([self.past[:, :, self.past.shape[2] - self.late :], x], 2)
        self.past = known[:, :, known.shape[2] - self.late :]
        hops = known[:, :, : x.shape[2]].reshape(1, -1, self.hop)
        return (hops @ self.basis.t()).transpose(1, 2)

    @torch.jit.export
    def decode(self, z: torch.Tensor) -> torch.Tensor:
        gain = 0.0 if self.mute[0] else self.gain[0]
        return gain * (z.transpose(1, 2) @ self.basis).reshape(1, 1, -1)


class Convolutional(nn_tilde.Module):
    """A small network of cached convolutions, with a state on both sides, as streaming exports of RAVE have."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        cached_conv.use_cached_conv(True)
        try:
            self.encoder = nn.Sequential(
                cached_conv.Conv1d(1, 16, 2 * HOP, stride=HOP, padding=(HOP, 0)), nn.Tanh(), nn.Conv1d(16, LATENTS, 1)
            )
            self.decoder = nn.Sequential(
                cached_conv.Conv1d(LATENTS, 16, 3, padding=(2, 0)),
                nn.Tanh(),
                nn.ConvTranspose1d(16, 2, HOP, stride=HOP),
            )
        finally:
            cached_conv.use_cached_conv(False)
        # Tested here, which makes the states of the convolutions.
        self.register_method("encode", 1, 1, LATENTS, HOP)
        self.register_method("decode", LATENTS, HOP, 2, 1)

    @torch.jit.export
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.encoder(x)

    @torch.jit.export
    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return self.decoder(z)


class Broken(nn.Module):
    """A model with one thing wrong."""

    def __init__(self, wrong):
        super().__init__()
        self.wrong = wrong
        self.calls, self.hop, self.latents, self.value = 0, HOP, LATENTS, math.nan if wrong == "nan" else 0.5
        self.register_buffer("encode_params", torch.tensor([1, 1, LATENTS, HOP]))
        self.register_buffer("decode_params", torch.tensor([LATENTS, 2 * HOP if wrong == "ratios" else HOP, 1, 1]))

    @torch.jit.export
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.wrong == "throws" or (self.wrong == "late" and self.calls > 400):
            raise ValueError("out of latents")
        while self.wrong == "hangs":
            self.calls += 1
        frames = x.shape[2] // self.hop
        if self.wrong == "lies":
            frames = frames // 2
        return torch.full((1, self.latents, frames), self.value)

    @torch.jit.export
    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return z.mean(1, keepdim=True).repeat_interleave(self.hop, 2)


class WithoutEncoder(nn.Module):
    """What only generates."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def save(model, path):
    """Write a model as TorchScript and return its path."""
    torch.jit.script(model.eval()).save(str(path))
    return path
