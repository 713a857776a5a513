"""Which model and which recordings an evaluation is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gramophone.models.checkpoint import Card
from gramophone.offline.data.corpora import VOICES
from gramophone.offline.data.corpus import Corpus, gather
from gramophone.offline.evaluate.base import EvaluationError
from gramophone.offline.train.plan import TrainingPlan


def model_path(model: Path) -> Path:
    """Return the checkpoint of a model that is given by its file or by the folder of its run."""
    return model / "model.safetensors" if model.is_dir() else model


def evaluation_corpus(path: Path, card: Card, plan: TrainingPlan, data: Sequence[str]) -> Corpus:
    """Return the recordings to evaluate a model on: `data`, else those that its plan names; of its speakers alone.

    Raises:
        EvaluationError: neither names any.
        DataError: they cannot be read.
    """
    places = tuple(data) or plan.data
    if not places:
        raise EvaluationError(f"{path}: no recordings to evaluate it on; expected --data")
    return gather(places, card.rate, speakers=card.speakers or plan.speakers, layout=plan.layout)


def packaged_voices(card: Card) -> tuple[str, ...]:
    """Return the `voice:NAME` places of those of a model's speakers that are packaged voices."""
    return tuple(f"voice:{name}" for name in card.speakers if name in VOICES)
