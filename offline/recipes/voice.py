"""The factory's voice, from packages to checkpoint: `python -m gramophone.offline.recipes.voice RUN`.

Data at 16 kHz: twelve speakers of Debian packages, sixteen synthetic voices of a text-to-speech network in seven
languages, and six instruments of a free soundfont. Two more speakers are held out, and fitted from 20 seconds each in
the evaluation. About ten core-hours, less with `--minutes`. The shipped voice had 74, 18, 12 and 55 core-hours without
the synthetic voices, 82 with them and 12 with a small conversion loss (`--conversion 0.02`), each from the last
(`--start`), and 20 of evaluation; the quick one 15 from there (`--ahead 1`). A call that was killed is resumed by the
same call. The model is then `RUN/model.safetensors`; its scores are in its card.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict, replace
from pathlib import Path

from gramophone.models.checkpoint import load, save
from gramophone.offline.data.corpora import PEOPLE, UNSEEN
from gramophone.offline.data.instruments import INSTRUMENTS
from gramophone.offline.data.spoken import CAST
from gramophone.offline.evaluate.voice import VoiceRequest, evaluate
from gramophone.offline.train.allocator import keep_freed_memory
from gramophone.offline.train.log_lines import show
from gramophone.offline.train.run import Machine
from gramophone.offline.train.run_folder import RunFolder
from gramophone.offline.train.voice.plan import VoicePlan
from gramophone.offline.train.voice.run import train_voice
from gramophone.presets.models import MODELS, SUFFIX

RECORDED = (*(f"voice:{name}" for name in PEOPLE), *(f"instrument:{name}" for name in INSTRUMENTS))
PLAN = VoicePlan(
    data=(*RECORDED, *(f"spoken:{name}" for name in CAST)),
    seed=1,
    steps=100_000,
    every=2000,
    phones=str(MODELS / f"phones{SUFFIX}"),
)


def main() -> None:
    """Train, evaluate, and write the scores to the model's card."""
    parser = argparse.ArgumentParser(description="Train the factory's voice.")
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after this wall time; 0: no limit")
    parser.add_argument("--start", type=Path, help="a trained voice to start from")
    parser.add_argument("--peak", type=float, default=PLAN.peak, help="highest learning rate")
    parser.add_argument("--conversion", type=float, default=PLAN.conversion, help="weight of the conversion loss")
    parser.add_argument("--ahead", type=int, default=PLAN.ahead, help="look-ahead in frames of 8 ms")
    arguments = parser.parse_args()
    folder = RunFolder(arguments.run)
    keep_freed_memory()
    start = str(arguments.start.resolve()) if arguments.start else ""
    plan = replace(
        PLAN,
        minutes=arguments.minutes,
        start=start,
        peak=arguments.peak,
        conversion=arguments.conversion,
        ahead=arguments.ahead,
    )
    train_voice(plan, folder, Machine("auto"), 3.0, show)
    for name, score in scored(folder.model).items():
        print(f"{name:28} {score:.3f}")


def scored(model: Path) -> dict[str, float]:
    """Return the scores of a voice on recordings of speakers and instruments, and write them to its card."""
    voice, card = load(model, "voice")
    found = asdict(evaluate(model, RECORDED, VoiceRequest(unseen=[f"voice:{name}" for name in UNSEEN])))
    scores = {
        f"{part}_{name}": value
        for part, figures in found.items()
        for name, value in (figures or {}).items()
        if isinstance(value, float) and not math.isnan(value)
    }
    save(model, voice, replace(card, scores={**card.scores, **scores}))
    return scores


if __name__ == "__main__":
    main()
