"""`gramophone evaluate tagger`: how well taggers rank whole clips of the test part of a set, by tag, and how fast.

The areas under the ROC and the precision-recall curve are means over the tags that some but not all clips have. Speed
is seconds of sound tagged in a second of processor time, on one core, reading and resampling left out.
"""

from __future__ import annotations

import json as json_format
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from gramophone.models.nets.tagger import RATE, Tagger
from gramophone.offline.commands.tag import load_tagger, probabilities
from gramophone.offline.data.corpus import sound
from gramophone.offline.data.magnatagatune import Clips, gather_tagged
from gramophone.offline.judges.base import EvaluationError
from gramophone.offline.train.plans import TaggerPlan
from gramophone.offline.train.ranking_metrics import pr_auc, roc_auc
from gramophone.offline.train.run_folder import RunFolder, begun_plan


@dataclass(frozen=True)
class TaggerRow:
    """What was measured of one tagger; `by_tag` are ROC-AUC and PR-AUC, `speed` is in times real time."""

    model: str
    network: str
    parameters: int
    megabytes: float
    clips: int
    roc_auc: float
    pr_auc: float
    speed: float
    by_tag: Mapping[str, tuple[float, float]]


def run(models: Sequence[Path], data: Path | None, split: str, *, json: bool) -> None:
    """Judge taggers on one set and print.

    Raises:
        EvaluationError: nobody says which music to judge on, or a tagger knows none of its tags.
        CheckpointError, PresetError: a file is no tagger.
        DataError: the set cannot be read.
    """
    torch.set_num_threads(1)
    files = [model / "model.safetensors" if model.is_dir() else model for model in models]
    folder = data or _data_of(files[0])
    music = gather_tagged(folder, split, top=10_000)  # a tagger picks its own
    clips = music.parts.get("test", music.parts["validation"])
    rows = [measure(file, music.tags, clips) for file in files]
    if json:
        print(json_format.dumps([asdict(row) for row in rows]), flush=True)
        return
    _show(rows)


def measure(file: Path, tags: Sequence[str], clips: Clips) -> TaggerRow:
    """Return what one tagger makes of clips, whose labels are of `tags`."""
    tagger = load_tagger(str(file))
    known = [tag for tag in tagger.shape.tags if tag in tags]
    if not known:
        raise EvaluationError(f"{file}: knows none of the set's tags ({', '.join(tags)})")
    start = time.process_time()
    found = np.stack([probabilities(tagger, sound(recording)) for recording in clips.recordings])
    cost = time.process_time() - start
    seconds = sum(recording.heard.frames for recording in clips.recordings) / RATE
    labels = clips.labels[:, [tags.index(tag) for tag in known]]
    scores = found[:, [tagger.shape.tags.index(tag) for tag in known]]
    areas = np.stack([roc_auc(labels, scores), pr_auc(labels, scores)], 1)
    return TaggerRow(
        str(file),
        tagger.shape.network,
        _parameters(tagger),
        file.stat().st_size / 1e6,
        len(clips.recordings),
        *_means(areas),
        seconds / cost,
        {tag: (float(roc), float(pr)) for tag, (roc, pr) in zip(known, areas, strict=True) if np.isfinite(roc)},
    )


def _means(areas: NDArray[Any]) -> tuple[float, float]:
    roc, pr = areas[np.isfinite(areas[:, 0])].mean(0)
    return float(roc), float(pr)


def _parameters(tagger: Tagger) -> int:
    return sum(parameter.numel() for parameter in tagger.parameters())


def _data_of(file: Path) -> Path:
    folder = RunFolder(file.parent)
    if not folder.begun():
        raise EvaluationError(f"{file}: no run's folder, so nothing says which music to judge on; expected --data")
    return Path(begun_plan(TaggerPlan, folder).data[0])


def _show(rows: Sequence[TaggerRow]) -> None:
    console = Console(width=120)
    table = Table("model", "network", "parameters", "MB", "clips", "ROC-AUC", "PR-AUC", "times real time")
    for row in rows:
        areas = (f"{area:.3f}" for area in (row.roc_auc, row.pr_auc))
        sizes = (f"{row.parameters:,}", f"{row.megabytes:.1f}", str(row.clips))
        table.add_row(row.model, row.network, *sizes, *areas, f"{row.speed:.0f}")
    console.print(table)
    tags = Table("tag", *(f"{row.network} {area}" for row in rows for area in ("ROC-AUC", "PR-AUC")))
    for tag in rows[0].by_tag:
        tags.add_row(tag, *(f"{area:.3f}" for row in rows for area in row.by_tag.get(tag, (np.nan, np.nan))))
    console.print(tags)
