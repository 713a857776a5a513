"""The picture of a match: dry, reference and matched side by side, the search, and the contribution of each stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gramophone.offline.match.matching import Match
from gramophone.offline.match.style_distance import overall
from gramophone.offline.match.trial import Task
from gramophone.offline.plotting.panels import draw_sound
from gramophone.offline.plotting.picture_file import label, save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR, _LINE = "#4477aa", "#bb5566"


def draw_match(task: Task, found: Match, picture: Path) -> None:
    """Write the picture.

    Raises:
        OSError: it cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 8), layout="constrained")
    top = figure.subplots(2, 3)
    sounds = {
        "dry": (task.dry, task.rate),
        "reference": (task.reference[None], task.reference_rate),
        "matched": (found.sound, task.rate),
    }
    for axis, (title, (audio, rate)) in zip(top[0], sounds.items(), strict=True):
        draw_sound(axis, title, audio, rate)
    _draw_way(top[1, 0], found)
    _draw_views(top[1, 1], found)
    _draw_worth(top[1, 2], found)
    save_picture(figure, picture)


def _draw_way(axis: Axes, found: Match) -> None:
    evaluations, distances = zip(*found.found.curve, (found.found.evaluations, found.found.distance), strict=True)
    axis.step(evaluations, distances, where="post", color=_LINE)
    axis.axhline(overall(found.dry), color="grey", linestyle=":", label="dry")
    axis.set(yscale="log", title="the way there", xlabel="trials", ylabel="distance, with the prior (dB)")
    axis.legend()


def _draw_views(axis: Axes, found: Match) -> None:
    for shift, (name, views, colour) in enumerate((("dry", found.dry, "grey"), ("matched", found.matched, _BAR))):
        axis.bar(
            [index + 0.4 * shift for index in range(len(views))], list(views.values()), 0.4, label=name, color=colour
        )
    axis.set_xticks([index + 0.2 for index in range(len(found.dry))], list(found.dry))
    axis.set(title="distance by view", ylabel="dB")
    axis.legend()


def _draw_worth(axis: Axes, found: Match) -> None:
    axis.barh([label(name) for name in found.worth], list(found.worth.values()), color=_BAR)
    axis.invert_yaxis()
    axis.set(title="how much further without", xlabel="dB")
