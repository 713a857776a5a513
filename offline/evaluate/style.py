"""`gramophone evaluate style`: the live style stage judged on pairs of held-out recordings.

Whatever gives a content a style can be judged: it is a function from content, sample rate and style file to the result,
in line with the content to the sample.
"""

from __future__ import annotations

import json as json_format
import platform
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

from gramophone.offline.data import corpora
from gramophone.offline.data.mono_audio import Sound
from gramophone.offline.evaluate.style_pairs import RATE, Pair, Reading, load_pairs, load_readings
from gramophone.offline.extras import need
from gramophone.offline.judges.closeness import SECOND_OPINION, Closeness
from gramophone.offline.judges.frontier import FrontierGoal, draw_frontier
from gramophone.offline.judges.speech import recognise, word_errors
from gramophone.offline.judges.verdict import Jury, Verdict
from gramophone.offline.progress import RenderProgress
from gramophone.presets import Preset, StageSettings
from gramophone.presets.atomic import atomic_write
from gramophone.presets.preset import Scalar
from gramophone.realtime.engine import Engine
from gramophone.realtime.stage import Audio

Process = Callable[[Audio, int, Path], Audio]
"""Content `(channels, frames)`, rate in Hz and style file to the restyled content, of the same shape and in line."""

_BANDS = (8, 16, 32, 64, 128)
_REFERENCE = "mean spectrum"
"""What the simplest stage would do."""

_TABLE_WIDTH = 120
_LIBRARIES = ("av", "speechmos", "requests", "pocketsphinx")
"""Of the extra `evaluate`; speechmos imports requests without asking for it."""


@dataclass(frozen=True)
class Summary:
    """One setting of the stage over all pairs."""

    closeness: float
    """Median."""

    closeness_second: float
    """The same by taggers that nothing was tuned against."""

    closeness_of_style: float
    """The same of another piece of the style recordings themselves: near 1 if the judges are worth their bread."""

    chroma: float
    onsets: float
    quality_loss: float
    """Medians; the loss in DNSMOS of speech."""

    word_errors_before: float
    word_errors_after: float
    """Share of all words of all readings."""

    pasted: float
    """The worst pair's."""

    @property
    def word_errors_added(self) -> float:
        """How much larger the share of wrong words became."""
        return self.word_errors_after - self.word_errors_before


@dataclass(frozen=True)
class StyleTarget:
    """What a figure of the summary should reach: at least (or at most) `bound`."""

    figure: str
    bound: float
    at_least: bool

    def met(self, summary: Summary) -> bool:
        """Return whether the summary reaches it."""
        value = float(getattr(summary, self.figure))
        return value >= self.bound if self.at_least else value <= self.bound


TARGETS = (
    StyleTarget("closeness", 0.35, at_least=True),
    StyleTarget("chroma", 0.78, at_least=True),
    StyleTarget("onsets", 0.9, at_least=True),
    StyleTarget("quality_loss", 0.3, at_least=False),
    StyleTarget("word_errors_added", 0.05, at_least=False),
    StyleTarget("pasted", 0.03, at_least=False),
)


@dataclass(frozen=True)
class Evaluation:
    """Everything found: the default setting's verdicts pair by pair, their summary, and those of other settings."""

    which: str
    pairs: tuple[str, ...]
    verdicts: Sequence[Verdict]
    summary: Summary
    frontier: Mapping[str, Sequence[Verdict]]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        settings = {"default": self.verdicts, **self.frontier}
        return {
            "set": self.which,
            "machine": platform.platform(),
            "summary": asdict(self.summary),
            "targets": {target.figure: {**asdict(target), "met": target.met(self.summary)} for target in TARGETS},
            "verdicts": {
                name: {pair: asdict(verdict) for pair, verdict in zip(self.pairs, verdicts, strict=True)}
                for name, verdicts in settings.items()
            },
        }

    def draw(self, picture: Path) -> None:
        """Draw what trades against what."""
        bound = {target.figure: target.bound for target in TARGETS}
        curve = dict(self.frontier)
        marked = {"default": self.verdicts, _REFERENCE: curve.pop(_REFERENCE)}
        draw_frontier(curve, marked, FrontierGoal(bound["closeness"], bound["chroma"], bound["quality_loss"]), picture)

    def show(self) -> None:
        """Print every pair, and how the summary compares with what is to be reached."""
        console = Console()
        console.width = max(console.width, _TABLE_WIDTH)
        table = Table("content > style", "closeness", "chroma", "constant Q", "onsets", "DNSMOS", "pasted")
        for pair, verdict in zip(self.pairs, self.verdicts, strict=True):
            loss = "" if verdict.quality_loss is None else f"{-verdict.quality_loss:+.2f}"
            figures = (verdict.closeness, verdict.chroma, verdict.chroma_constant_q, verdict.onsets)
            table.add_row(pair, *(f"{figure:.2f}" for figure in figures), loss, f"{max(verdict.pasted, 0):.3f}")
        console.print(table)
        for target in TARGETS:
            sign, mark = "≥" if target.at_least else "≤", "reached" if target.met(self.summary) else "MISSED"
            console.print(
                f"{target.figure:18} {getattr(self.summary, target.figure):6.3f}  {sign} {target.bound}  {mark}"
            )
        before, after = self.summary.word_errors_before, self.summary.word_errors_after
        console.print(f"word errors {before:.1%} before, {after:.1%} after")
        console.print(f"closeness by taggers that nothing was tuned against: {self.summary.closeness_second:.3f}")
        console.print(f"closeness of another piece of the style recordings:  {self.summary.closeness_of_style:.3f}")


def run(out: Path, *, json: bool = False, which: str = "test") -> None:
    """Judge the style stage at its defaults and over its band resolutions; print, and write JSON and picture to `out`.

    Raises:
        MissingLibraryError: the extra `evaluate` is not installed.
        CorporaError: the recordings cannot be had.
        PackageError: the judges' weights cannot be had.
    """
    need(*_LIBRARIES)
    corpora.fetch()
    found = evaluate(which, quiet=json)
    out.mkdir(parents=True, exist_ok=True)
    with atomic_write(out / "style.json") as part:
        part.write_text(json_format.dumps(found.as_dict(), indent=1) + "\n", "utf-8")
    found.draw(out / "style.png")
    if json:
        print(json_format.dumps(found.as_dict()), flush=True)
    else:
        found.show()
        print(f"{out / 'style.json'}, {out / 'style.png'}")


def evaluate(which: str, *, quiet: bool) -> Evaluation:
    """Judge the live style stage on the pairs of `dev` or `test`; ten minutes on two cores."""
    settings: dict[str, Mapping[str, Scalar]] = {_REFERENCE: {"tilt": 0.0}}
    settings |= {f"{bands} bands": {"detail": float(bands)} for bands in _BANDS}
    pairs = list(load_pairs(which))
    juries = [Jury(pair.content, pair.style, RATE, speech=pair.speech) for pair in pairs]
    seconds = sum(len(pair.content) for pair in pairs) / RATE
    with RenderProgress(quiet, total=seconds * (len(settings) + 1)) as progress:
        outputs = [restyle(live_style(), pair.content, pair.style) for pair in pairs]
        verdicts = [jury.judge(output) for jury, output in zip(juries, outputs, strict=True)]
        summary = summarise(
            verdicts,
            second=second_opinion(pairs, outputs),
            itself=own_closeness(pairs, juries),
            words=count_words(live_style(), load_readings(which)),
        )
        progress(seconds)
        frontier = {}
        for name, values in settings.items():
            frontier[name] = [
                jury.judge(restyle(live_style(values), pair.content, pair.style))
                for pair, jury in zip(pairs, juries, strict=True)
            ]
            progress(seconds)
    return Evaluation(which, tuple(pair.name for pair in pairs), verdicts, summary, frontier)


def live_style(values: Mapping[str, Scalar] | None = None) -> Process:
    """Return the live style stage alone, with `values` of its knobs, as the engine plays it from silence."""

    def process(content: Audio, rate: int, style: Path) -> Audio:
        stage = StageSettings("style", "style", {**(values or {}), "clip": str(style)})
        engine = Engine(Preset("evaluate", (stage,)), rate, len(content), device="cpu")
        try:
            return engine.render(content)
        finally:
            engine.close()

    return process


def restyle(process: Process, content: Sound, style: Sound) -> Sound:
    """Return mono `content` in the style of mono `style`."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "style.wav"
        soundfile.write(clip, style, RATE, "FLOAT")
        restyled: Sound = process(content[None], RATE, clip)[0]
    return restyled


def second_opinion(pairs: Sequence[Pair], outputs: Sequence[Sound]) -> float:
    """Return the median closeness as the taggers see it that nobody tunes against."""
    return float(
        np.median(
            [
                np.mean([Closeness(pair.content, pair.style, RATE, name)(output, RATE) for name in SECOND_OPINION])
                for pair, output in zip(pairs, outputs, strict=True)
            ]
        )
    )


def own_closeness(pairs: Sequence[Pair], juries: Sequence[Jury]) -> float:
    """Return the median closeness of another piece of each style recording to it."""
    found = [list(jury.closeness(pair.more_style).values()) for pair, jury in zip(pairs, juries, strict=True)]
    return float(np.median(np.mean(found, axis=1)))


def count_words(process: Process, readings: Iterable[Reading]) -> tuple[float, float]:
    """Return the share of words that a recogniser gets wrong before and after `process`, over all readings."""
    counts = []
    for reading in readings:
        restyled = restyle(process, reading.speech, reading.style)
        before, words = word_errors(reading.text, recognise(reading.speech, RATE))
        after, _ = word_errors(reading.text, recognise(restyled, RATE))
        counts.append((before, after, words))
    before, after, words = np.sum(counts, axis=0)
    return float(before / words), float(after / words)


def summarise(verdicts: Sequence[Verdict], *, second: float, itself: float, words: tuple[float, float]) -> Summary:
    """Return medians over pairs (of what is pasted, the worst) beside what was found otherwise."""
    losses = [verdict.quality_loss for verdict in verdicts if verdict.quality_loss is not None]
    return Summary(
        closeness=_median([verdict.closeness for verdict in verdicts]),
        closeness_second=second,
        closeness_of_style=itself,
        chroma=_median([verdict.chroma for verdict in verdicts]),
        onsets=_median([verdict.onsets for verdict in verdicts]),
        quality_loss=_median(losses),
        word_errors_before=words[0],
        word_errors_after=words[1],
        pasted=max(verdict.pasted for verdict in verdicts),
    )


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))
