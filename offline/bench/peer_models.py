"""Rows of the table of peers: networks, against those who made or stream the same ones."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gramophone.models.nets.decoder import CausalDecoder
from gramophone.offline.bench.captures import random_capture
from gramophone.offline.bench.contest import Contest, Duel, NotInstalledError
from gramophone.offline.bench.decoder import cached_twin
from gramophone.offline.bench.latent import latent_stage, random_voice
from gramophone.offline.data.mono_audio import resampled
from gramophone.offline.data.world import pyworld
from gramophone.presets import CLIPS
from gramophone.realtime.files import read
from gramophone.realtime.kernels.executor import make
from gramophone.realtime.stage import Format
from gramophone.realtime.stages.latent.stage import LatentStage
from gramophone.realtime.stages.nam.stage import NamStage

_RATE, _BLOCK = 48_000, 256
_LATENTS = 64
_MODEL_RATE = 16_000
_NN_HOP = 128


def _decoder(stack: ExitStack, form: str, is_cold: bool) -> Contest:
    """Return our executor of a decoder, and cached-conv's: as it is, traced, or scripted."""
    torch.manual_seed(0)
    decoder = CausalDecoder(_LATENTS).eval().requires_grad_(False)
    twin = cached_twin(decoder)
    latents = np.random.default_rng(0).standard_normal((1, _LATENTS, 1)).astype(np.float32)
    x = torch.from_numpy(latents)
    twin(x)
    rival: Any = twin
    if form == "traced":
        rival = torch.jit.trace(twin, x, check_trace=False)  # type: ignore[no-untyped-call]
    elif form == "scripted":
        rival = torch.jit.script(twin)
    executor = make(decoder, channels=_LATENTS, block=1, device="cpu")
    return Contest(lambda: executor(latents), lambda: rival(x), decoder.up / _RATE, 40, is_cold)


def _capture(stack: ExitStack) -> Contest:
    """Return a capture in blocks of 256, as it plays live, and the reference over the whole second at once."""
    try:
        from nam.models._from_nam import init_from_nam
    except ImportError:
        raise NotInstalledError("neural-amp-modeler is not installed") from None
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    torch.manual_seed(0)
    random_capture("standard").export(folder, basename="standard")  # type: ignore[operator]
    path = folder / "standard.nam"
    reference = init_from_nam(json.loads(path.read_text())).eval()
    sound = np.random.default_rng(1).normal(0, 0.1, (1, _RATE // _BLOCK * _BLOCK)).astype(np.float32)
    stage = NamStage(Format(_RATE, 1), {"model": str(path), "normalise": False})
    blocks = np.split(sound, sound.shape[1] // _BLOCK, axis=1)
    whole = torch.from_numpy(sound[0])
    return Contest(
        lambda: [stage.process(block) for block in blocks],
        lambda: reference(whole, pad_start=True),
        sound.shape[1] / _RATE,
        2,
    )


def _world(stack: ExitStack) -> Contest:
    """Return a voice's encoder and decoder, live in blocks, and WORLD's analysis and synthesis of the whole."""
    try:
        world = pyworld()
    except ImportError:
        raise NotInstalledError("pyworld is not installed") from None
    voice, rate = read(CLIPS / "voice.flac")
    mono = np.asarray(voice[0][: 2 * rate], np.float32)
    known = resampled(mono, rate, _MODEL_RATE).astype(np.float64)
    sound = np.asarray(resampled(mono, rate, _RATE), np.float32)[None]
    blocks = np.split(sound[:, : sound.shape[1] // _BLOCK * _BLOCK], sound.shape[1] // _BLOCK, axis=1)
    stage = stack.enter_context(latent_stage(random_voice(), {}, channels=1))

    def whole() -> object:
        pitch, times = world.harvest(known, _MODEL_RATE)
        envelope = world.cheaptrick(known, pitch, times, _MODEL_RATE)
        noise = world.d4c(known, pitch, times, _MODEL_RATE)
        return world.synthesize(pitch, envelope, noise, _MODEL_RATE)

    return Contest(lambda: [stage.process(block) for block in blocks], whole, len(blocks) * _BLOCK / _RATE, 1)


def _torchscript(stack: ExitStack) -> Contest:
    """Return a TorchScript model in our stage, and called directly, hop by hop."""
    path = trusted_file(stack)
    stage = LatentStage(Format(_RATE, 1), {"model": str(path)})
    stack.callback(stage.close)
    bare = torch.jit.load(str(path)).eval()  # type: ignore[no-untyped-call]
    block = np.random.default_rng(0).normal(0, 0.1, (1, _NN_HOP)).astype(np.float32)

    def call() -> Tensor:
        found: Tensor = bare.decode(bare.encode(torch.from_numpy(block)[None])).numpy()
        return found

    return Contest(lambda: stage.process(block), call, _NN_HOP / _RATE, 100)


def trusted_file(stack: ExitStack) -> Path:
    """Return a TorchScript model of nn~ that this process and those that it starts may run while `stack` is open.

    Raises:
        NotInstalledError: there is no nn-tilde.
    """
    try:
        import nn_tilde  # noqa: F401
    except ImportError:
        raise NotInstalledError("nn-tilde is not installed") from None
    from gramophone.realtime.stages.latent.torchscript import trust

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    before = os.environ.get("XDG_DATA_HOME")
    os.environ["XDG_DATA_HOME"] = str(folder)  # where it is noted what may run
    stack.callback(
        lambda: os.environ.pop("XDG_DATA_HOME") if before is None else os.environ.update(XDG_DATA_HOME=before)
    )
    path = folder / "model.ts"
    torch.jit.script(_nn_model().eval()).save(str(path))  # type: ignore[no-untyped-call]
    trust(path)
    return path


def _nn_model() -> nn.Module:
    """Return a model in the form of nn~ with a decoder of RAVE's kind, random weights, streaming by cached-conv."""
    import cached_conv
    import nn_tilde

    decoder = cached_twin(CausalDecoder(_LATENTS).eval().requires_grad_(False))

    class _Exported(nn_tilde.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            cached_conv.use_cached_conv(True)
            try:
                self.encoder = cached_conv.Conv1d(1, _LATENTS, 2 * _NN_HOP, stride=_NN_HOP, padding=(_NN_HOP, 0))
            finally:
                cached_conv.use_cached_conv(False)
            self.decoder = decoder
            self.register_buffer("sampling_rate", torch.tensor(_RATE))
            self.register_method("encode", 1, 1, _LATENTS, _NN_HOP)
            self.register_method("decode", _LATENTS, _NN_HOP, 1, 1)

        @torch.jit.export
        def encode(self, x: Tensor) -> Tensor:
            latents: Tensor = self.encoder(x)
            return latents

        @torch.jit.export
        def decode(self, z: Tensor) -> Tensor:
            sound: Tensor = self.decoder(z)
            return sound

    return _Exported()


_DECODER = "causal decoder, one frame of 128 samples"
DUELS = (
    *(
        Duel(
            f"decoder-{form}-{'cold' if is_cold else 'hot'}".replace("-eager", ""),
            f"{_DECODER}, caches {'cold' if is_cold else 'hot'}",
            "times real time",
            "cached-conv {}" if form == "eager" else f"cached-conv {{}}, {form}",
            "cached-conv",
            lambda stack, form=form, is_cold=is_cold: _decoder(stack, form, is_cold),  # type: ignore[misc]
        )
        for form in ("eager", "traced", "scripted")
        for is_cold in (False, True)
    ),
    Duel(
        "captures",
        "standard WaveNet capture",
        "times real time",
        "NAM {} (whole second)",
        "neural-amp-modeler",
        _capture,
    ),
    Duel("world", "voice: analysis and synthesis", "times real time", "WORLD, pyworld {} (whole)", "pyworld", _world),
    Duel(
        "nn-tilde",
        "TorchScript model of nn~, a hop of 128",
        "times real time",
        "the bare call, nn-tilde {}",
        "nn-tilde",
        _torchscript,
    ),
)
