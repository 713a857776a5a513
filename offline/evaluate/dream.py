"""`gramophone evaluate dream`: dreams of tags beside naive ones and real clips, by taggers of other training.

By tag: its probability by the tagger that the dream was made with, the spectral flatness (1 is white noise), and its
probability by two others: a second tagger of ours, and MTT_musicnn, which was trained on real recordings
(`gramophone.offline.judges.taggers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from gramophone.models.nets.tagger import RATE, Tagger
from gramophone.offline.commands.tag import load_tagger, probabilities
from gramophone.offline.data.corpus import sound
from gramophone.offline.data.magnatagatune import TaggedMusic, gather_tagged
from gramophone.offline.data.mono_audio import Sound, levelled
from gramophone.offline.dream.ascent import Dream, Dreamer
from gramophone.offline.dream.target import DreamTarget
from gramophone.offline.evaluate.base import Column, EvaluationError, by_group, print_rows, report, write_json
from gramophone.offline.judges.taggers import load_tagger as load_musicnn
from gramophone.offline.judges.taggers import patches

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
"""Our tags by their index among the fifty of MTT_musicnn."""


@dataclass(frozen=True)
class DreamRow:
    """One way to a tag: `dream`, `naive` or `real` (the mean of clips)."""

    tag: str
    way: str
    probability: float
    flatness: float
    other: float
    """Probability by the second tagger of ours."""

    musicnn: float | None
    """Probability by MTT_musicnn, where it has the tag."""


def run(model: str, other: str, data: Path, tags: Sequence[str], steps: int, out: Path, *, json: bool) -> None:
    """Dream of tags and evaluate the dreams; write sounds and figures to `out`.

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
    rows, files = [], list[Path]()
    for tag in tags or sorted(set(_MUSICNN_PLACES) & set(dreaming.shape.tags)):
        ways = {"real": _real(music, tag)}
        for way in ("dream", "naive"):
            dreamt = _dreamt(dreaming, tag, steps, naive=way == "naive")
            files.append(out / f"{tag.replace(' ', '-')}-{way}.wav")
            soundfile.write(files[-1], dreamt, RATE)
            ways[way] = [dreamt]
        rows += [_evaluated(tag, way, sounds, dreaming, judging) for way, sounds in ways.items()]
    found = {"means": means(rows), "rows": [asdict(row) for row in rows]}
    file = out / "dream.json"
    write_json(file, found)
    report(found, json=json, show=lambda: _show(rows), files=(*files, file))


def flatness(sounds: Sequence[Sound]) -> float:
    """Return the spectral flatness, the mean over frames and sounds: 0 for a tone, near 0.56 for white noise."""
    import librosa

    return float(np.mean([librosa.feature.spectral_flatness(y=one).mean() for one in sounds]))


def means(rows: Sequence[DreamRow]) -> dict[str, dict[str, float]]:
    """Return the mean of every figure by way."""
    return by_group(map(asdict, rows), "way", [column.key for column in _FIGURES], np.mean)


_FIGURES = (
    Column("probability", "probability", ".3f"),
    Column("flatness", "flatness", ".3f"),
    Column("other", "other tagger", ".3f"),
    Column("musicnn", _MUSICNN, ".3f"),
)
_COLUMNS = (Column("tag", "tag"), Column("way", "way"), *_FIGURES)


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


def _evaluated(tag: str, way: str, sounds: Sequence[Sound], dreaming: Tagger, judging: Tagger) -> DreamRow:
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
    averages = [{"tag": "mean", "way": way, **figures} for way, figures in means(rows).items()]
    print_rows(_COLUMNS, [*map(asdict, rows), *averages], least_width=110)
