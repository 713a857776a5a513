"""`gramophone models learn-names`: what the latents of a TorchScript model are about, measured on a folder of sounds.

A latent is named after the descriptor (`offline/data/descriptors.py`) that it correlates with most on the first half of
the frames, if it explains a quarter of its variance on the second. And each latent is raised by its own spread and
decoded: by how much that changes the descriptor is what it does. The file runs in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stage import StageError
from gramophone.realtime.stages.latent.torchscript import TorchScriptModel, name_latents, trusted
from gramophone.realtime.stages.latent.torchscript_codec import decode, encode
from gramophone.realtime.system.child_call import ChildCallError, call_in_child

LEAST_FRAMES = 40
"""Of sound, for a correlation to mean something."""
Doubles = NDArray[np.float64]
_MOST_S, _DECODED_S = 300.0, 4.0
"""Seconds of sound that are encoded, and of those that are decoded for each latent."""
_SILENT_S = 120.0
"""How long the process may take for one file, or one latent."""
_DEFINED = 0.05
"""Share of the frames in which a descriptor must be defined to name a latent."""
_MOST_LAG = 8
"""Frames by which the latents may be late."""
_AT_ONCE = 16
"""Hops encoded at a time."""
_SEED = 0


@dataclass(frozen=True)
class LatentMeaning:
    """What a latent is about.

    `r2` is the share of the descriptor's variance that it explains on other frames than it was named by, `spread` its
    standard deviation, `effect` by how much that descriptor of the output changes when the latent rises by its spread.
    """

    name: str
    r2: float
    spread: float
    effect: float


def learn_names(path: Path, folder: Path, progress: Callable[[str], None]) -> list[LatentMeaning]:
    """Measure a trusted model's latents on the sounds of a folder, and keep their names in its card.

    Raises:
        StageError: the file has not been trusted, fails, or there is no sound in the folder, or too little of it.
    """
    from gramophone.offline.render.inputs import find_inputs

    form = trusted(path)
    inputs = find_inputs([str(folder)])
    if not inputs.files:
        raise StageError(next(iter(inputs.failed.values()), f"{folder}: no sound file there"))
    files = list(map(str, inputs.files))
    try:
        found = call_in_child(
            measured_latents, str(path), form, files, timeout_s=_SILENT_S, most_bytes=None, progress=progress
        )
    except (ChildCallError, ValueError) as error:
        raise StageError(f"{path}: {error}") from None
    meanings = [LatentMeaning(*row) for row in found]
    notes = {"r2": [one.r2 for one in meanings], "spread": [one.spread for one in meanings]}
    name_latents(path, [one.name for one in meanings], notes | {"effect": [one.effect for one in meanings]})
    return meanings


def measured_latents(
    path: str, form: TorchScriptModel, files: Sequence[str], tell: Callable[[str], None]
) -> list[tuple[str, float, float, float]]:
    """Return the fields of each latent's `LatentMeaning`.

    Raises:
        ValueError: there is too little sound, or the file cannot be run.
    """
    import torch

    from gramophone.offline.data.descriptors import DESCRIPTORS, describe
    from gramophone.offline.train.latent_names import LEAST_R2, correlations

    torch.set_num_threads(1)
    model: Any = torch.jit.load(path, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    series: list[Doubles] = []
    rows: list[Doubles] = []
    for file, sound in _sounds(files, form):
        tell(f"measuring {Path(file).name}")
        series.append(_encoded(model, form, sound))
        rows.append(describe(sound, form.rate, form.hop)[: len(series[-1])].astype(np.float64))
    if sum(map(len, series)) < LEAST_FRAMES:
        frames = sum(map(len, series))
        raise ValueError(f"{frames} frames of sound; expected {LEAST_FRAMES} at least, {form.hop} samples each")
    z, values = _in_line(series, rows)
    half = len(z) // 2
    first, second = correlations(z[:half], values[:half]), correlations(z[half:], values[half:])
    best = np.abs(first).argmax(1)
    at = np.arange(form.latents)
    r2 = np.where(first[at, best] * second[at, best] > 0, np.square(second[at, best]), 0.0)
    spread = z.std(0)
    start = np.concatenate(series)[: max(round(_DECODED_S * form.rate / form.hop), 1)]
    plain = _descriptors_of(model, form, start)
    found = []
    for latent in range(form.latents):
        tell(f"raising latent {latent + 1} of {form.latents}")
        raised = _descriptors_of(model, form, start + spread[latent] * np.eye(form.latents)[latent])
        change = (raised - plain)[:, best[latent]]
        effect = float(np.nanmean(change)) if np.isfinite(change).any() else 0.0
        is_named = r2[latent] >= LEAST_R2
        sign = "+" if first[latent, best[latent]] > 0 else "-"
        name = f"z{latent + 1} {DESCRIPTORS[best[latent]]} {sign}" if is_named else f"z{latent + 1}"
        found.append((name, round(float(r2[latent]), 4), round(float(spread[latent]), 4), round(effect, 4)))
    return found


def _sounds(files: Sequence[str], form: TorchScriptModel) -> Iterator[tuple[str, Floats]]:
    """Yield files with their sound, mono at the model's rate, up to five minutes in all."""
    from gramophone.offline.data.corpora import load

    left = round(_MOST_S * form.rate)
    for file in files:
        if left <= 0:
            return
        sound = load(Path(file), form.rate)[:left]
        left -= len(sound)
        yield file, sound[: len(sound) // form.hop * form.hop]


def _encoded(model: Any, form: TorchScriptModel, sound: Floats) -> Doubles:
    """Return the latents of a sound of whole hops, `(n, D)`."""
    size = _AT_ONCE * form.hop
    pieces = [encode(model, sound[start : start + size], form.inputs).T for start in range(0, len(sound), size)]
    return np.concatenate([np.zeros((0, form.latents)), *pieces], dtype=np.float64)


def _in_line(series: Sequence[Doubles], rows: Sequence[Doubles]) -> tuple[Doubles, Doubles]:
    """Return audible frames of latents `(n, D)` and descriptors `(n, 6)`, the encoder's delay taken out.

    The delay is that by which they explain each other best: the file does not say how late its latents are.
    """
    from gramophone.offline.train.latent_names import AUDIBLE_DB, correlations

    def late_by(lag: int) -> tuple[Doubles, Doubles]:
        z = np.concatenate([one[lag:] for one in series])
        values = np.concatenate([one[: max(len(one) - lag, 0)] for one in rows])
        audible = values[:, 0] > AUDIBLE_DB
        z, values = z[audible], values[audible]
        values[:, np.isfinite(values).mean(0) < _DEFINED] = 0  # such as the pitch of drums: correlates with nothing
        return z, values

    candidates = [pair for pair in map(late_by, range(_MOST_LAG + 1)) if len(pair[0]) >= LEAST_FRAMES // 2]
    if not candidates:
        raise ValueError(f"hardly any of the sound is above {AUDIBLE_DB:.0f} dBFS")
    return max(candidates, key=lambda pair: float(np.square(correlations(*pair)).max(1).mean()))


def _descriptors_of(model: Any, form: TorchScriptModel, latents: Doubles) -> Doubles:
    """Return the descriptors of what latents `(n, D)` are decoded to, by the same random numbers each time."""
    import torch

    from gramophone.offline.data.descriptors import describe

    torch.manual_seed(_SEED)
    sound = decode(model, latents.T.astype(np.float32))
    return describe(sound, form.rate, form.hop).astype(np.float64)
