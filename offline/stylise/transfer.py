"""A slow method applied to sounds of any rate, length and channels, kept round by round so that a stop loses little."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gramophone.offline.data.audibility import demand_sound
from gramophone.offline.data.mono_audio import Sound, frame_levels, levelled, resampled
from gramophone.offline.stylise.descent import Descent, descend
from gramophone.offline.stylise.method import load_method
from gramophone.offline.stylise.saved_descent import restore, store
from gramophone.realtime.dsp.resampler import mono
from gramophone.realtime.stage import Audio

_FRAME_S = 0.032
_LEAST = 1e-6
_TIMES = 4


def kept_quiet(sound: Sound, content: Sound, rate: int) -> Sound:
    """Return `sound` (T,) nowhere louder than `content` (T,), which is in line with it, both at -20 dBFS.

    Levels are those of frames of 32 ms, and a sample gets the least gain of all frames that it lies in. What is taken
    from loud frames makes the whole louder when it is brought to its level again, so this is done a few times.
    """
    from scipy.ndimage import minimum_filter1d

    frame = round(_FRAME_S * rate)
    hop = frame // 4
    allowed = _levels(levelled(content), frame, hop)
    places = np.arange(len(allowed)) * hop
    for _ in range(_TIMES):
        sound = levelled(sound)
        gains = np.minimum(1, (allowed + _LEAST) / (_levels(sound, frame, hop) + _LEAST))
        least = minimum_filter1d(gains, 1 + frame // hop)
        sound = sound * np.interp(np.arange(len(sound)), places, least).astype(np.float32)
    return levelled(sound)


def _levels(sound: Sound, frame: int, hop: int) -> NDArray[np.float64]:
    return frame_levels(np.pad(sound, (frame // 2, frame // 2)), frame, hop)


Watch = Callable[[float, float], None]
"""Called with the share of the steps that is done and the loss."""


@dataclass(frozen=True)
class TransferRequest:
    """How to transfer: by which method, how much of the style (0 to 1), in how many steps (0: the method's own), where.

    `model` is for methods that need one; without it, it is their usual one. `keep` is a file in which the descent lies
    until it is done, for a next call to go on from.
    """

    method: str
    strength: float = 1.0
    steps: int = 0
    device: str = "cpu"
    keep: Path | None = None
    model: str = ""


@dataclass(frozen=True)
class Transferred:
    """A result of the content's shape and rate, and how the losses went; `whole`: not stopped before the end."""

    audio: Audio
    descent: Descent
    whole: bool


def transfer(
    content: tuple[Audio, int],
    style: tuple[Audio, int],
    request: TransferRequest,
    watch: Watch = lambda share, loss: None,
) -> Transferred:
    """Give `content` the style of `style`, each audio and rate in Hz; KeyboardInterrupt ends it and keeps the best.

    The methods work in mono: every channel of the result is the same, and as loud as the content.

    Raises:
        StyliseError: there is no such method, or its model does not suit it.
        CheckpointError, PresetError: there is no such model.
        NothingToHearError: a sound is shorter than a second, silent, or broken.
    """
    method_of = load_method(request.method)
    kind = method_of.with_model(request.model or method_of.usual_model)
    for name, (audio, rate) in (("CONTENT", content), ("STYLE", style)):
        demand_sound(name, audio, rate)
    own, wanted = (_heard(audio, rate, kind.rate) for audio, rate in (content, style))
    loudness = _gain(own)
    steps = request.steps or kind.steps
    ours = _fingerprint(own, wanted, request)
    before = restore(request.keep, ours, request.device)

    def keep(descent: Descent) -> None:
        if request.keep:
            store(request.keep, ours, descent)
        watch(descent.steps / steps, descent.curve[-1]["all"])

    method = kind(*(torch.from_numpy(levelled(sound)).to(request.device) for sound in (own, wanted)))
    descent = descend(method, request.strength * kind.balance, steps, keep, before)
    whole = descent.steps >= steps
    if whole and request.keep:
        request.keep.unlink(missing_ok=True)
    sound = method.sound(descent.x).detach().cpu().numpy()
    heard = kept_quiet(sound, own, kind.rate) if kind.keeps_quiet else levelled(sound)
    return Transferred(_result(heard * np.float32(loudness), kind.rate, content), descent, whole)


def _result(sound: Sound, heard_at: int, content: tuple[Audio, int]) -> Audio:
    audio, rate = content
    frames = resampled(sound, heard_at, rate)[: audio.shape[1]]
    return np.tile(np.pad(frames, (0, audio.shape[1] - len(frames))), (len(audio), 1))


def _heard(audio: Audio, rate: int, target: int) -> Sound:
    return np.ascontiguousarray(resampled(mono(audio), rate, target))


def _gain(sound: Sound) -> float:
    """Return by what `levelled` divided."""
    return float(np.abs(sound).max() / np.abs(levelled(sound)).max())


def _fingerprint(content: Sound, style: Sound, request: TransferRequest) -> str:
    """Return a hash of all that the descent depends on."""
    words = f"{request.method} {request.model} {request.strength}".encode()
    return hashlib.sha256(words + content.tobytes() + style.tobytes()).hexdigest()
