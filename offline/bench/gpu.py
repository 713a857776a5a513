"""Bench: every model on a CUDA device against the CPU, graph steps, the persistent kernel, and steps of each trainer.

One script for a machine that is borrowed for minutes: `python -m gramophone.offline.bench gpu --minutes 4`, after
`pip install -r offline/bench/gpu-requirements.txt`. Parts run in order of what is not known anywhere else, and those
that the time did not reach are named. Without a CUDA device what can be simulated is, and the rest says why not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gramophone.models.layers.streaming import Streaming
from gramophone.models.nets.decoder import CausalDecoder
from gramophone.models.nets.tagger import Tagger, TaggerShape
from gramophone.models.nets.vlae import VLAE, VLAEShape
from gramophone.models.nets.voice import Voice, VoiceShape
from gramophone.models.nets.wavenet import SIZES, WaveNet, WaveNetShape
from gramophone.offline.bench.gpu_training import training_steps
from gramophone.offline.bench.timing import hot, quantiles
from gramophone.realtime.kernels.executor import make
from gramophone.realtime.stages.wavenet.sampler import Sampler
from gramophone.realtime.stages.wavenet.torch_engine import TorchEngine

_TOLERANCE = 1e-3
_BLOCKS = (64, 128, 256, 512, 1024, 2048)
_ROUNDS = 200
_MODEL_RATE = 16_000
_VOICES = (1, 8, 64)
_NO_DEVICE = "skipped: no CUDA device"
_SIMULATED = """
import numpy as np
from gramophone.offline.bench.gpu import sampler_difference
print(sampler_difference())
"""

Figures = dict[str, object]
Steps = NDArray[np.float32]
"""A network's inputs or outputs, step by step."""


def measure(minutes: float) -> Figures:
    """Return the figures of all parts that `minutes` allow; each part that was not run says why."""
    ends = time.monotonic() + 60 * minutes
    is_here = torch.cuda.is_available()
    figures: Figures = {"device": torch.cuda.get_device_name() if is_here else "none"}
    for name, part in _parts("cuda" if is_here else "cpu"):
        if time.monotonic() > ends:
            figures[name] = f"not reached in {minutes:g} minutes"
            continue
        began = time.monotonic()
        try:
            figures[name] = part()
        except Exception as error:  # one part must not cost the others their borrowed minutes
            figures[name] = f"failed: {type(error).__name__}: {error}"
        figures[f"{name}_took_s"] = round(time.monotonic() - began, 1)
    return figures


def _parts(device: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield names and parts; on a CPU, those that have something to say there."""
    if device == "cpu":
        yield "sampler_kernel_under_the_simulator", simulated
        yield "executors_by_buffers_on_the_cpu", partial(model_differences, device)
        for name in ("graph_steps", "sampler", "training", "tests"):
            yield name, lambda: _NO_DEVICE
        return
    yield "against_the_cpu", partial(model_differences, device)
    yield "sampler", partial(sampler_speed, device)
    yield "graph_steps", partial(graph_steps, device)
    yield "training", partial(training_steps, device)
    yield "tests", gpu_tests


def modules() -> dict[str, tuple[Streaming, int, int]]:
    """Return streaming networks of the sizes that are played, each with input channels and samples a step."""
    torch.manual_seed(0)
    vlae = VLAE(VLAEShape(speakers=4, pitch_window=1024, told=2, emphasis=0.85))
    voice = Voice(VoiceShape(speakers=4))
    return {
        "decoder": (CausalDecoder(64), 64, 1),
        "vlae_encoder": (vlae.encoder, 1, vlae.shape.hop),
        "voice_encoder": (voice.encoder, 1, voice.shape.hop),
    }


def model_differences(device: str, steps: int = 20) -> Figures:
    """Return by model the largest difference of the device's fp32 from the CPU's plain torch, and of bf16, relative.

    Relative to the largest output; `is_within` says whether fp32 is within 1e-3. On a CPU the buffers of a graph are
    used without one, which checks their handling.
    """
    figures: Figures = {}
    for name, (module, channels, samples) in modules().items():
        noise = np.random.default_rng(0).normal(0, 0.1, (steps, 1, channels, samples)).astype(np.float32)
        oracle = make(module, channels=channels, block=samples, device="cpu", kind="eager")
        graph = make(module, channels=channels, block=samples, device=device, kind="graph")
        expected, found = (np.stack([run(x) for x in noise]) for run in (oracle, graph))
        peak = float(np.abs(expected).max())
        single = float(np.abs(found - expected).max()) / peak
        narrow = float(np.abs(_in_bf16(module, noise, device) - expected).max()) / peak
        figures[name] = {"fp32": _short(single), "is_within": single <= _TOLERANCE, "bf16": _short(narrow)}
    tagger = Tagger(TaggerShape(("a", "b"))).eval()
    sound = 0.1 * torch.randn(2, tagger.chunk, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = tagger(sound)
        difference = float((tagger.to(device)(sound.to(device)).cpu() - wanted).abs().max() / wanted.abs().max())
    figures["tagger"] = {"fp32": _short(difference), "is_within": difference <= _TOLERANCE}
    return figures


@torch.inference_mode()
def _in_bf16(module: Streaming, noise: Steps, device: str) -> Steps:
    """Return a module's output step by step under bf16's autocast."""
    net, state, outputs = module.eval().to(device), None, []
    with torch.autocast(device, torch.bfloat16):
        for x in noise:
            y, state = net(torch.from_numpy(x).to(device), state)
            outputs.append(y.float().cpu().numpy())
    module.cpu()
    return np.stack(outputs)


def graph_steps(device: str, blocks: tuple[int, ...] = _BLOCKS, rounds: int = _ROUNDS) -> Figures:
    """Return by model and block size the times of a step, from NumPy to NumPy, and times real time at 48 kHz.

    The transfers both ways and the one wait are part of it: that is what a live block costs.
    """
    figures: Figures = {}
    for name, (module, channels, samples) in modules().items():
        for block in blocks:
            steps = block // module.up if module.up > 1 else block
            if steps < 1 or steps % samples:
                continue
            executor = make(module, channels=channels, block=steps, device=device, kind="graph")
            x = np.zeros((1, channels, steps), np.float32)
            ms = hot({name: partial(executor, x)}, rounds)[name]
            figures[f"{name}, {block}"] = {
                **quantiles(ms),
                "times_real_time": round(1000 * block / 48_000 / float(np.median(ms)), 1),
            }
    return figures


def sampler_speed(device: str, voices: tuple[int, ...] = _VOICES, samples: int = 800) -> Figures:
    """Return the persistent kernel's difference from torch, and its speed by size and number of voices at 16 kHz."""
    figures: Figures = {"difference_from_torch": sampler_difference()}
    for size in ("S", "M"):
        torch.manual_seed(0)
        model = WaveNet(SIZES[size]).eval().requires_grad_(False)
        for count in voices:
            sampler = Sampler(model, count, device=device)
            sampler.generate(samples)
            start = time.perf_counter()
            sampler.generate(samples)
            per_sample = (time.perf_counter() - start) / samples
            figures[f"{size}, {count} voices"] = {
                "us_a_sample": round(1e6 * per_sample, 1),
                "times_real_time": round(1 / _MODEL_RATE / per_sample, 2),
                "engine": type(sampler.engine).__name__,
            }
    return figures


def sampler_difference() -> float:
    """Return the largest difference of what the kernel draws from what torch draws, of the same random numbers."""
    from gramophone.realtime.stages.wavenet.cuda import CudaEngine

    torch.manual_seed(0)
    model = WaveNet(WaveNetShape(layers=3, cycle=2, residual=4, skip=5)).eval().requires_grad_(False)
    drawn = [Sampler(model, 2, seed=3, engine=engine).generate(12) for engine in (CudaEngine, TorchEngine)]
    return float(np.abs(drawn[0] - drawn[1]).max())


def simulated() -> Figures:
    """Return the kernel's difference from torch under numba's simulator, in a process of its own."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _SIMULATED], env=environment, capture_output=True, text=True, check=True
    )
    difference = float(done.stdout.splitlines()[-1])
    return {"difference_from_torch": difference, "is_within": difference <= _TOLERANCE}


def gpu_tests() -> str:
    """Run the tests with the mark `gpu`, where this is a checkout; return pytest's last line."""
    if not Path("tests").is_dir():
        return "skipped: no checkout here, whose folder tests they are in"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().splitlines()[-1]


def _short(value: float) -> float:
    return float(f"{value:.2g}")
