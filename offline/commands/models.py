"""`gramophone models NAME`: all that a checkpoint's card knows, and what turning its named latents sounds like."""

from __future__ import annotations

import json as json_format
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from gramophone.models.checkpoint import Card, card_of, kind_of, load
from gramophone.models.nets.vlae import VLAE
from gramophone.offline.commands.traversal import write_traversal
from gramophone.offline.data.corpora import load as load_sound
from gramophone.offline.data.decoded import listen
from gramophone.offline.data.mono_audio import levelled
from gramophone.presets import CLIPS
from gramophone.presets.models import model_file

_CLIP = "voice.flac"
_CLIP_S = 2.0


def describe_model(name: str, out: Path | None, *, json: bool) -> None:
    """Print a model's page; with `out`, write sounds and a picture of what its latents do into that folder.

    Raises:
        PresetError: there is no such model.
        CheckpointError: the file cannot be read.
    """
    path = model_file(name)
    kind, card = kind_of(path), card_of(path)
    written = _traversal(path, out) if out and kind == "vlae" and card.latents else []
    if json:
        page = {"name": name, "kind": kind, **asdict(card), "written": [str(file) for file in written]}
        print(json_format.dumps(page))
        return
    console = Console()
    console.print(_facts(name, kind, card))
    if card.latents:
        console.print(_latents(card))
    for file in written:
        console.print(f"wrote {file}")


def _facts(name: str, kind: str, card: Card) -> Table:
    table = Table(title=name, title_justify="left", box=None, pad_edge=False, show_header=False)
    delay = f"{card.delay} samples ({1000 * card.delay / card.rate:.0f} ms)" if card.rate else ""
    scores = "  ".join(f"{key} {value:.3f}" for key, value in card.scores.items())
    rows = {
        "kind": kind,
        "rate": f"{card.rate} Hz, a frame every {card.hop} samples",
        "delay": delay,
        "speakers": ", ".join(card.speakers),
        "trained on": "; ".join(card.data),
        "licence": card.licence,
        "steps": str(card.steps),
        "scores": scores,
    }
    for key, value in rows.items():
        if value:
            table.add_row(key, value)
    return table


def _latents(card: Card) -> Table:
    """Return the latents with the share of the descriptor's variance on held-out sound that earned each its name."""
    table = Table("latent", "R²", "spread", box=None, pad_edge=False)
    unknown = [float("nan")] * len(card.latents)
    r2, spread = (card.notes.get(key, unknown) for key in ("r2", "spread"))
    for name, share, deviation in zip(card.latents, r2, spread, strict=True):
        table.add_row(name, f"{share:.2f}", f"{deviation:.2f}")
    return table


def _traversal(path: Path, out: Path) -> list[Path]:
    model, card = load(path, "vlae")
    assert isinstance(model, VLAE)
    clip = levelled(load_sound(CLIPS / _CLIP, card.rate))
    start = listen(np.round(clip * 32_767).astype(np.int16), card.rate, card.rate).spans[0][0]
    out.mkdir(parents=True, exist_ok=True)
    return write_traversal(model, card, clip[start : start + round(_CLIP_S * card.rate)], 0, out)
