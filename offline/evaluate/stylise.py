"""`gramophone evaluate stylise`: every method of style transfer on the same pairs of held-out recordings.

Closeness to the style is measured with music taggers that no method optimises; what is kept of the content by the
correlation of chroma and onsets; noise by the level of the result where the content is quietest. The cost is in CPU
seconds per second of sound, on one core.
"""

from __future__ import annotations

import json as json_format
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gramophone.offline.cluster.calls import kept
from gramophone.offline.cluster.choice import EngineChoice, caller
from gramophone.offline.data import corpora
from gramophone.offline.data.mono_audio import Sound, frame_levels, levelled
from gramophone.offline.evaluate.base import Column, by_group, print_rows, report, write_json
from gramophone.offline.evaluate.style import live_style, restyle
from gramophone.offline.evaluate.style_pairs import RATE, Pair, load_pairs
from gramophone.offline.extras import need
from gramophone.offline.judges.closeness import SECOND_OPINION
from gramophone.offline.judges.verdict import Jury
from gramophone.offline.plotting.picture_file import save_picture
from gramophone.offline.stylise.method import METHODS
from gramophone.offline.stylise.transfer import TransferRequest, transfer

LIVE = "live"
_STYLE_S = 10.0
_FRAME = round(0.032 * RATE)
_QUIET = 0.1
_SILENCE_DB = -70.0
_LIBRARIES = ("av", "speechmos", "requests")
_FIGURES = tuple(
    Column(key, title, ".2f")
    for key, title in {
        "closeness": "closeness",
        "second": "by other taggers",
        "chroma": "chroma",
        "onsets": "onsets",
        "noise_db": "noise dB",
        "noise_before_db": "content's dB",
        "quality_loss": "DNSMOS lost",
        "pasted": "pasted",
        "cost": "CPU s per s",
    }.items()
)
_COLUMNS = (Column("pair", "pair"), Column("kind", "kind"), Column("method", "method"), *_FIGURES)


@dataclass(frozen=True)
class StyliseRow:
    """The figures of one method on one pair."""

    pair: str
    kind: str
    """Of content and style: `speech-music` and so on."""

    method: str
    seconds: float
    """Of the content."""

    steps: int
    """Of a slow method; 0: its own."""

    closeness: float
    second: float
    """Closeness to the style, 0 to 1, by two pairs of taggers."""

    chroma: float
    onsets: float
    noise_db: float
    noise_before_db: float
    """Level of result and content in the content's quietest tenth of frames, in dB relative to their own loudness."""

    quality_loss: float | None
    pasted: float
    cost: float


@dataclass(frozen=True)
class StyliseTrial:
    """How a method is run: on `seconds` of the content, with `steps` (slow methods; 0: their own) and `tagger`."""

    seconds: float = 4.0
    steps: int = 0
    tagger: str = ""


def run(
    out: Path,
    methods: Sequence[str],
    trial: StyliseTrial,
    which: str = "test",
    *,
    json: bool = False,
    engine: EngineChoice | None = None,
) -> None:
    """Evaluate `methods` on the pairs of `which`; print, write JSON and picture to `out`, where a next call goes on.

    Raises:
        MissingLibraryError: the extra `evaluate` is not installed.
        CheckpointError, PresetError: there is no such tagger.
        CorporaError: the recordings cannot be had.
        PackageError: the judges' weights cannot be had.
        ClusterError: the `engine` is a cluster that cannot be used.
    """
    need("matplotlib", *_LIBRARIES)
    corpora.fetch()
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"stylise-{which}.json"
    rows = _kept(file)
    pairs = {pair.name: _short(pair, trial.seconds) for pair in load_pairs(which)}
    done = {(row.pair, row.method) for row in rows if _is_of(row, trial)}
    items = [(pair, method) for pair in pairs for method in methods if (pair, method) not in done]
    with caller(engine or EngineChoice()) as calls:
        for item, row in calls.results(_TrialCall(pairs, trial), items):
            rows.append(kept(item, row))
            write_json(file, _as_dict(rows))
    rows = [row for row in rows if row.method in methods and _is_of(row, trial)]
    draw(rows, file.with_suffix(".png"))
    report(_as_dict(rows), json=json, show=lambda: _show(rows), files=(file, file.with_suffix(".png")))


def stylised(method: str, content: Sound, style: Sound, trial: StyliseTrial) -> Sound:
    """Return mono `content` in the style of mono `style`, by any method as `trial` sets it."""
    if method == LIVE:
        return restyle(live_style(), content, style)
    request = TransferRequest(method, steps=trial.steps, model=trial.tagger if method == "tagger" else "")
    done = transfer((content[None], RATE), (style[None], RATE), request)
    return np.asarray(done.audio[0])


def noise_floor(content: Sound, sound: Sound) -> float:
    """Return the level of `sound` in dB below its own loudness, where `content`, in line with it, is quietest."""
    reference, levels = (frame_levels(levelled(x), _FRAME, _FRAME) for x in (content, sound))
    frames = min(len(reference), len(levels))
    quiet = np.argsort(reference[:frames])[: max(round(_QUIET * frames), 1)]
    loudness = np.sqrt(np.mean(levels**2))
    return float(max(10 * np.log10(np.mean((levels[quiet] / loudness) ** 2) + 1e-12), _SILENCE_DB))


@dataclass(frozen=True)
class _TrialCall:
    """Evaluates a method on the pair of a name."""

    pairs: Mapping[str, Pair]
    trial: StyliseTrial

    def __call__(self, item: tuple[str, str]) -> StyliseRow:
        name, method = item
        pair, trial = self.pairs[name], self.trial
        start = time.process_time()
        output = stylised(method, pair.content, pair.style, trial)
        cost = (time.process_time() - start) / trial.seconds
        verdict = Jury(pair.content, pair.style, RATE, speech=pair.speech).judge(output)
        second = Jury(pair.content, pair.style, RATE, speech=False, taggers=SECOND_OPINION)
        return StyliseRow(
            pair=pair.name,
            kind=_kind(pair),
            method=method,
            seconds=trial.seconds,
            steps=trial.steps if method != LIVE else 0,
            closeness=verdict.closeness,
            second=float(np.mean(list(second.closeness(output).values()))),
            chroma=verdict.chroma,
            onsets=verdict.onsets,
            noise_db=noise_floor(pair.content, output),
            noise_before_db=noise_floor(pair.content, pair.content),
            quality_loss=verdict.quality_loss,
            pasted=verdict.pasted,
            cost=cost,
        )


def _is_of(row: StyliseRow, trial: StyliseTrial) -> bool:
    return row.seconds == trial.seconds and (row.steps == trial.steps or row.method == LIVE)


def _short(pair: Pair, seconds: float) -> Pair:
    content, style = pair.content[: round(seconds * RATE)], pair.style[: round(_STYLE_S * RATE)]
    return Pair(pair.name, content, style, pair.more_style, pair.speech)


def _kind(pair: Pair) -> str:
    content, _, style = pair.name.partition(" > ")
    return "-".join("music" if "/" in name else "speech" for name in (content, style))


def _kept(file: Path) -> list[StyliseRow]:
    return [StyliseRow(**row) for row in json_format.loads(file.read_text("utf-8"))["rows"]] if file.exists() else []


def _as_dict(rows: Sequence[StyliseRow]) -> dict[str, Any]:
    return {
        "machine": f"{platform.platform()}, {os.cpu_count()} cores",
        "medians": _medians(rows),
        "rows": [asdict(row) for row in rows],
    }


def _medians(rows: Sequence[StyliseRow]) -> dict[str, dict[str, float]]:
    return by_group(map(asdict, rows), "method", [column.key for column in _FIGURES], np.median)


def _show(rows: Sequence[StyliseRow]) -> None:
    medians = [{"pair": "median", "method": method, **figures} for method, figures in _medians(rows).items()]
    print_rows(_COLUMNS, [*map(asdict, rows), *medians], least_width=150)


def draw(rows: Sequence[StyliseRow], picture: Path) -> None:
    """Draw closeness over what is kept of the content and over added noise: pairs as dots, medians as large ones.

    Raises:
        OSError: the picture cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4.6), layout="constrained")
    shown = {"chroma": "chroma kept", "onsets": "onsets kept", "noise": "noise added (dB)"}
    for axis, (key, label) in zip(figure.subplots(1, len(shown), sharey=True), shown.items(), strict=True):
        for index, method in enumerate(dict.fromkeys([LIVE, *METHODS, *(row.method for row in rows)])):
            own = [row for row in rows if row.method == method]
            if own:
                x = [row.noise_db - row.noise_before_db if key == "noise" else getattr(row, key) for row in own]
                y = [row.closeness for row in own]
                axis.plot(x, y, ".", color=f"C{index}", alpha=0.35)
                axis.plot(np.median(x), np.median(y), "o", color=f"C{index}", markersize=11, label=method)
        axis.set(xlabel=label)
    axis.legend()
    figure.supylabel("closeness to the style")
    save_picture(figure, picture)
