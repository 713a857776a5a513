"""Pictures of sounds: content, style and result as spectrograms side by side, on one scale."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.plotting.picture_file import label, save_picture
from gramophone.presets import Preset
from gramophone.realtime.dsp.resampler import mono
from gramophone.realtime.files import read
from gramophone.realtime.stage import Audio

_SHOWN_SECONDS = 15.0
_RANGE_DB = 80.0
_BANDS = 160
_LOWEST_HZ = 40.0


def draw_render(source: Path, result: Path, preset: Preset, picture: Path, made: str) -> None:
    """Draw the first 15 s of what went in, the preset's first style clip (if it has one), and what came out.

    The picture is marked as made by `made`, as the result is.

    Raises:
        SoundFileError: a sound cannot be read.
        OSError: the picture cannot be written.
    """
    clips = [str(stage.values["clip"]) for stage in preset.stages if stage.values.get("clip")]
    sounds = {f"content: {source.name}": read(source, _SHOWN_SECONDS)}
    if clips:
        sounds[f"style: {Path(clips[0]).name}"] = read(Path(clips[0]), _SHOWN_SECONDS)
    sounds[f"result: {preset.title or preset.name}"] = read(result, _SHOWN_SECONDS)
    draw_spectrograms(sounds, picture, made)


def draw_spectrograms(sounds: Mapping[str, tuple[Audio, int]], picture: Path, made: str = "") -> None:
    """Draw every sound, `(channels, frames)` and rate by title, beside each other; marked as by `save_picture`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(sounds), 4.4), layout="constrained")
    axes = figure.subplots(1, len(sounds), squeeze=False)[0]
    shown = {title: spectrogram(audio, rate) for title, (audio, rate) in sounds.items()}
    top = max(float(levels.max()) for levels, _, _ in shown.values())
    for axis, (title, (levels, times, hertz)) in zip(axes, shown.items(), strict=True):
        image = axis.pcolormesh(times, hertz, levels - top, vmin=-_RANGE_DB, vmax=0, cmap="magma", rasterized=True)
        axis.set_yscale("log")
        axis.set_ylim(_LOWEST_HZ, 20_000)
        axis.set_yticks([100, 1000, 10_000], ["100 Hz", "1 kHz", "10 kHz"])
        axis.set_title(label(title), fontsize=10)
        axis.set_xlabel("time (s)")
    figure.colorbar(image, ax=axes, label="level (dB below the loudest)")
    save_picture(figure, picture, made)


def spectrogram(audio: Audio, rate: int) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Return levels in dB `(bands, frames)` of the mono sum, times in s and centres in Hz of bands even in log f.

    What is no number counts as silence, as the engine takes it.
    """
    window = 1 << max(round(np.log2(rate * 0.04)), 4)
    sound = mono(np.nan_to_num(audio, posinf=0, neginf=0))
    padded = np.pad(sound, (window // 2, window))
    hop = max(window // 4, len(sound) // 1500)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[: len(sound) or 1 : hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(window).astype(np.float32), axis=1)) ** 2 / window
    centres = np.geomspace(_LOWEST_HZ, rate / 2, _BANDS)
    edges = np.sqrt(np.r_[centres[0] ** 2 / centres[1], centres] * np.r_[centres, centres[-1]])
    bins = np.clip(np.searchsorted(np.fft.rfftfreq(window, 1 / rate), edges), 0, power.shape[1] - 1)
    sums = np.cumsum(np.pad(power, ((0, 0), (1, 0))), axis=1)
    low, high = bins[:_BANDS], np.maximum(bins[1 : _BANDS + 1], bins[:_BANDS] + 1)
    means = (sums[:, high] - sums[:, low]) / (high - low)
    levels = 10 * np.log10(np.maximum(means, 1e-12)).T
    return levels.astype(np.float32), np.arange(len(frames)) * hop / rate, centres
