"""`gramophone generate`: a WaveNet sings by itself, into a file; `gramophone models`: what there is to sing with."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from gramophone.models.checkpoint import Card, card_of, kind_of, load
from gramophone.models.layers.vocoder_features import LogMel, aligned_log_mel, pitch_channels
from gramophone.models.nets.wavenet import WaveNet
from gramophone.offline.data.pyin import pitch
from gramophone.presets.models import model_file, model_names
from gramophone.realtime.files import AudioWriter, read
from gramophone.realtime.stages.wavenet.sampler import Sampler

_CHUNK_S = 1.0
_FOLLOWED = ("mel", "mel+pitch")
"""Series that can be taken from a sound."""


class GenerateError(ValueError):
    """What was asked for does not fit the model; the message says what was expected."""


@dataclass(frozen=True)
class GenerateRequest:
    """What to sing: how long in seconds (0: as long as `like`), who, after which sound, and how freely."""

    seconds: float = 0.0
    speaker: str = ""
    seed: int = 0
    temperature: float = 1.0
    nucleus: float = 1.0
    like: Path | None = None
    device: str = "cpu"


def generate(model: str, out: Path, request: GenerateRequest) -> dict[str, object]:
    """Write what the model called `model` sings to `out`, one channel at the model's rate; return what was done.

    Raises:
        CheckpointError, PresetError: there is no such model, or it is of another kind.
        GenerateError: the model knows no such speaker, or must be told more or less than it was.
        SoundFileError: a file cannot be read or written.
    """
    net, card = load(model_file(model), "wavenet")
    assert isinstance(net, WaveNet)
    if request.speaker and not net.shape.speakers:
        raise GenerateError(f"speaker {request.speaker!r}: {model} cannot tell speakers apart; leave --speaker out")
    weights = speaker_weights(request.speaker, card) if net.shape.speakers else None
    series = _series(net, card, request)
    held = _conditions(net, weights, series)
    frames = series.shape[2] * net.shape.hop if net.shape.local else round(request.seconds * card.rate)
    if frames < 1:
        raise GenerateError("expected --seconds above 0")
    sampler = Sampler(net, seed=request.seed, device=request.device)
    with AudioWriter(out, card.rate, 1, frames) as writer:
        for samples, told in _chunks(held, frames, card.rate, net.shape.hop):
            writer.write(sampler.generate(samples, told, request.temperature, request.nucleus))
    return {"file": str(out), "seconds": frames / card.rate, "rate": card.rate, "seed": request.seed}


def speaker_weights(text: str, card: Card) -> NDArray[np.float32]:
    """Return how much of each speaker, `(speakers,)` with a sum of 1, `anna` or `anna:0.7,bob:0.3` means.

    Raises:
        GenerateError: a speaker is not known, or a weight is not a number above 0.
    """
    weights = np.zeros(len(card.speakers), np.float32)
    for part in (text or card.speakers[0]).split(","):
        name, colon, weight = part.strip().rpartition(":")
        if not colon or part.strip() in card.speakers:
            name, weight = part.strip(), "1"
        if name not in card.speakers:
            raise GenerateError(f"no speaker {name!r}; the model knows {', '.join(card.speakers)}")
        weights[card.speakers.index(name)] += _weight(weight, part)
    return weights / np.float32(weights.sum())


def describe_models(*, json: bool) -> None:
    """Print the models that come with Gramophone."""
    rows = [{"name": name, "kind": kind_of(path), **asdict(card_of(path))} for name, path in _found()]
    if json:
        print(json_format.dumps(rows))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "kind", "rate", "speakers", "trained on", "licence"):
        table.add_column(column, overflow="fold")
    for row in rows:
        lists = ("; ".join(row[key]) for key in ("speakers", "data"))
        table.add_row(row["name"], row["kind"], f"{row['rate']} Hz", *lists, row["licence"])
    Console().print(table if rows else "no model comes with this version; train one with `gramophone train`")


def _found() -> Iterator[tuple[str, Path]]:
    for name in model_names():
        yield name, model_file(name)


def _weight(text: str, part: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0 < weight < float("inf"):
        raise GenerateError(f"speaker {part.strip()!r}: expected NAME or NAME:WEIGHT, a number above 0")
    return weight


def _series(net: WaveNet, card: Card, request: GenerateRequest) -> Tensor:
    """Return the local series, `(1, local, n)`, taken from the sound to be like; `(1, 0, 1)` for a model without."""
    if net.shape.vector:
        raise GenerateError("the model is told what is said, as a vector; generate has no text to tell it")
    if not net.shape.local:
        if request.like:
            raise GenerateError("the model follows no other sound; leave --like out")
        return torch.zeros(1, 0, 1)
    kind = str(card.notes.get("local"))
    if kind not in _FOLLOWED:
        raise GenerateError(f"the model follows a series of {kind}, which generate cannot take from a sound")
    if request.like is None:
        raise GenerateError(f"the model follows a series of {kind}; expected --like FILE")
    return _followed(request.like, card, net.shape.local, kind, request.seconds)


@torch.inference_mode()
def _followed(path: Path, card: Card, channels: int, kind: str, seconds: float) -> Tensor:
    """Return the series of a sound, as `offline/train/conditions.py` makes it of recordings."""
    import soxr

    sound, rate = read(path, seconds or None)
    mono = soxr.resample(sound.mean(axis=0), rate, card.rate).astype(np.float32)
    whole = torch.from_numpy(np.pad(mono, (0, -len(mono) % card.hop)))
    pitched = kind == "mel+pitch"
    series = aligned_log_mel(LogMel(card.rate, card.hop, channels - 2 * pitched), whole[None, None])
    return torch.cat([series, pitch_channels(_pitch(mono, card, series.shape[2]))], 1) if pitched else series


def _pitch(mono: NDArray[np.float32], card: Card, frames: int) -> Tensor:
    """Return the pitch of each frame in Hz, 0 where there is none, `(1, frames)`."""
    found = pitch(mono, card.rate, card.hop)[:frames]
    return torch.from_numpy(np.pad(found, (0, frames - len(found))))[None]


@torch.inference_mode()
def _conditions(net: WaveNet, weights: NDArray[np.float32] | None, series: Tensor) -> NDArray[np.float32] | None:
    """Return the model's conditions, `(1, C, n)`; None for a model without."""
    if not net.shape.condition:
        return None
    controls = [] if weights is None else [torch.from_numpy(weights)[None]]
    held: NDArray[np.float32] = net.conditions(series, None, *controls)[0].numpy()
    return held


def _chunks(
    held: NDArray[np.float32] | None, frames: int, rate: int, hop: int
) -> Iterator[tuple[int, NDArray[np.float32] | None]]:
    """Yield chunks of whole frames: how many samples, and their conditions; one frame of conditions is for all."""
    chunk = max(round(_CHUNK_S * rate) // hop, 1) * hop
    for start in range(0, frames, chunk):
        stop = min(start + chunk, frames)
        if held is None or held.shape[2] == 1:
            yield stop - start, held
            continue
        per_frame = frames // held.shape[2]
        yield stop - start, held[:, :, start // per_frame : stop // per_frame]
