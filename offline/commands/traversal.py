"""Latent traversal of a VLAE: clips decoded with one latent shifted down and up, measured by sound descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gramophone.models.checkpoint import Card
from gramophone.models.nets.vlae import VLAE
from gramophone.offline.data.descriptors import DESCRIPTORS, describe
from gramophone.offline.plotting.picture_file import label, save_picture
from gramophone.offline.results import demand_new
from gramophone.offline.train.vlae_resynthesis import decoded, encoded
from gramophone.realtime.files import AudioWriter
from gramophone.realtime.stage import Audio

SHIFTS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Shifts of a latent, in standard deviations."""
_SILENT_DB = -50.0


def traversed(model: VLAE, card: Card, z: Tensor, latent: int, speaker: int) -> list[Audio]:
    """Return the sounds `(B, T)` of latents `(B, D, n)` with one latent shifted by each of `SHIFTS`.

    The latents that vary along with it are shifted with it, as the parameter does (`company` in the card's notes).
    """
    spread = float(card.notes["spread"][latent])
    along = spread * torch.tensor(card.notes["company"][latent])[:, None]
    return [decoded(model, z + shift * along, speaker) for shift in SHIFTS]


def monotone_share(model: VLAE, card: Card, clips: Sequence[tuple[Audio, int]], latent: int) -> float:
    """Return the share of clips, each with its speaker, on which the descriptor of a latent rises with every shift.

    The descriptor of a clip is its mean over audible frames; a clip without a pitch counts as one where it does not
    rise.
    """
    about = DESCRIPTORS.index(card.notes["about"][latent])
    rising = [
        bool(np.all(np.diff(_measured(model, turned, about)) > 0))
        for sound, speaker in clips
        for turned in [traversed(model, card, encoded(model, sound), latent, speaker)]
    ]
    return float(np.mean(rising))


def write_traversal(
    model: VLAE, card: Card, clip: Audio, speaker: int, out: Path, *, overwrite: bool = False
) -> list[Path]:
    """Write a clip with each named latent shifted, a sound per latent with one shift after the other, and a picture.

    Raises:
        ResultError: one of the files is there already, and not to be overwritten.
    """
    z, rows = encoded(model, clip), {}
    named = {latent: name for latent, name in enumerate(card.latents) if card.notes["about"][latent]}
    files = {name: out / f"{name.removesuffix(' +').replace(' ', '-')}.wav" for name in named.values()}
    picture = out / "traversal.png"
    demand_new([*files.values(), picture], overwrite=overwrite)
    for latent, name in named.items():
        rows[name] = np.concatenate([sounds[0] for sounds in traversed(model, card, z, latent, speaker)])
        with AudioWriter(files[name], card.rate, 1, len(rows[name])) as file:
            file.write(rows[name][None])
    return [*files.values(), *([_draw(rows, card.rate, picture)] if rows else [])]


def _measured(model: VLAE, sounds: Sequence[Audio], about: int) -> NDArray[np.float64]:
    """Return one descriptor of each of some sounds `(1, T)`."""
    means = []
    for sound in sounds:
        described = describe(sound[0], model.shape.rate, model.shape.hop)
        values = described[:, about] if about == 0 else described[described[:, 0] > _SILENT_DB, about]
        there = values[np.isfinite(values)]
        means.append(float(there.mean()) if len(there) else np.nan)
    return np.array(means)


def _draw(rows: dict[str, Audio], rate: int, picture: Path) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.4 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 1, squeeze=False, sharex=True)[:, 0]
    for axis, (name, sound) in zip(axes, rows.items(), strict=True):
        axis.specgram(sound + 1e-6, NFFT=256, Fs=rate, noverlap=192)
        axis.set_ylabel(label(name), rotation=0, ha="right", va="center")
    axes[-1].set_xlabel("s; from left to right shifted by " + ", ".join(f"{shift:+g}" for shift in SHIFTS))
    save_picture(figure, picture)
    return picture
