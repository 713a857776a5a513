"""`gramophone evaluate vocoder`: how well a WaveNet resynthesises held-out phrases from its local conditions alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from gramophone.models.nets.wavenet import WaveNet
from gramophone.offline.data.corpus import sound
from gramophone.offline.data.mono_audio import Sound
from gramophone.offline.data.recording import Recording
from gramophone.offline.evaluate.base import EvaluationError, Outcome, Target, outcomes, report
from gramophone.offline.evaluate.wavenet import opened
from gramophone.offline.judges.intelligibility import intelligibility, phrases_of
from gramophone.offline.train.wavenet import WaveNetTraining, conditions_of
from gramophone.realtime.stages.wavenet.sampler import Sampler

TARGETS = (
    Target("word_errors_added", 0.2, "at most"),
    Target("quality_lost", 0.5, "at most", "MOS"),
    Target("pitch_correlation", 0.95),
)


@dataclass(frozen=True)
class VocoderScore:
    """Figures of resynthesised phrases, and of the recordings themselves at the model's rate (`_was`).

    `word_errors` are word error rates of an English recogniser, `quality` is the overall score of DNSMOS, 1 to 5, and
    `pitch_correlation` that of the logarithm of the pitch where both are voiced.
    """

    phrases: int
    word_errors: float
    word_errors_was: float
    quality: float
    quality_was: float
    pitch_correlation: float

    def outcomes(self) -> list[Outcome]:
        """Return the figures beside the targets."""
        figures = {
            "word_errors_added": self.word_errors - self.word_errors_was,
            "quality_lost": self.quality_was - self.quality,
            "pitch_correlation": self.pitch_correlation,
        }
        return outcomes(TARGETS, figures, self.phrases)


def run(model: Path, data: Sequence[str], phrases: int, *, json: bool) -> None:
    """Evaluate a vocoder on up to `phrases` held-out phrases, and print.

    Raises:
        EvaluationError: the model is no vocoder, or no held-out phrase has a transcript.
        CheckpointError: the file is no WaveNet.
    """
    found = evaluate(model, data, phrases)

    def show() -> None:
        print(f"{found.phrases} held-out phrases")
        print(f"word error rate    {found.word_errors:.1%}  (recordings {found.word_errors_was:.1%})")
        print(f"DNSMOS             {found.quality:.2f}   (recordings {found.quality_was:.2f})")
        print(f"pitch correlation  {found.pitch_correlation:.3f}")

    report(asdict(found), found.outcomes(), json=json, show=show)


def evaluate(model: Path, data: Sequence[str], phrases: int) -> VocoderScore:
    """Return the figures of up to `phrases` held-out phrases, spread over all that have a transcript."""
    net, _, plan, corpus = opened(model, data)
    if not net.shape.local:
        raise EvaluationError(f"{model}: has no local conditions; expected a vocoder (train wavenet --local mel)")
    training = WaveNetTraining(plan, corpus)
    chosen = phrases_of(corpus.held_out, corpus.rate, phrases)
    if not chosen:
        raise EvaluationError(f"{model}: no transcript of a held-out phrase; expected NAME.txt beside NAME.wav")
    recorded = [sound(recording) for recording in chosen]
    texts = [recording.found.text for recording in chosen]
    resynthesised = [resynthesis(net, training, recording) for recording in chosen]
    after = intelligibility(zip(recorded, resynthesised, texts, strict=True), corpus.rate)
    before = intelligibility(zip(recorded, recorded, texts, strict=True), corpus.rate)
    return VocoderScore(
        len(chosen), after.word_errors, before.word_errors, after.quality, before.quality, after.pitch_correlation
    )


def resynthesis(net: WaveNet, training: WaveNetTraining, recording: Recording) -> Sound:
    """Return a recording as the model generates it from its local conditions, `(frames,)`."""
    batch = training.whole(recording)
    with torch.inference_mode():
        conditions = conditions_of(net, batch).numpy()
    samples: Sound = Sampler(net, 1).generate(batch.sound.shape[2] - 1, conditions)[0]
    return samples
