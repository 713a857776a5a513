"""A voice's training run from its plan to a checkpoint with named latents."""

from __future__ import annotations

import copy
import functools
from dataclasses import replace
from pathlib import Path
from typing import cast

from gramophone.models.checkpoint import Card, load, save
from gramophone.models.nets.voice import Voice, arrange
from gramophone.models.units import MEDIAN_PITCH
from gramophone.offline.data.corpus import Corpus
from gramophone.offline.train.latent_names import explained
from gramophone.offline.train.run import Machine, Tell, fit, gathered
from gramophone.offline.train.run_folder import RunFolder
from gramophone.offline.train.samples import write_sounds
from gramophone.offline.train.voice.plan import VoicePlan
from gramophone.offline.train.voice.resynthesis import latents_by, resynthesised
from gramophone.offline.train.voice.training import VoiceTraining
from gramophone.realtime.stage import Audio


def train_voice(plan: VoicePlan, folder: RunFolder, machine: Machine, sample_s: float, tell: Tell) -> None:
    """Train a voice, or resume its run; the model is written to the folder at each validation and at the end.

    Args:
        plan: what to train on, and how.
        folder: of the run; an interrupted run in it is resumed.
        machine: the devices to train on.
        sample_s: seconds of resynthesis per speaker to write at each validation; 0: none.
        tell: called with what the run is doing and with each report (`log_lines`).

    Raises:
        DataError: there are no usable recordings.
        TrainingError: the folder holds a run of another plan, the plan does not fit, or the loss is not finite.
    """
    corpus = gathered(plan, folder, tell)
    tell({"words": "measuring pitch and speaker statistics"})
    training = VoiceTraining(plan, corpus)

    def write(step: int, scores: dict[str, float]) -> None:
        voice = copy.deepcopy(training.voice).cpu().eval()
        notes = {MEDIAN_PITCH: training.median_hz, "instruments": list(plan.instruments)}
        save(folder.model, voice, replace(_card(voice, plan, corpus, step, scores), notes=notes))
        if sample_s:
            write_sounds(_examples(voice, corpus, sample_s), plan.rate, folder.at / "samples" / f"step-{step:07d}")

    fit(training, folder, machine, write, tell)
    save_explained(folder.model, corpus)


def save_explained(path: Path, corpus: Corpus) -> None:
    """Order and name the latents of a voice in a file, and note the moments of each speaker's latents in its card."""
    loaded, card = load(path, "voice")
    voice = cast(Voice, loaded)
    save(path, voice, explained(card, latents_by(voice, corpus), functools.partial(arrange, voice), corpus))


def _examples(voice: Voice, corpus: Corpus, seconds: float) -> dict[str, Audio]:
    """Return the resynthesis of the beginning of a held-out recording of each speaker."""
    frames = round(seconds * corpus.rate)
    return {
        speaker: resynthesised(voice, recording, voice.table[corpus.speakers.index(speaker)][None], frames)
        for speaker, recording in corpus.examples.items()
    }


def _card(voice: Voice, plan: VoicePlan, corpus: Corpus, step: int, scores: dict[str, float]) -> Card:
    return Card(
        plan.rate,
        hop=voice.shape.hop,
        delay=voice.delay,
        speakers=corpus.speakers,
        latents=tuple(f"z{number}" for number in range(1, plan.latents + 1)),
        data=corpus.sources,
        licence=corpus.licence,
        steps=step,
        scores=scores,
    )
