"""The factory's VLAE, from packages to checkpoint: `python -m gramophone.offline.recipes.vlae RUN`.

Four voices of Debian packages, two women and two men, at 16 kHz: sound as 16 latents, 125 times a second, and a decoder
with a receptive field of 16 ms; then its twin without latents for as many steps, in `RUN-twin`. About 80 core-minutes;
a call that was killed is resumed by the same call. The model is then `RUN/model.safetensors`; its scores are printed,
and kept in its card.

With `--sweep`, short trainings with receptive fields of 2, 8, 32 and 128 ms, each with its twin, and a table. No latent
is guided there, for a guided one carries its descriptor whether the decoder needs it or not, and half of the steps are
on the true bound.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gramophone.models.checkpoint import card_of, save
from gramophone.offline.evaluate.vlae import collapse, converted, opened, resynthesis, traversal
from gramophone.offline.train.allocator import keep_freed_memory
from gramophone.offline.train.log_lines import show
from gramophone.offline.train.plans import VLAEPlan
from gramophone.offline.train.run import Machine
from gramophone.offline.train.run_folder import RunFolder
from gramophone.offline.train.vlae import train_vlae

VOICES = ("english", "french", "italian", "moscow")
PLAN = VLAEPlan(data=tuple(f"voice:{voice}" for voice in VOICES), seed=1, steps=8000)
TEMPERATURES = (1.0, 0.9, 0.8, 0.7)
PHRASES, CLIPS = 24, 20
HARDLY = 0.05
"""Share of words."""
SWEPT_MS, SWEPT_STEPS = (2, 8, 32, 128), 1000
SWEPT = replace(PLAN, steps=SWEPT_STEPS, every=SWEPT_STEPS, guide=0.0, kl_weight=1.0, kl_full=SWEPT_STEPS // 2)


def main() -> None:
    """Train and evaluate model and twin, or run the sweep."""
    parser = argparse.ArgumentParser(description="Train the factory's VLAE.")
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--sweep", action="store_true", help="train with several receptive fields")
    options = parser.parse_args()
    keep_freed_memory()
    if options.sweep:
        sweep(options.run)
        return
    run, twin = RunFolder(options.run), RunFolder(options.run.with_name(f"{options.run.name}-twin"))
    train_vlae(PLAN, run, Machine("auto"), 3.0, show)
    train_vlae(replace(PLAN, latents=0), twin, Machine("auto"), 0.0, show)
    for name, score in evaluate(run, twin):
        print(f"{name:24} {score:.3f}", flush=True)


def evaluate(run: RunFolder, twin: RunFolder) -> Iterator[tuple[str, float]]:
    """Yield the scores of a model and its twin, and write them to the model's card.

    The temperature is the lowest, which sounds best, at which the word error rate on training recordings is within
    `HARDLY` of the least.
    """
    model, card, corpus = opened(run.at, ())
    trials = list(resynthesis(model, corpus, corpus.training, PHRASES, TEMPERATURES))[2:]
    best = min(trial.word_errors for trial in trials)
    temperature = min(t for t, trial in zip(TEMPERATURES, trials, strict=True) if trial.word_errors < best + HARDLY)
    found, alone = collapse(run.at.name, model, card, corpus), collapse(twin.at.name, *opened(twin.at, ()))
    recorded, mulaw, said = resynthesis(model, corpus, corpus.held_out, PHRASES, (temperature,))
    voices, turned = converted(model, card, corpus, CLIPS), traversal(model, card, corpus, CLIPS)
    scores: dict[str, float] = {
        **{f"bits, {name} z": bits for name, bits in found.bits.items()},
        "kl": found.kl,
        "together": found.together,
        "twin": alone.together,
        "units": found.units,
        "temperature": temperature,
    }
    for row, name in ((recorded, "recorded"), (mulaw, "mu-law"), (said, "said again")):
        scores |= {
            f"words, {name}": row.word_errors,
            f"quality, {name}": row.quality,
            f"pitch, {name}": row.pitch_correlation,
            f"voice, {name}": row.similarity,
        }
    scores |= {"converted, told": voices.conditioned, "converted": voices.transported}
    scores |= {f"turned, {name}": share for name, share in turned.items()}
    notes = {**card.notes, "temperature": temperature}
    save(run.model, model, replace(card, scores={**card.scores, **scores}, notes=notes))
    yield from scores.items()


def sweep(out: Path) -> None:
    """Train with every receptive field, and without latents, and print the table."""
    print("field    bits     KL  together   twin  units", flush=True)
    for field_ms in SWEPT_MS:
        layers = (field_ms * PLAN.rate // 1000).bit_length() - 1
        plan = replace(SWEPT, layers=layers)
        folders = {latents: RunFolder(out / f"{field_ms}ms-{latents}") for latents in (PLAN.latents, 0)}
        for latents, folder in folders.items():
            train_vlae(replace(plan, latents=latents), folder, Machine("auto"), 0.0, lambda _: None)
        found, twin = (card_of(folder.model).scores for folder in folders.values())
        print(
            f"{field_ms:3d} ms  {found['bits']:.3f}  {found['kl']:.3f}  {found['bits'] + found['kl']:8.3f}  "
            f"{twin['bits']:.3f}  {found['units']:5.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
