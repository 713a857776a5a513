"""`gramophone evaluate vocoder`: how well a WaveNet says held-out phrases again from its local conditions alone."""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from gramophone.models.nets.wavenet import WaveNet
from gramophone.offline.data.corpus import sound
from gramophone.offline.data.mono_audio import Sound
from gramophone.offline.data.recording import Recording
from gramophone.offline.evaluate.wavenet import opened
from gramophone.offline.judges.base import EvaluationError
from gramophone.offline.judges.intelligibility import phrases_of, retelling
from gramophone.offline.train.wavenet import WaveNetTraining, conditions_of
from gramophone.realtime.stages.wavenet.sampler import Sampler

_TARGETS = {"words": 0.2, "quality": 0.5, "pitch": 0.95}


@dataclass(frozen=True)
class VocoderScore:
    """What judges hear in phrases said again, and in the recordings themselves at the model's rate.

    Word errors are the share of all words that an English recogniser gets wrong, quality is DNSMOS' overall score,
    `pitch_correlation` that of the logarithm of the pitch where both are voiced.
    """

    phrases: int
    word_errors: float
    word_errors_was: float
    quality: float
    quality_was: float
    pitch_correlation: float

    def reached(self) -> dict[str, bool]:
        """Return which of the targets are met."""
        return {
            "words": self.word_errors - self.word_errors_was <= _TARGETS["words"],
            "quality": self.quality_was - self.quality <= _TARGETS["quality"],
            "pitch": self.pitch_correlation >= _TARGETS["pitch"],
        }


def run(model: Path, data: Sequence[str], phrases: int, *, json: bool) -> None:
    """Judge a vocoder and print.

    Raises:
        EvaluationError: the model is no vocoder, or no transcript of a held-out phrase is there.
        CheckpointError: the file is no WaveNet.
    """
    found = retell(model, data, phrases)
    if json:
        print(json_format.dumps({**asdict(found), "reached": found.reached()}), flush=True)
        return
    print(f"{found.phrases} held-out phrases")
    print(f"word errors        {found.word_errors:.1%}  (recordings {found.word_errors_was:.1%})")
    print(f"DNSMOS             {found.quality:.2f}   (recordings {found.quality_was:.2f})")
    print(f"pitch correlation  {found.pitch_correlation:.3f}")
    print(", ".join(f"{name} {'reached' if met else 'MISSED'}" for name, met in found.reached().items()))


def retell(model: Path, data: Sequence[str], phrases: int) -> VocoderScore:
    """Return what judges hear in up to `phrases` held-out phrases, spread over all that have a transcript."""
    net, _, plan, corpus = opened(model, data)
    if not net.shape.local:
        raise EvaluationError(f"{model}: is told no series of frames; expected a vocoder (train wavenet --local mel)")
    training = WaveNetTraining(plan, corpus)
    chosen = phrases_of(corpus.held_out, corpus.rate, phrases)
    if not chosen:
        raise EvaluationError(f"{model}: no transcript of a held-out phrase; expected NAME.txt beside NAME.wav")
    recorded = [sound(recording) for recording in chosen]
    texts = [recording.found.text for recording in chosen]
    again = [say_again(net, training, recording) for recording in chosen]
    said = retelling(zip(recorded, again, texts, strict=True), corpus.rate)
    was = retelling(zip(recorded, recorded, texts, strict=True), corpus.rate)
    return VocoderScore(
        len(chosen), said.word_errors, was.word_errors, said.quality, was.quality, said.pitch_correlation
    )


def say_again(net: WaveNet, training: WaveNetTraining, recording: Recording) -> Sound:
    """Return a recording as the model says it from what it is told of it, `(frames,)`."""
    batch = training.whole(recording)
    with torch.inference_mode():
        conditions = conditions_of(net, batch).numpy()
    said: Sound = Sampler(net, 1).generate(batch.sound.shape[2] - 1, conditions)[0]
    return said
