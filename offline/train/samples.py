"""Examples of a model's output during training: sound and spectrograms, by speaker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gramophone.offline.plotting.picture_file import label, save_picture
from gramophone.realtime.files import AudioWriter
from gramophone.realtime.stage import Audio

_WINDOW, _HOP = 256, 64
_FLOOR = 1e-6
"""Added to the sound so that silence has a logarithm."""


def write_sounds(sounds: Mapping[str, Audio], rate: int, stem: Path) -> None:
    """Write each sound `(frames,)` as `STEM-NAME.wav`, and their picture `STEM.png`."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    for name, sound in sounds.items():
        with AudioWriter(stem.with_name(f"{stem.name}-{name}.wav"), rate, 1, len(sound)) as file:
            file.write(sound[None])
    _draw(sounds, rate, stem.with_suffix(".png"))


def _draw(sounds: Mapping[str, Audio], rate: int, picture: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.5 * len(sounds)), layout="constrained")
    axes = figure.subplots(len(sounds), 1, squeeze=False, sharex=True)[:, 0]
    for axis, (name, sound) in zip(axes, sounds.items(), strict=True):
        axis.specgram(sound + _FLOOR, NFFT=_WINDOW, Fs=rate, noverlap=_WINDOW - _HOP)
        axis.set_ylabel(label(name))
    axes[-1].set_xlabel("s")
    save_picture(figure, picture)
