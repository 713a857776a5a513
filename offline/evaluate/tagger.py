"""`gramophone evaluate tagger`: how well taggers rank whole clips of the test part of a dataset, by tag, and how fast.

The areas under the ROC and the precision-recall curve are means over the tags that some but not all clips have. Speed
is seconds of sound tagged per second of CPU time, on one core, without reading and resampling.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gramophone.models.nets.tagger import RATE, Tagger
from gramophone.offline.commands.tag import load_tagger, probabilities
from gramophone.offline.console import print_json
from gramophone.offline.data.corpus import sound
from gramophone.offline.data.magnatagatune import Clips, gather_tagged
from gramophone.offline.evaluate.base import Column, EvaluationError, print_rows
from gramophone.offline.evaluate.recordings import model_path
from gramophone.offline.train.plans import TaggerPlan
from gramophone.offline.train.ranking_metrics import pr_auc, roc_auc
from gramophone.offline.train.run_folder import RunFolder, begun_plan


@dataclass(frozen=True)
class TaggerRow:
    """The figures of one tagger; `by_tag` are ROC-AUC and PR-AUC, `speed` is in times real time."""

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
    """Evaluate taggers on one dataset and print.

    Raises:
        EvaluationError: no dataset is given or known, or a tagger has none of its tags.
        CheckpointError, PresetError: a file is no tagger.
        DataError: the set cannot be read.
    """
    torch.set_num_threads(1)
    files = [model_path(model) for model in models]
    folder = data or _data_of(files[0])
    music = gather_tagged(folder, split, top=10_000)  # a tagger picks its own
    clips = music.parts.get("test", music.parts["validation"])
    rows = [measure(file, music.tags, clips) for file in files]
    print_json([asdict(row) for row in rows]) if json else _show(rows)


def measure(file: Path, tags: Sequence[str], clips: Clips) -> TaggerRow:
    """Return the figures of one tagger on clips, whose labels are of `tags`."""
    tagger = load_tagger(str(file))
    known = [tag for tag in tagger.shape.tags if tag in tags]
    if not known:
        raise EvaluationError(f"{file}: has none of the dataset's tags ({', '.join(tags)})")
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
    if not folder.exists():
        raise EvaluationError(f"{file}: not in a run's folder, so its dataset is unknown; expected --data")
    return Path(begun_plan(TaggerPlan, folder).data[0])


_COLUMNS = (
    Column("model", "model"),
    Column("network", "network"),
    Column("parameters", "parameters", ","),
    Column("megabytes", "MB", ".1f"),
    Column("clips", "clips"),
    Column("roc_auc", "ROC-AUC", ".3f"),
    Column("pr_auc", "PR-AUC", ".3f"),
    Column("speed", "times real time", ".0f"),
)


def _show(rows: Sequence[TaggerRow]) -> None:
    print_rows(_COLUMNS, map(asdict, rows), least_width=120)
    areas = ("ROC-AUC", "PR-AUC")
    columns = [
        Column(f"{place} {area}", f"{row.network} {area}", ".3f") for place, row in enumerate(rows) for area in areas
    ]
    tags = [
        {"tag": tag}
        | {
            f"{place} {area}": value
            for place, row in enumerate(rows)
            for area, value in zip(areas, row.by_tag.get(tag, ()), strict=False)
        }
        for tag in rows[0].by_tag
    ]
    print_rows([Column("tag", "tag"), *columns], tags, least_width=120)
