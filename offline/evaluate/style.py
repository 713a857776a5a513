"""`gramophone evaluate style`: the live style stage on pairs of held-out recordings.

Any process can be evaluated that is a function from content, sample rate and style file to a result that is aligned
with the content to the sample.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from gramophone.offline.cluster.calls import Caller, kept
from gramophone.offline.cluster.choice import EngineChoice, caller
from gramophone.offline.data import corpora
from gramophone.offline.data.mono_audio import Sound
from gramophone.offline.evaluate.base import (
    Column,
    Outcome,
    Target,
    outcomes,
    print_rows,
    report,
    with_targets,
    write_json,
)
from gramophone.offline.evaluate.style_pairs import RATE, Pair, Reading, load_pairs, load_readings
from gramophone.offline.extras import need
from gramophone.offline.judges.closeness import SECOND_OPINION, Closeness
from gramophone.offline.judges.frontier import FrontierGoal, draw_frontier
from gramophone.offline.judges.speech import recognise, word_errors
from gramophone.offline.judges.verdict import Jury, Verdict
from gramophone.offline.progress import RenderProgress
from gramophone.presets import Preset, StageSettings
from gramophone.presets.checks import Scalar
from gramophone.realtime.engine import Engine
from gramophone.realtime.stage import Audio

Process = Callable[[Audio, int, Path], Audio]
"""Content `(channels, frames)`, rate in Hz and style file -> the restyled content, of the same shape and aligned."""

_BANDS = (8, 16, 32, 64, 128)
_DEFAULT = "default"
_REFERENCE = "mean spectrum"
"""The setting with which the stage only matches mean spectra, for comparison."""

_TABLE_WIDTH = 120
_LIBRARIES = ("av", "speechmos", "requests", "pocketsphinx")
"""Of the extra `evaluate`; speechmos imports requests without declaring it."""


@dataclass(frozen=True)
class Summary:
    """One setting of the stage over all pairs."""

    closeness: float
    """Median."""

    closeness_second: float
    """The same by taggers that nothing was tuned on."""

    closeness_of_style: float
    """The same of another excerpt of the style recordings themselves: near 1 if the measure is sound."""

    chroma: float
    onsets: float
    quality_loss: float
    """Medians; the loss in DNSMOS of speech."""

    word_errors_before: float
    word_errors_after: float
    """Word error rates over all readings, by an English recogniser."""

    pasted: float
    """The worst pair's."""

    @property
    def word_errors_added(self) -> float:
        """Increase of the word error rate."""
        return self.word_errors_after - self.word_errors_before

    def outcomes(self, pairs: int) -> list[Outcome]:
        """Return the figures of so many pairs beside the targets."""
        return outcomes(TARGETS, {target.name: float(getattr(self, target.name)) for target in TARGETS}, pairs)


TARGETS = (
    Target("closeness", 0.35),
    Target("chroma", 0.78),
    Target("onsets", 0.9),
    Target("quality_loss", 0.3, "at most", "MOS"),
    Target("word_errors_added", 0.05, "at most"),
    Target("pasted", 0.03, "at most"),
)


@dataclass(frozen=True)
class Evaluation:
    """Scores of the default setting pair by pair, their summary, and the scores of other settings by name."""

    which: str
    pairs: tuple[str, ...]
    verdicts: Sequence[Verdict]
    summary: Summary
    frontier: Mapping[str, Sequence[Verdict]]

    def as_dict(self) -> dict[str, Any]:
        """Return the evaluation for JSON, without its targets."""
        settings = {"default": self.verdicts, **self.frontier}
        return {
            "set": self.which,
            "machine": platform.platform(),
            "summary": asdict(self.summary),
            "verdicts": {
                name: {pair: asdict(verdict) for pair, verdict in zip(self.pairs, verdicts, strict=True)}
                for name, verdicts in settings.items()
            },
        }

    def draw(self, picture: Path) -> None:
        """Draw closeness against what is kept of the content, for every setting."""
        goal = {target.name: target.goal for target in TARGETS}
        curve = dict(self.frontier)
        marked = {"default": self.verdicts, _REFERENCE: curve.pop(_REFERENCE)}
        draw_frontier(curve, marked, FrontierGoal(goal["closeness"], goal["chroma"], goal["quality_loss"]), picture)

    def show(self) -> None:
        """Print every pair, and the figures of the summary that have no target."""
        rows = [{"pair": pair, **asdict(score)} for pair, score in zip(self.pairs, self.verdicts, strict=True)]
        print_rows(_COLUMNS, rows, least_width=_TABLE_WIDTH)
        summary = self.summary
        print(f"word error rate {summary.word_errors_before:.1%} before, {summary.word_errors_after:.1%} after")
        print(f"closeness by taggers that nothing was tuned on: {summary.closeness_second:.3f}")
        print(f"closeness of another excerpt of the style:      {summary.closeness_of_style:.3f}")


_COLUMNS = (
    Column("pair", "content > style"),
    Column("closeness", "closeness", ".2f"),
    Column("chroma", "chroma", ".2f"),
    Column("chroma_constant_q", "constant Q", ".2f"),
    Column("onsets", "onsets", ".2f"),
    Column("quality_loss", "DNSMOS lost", ".2f"),
    Column("pasted", "pasted", ".3f"),
)


def run(out: Path, *, json: bool = False, which: str = "test", engine: EngineChoice | None = None) -> None:
    """Evaluate the style stage at its defaults and over band resolutions; print, and write JSON and picture to `out`.

    Raises:
        MissingLibraryError: the extra `evaluate` is not installed.
        CorporaError: the recordings cannot be had.
        PackageError: the judges' weights cannot be had.
        ClusterError: the `engine` is a cluster that cannot be used.
    """
    need(*_LIBRARIES)
    corpora.fetch()
    with caller(engine or EngineChoice()) as calls:
        found = evaluate(which, calls, quiet=json)
    out.mkdir(parents=True, exist_ok=True)
    files = out / "style.json", out / "style.png"
    reached = found.summary.outcomes(len(found.pairs))
    write_json(files[0], with_targets(found.as_dict(), reached))
    found.draw(files[1])
    report(found.as_dict(), reached, json=json, show=found.show, files=files)


def evaluate(which: str, calls: Caller, *, quiet: bool) -> Evaluation:
    """Return the evaluation on the pairs of `dev` or `test`; takes ten minutes on two cores."""
    settings: dict[str, Mapping[str, Scalar]] = {_DEFAULT: {}, _REFERENCE: {"tilt": 0.0}}
    settings |= {f"{bands} bands": {"detail": float(bands)} for bands in _BANDS}
    pairs = list(load_pairs(which))
    judged: dict[int, _Judged] = {}
    seconds = [len(pair.content) / RATE for pair in pairs]
    with RenderProgress(quiet, total=len(settings) * sum(seconds)) as progress:
        for number, result in calls.results(_PairCall(tuple(pairs), settings), range(len(pairs))):
            judged[number] = kept(pairs[number].name, result)
            progress(len(settings) * seconds[number])
    by_setting = {name: [judged[number].verdicts[name] for number in range(len(pairs))] for name in settings}
    verdicts = by_setting.pop(_DEFAULT)
    summary = summarise(
        verdicts,
        second=second_opinion(pairs, [judged[number].output for number in range(len(pairs))]),
        itself=float(np.median([judged[number].closeness_of_style for number in range(len(pairs))])),
        words=count_words(live_style(), load_readings(which)),
    )
    return Evaluation(which, tuple(pair.name for pair in pairs), verdicts, summary, by_setting)


@dataclass(frozen=True)
class _Judged:
    """A pair's verdicts by setting, the closeness of another excerpt of its style, and the output by default."""

    verdicts: dict[str, Verdict]
    closeness_of_style: float
    output: Sound


@dataclass(frozen=True)
class _PairCall:
    """Restyles and judges the pair of a number by every setting."""

    pairs: tuple[Pair, ...]
    settings: Mapping[str, Mapping[str, Scalar]]

    def __call__(self, number: int) -> _Judged:
        pair = self.pairs[number]
        jury = Jury(pair.content, pair.style, RATE, speech=pair.speech)
        outputs = {
            name: restyle(live_style(values), pair.content, pair.style) for name, values in self.settings.items()
        }
        verdicts = {name: jury.judge(output) for name, output in outputs.items()}
        style = float(np.mean(list(jury.closeness(pair.more_style).values())))
        return _Judged(verdicts, style, outputs[_DEFAULT])


def live_style(values: Mapping[str, Scalar] | None = None) -> Process:
    """Return the live style stage alone, with `values` of its parameters, as the engine plays it from silence."""
    return live_stage("style", values or {})


def live_stage(kind: str, values: Mapping[str, Scalar]) -> Process:
    """Return a stage of `kind` with a clip, alone, with `values` of its parameters, as the engine plays it."""

    def process(content: Audio, rate: int, style: Path) -> Audio:
        stage = StageSettings(kind, kind, {**values, "clip": str(style)})
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
    """Return the median closeness by the taggers that nothing is tuned on."""
    return float(
        np.median(
            [
                np.mean([Closeness(pair.content, pair.style, RATE, name)(output, RATE) for name in SECOND_OPINION])
                for pair, output in zip(pairs, outputs, strict=True)
            ]
        )
    )


def count_words(process: Process, readings: Iterable[Reading]) -> tuple[float, float]:
    """Return the word error rates before and after `process`, over all readings."""
    counts = []
    for reading in readings:
        restyled = restyle(process, reading.speech, reading.style)
        before, words = word_errors(reading.text, recognise(reading.speech, RATE))
        after, _ = word_errors(reading.text, recognise(restyled, RATE))
        counts.append((before, after, words))
    before, after, words = np.sum(counts, axis=0)
    return float(before / words), float(after / words)


def summarise(verdicts: Sequence[Verdict], *, second: float, itself: float, words: tuple[float, float]) -> Summary:
    """Return medians over pairs (of `pasted`, the largest) beside the figures that are measured otherwise."""
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
