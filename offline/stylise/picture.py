"""The picture of a descent: content, style and result side by side, and how every loss went."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gramophone.offline.plotting.panels import draw_sound
from gramophone.offline.plotting.picture_file import save_picture
from gramophone.offline.stylise.descent import Descent
from gramophone.realtime.stage import Audio

_SHOWN_S = 15.0


def draw_transfer(sounds: Mapping[str, tuple[Audio, int]], descent: Descent, picture: Path) -> None:
    """Draw the first 15 s of every sound, audio and rate by title, and the losses.

    Raises:
        OSError: the picture cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(sounds) + 5, 4.4), layout="constrained")
    *axes, last = figure.subplots(1, len(sounds) + 1)
    for axis, (title, (audio, rate)) in zip(axes, sounds.items(), strict=True):
        draw_sound(axis, title, audio[:, : round(_SHOWN_S * rate)], rate)
    rounds = len(descent.curve) - 1
    steps = [descent.steps * index / max(rounds, 1) for index in range(rounds + 1)]
    for name in descent.curve[0]:
        style = (
            {"color": "black", "linewidth": 2} if name == "all" else {"linestyle": ":" if "content" in name else "-"}
        )
        last.plot(steps, [row[name] for row in descent.curve], label=name, **style)
    lowest = min(min(row.values()) for row in descent.curve)
    last.set(title="losses", xlabel="steps", ylim=(0 if lowest >= 0 else None, None))
    last.legend(fontsize=8 if len(descent.curve[0]) < 16 else 4, ncols=1 + len(descent.curve[0]) // 24)
    save_picture(figure, picture)
