"""Parts that pictures are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gramophone.offline.plotting.picture_file import label
from gramophone.offline.plotting.spectrograms import spectrogram
from gramophone.realtime.stage import Audio

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RANGE_DB = 80.0


def draw_sound(axis: Axes, title: str, audio: Audio, rate: int) -> None:
    """Draw the spectrogram of audio `(channels, frames)`, 80 dB down from its own loudest."""
    levels, times, hertz = spectrogram(audio, rate)
    axis.pcolormesh(times, hertz, levels - levels.max(), vmin=-_RANGE_DB, vmax=0, cmap="magma", rasterized=True)
    axis.set(yscale="log", title=label(title), xlabel="time (s)", ylabel="Hz")
