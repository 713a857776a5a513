"""`gramophone generate`: sound that a WaveNet samples from nothing, or from the features of a sound, as a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gramophone.models.checkpoint import Card, load
from gramophone.models.layers.vocoder_features import LogMel, aligned_log_mel, pitch_channels
from gramophone.models.nets.wavenet import WaveNet
from gramophone.offline.data.pyin import pitch
from gramophone.presets.models import model_file
from gramophone.realtime.dsp.resampler import mono
from gramophone.realtime.files import AudioWriter, read
from gramophone.realtime.stages.wavenet.sampler import Sampler

_CHUNK_S = 1.0
_EXTRACTED = ("mel", "mel+pitch")
"""Local conditions that can be extracted from a sound."""


class GenerateError(ValueError):
    """A request does not fit the model; the message says what was expected."""


@dataclass(frozen=True)
class GenerateRequest:
    """What to generate.

    `seconds` is the duration, 0 for that of `like`; `speaker` a name or a blend as `speaker_weights` reads it; `like`
    the sound whose features a vocoder follows. Samples are drawn at a `temperature` (0: the likeliest sample each time)
    from the likeliest levels that together hold `nucleus`, 0 to 1, of the probability (Holtzman et al. 2020).
    """

    seconds: float = 0.0
    speaker: str = ""
    seed: int = 0
    temperature: float = 1.0
    nucleus: float = 1.0
    like: Path | None = None
    device: str = "cpu"


def generate(model: str, out: Path, request: GenerateRequest) -> dict[str, object]:
    """Write what a model generates to `out`, mono at the model's rate; return file, seconds, rate (Hz) and seed.

    Raises:
        CheckpointError, PresetError: there is no such model, or it is of another kind.
        GenerateError: the model has no such speaker, or requires another set of conditions.
        SoundFileError: a file cannot be read or written.
    """
    net, card = load(model_file(model), "wavenet")
    assert isinstance(net, WaveNet)
    if request.speaker and not net.shape.speakers:
        raise GenerateError(f"speaker {request.speaker!r}: {model} was trained without speakers; leave --speaker out")
    weights = speaker_weights(request.speaker, card) if net.shape.speakers else None
    series = _series(net, card, request)
    held = _conditions(net, weights, series)
    frames = series.shape[2] * net.shape.hop if net.shape.local else round(request.seconds * card.rate)
    if frames < 1:
        raise GenerateError("expected --seconds above 0")
    sampler = Sampler(net, seed=request.seed, device=request.device)
    with AudioWriter(out, card.rate, 1, frames) as writer:
        for samples, conditions in _chunks(held, frames, card.rate, net.shape.hop):
            writer.write(sampler.generate(samples, conditions, request.temperature, request.nucleus))
    return {"file": str(out), "seconds": frames / card.rate, "rate": card.rate, "seed": request.seed}


def speaker_weights(text: str, card: Card) -> NDArray[np.float32]:
    """Return the weight of each speaker, `(speakers,)` with a sum of 1, from `anna` or `anna:0.7,bob:0.3`.

    Raises:
        GenerateError: the model has no such speaker, or a weight is not a number above 0.
    """
    weights = np.zeros(len(card.speakers), np.float32)
    for part in (text or card.speakers[0]).split(","):
        name, colon, weight = part.strip().rpartition(":")
        if not colon or part.strip() in card.speakers:
            name, weight = part.strip(), "1"
        if name not in card.speakers:
            raise GenerateError(f"no speaker {name!r}; the model has {', '.join(card.speakers)}")
        weights[card.speakers.index(name)] += _weight(weight, part)
    return weights / np.float32(weights.sum())


def _weight(text: str, part: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0 < weight < float("inf"):
        raise GenerateError(f"speaker {part.strip()!r}: expected NAME or NAME:WEIGHT, a number above 0")
    return weight


def _series(net: WaveNet, card: Card, request: GenerateRequest) -> Tensor:
    """Return the local conditions, `(1, local, n)`, of the sound to follow; `(1, 0, 1)` for a model without."""
    if net.shape.vector:
        raise GenerateError("the model requires an embedding of the text that is spoken; generate cannot make one")
    if not net.shape.local:
        if request.like:
            raise GenerateError("the model has no local conditions; leave --like out")
        return torch.zeros(1, 0, 1)
    kind = str(card.notes.get("local"))
    if kind not in _EXTRACTED:
        raise GenerateError(f"the model is conditioned on {kind}, which generate cannot extract from a sound")
    if request.like is None:
        raise GenerateError(f"the model is conditioned on {kind}; expected --like FILE")
    return _extracted(request.like, card, net.shape.local, kind, request.seconds)


@torch.inference_mode()
def _extracted(path: Path, card: Card, channels: int, kind: str, seconds: float) -> Tensor:
    """Return the local conditions of a sound, `(1, channels, n)`, as `offline/train/conditions.py` has them."""
    import soxr

    sound, rate = read(path, seconds or None)
    followed = soxr.resample(mono(sound), rate, card.rate).astype(np.float32)
    whole = torch.from_numpy(np.pad(followed, (0, -len(followed) % card.hop)))
    pitched = kind == "mel+pitch"
    series = aligned_log_mel(LogMel(card.rate, card.hop, channels - 2 * pitched), whole[None, None])
    return torch.cat([series, pitch_channels(_pitch(followed, card, series.shape[2]))], 1) if pitched else series


def _pitch(sound: NDArray[np.float32], card: Card, frames: int) -> Tensor:
    """Return the pitch of each frame of a sound `(T,)` in Hz, 0 where there is none, `(1, frames)`."""
    found = pitch(sound, card.rate, card.hop)[:frames]
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
