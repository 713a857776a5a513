"""`gramophone tag`: which tags sound files have, by a trained tagger, as bars, JSON or CSV.

A file is split into chunks that overlap by half; its probabilities are the means over them. Silent chunks are left out.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from gramophone.models.checkpoint import load
from gramophone.models.nets.tagger import RATE, Tagger
from gramophone.offline.cluster.calls import LostCall
from gramophone.offline.cluster.choice import EngineChoice, caller
from gramophone.offline.console import plain, print_json, say
from gramophone.offline.data.audibility import NothingToHearError
from gramophone.offline.data.mono_audio import Sound, resampled
from gramophone.offline.render.inputs import Inputs
from gramophone.presets.models import model_file
from gramophone.realtime.dsp.resampler import mono
from gramophone.realtime.files import Remark, SoundFileError, collected_remarks, publish_remarks, read

_NO_FILE = "neither a file of this machine nor a folder to search; name a copy, or the sound files in it"
_BATCH = 8
_BAR = 30
_SILENCE = 1e-4
"""Loudest sample, -80 dBFS."""


class TagError(ValueError):
    """A tag or a model cannot be used; the message states what was found and what was expected."""


@dataclass(frozen=True)
class Tagged:
    """Tags of a file with their probabilities, likeliest first, how long the file is, and remarks on it."""

    file: str
    seconds: float
    tags: Mapping[str, float]
    remarks: tuple[Remark, ...] = ()


def run(
    inputs: Inputs,
    model: str,
    wanted: Sequence[str],
    top: int,
    form: str,
    device: str,
    engine: EngineChoice | None = None,
) -> bool:
    """Print the `top` tags of files, or the `wanted` ones, as `bars`, `json` or `csv`; return whether all were read.

    What is left aside or cannot be tagged is named on standard error.

    Raises:
        PresetError, CheckpointError, TagError: the model or a tag is not known.
        ClusterError: the `engine` is a cluster that cannot be used.
    """
    known = load_tagger(model, device).shape.tags
    unknown = [tag for tag in wanted if tag not in known]
    if unknown:
        raise TagError(f"no tag {', '.join(map(repr, unknown))}; {model} has {', '.join(known)}")
    files = [file for file in inputs.files if isinstance(file, Path) and not file.is_dir()]
    others = dict.fromkeys(set(inputs.files) - set(files), _NO_FILE)
    failed = {str(place): why for place, why in (inputs.failed | others).items()}
    found: dict[Path, Tagged] = {}
    with caller(engine or EngineChoice()) as calls:
        absolute = {file.absolute(): file for file in files}
        for path, result in calls.results(TagCall(_found_everywhere(model), device), list(absolute)):
            file = absolute[path]
            if isinstance(result, Tagged):
                found[file] = replace(_chosen(result, wanted, top), file=str(file))
                publish_remarks((str(file), text) for _, text in result.remarks)
                continue
            failed[str(file)] = result.why if isinstance(result, LostCall) else result.replace(str(path), str(file), 1)
    for place, why in inputs.aside.items():
        say(f"left aside: {place}: {why}")
    for name, why in failed.items():
        say(f"error: {why if name in why else f'{name}: {why}'}")
    _PRINT[form]([found[file] for file in files if file in found], failed)
    return not failed


@dataclass(frozen=True)
class TagCall:
    """Tags a file; returns why where it cannot. The tagger is loaded once in each process."""

    model: str
    device: str

    def __call__(self, file: Path) -> Tagged | str:
        """Return all tags of a file, or why it has none."""
        try:
            with collected_remarks() as remarks:
                tagged = tag_file(_loaded(self.model, self.device), file)
            return replace(tagged, remarks=tuple(remarks))
        except (SoundFileError, NothingToHearError) as error:
            return str(error)


@cache
def _loaded(model: str, device: str) -> Tagger:
    return load_tagger(model, device)


def _found_everywhere(model: str) -> str:
    """Return a model's name, or its path as other processes understand it."""
    return str(Path(model).absolute()) if Path(model).is_file() else model


def load_tagger(model: str, device: str = "cpu") -> Tagger:
    """Return a tagger by name or path.

    Raises:
        PresetError, CheckpointError: there is no such model, or it is no tagger.
    """
    return cast(Tagger, load(model_file(model), "tagger")[0]).to(device)


def tag_file(tagger: Tagger, file: Path) -> Tagged:
    """Return all tags of a file.

    Raises:
        SoundFileError: it cannot be read.
        NothingToHearError: it is silent or broken.
    """
    audio, rate = read(file)
    sound = np.ascontiguousarray(resampled(mono(audio), rate, RATE))
    if not np.isfinite(sound).all():
        raise NothingToHearError(f"{file} holds samples that are NaN or infinite: export it again")
    if float(np.abs(sound).max(initial=0)) < _SILENCE:
        raise NothingToHearError(f"{file} is silent: expected a sound")
    found = probabilities(tagger, sound)
    order = np.argsort(-found, kind="stable")
    tags = {tagger.shape.tags[place]: float(found[place]) for place in order}
    return Tagged(str(file), audio.shape[1] / rate, tags)


@torch.inference_mode()
def probabilities(tagger: Tagger, sound: Sound) -> NDArray[np.float32]:
    """Return the probability of every tag, `(tags,)`: the mean over the chunks of a sound `(T,)` at 16 kHz."""
    heard = torch.from_numpy(chunks(sound, tagger.chunk)).to(next(tagger.parameters()).device)
    found = torch.cat([tagger.probabilities(part) for part in torch.split(heard, _BATCH)])
    mean: NDArray[np.float32] = found.mean(0).cpu().numpy()
    return mean


def chunks(sound: Sound, size: int) -> Sound:
    """Return a sound `(T,)` as `(n, size)`, half a chunk apart, the last at its end; a short sound is repeated.

    Silent chunks are left out, unless all are.
    """
    if len(sound) < size:
        return np.resize(sound, size)[None]
    starts = [*range(0, len(sound) - size, size // 2), len(sound) - size]
    found = np.stack([sound[start : start + size] for start in starts])
    loud = np.abs(found).max(axis=1) >= _SILENCE
    return found[loud] if loud.any() else found


def _chosen(tagged: Tagged, wanted: Sequence[str], top: int) -> Tagged:
    names = wanted or list(tagged.tags)[:top]
    return Tagged(tagged.file, tagged.seconds, {name: tagged.tags[name] for name in tagged.tags if name in names})


def _print_bars(done: Sequence[Tagged], failed: Mapping[str, str]) -> None:
    console = Console(highlight=False)
    for tagged in done:
        table = Table("tag", "", "", box=None, pad_edge=False, show_header=False)
        for name, probability in tagged.tags.items():
            table.add_row(name, "█" * round(_BAR * probability), f"{probability:.2f}")
        console.print(f"{plain(tagged.file)}, {tagged.seconds:.1f} s", markup=False, soft_wrap=True)
        console.print(table)


def _print_json(done: Sequence[Tagged], failed: Mapping[str, str]) -> None:
    files = [{"file": tagged.file, "seconds": tagged.seconds, "tags": tagged.tags} for tagged in done]
    print_json({"files": files, "failed": failed})


def _print_csv(done: Sequence[Tagged], failed: Mapping[str, str]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["file", "tag", "probability"])
    for tagged in done:
        writer.writerows([plain(tagged.file), name, f"{probability:.6f}"] for name, probability in tagged.tags.items())


_PRINT = {"bars": _print_bars, "json": _print_json, "csv": _print_csv}
