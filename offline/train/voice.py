"""How a voice learns: sound again from latents, pitch and loudness, with all that tells the speaker kept out of them.

Four things keep it out. What the encoder hears is disguised (`gramophone.offline.train.disguise`), and it is to say the
same without; latents are few and cost something; a probe tries to tell the speaker from them, and the encoder learns
what it cannot tell by (gradient reversal, Ganin et al. 2016); instruments, which say nothing, play what others said.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal
from torch.nn import functional as F
from torch.utils.data import Dataset

from gramophone.models.checkpoint import Card, save
from gramophone.models.spectral_loss import Spectra
from gramophone.models.vae import Bound, closed_kl, gaussian
from gramophone.models.voice import Voice, VoiceShape
from gramophone.offline.data.corpus import Corpus
from gramophone.offline.singing import sung_again
from gramophone.offline.train.crops import Batch, Crops, Cutter, Judged
from gramophone.offline.train.disguise import disguised
from gramophone.offline.train.module import Training
from gramophone.offline.train.plan import Plan, RunFolder, TrainingError
from gramophone.offline.train.prosody import prosody
from gramophone.offline.train.run import Machine, fit, gathered
from gramophone.offline.train.samples import write_sounds
from gramophone.realtime.stage import Audio

JUDGED = 8
"""Held-out crops per speaker."""
_OTHERS_SHARE = 0.7
"""How often an instrument is played with what somebody else said."""
_WHISPERED_SHARE = 0.1
"""How often nothing is said to be voiced, so that noise alone says it as well."""
_LOUDER, _SOFTER = 0.6, 1.2
"""Nats by which a crop is louder or softer than recorded, at most."""
_BLUR = 0.02
"""Spread of the noise on a speaker's vector, so that those between and beside are somebody as well."""


@dataclass(frozen=True)
class VoicePlan(Plan):
    """How to train a voice: what it is made of, as in `VoiceShape`, and what keeps speakers out of its latents.

    `kl` is the weight of the latents' cost, `agreement` that of how far, in nats, they are from those of the same sound
    in disguise, `adversary` that of the probe's reversed gradient.

    Raises:
        TrainingError: the crop is no whole number of frames.
    """

    rate: int = 16_000
    batch: int = 8
    crop: int = 16_384
    steps: int = 12_000
    peak: float = 2e-3
    precision: str = "32-true"
    hop: int = 128
    ahead: int = 2
    latents: int = 12
    width: int = 128
    channels: int = 160
    layers: int = 6
    kl: float = 0.01
    agreement: float = 0.02
    adversary: float = 0.3

    def __post_init__(self) -> None:
        if self.crop % self.hop:
            raise TrainingError(f"crops of {self.crop} samples: expected whole frames of {self.hop}")

    @property
    def instruments(self) -> tuple[str, ...]:
        """The speakers that say nothing: `instrument:NAME` among the data."""
        return tuple(name for kind, _, name in (place.partition(":") for place in self.data) if kind == "instrument")

    def shape(self, speakers: int) -> VoiceShape:
        """Return the model for so many speakers."""
        return VoiceShape(
            rate=self.rate,
            hop=self.hop,
            ahead=self.ahead,
            latents=self.latents,
            width=self.width,
            channels=self.channels,
            layers=self.layers,
            speakers=speakers,
        )


class Trainee(nn.Module):
    """A voice and the probe that tries to tell speakers by its latents."""

    def __init__(self, shape: VoiceShape) -> None:
        super().__init__()
        self.voice = Voice(shape)
        self.probe = Probe(shape.latents, shape.speakers)


class Probe(nn.Module):
    """Latents `(B, latents, n)` -> what they tell of the speaker, logits `(B, speakers)`."""

    def __init__(self, latents: int, speakers: int, width: int = 96) -> None:
        super().__init__()
        layers = [nn.Conv1d(latents, width, 5, padding=2), nn.Conv1d(width, width, 5, padding=4, dilation=2)]
        self.frames = nn.Sequential(*(part for layer in layers for part in (layer, nn.LeakyReLU(0.2))))
        self.out = nn.Linear(2 * width, speakers)

    def forward(self, z: Tensor) -> Tensor:
        """Judge by the mean and the spread of what is in the frames."""
        frames = self.frames(z)
        told: Tensor = self.out(torch.cat([frames.mean(2), frames.std(2)], 1))
        return told


class Sung(NamedTuple):
    """A batch as the voice is told it: the sound to be sung `(B, 1, T)`, speakers' vectors, prosody, heard frames."""

    sound: Tensor
    speaker: Tensor
    prosody: Tensor
    frames: Tensor


class VoiceTraining(Training):
    """A voice in training on a corpus; the loss is in distances per frame."""

    plan: VoicePlan
    net: Trainee

    def __init__(self, plan: VoicePlan, corpus: Corpus) -> None:
        torch.manual_seed(plan.seed)
        super().__init__(Trainee(plan.shape(len(corpus.speakers))), plan)
        self._corpus = corpus
        self._silent = torch.tensor([speaker in plan.instruments for speaker in corpus.speakers])
        series = functools.cache(lambda recording: prosody(recording, plan.rate, plan.hop))
        self._cutter = Cutter(corpus.speakers, plan.crop, 0, plan.hop, series=series, after=self.net.voice.delay)

    @property
    def judged_names(self) -> tuple[str, ...]:
        """The speakers that have held-out recordings."""
        there = {recording.speaker for recording in self._corpus.held_out}
        return tuple(speaker for speaker in self._corpus.speakers if speaker in there)

    @property
    def voice(self) -> Voice:
        """The voice with averaged weights."""
        return cast(Trainee, self.averaged).voice

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return the bound's loss per frame; while training, of what is disguised, and with the probe's."""
        trainee = cast(Trainee, net)
        voice, sung = trainee.voice, self._sung(trainee.voice, batch)
        plain = _encoded(voice, sung.frames)
        place = torch.zeros(len(batch.sound), 1, dtype=torch.int64, device=batch.sound.device)
        if not self.training:
            return self._cost(bound_of(voice, sung, plain, plain.mean, place))
        posterior = _encoded(voice, disguised(sung.frames, voice.shape.bands, voice.shape.rate))
        z = posterior.rsample()
        told = trainee.probe(_reversed(plain.mean, self.plan.adversary))
        others = self._silent.to(z.device)[batch.speaker] & _chance(batch, _OTHERS_SHARE)
        said = torch.where(others[:, None, None], z.roll(1, 0).detach(), z)
        bound = bound_of(voice, sung, posterior, said, place.random_(1 << 17))
        seen_through = self.plan.agreement * closed_kl(posterior, plain, z).sum(1).mean()
        return self._cost(bound) + seen_through + F.cross_entropy(told, batch.speaker)

    def _cost(self, bound: Bound) -> Tensor:
        """Return the loss of a bound per frame."""
        return bound.loss(self.plan.kl) / bound.z.shape[2]

    def crops(self, rank: int, processes: int) -> Dataset[Batch]:
        """Return crops of the recordings that may be trained on."""
        return Crops(self._corpus.training, self._cutter, self.plan.batch, self.plan.seed, rank, processes)

    def judged(self) -> Judged:
        """Return crops of the held-out recordings, a batch per speaker."""
        return Judged(self._corpus.held_out, self._cutter, JUDGED)

    def _sung(self, voice: Voice, batch: Batch) -> Sung:
        """Return what the voice hears and is told; while training, louder or softer, blurred, or whispered."""
        x, intoned, speaker = batch.sound[:, :, 1:], batch.local, voice.table[batch.speaker]
        if self.training:
            x = x * (torch.rand(len(x), 1, 1, device=x.device) * (_LOUDER + _SOFTER) - _SOFTER).exp()
            speaker = speaker + _BLUR * torch.randn_like(speaker)
            octaves, voicing = intoned.chunk(2, 1)
            intoned = torch.cat([octaves, voicing * ~_chance(batch, _WHISPERED_SHARE)[:, None, None]], 1)
        with torch.no_grad():
            frames, _ = voice.encoder.ear(x)
            loudness = voice.loudness(x)[0][:, :, voice.encoder.delay :]
        return Sung(x[:, :, : self.plan.crop], speaker, torch.cat([intoned, loudness], 1), frames)


def _encoded(voice: Voice, frames: Tensor) -> Normal:
    """Return the distribution of the latents of what is heard."""
    return gaussian(voice.encoder.layers(frames)[0][:, :, voice.encoder.delay :])


def bound_of(voice: Voice, sung: Sung, posterior: Distribution, z: Tensor, noise: Tensor) -> Bound:
    """Return the bound of what is sung with latents `z`, beginning at a place `(B, 1)` in the noise."""
    state = (*voice.decoder.initial_state(z)[:-1], noise)
    said, _ = voice.decoder(z, state, sung.speaker, sung.prosody)
    return Bound(Spectra(said, z.shape[2]).log_prob(sung.sound), closed_kl(posterior, voice.prior(), z), z)


class _Reversed(torch.autograd.Function):
    """A value whose gradient is turned around (Ganin et al. 2016)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradient, None


def _reversed(x: Tensor, weight: float) -> Tensor:
    turned: Tensor = _Reversed.apply(x, weight)  # type: ignore[no-untyped-call]
    return turned


def _chance(batch: Batch, share: float) -> Tensor:
    """Return for each crop whether something that happens so often happens."""
    return torch.rand(len(batch.speaker), device=batch.speaker.device) < share


def train_voice(
    plan: VoicePlan, folder: RunFolder, machine: Machine, sample_s: float, tell: Callable[[dict[str, Any]], None]
) -> None:
    """Train a voice, or go on with it; the model is in the folder whenever it was judged, and at the end.

    Raises:
        DataError: there is nothing to learn from.
        TrainingError: another run was begun in the folder, the plan does not fit, or the loss is not a number.
    """
    corpus = gathered(plan, folder)
    training = VoiceTraining(plan, corpus)

    def write(step: int, scores: dict[str, float]) -> None:
        voice = copy.deepcopy(training.voice).cpu().eval()
        save(folder.model, voice, _card(voice, plan, corpus, step, scores))
        if sample_s:
            write_sounds(_examples(voice, corpus, sample_s), plan.rate, folder.at / "samples" / f"step-{step:07d}")

    fit(training, folder, machine, write, tell)


def _examples(voice: Voice, corpus: Corpus, seconds: float) -> dict[str, Audio]:
    """Return the beginning of a held-out recording per speaker, sung again."""
    frames = round(seconds * corpus.rate)
    first = {recording.speaker: recording for recording in reversed(corpus.held_out)}
    return {
        speaker: sung_again(voice, recording, voice.table[corpus.speakers.index(speaker)][None], frames)
        for speaker, recording in sorted(first.items())
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
        notes={"instruments": list(plan.instruments)} if plan.instruments else {},
    )
