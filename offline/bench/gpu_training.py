"""Bench: a step of each trainer on a device, in fp32 and bf16, as it is and compiled, on sounds made up by rule."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import nn

from gramophone.offline.data.corpus import Corpus, gather
from gramophone.offline.data.magnatagatune import ANNOTATIONS, gather_tagged
from gramophone.offline.train.module import Training
from gramophone.offline.train.plans import DigitsPlan, TaggerPlan, VLAEPlan, WaveNetPlan
from gramophone.offline.train.tagger import TaggerTraining
from gramophone.offline.train.vae import DigitsTraining
from gramophone.offline.train.vlae import VLAETraining
from gramophone.offline.train.voice.plan import VoicePlan
from gramophone.offline.train.voice.training import VoiceTraining
from gramophone.offline.train.wavenet import WaveNetTraining

_RATE, _TAKE_S, _TAKES = 16_000, 4, 14
_STEPS = 5
_KINDS = ("wavenet", "vlae", "voice", "tagger", "digits")


def training_steps(
    device: str, kinds: tuple[str, ...] = _KINDS, compiled: bool = True, steps: int = _STEPS
) -> dict[str, object]:
    """Return by trainer the median seconds of a step: forward, backward and Adam, without reading the batch.

    `fp32`, `bf16`, and with `compiled` `bf16_compiled`; one that fails says why. The first of `steps`, 2 or more, does
    not count.
    """
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        corpus = _corpus(Path(folder) / "voices")
        for kind in kinds:
            training = _TRAININGS[kind](corpus, Path(folder) / kind).to(device).train()
            batch = _to(training.crops(0, 1)[0], device)
            found: dict[str, object] = {
                "fp32": _seconds(training, batch, device, steps),
                "bf16": _seconds(training, batch, device, steps, narrow=True),
            }
            if compiled:
                found["bf16_compiled"] = _tried(lambda t=training, b=batch: _compiled(t, b, device, steps))  # type: ignore[misc]
            figures[kind] = found
    return figures


def _tried(call: Callable[[], object]) -> object:
    try:
        return call()
    except Exception as error:  # a compiler that does not take a network is a figure too
        return f"failed: {type(error).__name__}"


def _compiled(training: Training, batch: Any, device: str, steps: int) -> object:
    return _seconds(training, batch, device, steps, narrow=True, net=torch.compile(training.net))  # type: ignore[arg-type]


def _seconds(
    training: Training, batch: Any, device: str, steps: int, narrow: bool = False, net: nn.Module | None = None
) -> float:
    optimizer = torch.optim.Adam(training.net.parameters(), 1e-5)
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        with torch.autocast(device, torch.bfloat16) if narrow else nullcontext():
            loss = training.loss(net or training.net, batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return float(f"{np.median(times[1:]):.3g}")


def _to(batch: Any, device: str) -> Any:
    if isinstance(batch, torch.Tensor):
        return batch.to(device)
    moved = [_to(part, device) for part in batch]
    return type(batch)(*moved) if hasattr(batch, "_fields") else type(batch)(moved)


def _corpus(folder: Path) -> Corpus:
    """Write saw teeth of two made-up speakers, and return them as a corpus."""
    chance = np.random.default_rng(0)
    for speaker, pitch in (("ann", 220.0), ("bob", 110.0)):
        (folder / speaker).mkdir(parents=True)
        for take in range(_TAKES):
            cycles = np.arange(_TAKE_S * _RATE) * (pitch + take) / _RATE
            sound = 0.4 * (cycles % 1) - 0.2 + chance.normal(0, 0.01, len(cycles))
            soundfile.write(folder / speaker / f"{take}.wav", sound, _RATE)
    return gather([str(folder)], _RATE)


def _tagger(_corpus: Corpus, folder: Path) -> Training:
    """Return a tagger in training on noises in MagnaTagATune's layout."""
    folder.mkdir()
    rows = []
    for part in "0123456789abcdef":
        (folder / part).mkdir()
        noise = np.random.default_rng(ord(part)).normal(0, 0.1, 8 * _RATE)
        soundfile.write(folder / part / "clip.mp3", noise, _RATE)
        rows.append([part, int(part, 16) % 2, 1 - int(part, 16) % 2, f"{part}/clip.mp3"])
    with (folder / ANNOTATIONS).open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([["clip_id", "even", "odd", "mp3_path"], *rows])
    return TaggerTraining(TaggerPlan(data=(str(folder),)), gather_tagged(folder))


def _digits(_corpus: Corpus, _folder: Path) -> Training:
    levels = torch.rand(1000, 784, generator=torch.Generator().manual_seed(0))
    plan = DigitsPlan()
    torch.manual_seed(0)
    return DigitsTraining(plan, levels, levels[:10])


_TRAININGS: dict[str, Callable[[Corpus, Path], Training]] = {
    "wavenet": lambda corpus, _: WaveNetTraining(WaveNetPlan(rate=_RATE), corpus),
    "vlae": lambda corpus, _: VLAETraining(VLAEPlan(rate=_RATE), corpus),
    "voice": lambda corpus, _: VoiceTraining(VoicePlan(rate=_RATE), corpus),
    "tagger": _tagger,
    "digits": _digits,
}
