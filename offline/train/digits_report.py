"""The report of a run on digits: scores, and pictures of reconstructions, samples and the latent space."""

from __future__ import annotations

import json

import torch

from gramophone.models.checkpoint import load
from gramophone.models.nets.digits import DigitsVAE
from gramophone.offline.plotting.digits import draw, manifold, reconstructions, samples
from gramophone.offline.train.digit_scores import score
from gramophone.offline.train.plans import DigitsPlan
from gramophone.offline.train.run_folder import RunFolder, begun_plan
from gramophone.offline.train.vae import read_digits, validation_digits
from gramophone.presets.atomic import atomic_write

_SHOWN = 20


def report(folder: RunFolder) -> dict[str, float]:
    """Score the model of a run on the test digits and draw it: `scores.json`, and PNGs beside it.

    Raises:
        CheckpointError: there is no model yet.
        MnistError: the digits cannot be read.
        TrainingError: the folder holds no run on digits.
    """
    plan = begun_plan(DigitsPlan, folder)
    model, _ = load(folder.model, "digits")
    assert isinstance(model, DigitsVAE)
    tested = validation_digits(read_digits(plan)[1], plan.binary)
    scores = score(model, tested)
    with atomic_write(folder.at / "scores.json") as part:
        part.write_text(json.dumps(scores, indent=1), "utf-8")
    torch.manual_seed(plan.seed)
    shown = tested[:: max(len(tested) // _SHOWN, 1)][:_SHOWN]
    draw(reconstructions(model, shown), folder.at / "reconstructions.png")
    draw(samples(model, 4, _SHOWN), folder.at / "samples.png")
    if plan.latents == 2:
        draw(manifold(model), folder.at / "manifold.png")
    return scores
