"""`gramophone evaluate dream`: dreams of tags beside naive ones and real clips, judged by taggers that did not dream.

By tag: its probability by the tagger that dreams, how flat the spectrum is (1 is white noise), and what the others say:
another tagger of ours and MTT_musicnn, which was trained on real recordings (`gramophone.offline.judges.taggers`).
"""

from __future__ import annotations

import json as json_format
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from gramophone.models.nets.tagger import RATE, Tagger
from gramophone.offline.commands.tag import load_tagger, probabilities
from gramophone.offline.data.corpus import sound
from gramophone.offline.data.magnatagatune import TaggedMusic, gather_tagged
from gramophone.offline.data.mono_audio import Sound, levelled
from gramophone.offline.dream.ascent import Dream, Dreamer
from gramophone.offline.dream.target import DreamTarget
from gramophone.offline.judges.base import EvaluationError
from gramophone.offline.judges.taggers import load_tagger as load_musicnn
from gramophone.offline.judges.taggers import patches
from gramophone.presets.atomic import atomic_write

SECONDS = 5.0
_CLIPS = 8
"""Real clips of each tag."""
_MUSICNN = "MTT_musicnn"
_MUSICNN_PLACES = {
    "piano": 9,
    "strings": 4,
    "drums": 5,
    "violin": 12,
    "synth lead": 14,
    "harpsichord": 22,
    "flute": 25,
    "sitar": 31,
    "choir": 35,
    "harp": 42,
    "cello": 43,
    "acoustic guitar": 0,
}
"""Which of MTT_musicnn's fifty tags is ours."""


@dataclass(frozen=True)
class DreamRow:
    """One way to a tag: `dream`, `naive` or `real` (the mean of clips)."""

    tag: str
    way: str
    probability: float
    flatness: float
    other: float
    """What the other tagger of ours says."""

    musicnn: float | None
    """What MTT_musicnn says, where it knows the tag."""


def run(model: str, other: str, data: Path, tags: Sequence[str], steps: int, out: Path, *, json: bool) -> None:
    """Dream of tags and judge; the sounds and the table are written to `out`.

    Raises:
        EvaluationError: the set has no clips of a tag.
        DreamError, DataError, CheckpointError, PresetError: a tag, the set or a tagger is not there.
    """
    import soundfile

    torch.set_num_threads(1)
    dreaming, judging = load_tagger(model), load_tagger(other)
    dreaming.requires_grad_(False)
    music = gather_tagged(data, top=10_000)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for tag in tags or sorted(set(_MUSICNN_PLACES) & set(dreaming.shape.tags)):
        ways = {"real": _real(music, tag)}
        for way in ("dream", "naive"):
            dreamt = _dreamt(dreaming, tag, steps, naive=way == "naive")
            soundfile.write(out / f"{tag.replace(' ', '-')}-{way}.wav", dreamt, RATE)
            ways[way] = [dreamt]
        rows += [_judged(tag, way, sounds, dreaming, judging) for way, sounds in ways.items()]
    report = {"means": means(rows), "rows": [asdict(row) for row in rows]}
    with atomic_write(out / "dream.json") as part:
        part.write_text(json_format.dumps(report, indent=1) + "\n", "utf-8")
    print(json_format.dumps(report), flush=True) if json else _show(rows)


def flatness(sounds: Sequence[Sound]) -> float:
    """Return the spectral flatness, the mean over frames and sounds: 0 for a tone, near 0.56 for white noise."""
    import librosa

    return float(np.mean([librosa.feature.spectral_flatness(y=one).mean() for one in sounds]))


def means(rows: Sequence[DreamRow]) -> Mapping[str, Mapping[str, float]]:
    """Return the mean of every figure by way."""
    found = {}
    for way in dict.fromkeys(row.way for row in rows):
        own = [asdict(row) for row in rows if row.way == way]
        columns = {key: [row[key] for row in own if row[key] is not None] for key in _FIGURES}
        found[way] = {key: float(np.mean(values)) for key, values in columns.items() if values}
    return found


_FIGURES = ("probability", "flatness", "other", "musicnn")


def _real(music: TaggedMusic, tag: str) -> list[Sound]:
    """Return real clips with no other tag than this, as far as there are any; else with others too."""
    if tag not in music.tags:
        raise EvaluationError(f"tag {tag!r}: the set has {', '.join(music.tags)}")
    clips = music.parts.get("test", music.parts["validation"])
    has = clips.labels[:, music.tags.index(tag)]
    order = np.argsort(clips.labels.sum(1) + 100 * ~has, kind="stable")[: min(_CLIPS, int(has.sum()))]
    if not len(order):
        raise EvaluationError(f"tag {tag!r}: no clip to compare with")
    return [levelled(sound(clips.recordings[int(place)])) for place in order]


def _dreamt(tagger: Tagger, tag: str, steps: int, *, naive: bool) -> Sound:
    dreamer = Dreamer(tagger, Dream(DreamTarget(tag), steps, naive), round(SECONDS * RATE))
    done = dreamer.dream(lambda descent: None)
    return levelled(dreamer.sound(done.x).detach().numpy())


def _judged(tag: str, way: str, sounds: Sequence[Sound], dreaming: Tagger, judging: Tagger) -> DreamRow:
    ours, others = (
        float(np.mean([probabilities(tagger, one)[tagger.shape.tags.index(tag)] for one in sounds]))
        for tagger in (dreaming, judging)
    )
    return DreamRow(tag, way, ours, flatness(sounds), others, _musicnn(tag, sounds))


@torch.inference_mode()
def _musicnn(tag: str, sounds: Sequence[Sound]) -> float | None:
    if tag not in _MUSICNN_PLACES:
        return None
    found = [load_musicnn(_MUSICNN).tags(patches(one))[:, _MUSICNN_PLACES[tag]].mean() for one in sounds]
    return float(torch.stack(found).mean())


def _show(rows: Sequence[DreamRow]) -> None:
    table = Table("tag", "way", "probability", "flatness", "other tagger", _MUSICNN)
    for row in rows:
        figures = (getattr(row, key) for key in _FIGURES)
        table.add_row(row.tag, row.way, *("" if value is None else f"{value:.3f}" for value in figures))
    table.add_section()
    for way, mean in means(rows).items():
        table.add_row("mean", way, *(f"{mean[key]:.3f}" if key in mean else "" for key in _FIGURES))
    Console(width=110).print(table)
