"""The factory's garble model, from packages to checkpoint: `python -m gramophone.offline.recipes.garble RUN`.

Four voices of Debian packages, two men and two women that differ audibly, at 8 kHz: a WaveNet of size S
conditioned on the speaker alone, so that it generates speech-like sound without words. It is trained without pauses, or
it would fall silent for good. About two core-hours; a call that was killed is resumed by the same call. The shipped
model is then `RUN/garble.safetensors`; its scores are printed, and kept in its card.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import cast

from gramophone.models.checkpoint import Card, load, save
from gramophone.models.nets.wavenet import WaveNet
from gramophone.offline.evaluate.wavenet import measure_bits, measure_toggle
from gramophone.offline.train.allocator import keep_freed_memory
from gramophone.offline.train.plans import WaveNetPlan
from gramophone.offline.train.run import Machine, train_wavenet
from gramophone.offline.train.run_folder import RunFolder

VOICES = ("moscow", "stamps-bg", "english", "russian")
PLAN = WaveNetPlan(tuple(f"voice:{voice}" for voice in VOICES), rate=8000, seed=1, steps=18_000, size="S", pauses=False)
LEFT_OUT = ("stamps-bg",)
"""Trained on, but not shipped: the lowest voice is still a whisper after these steps."""
TEMPERATURE = 1.05
"""Slightly above 1, or a voice may stay silent after a pause."""


def main() -> None:
    """Train, evaluate, and write the scores to the model's card."""
    parser = argparse.ArgumentParser(description="Train the garble model.")
    parser.add_argument("run", type=Path, help="the run's folder")
    folder = RunFolder(parser.parse_args().run)
    keep_freed_memory()
    train_wavenet(PLAN, folder, Machine("auto"), sample_s=1.0)
    for name, score in finish(folder).items():
        print(f"{name:20} {score:.3f}")


def finish(folder: RunFolder) -> dict[str, float]:
    """Write what is shipped, `RUN/garble.safetensors`, with its scores in its card; return them."""
    loaded, card = load(folder.model, "wavenet")
    shipped = folder.at / "garble.safetensors"
    net, card = without(cast(WaveNet, loaded), card, LEFT_OUT)
    card = replace(card, notes={**card.notes, "temperature": TEMPERATURE, "pauses": False})
    save(shipped, net, card)
    bits, toggle = measure_bits(shipped, ()), measure_toggle(shipped, ())
    found = {
        "bits": bits.right,
        "bits_wrong_speaker": bits.wrong,
        "voiced": toggle.voiced,
        "sexes_auc": toggle.sexes_auc,
        "right_speaker": toggle.right_speaker,
    }
    scores = {name: score for name, score in found.items() if score is not None}
    save(shipped, net, replace(card, scores=scores))
    return scores


def without(net: WaveNet, card: Card, left_out: Collection[str]) -> tuple[WaveNet, Card]:
    """Return the same model without some of its speakers."""
    kept = [place for place, name in enumerate(card.speakers) if name not in left_out]
    smaller = WaveNet(replace(net.shape, speakers=len(kept)))
    weights = net.state_dict()
    smaller.load_state_dict({**weights, "conditions.table": weights["conditions.table"][kept]})
    return smaller.eval(), replace(card, speakers=tuple(card.speakers[place] for place in kept))


if __name__ == "__main__":
    main()
