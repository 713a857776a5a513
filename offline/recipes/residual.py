"""The residual network of anybody's voice: `python -m gramophone.offline.recipes.residual MODEL OUT`.

`MODEL` is what `offline.recipes.map_covariance` makes. The network learns from envelopes alone, not from sound: by the
squared error to what the target said, and by the content that a frozen network, learnt first, reads in the envelopes:
it is to be that of what the target said (cycle consistency), so that words are kept. Speakers are real people and
Kokoro's crowd (`--crowd`); three people and two groups of the crowd are left out, and what explains most of them is
kept. Nothing of the people that conversions are judged by is used.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from gramophone.models.checkpoint import load, save
from gramophone.models.layers.composition import Sequential
from gramophone.models.nets.anyone import Anyone
from gramophone.models.nets.content import causal_trunk
from gramophone.models.nets.enrolment import map_inputs
from gramophone.offline.data import corpora, crowd
from gramophone.offline.data.corpora import load as load_sound
from gramophone.offline.data.corpus import gather, sound
from gramophone.offline.data.mono_audio import RATE, Sound, levelled
from gramophone.offline.data.recording import DataError, spread_evenly
from gramophone.offline.train.allocator import keep_freed_memory
from gramophone.offline.train.envelope_pairs import PairBatch, Pairs, PairSpeaker, measured_speaker
from gramophone.offline.train.precision import quick_products

_WIDTH = 128
_SECONDS, _RECORDINGS, _LEAST_S = 150.0, 200, 0.25
_LEFT_OUT, _GROUPS_LEFT_OUT = ("french", "stamps-el", "small-fish"), 2
_BATCH, _FRAMES, _LEAD = 16, 128, 24
"""Pairs a step, frames of each, and how many at the beginning do not count, for they have no past."""
_PEAK, _WARM, _DECAY, _AVERAGE = 2e-3, 100, 0.02, 0.995
_CYCLE = 0.3
_READER_WIDTH, _READER_DILATIONS, _READER_NOISE = 96, (1, 2, 4), 0.2
_JUDGED_EVERY = 50
_FAINTEST, _RIDGE = -4.0, 0.003
"""Nats below the loudest of late that levels are learnt from, and the ridge of their map, in the inputs' power."""
_SEED = 1


def main() -> None:
    """Train, and write the model with the network."""
    parser = argparse.ArgumentParser(description="Train the residual network of anybody's voice.")
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=0.7, help="core-minutes of training")
    parser.add_argument("--crowd", type=int, default=40, help="how many of Kokoro's speakers")
    parser.add_argument("--speakers", type=Path, help="a file that keeps what is measured of the speakers")
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    torch.manual_seed(_SEED)
    loaded, card = load(arguments.model, "anyone")
    plain = cast(Anyone, loaded)
    aligned, people = _speakers(plain, arguments.crowd, arguments.speakers)
    learnt = Pairs(
        plain, aligned[_GROUPS_LEFT_OUT:], [own for name, own in people.items() if name not in _LEFT_OUT], _SEED
    )
    others = Pairs(plain, aligned[:_GROUPS_LEFT_OUT], [own for name, own in people.items() if name in _LEFT_OUT], _SEED)
    unheard = others.batch(48, 192, plain=True)
    reader = trained_reader(learnt, plain, arguments.minutes / 3)
    network = trained(learnt, plain, reader, unheard, arguments.minutes)
    spoken = f"{crowd.PACKAGE} (residual network, {arguments.crowd} speakers): {crowd.LICENCE}"
    model = with_residual(plain, network, variance_gains(network, unheard))
    model.level_map.copy_(level_map(plain, [own[0] for name, own in people.items() if name not in _LEFT_OUT]))
    save(arguments.out, model, card.learnt_from(spoken))


def with_residual(plain: Anyone, network: Sequential, gains: Tensor) -> Anyone:
    """Return a model with a residual network, in half precision, and gains of its outputs `(E,)`."""
    model = Anyone(replace(plain.shape, residual_width=_WIDTH))
    model.load_state_dict(plain.state_dict(), strict=False)
    assert model.residual is not None
    model.residual.load_state_dict(network.state_dict())
    model.residual_gains.copy_(gains)
    model.residual.half()  # loaded as single precision again
    model.encoder.trunk.half()
    return model.eval()


def level_map(model: Anyone, people: Sequence[PairSpeaker]) -> Tensor:
    """Return the map `(K,)` from the map's inputs to levels about each person's mean, by all of them alike."""
    products, projections = (torch.zeros(model.shape.inputs, columns).double() for columns in (model.shape.inputs, 1))
    for one in people:
        mean, spread = one.clips[0].content
        speech, frames = one.speech, len(one.levels)
        content = (speech.content[:frames] - mean) / spread
        audible = speech.audible[:frames] & (one.levels > _FAINTEST)
        inputs = map_inputs(content, speech.voiced[:frames], model.shape.context)[audible].double()
        levels = one.levels[audible].double()
        products += inputs.t() @ inputs / len(inputs)
        projections += inputs.t() @ (levels - levels.mean())[:, None] / len(inputs)
    fitted: Tensor = torch.linalg.solve(products / len(people) + _RIDGE * torch.eye(len(products)), projections)
    return (fitted[:, 0] / len(people)).float()


def _speakers(
    model: Anyone, size: int, kept: Path | None
) -> tuple[list[list[PairSpeaker]], dict[str, list[PairSpeaker]]]:
    """Return groups of aligned speakers, and people with their copies; measured once if `kept` names a file."""
    if kept and kept.exists():
        found: tuple[list[list[PairSpeaker]], dict[str, list[PairSpeaker]]] = torch.load(kept, weights_only=False)
        return found
    groups: defaultdict[object, list[PairSpeaker]] = defaultdict(list)
    for folder in crowd.crowd(size):
        paths = sorted(folder.glob("*.wav"))
        sounds = [levelled(load_sound(path, RATE)) for path in paths]
        same = tuple(path.name for path in paths), tuple(len(one) for one in sounds)
        groups[same] += measured_speaker(model, sounds, aligned=True)
    aligned = [group for group in groups.values() if len(group) > 1]
    people = {
        name: measured_speaker(model, sounds, aligned=False)
        for name, sounds in recorded((*corpora.PEOPLE, *corpora.FURTHER))
    }
    print(f"{len(aligned)} groups of aligned speakers, {len(people)} people", flush=True)
    if kept:
        torch.save((aligned, people), kept)
    return aligned, people


def recorded(names: Iterable[str]) -> Iterator[tuple[str, list[Sound]]]:
    """Yield people's names and 150 s of recordings that are not held out; those with too little are left out."""
    for name in names:
        try:
            corpus = gather([f"voice:{name}"], RATE)
        except DataError:
            continue
        own = [recording for recording in corpus.training if recording.heard.audible >= _LEAST_S * RATE]
        found, left = [], _SECONDS * RATE
        for recording in spread_evenly(own, _RECORDINGS):
            if left > 0:
                found.append(sound(recording))
                left -= len(found[-1])
        yield name, found


def trained_reader(pairs: Pairs, model: Anyone, minutes: float) -> Sequential:
    """Return a frozen network from envelopes and voicing `(B, E + 1, n)` to content `(B, D, n)`."""
    shape = model.shape
    reader = causal_trunk(shape.envelope + 1, _READER_WIDTH, _READER_DILATIONS, shape.content)

    def loss() -> Tensor:
        batch = pairs.batch(_BATCH, _FRAMES)
        noisy = batch.wanted + _READER_NOISE * torch.randn_like(batch.wanted)
        error = read(reader, noisy, batch, model) - batch.inputs[..., : shape.content]
        return _mean(error.square().mean(2), batch.weights)

    _descend(reader, minutes, loss, lambda step: None)
    return reader.requires_grad_(False)


def read(reader: Sequential, envelopes: Tensor, batch: PairBatch, model: Anyone) -> Tensor:
    """Return the content that is read in envelopes `(B, n, E)` of a batch, `(B, n, D)`."""
    voiced = batch.inputs[..., model.shape.content : model.shape.content + 1]
    with quick_products():
        content: Tensor = reader(torch.cat([envelopes, voiced], 2).transpose(1, 2))[0]
    return content.transpose(1, 2).float()


def trained(pairs: Pairs, model: Anyone, reader: Sequential, unheard: PairBatch, minutes: float) -> Sequential:
    """Return the residual network whose averaged weights explain most of the pairs left out (early stopping)."""
    shape = model.shape
    network = causal_trunk(shape.residual_inputs, _WIDTH, shape.residual_dilations, shape.envelope)
    averaged, best, most = copy.deepcopy(network), network, -math.inf
    print(f"left out: {explained(unheard.mapped, unheard):.3f} by the map", flush=True)

    def loss() -> Tensor:
        batch = pairs.batch(_BATCH, _FRAMES)
        said = converted(network, batch)
        with torch.no_grad():
            wanted = read(reader, batch.wanted, batch, model)
        cycle = (read(reader, said, batch, model) - wanted).square().mean(2)
        return _mean((said - batch.wanted).square().mean(2) + _CYCLE * cycle, batch.weights)

    @torch.no_grad()
    def after(step: int) -> None:
        nonlocal best, most
        for slow, quick in zip(averaged.parameters(), network.parameters(), strict=True):
            slow.lerp_(quick, 1 - min(_AVERAGE, step / (step + 10)))
        if step % _JUDGED_EVERY == 0:
            found = explained(converted(averaged, unheard), unheard)
            print(f"step {step}, left out: {found:.3f}", flush=True)
            if found > most:
                best, most = copy.deepcopy(averaged), found

    _descend(network, minutes, loss, after)
    return best


def _descend(network: Sequential, minutes: float, loss_of: Callable[[], Tensor], after: Callable[[int], None]) -> None:
    """Take steps for so many core-minutes; the learning rate falls to nothing over the second half."""
    optimiser = torch.optim.AdamW(network.parameters(), _PEAK, betas=(0.9, 0.98), weight_decay=_DECAY)
    begun, step = time.process_time(), 0
    while (done := (time.process_time() - begun) / (60 * minutes)) < 1:
        step += 1
        for group in optimiser.param_groups:
            group["lr"] = _PEAK * min(1.0, step / _WARM, 2 * (1 - done))
        loss = loss_of()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        after(step)


def converted(network: Sequential, batch: PairBatch) -> Tensor:
    """Return the envelopes that map and network together give, `(B, n, E)`."""
    with quick_products():
        residual: Tensor = network(batch.inputs.transpose(1, 2))[0]
    return batch.mapped + residual.transpose(1, 2).float()


@torch.no_grad()
def variance_gains(network: Sequential, batch: PairBatch) -> Tensor:
    """Return what envelopes are multiplied by to vary in audible frames as what was said does, `(E,)`."""
    envelopes = converted(network, batch)
    heard = (batch.weights == 1) & (torch.arange(batch.weights.shape[1]) >= _LEAD)
    gains: Tensor = batch.wanted[heard].std(0) / envelopes[heard].std(0)
    return gains


def explained(envelopes: Tensor, batch: PairBatch) -> float:
    """Return the share of the variance of audible frames that envelopes `(B, n, E)` explain."""
    weights = (batch.weights == 1).float()
    weights[:, :_LEAD] = 0
    mean = (batch.wanted * weights[..., None]).sum((0, 1)) / weights.sum()
    left = ((batch.wanted - envelopes).square() * weights[..., None]).sum()
    return 1 - float(left / ((batch.wanted - mean).square() * weights[..., None]).sum())


def _mean(errors: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean of errors `(B, n)`, without the first frames."""
    return (errors * weights)[:, _LEAD:].sum() / weights[:, _LEAD:].sum()


if __name__ == "__main__":
    main()
