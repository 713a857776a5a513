"""The content encoder, from packages to checkpoint: `python -m gramophone.offline.recipes.content RUN`.

It learns Moonshine's middle layer (`offline.data.moonshine`), 96 principal components of it, by squared error, from
real people, Festival's diphones and a crowd of Kokoro's voices (`--crowd SIZE`), each also played faster and slower,
and the real ones with noise, in a room and by telephone. All frames are disguised besides: formants moved, the spectrum
bent. The people in `offline.data.corpora.UNSEEN`, flite's and four of Kokoro's are left to judges. `--minutes` are
core-minutes of training; called again it goes on from `RUN/model.safetensors`, with what `RUN/examples` holds.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gramophone.models.checkpoint import Card, load, save
from gramophone.models.layers.composition import Sequential
from gramophone.models.nets.content import ContentEncoder, ContentShape
from gramophone.offline.convert import encoder_content
from gramophone.offline.data import corpora, crowd, diphones, moonshine
from gramophone.offline.data.corpus import gather, sound
from gramophone.offline.data.mono_audio import Sound, levelled
from gramophone.offline.data.recording import Recording
from gramophone.offline.evaluate.content import scored
from gramophone.offline.train.allocator import keep_freed_memory
from gramophone.offline.train.content_examples import (
    FACTORS,
    PLAIN,
    WORN,
    Examples,
    copies,
    examples,
    load_examples,
    save_examples,
)
from gramophone.offline.train.perturbation import perturbed

_COPIED, _WORN = 0.3, 0.15
"""Shares of a speaker's seconds that are played faster and slower, and worn in each way."""
_LEAST_S = 12.0
_FORMANTS = 0.2
"""Octaves by which formants are moved at most."""
_HISS = 0.1
"""Spread of the noise on normalised frames, in a channel's own spread."""
_BATCH, _CROP, _LEAD = 16, 256, 48
"""Crops a step, frames of each, and how many at its beginning are not judged, for they are heard without a past."""
_PEAK, _WARM, _DECAY = 2e-3, 200, 0.01
_AVERAGE = 0.998
_EVERY_S = 120.0


@dataclass(frozen=True)
class Basis:
    """Principal components of features without speakers: `axes` `(288, D)`, scaled as content is."""

    axes: NDArray[np.float32]
    explained: float


def main() -> None:
    """Prepare what is missing, train, and note in the model's card how well it tells phones."""
    parser = argparse.ArgumentParser(description="Train the content encoder.")
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--minutes", type=float, default=120.0, help="core-minutes of training")
    parser.add_argument("--seconds", type=float, default=1200.0, help="the most to learn from each speaker")
    parser.add_argument("--crowd", type=int, default=0, help="how many of Kokoro's voices and draws to learn from")
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    arguments.run.mkdir(parents=True, exist_ok=True)
    prepare(arguments.run / "examples", arguments.crowd, arguments.seconds)
    train(arguments.run, arguments.minutes)
    for name, score in judge(arguments.run / "model.safetensors").items():
        print(f"{name:12} {score:.3f}")


def judge(model: Path) -> dict[str, float]:
    """Return the shares of `offline.evaluate.content`, on flite's speakers; they are noted in the model's card."""
    encoder, card = load(model, "content")
    found = scored(encoder_content(model))
    scores = {name: interval.mean for name, interval in vars(found).items()}
    save(model, encoder, replace(card, scores={**card.scores, **scores}))
    return scores


def prepare(folder: Path, size: int, seconds: float) -> None:
    """Write the examples of every speaker that are not there yet, with so many of the crowd; `seconds` of each."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder, teacher = ContentEncoder(ContentShape()), moonshine.Moonshine()
    for speaker, sounds in _speakers(size):
        kinds = (PLAIN, *FACTORS, *(WORN if speaker in corpora.PEOPLE else ()))
        chance = np.random.default_rng(list(speaker.encode()))
        for kind in kinds:
            path = folder / f"{speaker}.{kind}.npz"
            if not path.exists():
                share = 1.0 if kind == PLAIN else _COPIED if kind in FACTORS else _WORN
                pairs = copies(sounds(), kind, max(share * seconds, _LEAST_S), chance)
                save_examples(path, examples(encoder, teacher, pairs))
                print(f"prepared {path.stem}", flush=True)


def _speakers(size: int) -> Iterator[tuple[str, Callable[[], list[Sound]]]]:
    """Yield every speaker's name and what reads their recordings that are not held out, at -20 dBFS."""
    corpus = gather([f"voice:{name}" for name in corpora.PEOPLE], ContentShape.rate)
    for name in corpora.PEOPLE:
        own = [recording for recording in corpus.training if recording.speaker == name]
        yield name, partial(_recorded, own)
    for name in diphones.VOICES:
        yield f"diphones-{name}", partial(_written, diphones.diphones(name))
    for folder in sorted(crowd.crowd(size).iterdir())[:size]:
        yield f"crowd-{folder.name}", partial(_written, folder)


def _recorded(recordings: Sequence[Recording]) -> list[Sound]:
    return [sound(recording) for recording in recordings]


def _written(folder: Path) -> list[Sound]:
    return [levelled(corpora.load(path, ContentShape.rate)) for path in sorted(folder.glob("*.wav"))]


def basis_of(kept: Mapping[str, Examples], count: int) -> Basis:
    """Return `count` principal components of all speakers' features, every speaker counting alike.

    Content is the features' projections, each divided by the fourth root of its variance, and all by one number so that
    their mean variance is 1: the small ones count for more than in the features, and noise for less than if whitened.
    """
    total = np.zeros((moonshine.CHANNELS, moonshine.CHANNELS))
    for own in kept.values():
        audible = np.unique(np.round(own.places[own.weights == 1.0]).astype(int))
        rows = own.features[audible].astype(np.float64)
        total += rows.T @ rows / max(len(rows), 1)
    variances, axes = np.linalg.eigh(total / len(kept))
    variances, axes = variances[::-1][:count], axes[:, ::-1][:, :count]
    scaled = axes * variances**-0.25
    scaled /= math.sqrt(float(np.mean(variances**0.5)))
    return Basis(scaled.astype(np.float32), float(variances.sum() / np.trace(total / len(kept))))


class Crops:
    """Crops of all speakers' examples: a speaker is drawn by the square root of what there is of them."""

    def __init__(self, kept: Mapping[str, Examples], basis: Basis, seed: int) -> None:
        self._all = list(kept.values())
        self._content = [(own.features.astype(np.float32) @ basis.axes).astype(np.float16) for own in self._all]
        shares = np.array([math.sqrt(max(len(own.inputs) - _CROP, 0)) for own in self._all])
        self._shares = shares / shares.sum()
        self._chance = np.random.default_rng(seed)

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return inputs `(B, C, n)`, content `(B, D, n)` and weights `(B, 1, n)`."""
        drawn = [self._crop(index) for index in self._chance.choice(len(self._all), _BATCH, p=self._shares)]
        inputs, content, weights = (torch.from_numpy(np.stack(part)).float() for part in zip(*drawn, strict=True))
        return inputs.transpose(1, 2), content.transpose(1, 2), weights[:, None]

    def _crop(self, index: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        own, content = self._all[index], self._content[index]
        start = int(self._chance.integers(len(own.inputs) - _CROP + 1))
        here = slice(start, start + _CROP)
        below = np.floor(own.places[here]).astype(int)
        share = (own.places[here] - below)[:, None]
        above = np.minimum(below + 1, len(content) - 1)
        target = content[below] * (1 - share) + content[above] * share
        weights = own.weights[here].copy()
        weights[:_LEAD] = 0.0
        return own.inputs[here], target.astype(np.float32), weights


def train(run: Path, minutes: float) -> None:
    """Train for so many core-minutes, from the checkpoint if there is one; it is written every two minutes.

    The learning rate falls as a cosine to nothing over them.
    """
    kept = load_examples(sorted((run / "examples").glob("*.npz")))
    model_path, state_path, basis_path = run / "model.safetensors", run / "state.pt", run / "basis.npz"
    if not basis_path.exists():
        np.savez(basis_path, **vars(basis_of(kept, ContentShape.content)))
    with np.load(basis_path) as file:
        basis = Basis(file["axes"], float(file["explained"]))
    hours = sum(len(own.inputs) for own in kept.values()) * ContentShape.hop / ContentShape.rate / 3600
    print(f"{len(kept)} speakers and copies, {hours:.1f} h; the basis explains {basis.explained:.1%}", flush=True)
    torch.manual_seed(int(time.time()))
    encoder, card = _begun(model_path, kept)
    trunk, averaged = encoder.trunk, copy.deepcopy(encoder.trunk)
    optimiser = torch.optim.AdamW(trunk.parameters(), _PEAK, betas=(0.9, 0.98), weight_decay=_DECAY)
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        trunk.load_state_dict(state["trunk"])
        optimiser.load_state_dict(state["optimiser"])
    crops = Crops(kept, basis, card.steps)
    begun, steps, seen, written = time.process_time(), 0, [], time.monotonic()
    while (done := (time.process_time() - begun) / (60 * minutes)) < 1:
        rate = _PEAK * min(1.0, (steps + 1) / _WARM) * 0.5 * (1 + math.cos(math.pi * done))
        for group in optimiser.param_groups:
            group["lr"] = rate
        seen.append(_step(trunk, optimiser, crops.batch(), encoder.shape))
        steps += 1
        with torch.no_grad():
            for slow, quick in zip(averaged.parameters(), trunk.parameters(), strict=True):
                slow.lerp_(quick, 1 - min(_AVERAGE, steps / (steps + 10)))
        if time.monotonic() - written > _EVERY_S or done >= 1:
            written = time.monotonic()
            print(f"{done:.0%} step {card.steps + steps} loss {np.mean(seen[-200:]):.4f} rate {rate:.1e}", flush=True)
            _write(run, encoder, averaged, replace(card, steps=card.steps + steps))
            torch.save({"trunk": trunk.state_dict(), "optimiser": optimiser.state_dict()}, state_path)
    _write(run, encoder, averaged, replace(card, steps=card.steps + steps))
    torch.save({"trunk": trunk.state_dict(), "optimiser": optimiser.state_dict()}, state_path)


def _step(
    trunk: Sequential, optimiser: torch.optim.Optimizer, batch: tuple[Tensor, Tensor, Tensor], shape: ContentShape
) -> float:
    """Take one step; return the squared error over the content's variance, over what counts."""
    inputs, content, weights = batch
    heard = perturbed(inputs[:, :-1], shape.bands, shape.rate, _FORMANTS)
    heard = heard + _HISS * torch.randn_like(heard)
    found, _ = trunk(torch.cat([heard, inputs[:, -1:]], 1))
    loss = ((found - content).square().mean(1, keepdim=True) * weights).sum() / weights.sum()
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trunk.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def _begun(path: Path, kept: Mapping[str, Examples]) -> tuple[ContentEncoder, Card]:
    """Return the encoder so far and its card, or a new one that expects speakers to be as these are on average."""
    if path.exists():
        loaded, card = load(path, "content")
        return cast(ContentEncoder, loaded.train()), card
    encoder = ContentEncoder(ContentShape())
    usual = np.mean([own.moments for name, own in kept.items() if name.endswith(PLAIN)], axis=0)
    encoder.normalisation.mean_speaker.copy_(torch.from_numpy(usual))
    shape = encoder.shape
    people = [
        f"{corpora.VOICES[name].package} ({name}): {corpora.LICENCES[corpora.VOICES[name].package]}"
        for name in corpora.PEOPLE
    ]
    taught = f"{moonshine.PACKAGE} (teacher): {moonshine.LICENCE}"
    spoken = f"{crowd.PACKAGE} ({sum('crowd-' in name and PLAIN in name for name in kept)} speakers): {crowd.LICENCE}"
    built = [f"{voice.package}: {voice.licence}" for voice in diphones.VOICES.values()]
    licences = dict.fromkeys(entry.rpartition(": ")[2] for entry in (*people, taught, spoken, *built))
    return encoder, Card(
        shape.rate,
        hop=shape.hop,
        delay=shape.ahead * shape.hop,
        data=(*people, *built, spoken, taught),
        licence=", ".join(licences),
    )


def _write(run: Path, encoder: ContentEncoder, averaged: Sequential, card: Card) -> None:
    """Write the encoder with the averaged weights."""
    kept = copy.copy(encoder)
    kept._modules = {**encoder._modules, "trunk": averaged}
    save(run / "model.safetensors", kept, card)


if __name__ == "__main__":
    main()
