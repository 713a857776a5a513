"""A plot of the trade-off: closeness to the style over what is kept of the content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gramophone.offline.judges.verdict import Verdict
from gramophone.offline.plotting.picture_file import save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TUNE, _SPEECH, _REACHED = "#4477aa", "#bb5566", "#228833"
_SHAPES = "*Dos^v"

Points = list[tuple[float, float]]
"""What is kept and the closeness, of one setting's pairs."""


@dataclass(frozen=True)
class FrontierGoal:
    """The targets of a stage: least closeness and chroma correlation, and the most that speech may lose in DNSMOS."""

    closeness: float
    chroma: float
    quality_loss: float


def draw_frontier(
    curve: Mapping[str, Sequence[Verdict]], marked: Mapping[str, Sequence[Verdict]], goal: FrontierGoal, picture: Path
) -> None:
    """Draw the medians of a curve of settings, joined in their order, their pairs as dots, and marks of other settings.

    Left the tune, right the quality of speech, both under the closeness to the style; green is the goal.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 5.5), layout="constrained")
    tune, speech = figure.subplots(1, 2, sharey=True)
    for axis, points, colour in ((tune, _tune, _TUNE), (speech, _speech, _SPEECH)):
        _draw_curve(axis, {name: points(verdicts) for name, verdicts in curve.items()}, colour)
        _draw_marks(axis, {name: points(verdicts) for name, verdicts in marked.items()})
    _shade(tune, goal.chroma, goal.closeness)
    _shade(speech, -goal.quality_loss, goal.closeness)
    tune.set(xlabel="chroma correlation with the content", ylabel="closeness to the style")
    speech.set(xlabel="change of speech quality (DNSMOS)")
    figure.suptitle("Style stage: 0 is the untouched content, 1 as close as the style recording's halves are")
    save_picture(figure, picture)


def _tune(verdicts: Sequence[Verdict]) -> Points:
    return [(verdict.chroma, verdict.closeness) for verdict in verdicts]


def _speech(verdicts: Sequence[Verdict]) -> Points:
    return [(-verdict.quality_loss, verdict.closeness) for verdict in verdicts if verdict.quality_loss is not None]


def _draw_curve(axis: Axes, settings: Mapping[str, Points], colour: str) -> None:
    medians = []
    for name, points in settings.items():
        x, y = (float(value) for value in np.median(points, axis=0))
        medians.append((x, y))
        axis.plot(*np.transpose(points), ".", color=colour, alpha=0.2)
        axis.annotate(name, (x, y), textcoords="offset points", xytext=(7, 4), fontsize=8)
    axis.plot(*np.transpose(medians), "o-", color=colour)


def _draw_marks(axis: Axes, settings: Mapping[str, Points]) -> None:
    for (name, points), shape in zip(settings.items(), _SHAPES, strict=False):
        axis.plot(*np.median(points, axis=0), shape, color="black", markersize=12, label=name)
    axis.legend(loc="lower left")


def _shade(axis: Axes, least_kept: float, least_closeness: float) -> None:
    """Colour the corner where both are at least so much, without moving the axes' limits."""
    right, top = axis.get_xlim()[1], axis.get_ylim()[1]
    axis.fill_between([least_kept, right], least_closeness, top, color=_REACHED, alpha=0.12, linewidth=0)
    axis.set(xlim=(axis.get_xlim()[0], right), ylim=(axis.get_ylim()[0], top))
