"""The content encoder, from packages to checkpoint: `python -m gramophone.offline.recipes.content RUN`.

It learns Moonshine's middle layer (`offline.data.moonshine`), 96 principal components of it, by squared error, from
real people, a game's actors, Festival's diphones and a crowd of Kokoro's voices (`--crowd SIZE`), each also played
faster and slower, and the real people with noise, in a room and by telephone. All frames are disguised besides:
formants moved, the spectrum bent. The people in `offline.data.corpora.UNSEEN` and `JUDGES`, flite's and four of
Kokoro's are left to judges. Printed are the errors for what is left out: other recordings of known people, and unknown
people (`LeftOutPeople`). `--minutes` are core-minutes of training; called again it goes on from
`RUN/model.safetensors`. With `--minutes 0` examples are only prepared, and with `--ready` nothing is prepared: so one
process may train on what another adds. With `--start MODEL` a new run begins with that model's encoder, its last layer
fitted anew to the run's components.
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
from torch.nn import functional

from gramophone.models.checkpoint import Card, card_of, load, save
from gramophone.models.layers.composition import Sequential
from gramophone.models.layers.convolution import CausalConv1d
from gramophone.models.nets.content import ContentEncoder, ContentShape
from gramophone.offline.convert import encoder_content, encoder_in
from gramophone.offline.data import corpora, crowd, diphones, moonshine, talkie
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
from gramophone.offline.train.precision import quick_products

_PEOPLE = (*corpora.PEOPLE, *corpora.FURTHER, *corpora.GAMES)
_LEFT_OUT_S = 60.0
"""Seconds of each person that are left out."""
_COPIED, _WORN = 0.3, 0.15
"""Shares of a speaker's seconds that are played faster and slower, and worn in each way."""
_LEAST_S = 12.0
_FORMANTS = 0.2
"""Octaves by which formants are moved at most."""
_HISS = 0.1
"""Spread of the noise on normalised frames, in a channel's own spread."""
_BATCH, _CROP, _LEAD = 16, 256, 48
"""Crops a step, frames of each, and how many at its beginning are not judged, for they are heard without a past."""
_SOONER = ContentShape.ahead - ContentShape.early
_PEAK, _WARM, _DECAY = 2e-3, 200, 0.01
_AVERAGE = 0.998
_EVERY_S = 120.0
_REFIT_BATCHES, _RIDGE = 120, 1e-4
"""Crops that a last layer is fitted anew to, and the ridge in the hidden layer's mean power."""
_KNOWN, _UNSEEN = "known", "unseen"
"""Kinds of what is left out of training."""


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
    parser.add_argument("--ready", action="store_true", help="learn from what the run has, and what is added meanwhile")
    parser.add_argument(
        "--start", type=Path, help="an encoder or model of `anyone` to begin with; the card names the run's data only"
    )
    parser.add_argument("--fall", type=float, default=0.3, help="share of the minutes over which the rate falls")
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    arguments.run.mkdir(parents=True, exist_ok=True)
    if not arguments.ready:
        prepare(arguments.run / "examples", arguments.crowd, arguments.seconds)
        prepare_left_out(arguments.run / "left-out")
    if not arguments.minutes:
        return
    train(arguments.run, arguments.minutes, arguments.fall, arguments.start)
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
        kinds = (PLAIN, *FACTORS, *(WORN if speaker in _PEOPLE else ()))
        chance = np.random.default_rng(list(speaker.encode()))
        for kind in kinds:
            path = folder / f"{speaker}.{kind}.npz"
            if not path.exists():
                share = 1.0 if kind == PLAIN else _COPIED if kind in FACTORS else _WORN
                pairs = copies(sounds(), kind, max(share * seconds, _LEAST_S), chance)
                save_examples(path, examples(encoder, teacher, pairs))
                print(f"prepared {path.stem}", flush=True)


def prepare_left_out(folder: Path) -> None:
    """Write a minute of each known person's recordings that are held out, and of people that nothing is trained on."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder, teacher = ContentEncoder(ContentShape()), moonshine.Moonshine()
    for names, kind in ((corpora.PEOPLE, _KNOWN), (tuple(corpora.DEVELOPMENT), _UNSEEN)):
        corpus = gather([f"voice:{name}" for name in names], ContentShape.rate)
        for name in corpus.speakers:
            path = folder / f"{name}.{kind}.npz"
            if not path.exists():
                every = corpus.held_out if kind == _KNOWN else corpus.recordings
                own = [recording for recording in every if recording.speaker == name]
                pairs = copies(_recorded(own), PLAIN, _LEFT_OUT_S, np.random.default_rng(0))
                save_examples(path, examples(encoder, teacher, pairs))


class LeftOutPeople:
    """What is left out of training: other recordings of people that it knows, and people that it does not know."""

    def __init__(self, folder: Path, basis: Basis) -> None:
        self._all = {path.stem: load_examples([path])[path.stem] for path in sorted(folder.glob("*.npz"))}
        self._basis = basis

    @torch.no_grad()
    def errors(self, trunk: Sequential) -> str:
        """Return the squared errors over the content's variance, on average over people, of either kind."""
        found: dict[str, list[float]] = {_KNOWN: [], _UNSEEN: []}
        for name, own in self._all.items():
            heard = own.weights == 1.0
            content = own.features[np.round(own.places[heard]).astype(int)].astype(np.float32) @ self._basis.axes
            both = trunk(torch.from_numpy(own.inputs).float().t()[None])[0][0].t().numpy()[heard]
            wrong = np.square(both[:, : content.shape[1]] - content).mean() / np.square(content).mean()
            found[name.rpartition(".")[2]].append(float(wrong))
        return ", ".join(f"{kind} {np.mean(errors):.3f}" for kind, errors in found.items() if errors)


def _speakers(size: int) -> Iterator[tuple[str, Callable[[], list[Sound]]]]:
    """Yield every speaker's name and what reads their recordings that are not held out, at -20 dBFS."""
    corpus = gather([f"voice:{name}" for name in _PEOPLE], ContentShape.rate)
    for name in corpus.speakers:
        own = [recording for recording in corpus.training if recording.speaker == name]
        yield name, partial(_recorded, own)
    for name in diphones.VOICES:
        yield f"diphones-{name}", partial(_written, diphones.diphones(name))
    for folder in talkie.characters():
        yield f"talkie-{folder.name}", partial(_written, folder)
    for folder in crowd.crowd(size):
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

    def __init__(self, folder: Path, basis: Basis, seed: int) -> None:
        self._folder, self._basis = folder, basis
        self._all: dict[str, Examples] = {}
        self._chance = np.random.default_rng(seed)
        self.renew()

    def renew(self) -> None:
        """Read the examples that have come into the folder since; of their features only the content is kept."""
        for path in sorted(self._folder.glob("*.npz")):
            if path.stem not in self._all:
                own = load_examples([path])[path.stem]
                content = (own.features.astype(np.float32) @ self._basis.axes).astype(np.float16)
                self._all[path.stem] = replace(own, features=content)
        self._list = list(self._all.values())
        shares = np.array([math.sqrt(max(len(own.inputs) - _CROP - _SOONER, 0)) for own in self._list])
        self._shares = shares / shares.sum()

    @property
    def usual(self) -> NDArray[np.float32]:
        """The speakers' statistics on average."""
        return np.asarray(np.mean([own.moments for name, own in self._all.items() if name.endswith(PLAIN)], axis=0))

    def __str__(self) -> str:
        hours = sum(len(own.inputs) for own in self._list) * ContentShape.hop / ContentShape.rate / 3600
        return f"{len(self._list)} speakers and copies, {hours:.1f} h"

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return inputs `(B, C, n)`, content `(B, 2 D, n)`, late and early, and weights `(B, 2 D, n)`."""
        drawn = [self._crop(index) for index in self._chance.choice(len(self._list), _BATCH, p=self._shares)]
        inputs, content, weights = (torch.from_numpy(np.stack(part)).float() for part in zip(*drawn, strict=True))
        return inputs.transpose(1, 2), content.transpose(1, 2), weights.transpose(1, 2)

    def _crop(self, index: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        own = self._list[index]
        start = int(self._chance.integers(len(own.inputs) - _CROP - _SOONER + 1))
        here = slice(start, start + _CROP + _SOONER)
        below = np.floor(own.places[here]).astype(int)
        share = (own.places[here] - below)[:, None]
        above = np.minimum(below + 1, len(own.features) - 1)
        late = (own.features[below] * (1 - share) + own.features[above] * share).astype(np.float32)
        weights = own.weights[here, None].copy()
        weights[: _LEAD + _SOONER] = 0.0
        return own.inputs[start : start + _CROP], _with_early(late), _with_early(np.repeat(weights, late.shape[1], 1))


def _with_early(late: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return frames `(n, D)` beside those that follow `_SOONER` later, `(n - _SOONER, 2 D)`."""
    return np.concatenate([late[:-_SOONER], late[_SOONER:]], 1)


def train(run: Path, minutes: float, fall: float, start: Path | None = None) -> None:
    """Train for so many core-minutes, from the run's checkpoint if there is one, else from `start`.

    The checkpoint is written every two minutes.

    The learning rate falls to nothing over the share `fall` of them, at the end.
    """
    state_path, basis_path = run / "state.pt", run / "basis.npz"
    if not basis_path.exists():
        found = basis_of(load_examples(sorted((run / "examples").glob(f"*.{PLAIN}.npz"))), ContentShape.content)
        np.savez(basis_path, **vars(found))
    with np.load(basis_path) as file:
        basis = Basis(file["axes"], float(file["explained"]))
    torch.manual_seed(int(time.time()))
    crops, left_out = Crops(run / "examples", basis, int(time.time())), LeftOutPeople(run / "left-out", basis)
    print(f"{crops}; the basis explains {basis.explained:.1%}", flush=True)
    encoder, card = _begun(run, crops, start)
    trunk, averaged = encoder.trunk, copy.deepcopy(encoder.trunk)
    optimiser = torch.optim.AdamW(trunk.parameters(), _PEAK, betas=(0.9, 0.98), weight_decay=_DECAY)
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        trunk.load_state_dict(state["trunk"])
        optimiser.load_state_dict(state["optimiser"])
    begun, steps, seen, written = time.process_time(), 0, [], time.monotonic()
    while (done := (time.process_time() - begun) / (60 * minutes)) < 1:
        rate = _PEAK * min(1.0, (steps + 1) / _WARM, (1 - done) / max(fall, 1e-6))
        for group in optimiser.param_groups:
            group["lr"] = rate
        seen.append(_step(trunk, optimiser, crops.batch(), encoder.shape))
        steps += 1
        with torch.no_grad():
            for slow, quick in zip(averaged.parameters(), trunk.parameters(), strict=True):
                slow.lerp_(quick, 1 - min(_AVERAGE, steps / (steps + 10)))
        if time.monotonic() - written > _EVERY_S:
            written = time.monotonic()
            loss = f"loss {np.mean(seen[-200:]):.4f}, {left_out.errors(averaged)}"
            print(f"{done:.0%} step {card.steps + steps} {loss} rate {rate:.1e}", flush=True)
            _write(run, encoder, averaged, replace(card, steps=card.steps + steps), optimiser)
            crops.renew()
    loss = f"loss {np.mean(seen[-200:]):.4f}, {left_out.errors(averaged)}"
    print(f"step {card.steps + steps} {loss}, {crops}", flush=True)
    _write(run, encoder, averaged, replace(card, steps=card.steps + steps), optimiser)


def _step(
    trunk: Sequential, optimiser: torch.optim.Optimizer, batch: tuple[Tensor, Tensor, Tensor], shape: ContentShape
) -> float:
    """Take one step; return the squared error over the content's variance, over what counts."""
    inputs, content, weights = batch
    heard = perturbed(inputs[:, :-1], shape.bands, shape.rate, _FORMANTS)
    heard = heard + _HISS * torch.randn_like(heard)
    with quick_products():
        found, _ = trunk(torch.cat([heard, inputs[:, -1:]], 1))
    loss = ((found.float() - content).square() * weights).sum() / weights.sum()
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trunk.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def _begun(run: Path, crops: Crops, start: Path | None) -> tuple[ContentEncoder, Card]:
    """Return the encoder so far and its card, that of `start`, or a new one that expects speakers as these are."""
    if (run / "model.safetensors").exists():
        loaded, card = load(run / "model.safetensors", "content")
        return cast(ContentEncoder, loaded.train()), _told(run, card)
    if start:
        encoder = encoder_in(start).train().requires_grad_(True)
        refit(encoder.trunk, crops)
        shape = encoder.shape
        card = Card(shape.rate, hop=shape.hop, delay=shape.ahead * shape.hop, steps=card_of(start).steps)
        return encoder, _told(run, card)
    encoder = ContentEncoder(ContentShape())
    encoder.normalisation.mean_speaker.copy_(torch.from_numpy(crops.usual))
    shape = encoder.shape
    return encoder, _told(run, Card(shape.rate, hop=shape.hop, delay=shape.ahead * shape.hop))


@torch.no_grad()
def refit(trunk: Sequential, crops: Crops) -> None:
    """Fit the last layer to the content of crops, by ridge regression on what the layer before says of them."""
    last = cast(CausalConv1d, trunk.layers[-1])
    width = last.weight.shape[1] + 1
    products, projections = (torch.zeros(width, columns).double() for columns in (width, last.weight.shape[2]))
    for _ in range(_REFIT_BATCHES):
        hidden, content, weights = crops.batch()
        for layer in trunk.layers[:-1]:
            hidden, _ = layer(hidden)
        heard = weights[:, 0] == 1
        rows = functional.pad(hidden.transpose(1, 2)[heard], (0, 1), value=1.0).double()
        products += rows.t() @ rows
        projections += rows.t() @ content.transpose(1, 2)[heard].double()
    ridge = _RIDGE * products.diagonal().mean() * torch.eye(width)
    fitted = torch.linalg.solve(products + ridge, projections).float()
    last.weight.copy_(fitted[None, :-1])
    last.bias.copy_(fitted[-1])


def _told(run: Path, card: Card) -> Card:
    """Return a card that says what was learnt from, by the examples that there are."""
    names = {path.name.removesuffix(f".{PLAIN}.npz") for path in (run / "examples").glob(f"*.{PLAIN}.npz")}
    entries = [corpora.card_entry(name) for name in _PEOPLE if name in names]
    entries += [
        f"{voice.package}: {voice.licence}" for name, voice in diphones.VOICES.items() if f"diphones-{name}" in names
    ]
    actors = sum(name.startswith("talkie-") for name in names)
    if actors:
        entries.append(f"{talkie.PACKAGE} ({actors} characters): {talkie.LICENCE}")
    entries.append(f"{crowd.PACKAGE} ({sum(name.startswith('crowd-') for name in names)} speakers): {crowd.LICENCE}")
    entries.append(f"{moonshine.PACKAGE} (teacher): {moonshine.LICENCE}")
    return replace(card, data=()).learnt_from(*entries)


def _write(
    run: Path, encoder: ContentEncoder, averaged: Sequential, card: Card, optimiser: torch.optim.Optimizer
) -> None:
    """Write the encoder with the averaged weights, and what training goes on from."""
    kept = copy.copy(encoder)
    kept._modules = {**encoder._modules, "trunk": averaged}
    save(run / "model.safetensors", kept, _told(run, card))
    torch.save({"trunk": encoder.trunk.state_dict(), "optimiser": optimiser.state_dict()}, run / "state.pt")


if __name__ == "__main__":
    main()
