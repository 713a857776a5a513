"""`gramophone dream`: sound that maximises a tag, a layer or a channel of a tagger, and a picture of its descent."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gramophone.models.nets.tagger import RATE
from gramophone.offline.commands.tag import load_tagger, probabilities
from gramophone.offline.console import print_json, wrote
from gramophone.offline.data.audibility import demand_sound
from gramophone.offline.data.mono_audio import Sound, levelled, resampled
from gramophone.offline.dream.ascent import Dream, Dreamer
from gramophone.offline.dream.target import DreamError
from gramophone.offline.extras import need
from gramophone.offline.plotting.picture_file import demand_place
from gramophone.offline.progress import LossProgress
from gramophone.offline.stylise.descent import Descent
from gramophone.offline.stylise.picture import draw_transfer
from gramophone.offline.stylise.saved_descent import restore, store
from gramophone.realtime.dsp.resampler import mono
from gramophone.realtime.files import AudioWriter, read


@dataclass(frozen=True)
class DreamRequest:
    """What to maximise, from a `clip` or from noise of `seconds`, and by which `model`."""

    dream: Dream
    clip: Path | None = None
    seconds: float = 5.0
    model: str = "tagger"


def run(out: Path, keep_in: Path, request: DreamRequest, *, overwrite: bool, json: bool) -> None:
    """Write a dream to `out`, mono at 16 kHz, and its picture beside it; a stop keeps the best so far in `keep_in`.

    Raises:
        MissingLibraryError: the extra `offline` is not installed.
        SoundFileError: a sound cannot be read or written.
        DreamError: there is nothing to dream of.
        PictureError: the folder cannot be written.
        ResultError: there is no folder, or the picture is there already, and not to be overwritten.
        NothingToHearError: the clip is shorter than a second, silent, or broken.
        PresetError, CheckpointError: there is no such tagger.
    """
    need("matplotlib")
    picture = demand_place(out, overwrite=overwrite)
    tagger = load_tagger(request.model)
    tagger.requires_grad_(False)
    begin = _begin(request)
    frames = round(request.seconds * RATE) if begin is None else len(begin)
    dreamer = Dreamer(tagger, request.dream, frames, None if begin is None else torch.from_numpy(begin))
    ours = _fingerprint(request, begin)
    with LossProgress(f"dreaming of {request.dream.target.name}", quiet=json) as progress:

        def keep(descent: Descent) -> None:
            store(keep_in, ours, descent)
            progress(descent.steps / request.dream.steps, descent.curve[-1]["all"])

        done = dreamer.dream(keep, restore(keep_in, ours, "cpu"))
    sound = levelled(dreamer.sound(done.x).detach().numpy())
    sound = sound * np.float32(min(1.0, 0.99 / max(float(np.abs(sound).max()), 1e-9)))
    with AudioWriter(out, RATE, 1, len(sound)) as writer:
        writer.write(sound[None])
    whole = done.steps >= request.dream.steps
    if whole:
        keep_in.unlink(missing_ok=True)
    sounds = {"dream": (sound[None], RATE)} | ({} if begin is None else {"clip": (begin[None], RATE)})
    draw_transfer(dict(reversed(sounds.items())), done, picture)
    found = dict(zip(tagger.shape.tags, probabilities(tagger, sound).tolist(), strict=True))
    _report(out, picture, request, done, found, whole=whole, json=json)


def _report(
    out: Path, picture: Path, request: DreamRequest, done: Descent, tags: dict[str, float], *, whole: bool, json: bool
) -> None:
    if json:
        report = {"out": str(out), "picture": str(picture), "steps": done.steps, "stopped": not whole}
        print_json({**report, "tags": tags, "losses": done.curve})
    else:
        start, end = (done.curve[index]["all"] for index in (0, -1))
        likeliest = ", ".join(
            f"{name} {value:.2f}" for name, value in sorted(tags.items(), key=lambda tag: -tag[1])[:3]
        )
        print(f"loss {start:.3f} > {end:.3f} in {done.steps} steps; {likeliest}")
        wrote(out, picture)
        if not whole:
            print("stopped; call again to go on from there")


def _begin(request: DreamRequest) -> Sound | None:
    if request.clip is None:
        if not math.isfinite(request.seconds) or request.seconds < 1:
            raise DreamError(f"{request.seconds} seconds: expected at least 1")
        return None
    audio, rate = read(request.clip)
    demand_sound("FILE", audio, rate)
    return np.ascontiguousarray(levelled(resampled(mono(audio), rate, RATE)))


def _fingerprint(request: DreamRequest, begin: Sound | None) -> str:
    """Return a hash of all that the result depends on."""
    words = f"{request.dream} {request.model} {request.seconds}".encode()
    return hashlib.sha256(words + (b"" if begin is None else begin.tobytes())).hexdigest()
