"""The factory's garble model, from packages to checkpoint: `python -m gramophone.offline.recipes.garble RUN`.

Four voices of Debian packages, two men and two women that differ audibly, at 8 kHz: a WaveNet of size S learns who
speaks and nothing else, so what it says is garble in each one's voice. It is not taught pauses, or it would fall silent
for good. About a core-hour; killed at any moment, the same call goes on. The model is then `RUN/model.safetensors`; its
scores are printed, and noted in its card.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from gramophone.models.checkpoint import load, save
from gramophone.offline.evaluate_wavenet import listen, measure_bits
from gramophone.offline.train.allocator import keep_freed_memory
from gramophone.offline.train.plan import RunFolder
from gramophone.offline.train.run import Machine, train_wavenet
from gramophone.offline.train.wavenet import WaveNetPlan

VOICES = ("moscow", "stamps-bg", "english", "russian")
PLAN = WaveNetPlan(tuple(f"voice:{voice}" for voice in VOICES), rate=8000, seed=1, steps=12_000, size="S", pauses=False)


def main() -> None:
    """Train, judge, and note what was found in the model's card."""
    parser = argparse.ArgumentParser(description="Train the garble model.")
    parser.add_argument("run", type=Path, help="the run's folder")
    folder = RunFolder(parser.parse_args().run)
    keep_freed_memory()
    train_wavenet(PLAN, folder, Machine("auto"), sample_s=1.0)
    net, card = load(folder.model, "wavenet")
    bits, toggle = measure_bits(folder.model, ()), listen(folder.model, ())
    found = {
        "bits": bits.right,
        "bits_wrong_speaker": bits.wrong,
        "voiced": toggle.voiced,
        "sexes_auc": toggle.sexes_auc,
        "right_speaker": toggle.right_speaker,
    }
    scores = {name: score for name, score in found.items() if score is not None}
    save(folder.model, net, replace(card, scores={**card.scores, **scores}))
    for name, score in scores.items():
        print(f"{name:20} {score:.3f}")


if __name__ == "__main__":
    main()
