"""What turning one latent of a VLAE does: the same clips said again with it lower and higher, heard by descriptors."""

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
from gramophone.offline.train.vlae_resynthesis import decoded, encoded
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.files import AudioWriter
from gramophone.realtime.stage import Audio

TURNED = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""By how many standard deviations a latent is turned."""
_SILENT_DB = -50.0


def traversed(model: VLAE, card: Card, z: Tensor, latent: int, speaker: int) -> list[Audio]:
    """Return clips, by their latents `(B, D, n)`, with one latent turned by each of `TURNED`: `(B, T)` each.

    What goes along with the latent is turned with it, as by the knob (`latent_meaning.company`).
    """
    spread = float(card.notes["spread"][latent])
    along = spread * torch.tensor(card.notes["company"][latent])[:, None]
    return [decoded(model, z + turned * along, speaker) for turned in TURNED]


def monotone_share(model: VLAE, card: Card, clips: Sequence[tuple[Audio, int]], latent: int) -> float:
    """Return on what share of clips, each with its speaker, what a latent is named after rises all along.

    A descriptor of a clip is its mean over what is audible; where the pitch cannot be told the clip does not count as
    moved.
    """
    about = DESCRIPTORS.index(card.notes["about"][latent])
    rising = [
        bool(np.all(np.diff(_heard(model, turned, about)) > 0))
        for sound, speaker in clips
        for turned in [traversed(model, card, encoded(model, sound), latent, speaker)]
    ]
    return float(np.mean(rising))


def write_traversal(model: VLAE, card: Card, clip: Audio, speaker: int, out: Path) -> list[Path]:
    """Write a clip with each named latent turned: a sound per latent, its turns one after the other, and a picture."""
    z, rows, written = encoded(model, clip), {}, []
    for latent, name in enumerate(card.latents):
        if not card.notes["about"][latent]:
            continue
        rows[name] = np.concatenate([sounds[0] for sounds in traversed(model, card, z, latent, speaker)])
        path = out / f"{name.removesuffix(' +').replace(' ', '-')}.wav"
        with AudioWriter(path, card.rate, 1, len(rows[name])) as file:
            file.write(rows[name][None])
        written.append(path)
    if rows:
        written.append(_draw(rows, card.rate, out / "traversal.png"))
    return written


def _heard(model: VLAE, sounds: Sequence[Audio], about: int) -> NDArray[np.float64]:
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
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
    axes[-1].set_xlabel("s; from left to right turned by " + ", ".join(f"{turned:+g}" for turned in TURNED))
    with atomic_write(picture) as part:
        figure.savefig(part, format="png")
    return picture
