"""How a voice learns: sound again from latents, pitch and loudness, with all that tells the speaker kept out of them.

Six things keep it out. The encoder is accustomed to each voice, hearing only how it differs from its usual self; what
it hears is disguised (`gramophone.offline.train.speaker_disguise`), and it is to say the same without; latents cost
something; a listener tries to tell who spoke when somebody else's voice says it, and the decoder is to make it hear
that other (Li et al. 2021, StarGANv2-VC); what another says is heard again, and the decoder is to make the encoder hear
the latents that it was told, and a network that hears phones whoever speaks (`phone_classifier`) the same
phones (cycle consistency, Zhu et al. 2017); instruments, which say nothing, play what others said. A probe that tries
to tell the speaker from the latents can be made the encoder's adversary (Tzeng et al. 2015), and is at rest by default:
with a weight of 0.2, and a listener that taught the encoder as well, the latents came to say nothing at all.
"""

from __future__ import annotations

import copy
import functools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils.data import Dataset

from gramophone.models.checkpoint import Card, load, save
from gramophone.models.layers.spectral_loss import Spectra
from gramophone.models.layers.streaming import State
from gramophone.models.nets.phone_classifier import PHONES, PhoneClassifier
from gramophone.models.nets.vae import Bound, closed_kl, gaussian
from gramophone.models.nets.voice import COLOUR, MIDDLE_HZ, PROSODY, SOUNDING, USUAL_PITCH, Voice, VoiceShape, arrange
from gramophone.models.nets.voice_features import SpeakerNormalisation
from gramophone.offline.data.corpus import Corpus, sound
from gramophone.offline.data.recording import Recording, spread_evenly
from gramophone.offline.train.crops import Batch, Crops, Cutter, Series, ValidationBatch
from gramophone.offline.train.latent_names import explained
from gramophone.offline.train.module import Training
from gramophone.offline.train.pitch_cache import prosody
from gramophone.offline.train.plan import RunFolder, TrainingError, TrainingPlan, option
from gramophone.offline.train.run import Machine, fit, gathered
from gramophone.offline.train.samples import write_sounds
from gramophone.offline.train.speaker_disguise import disguised
from gramophone.offline.train.voice_resynthesis import encoder_of, sung_again
from gramophone.realtime.stage import Audio

JUDGED = 8
"""Held-out crops per speaker."""
_OTHERS_SHARE = 0.7
"""How often an instrument is played with what somebody else said."""
_WHISPERED_SHARE = 0.1
"""How often nothing is said to be voiced, so that noise alone says it as well."""
_LOUDER, _SOFTER = 0.6, 1.2
"""Nats by which a crop is louder or softer than recorded, at most."""
_UNACCUSTOMED_SHARE = 0.15
"""How often a voice is heard as by who has never heard it."""
_OFF = 0.1
"""Octaves by which the pitch of who speaks as somebody else is off the middle of theirs."""
_LEAST_SPREAD = 1e-3
_NEW = 0.3
"""How far from the middle of those known a speaker who is to be learnt begins, in lengths of a vector."""
_GREETINGS, _GREETING_S = 40, 4.0
"""Recordings by which a listener gets to know a voice, and seconds of each."""
_BLUR = 0.02
"""Spread of the noise on a speaker's vector, so that those between and beside are somebody as well."""


@dataclass(frozen=True)
class VoicePlan(TrainingPlan):
    """How to train a voice: the fields of `VoiceShape`, and the weights of its losses (`voice.losses`).

    `formants` stays small: an encoder that must not know where formants are cannot tell vowels, and with 0.15 a quarter
    of the words were lost (docs/voice.md).

    Raises:
        TrainingError: the crop is not a whole number of frames.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {
        "agreement": "consistency",
        "said": "latent_phones",
        "understood": "conversion_phones",
        "returned": "cycle",
        "relayed": "back_conversion",
    }

    data: tuple[str, ...] = option((), "Folders of recordings, voice:NAME, instrument:NAME, or spoken:NAME.")
    rate: int = option(16_000, "Sample rate of the model.", least=8000, unit="Hz")
    batch: int = option(8, "Crops per step and process.", least=2)
    crop: int = option(16_384, "Length of a crop.", least=2048, unit="samples")
    steps: int = option(12_000, "Number of training steps.", least=1)
    peak: float = option(2e-3, "Highest learning rate.", least=0.0)
    precision: str = option(
        "bf16-mixed", "Floating point format of the networks.", choices=("bf16-mixed", "16-mixed", "32-true")
    )
    start: str = option("", "A trained voice whose weights to start from; its speakers may be others. Empty: none.")
    phones: str = option("", "A trained phone classifier for the phone cross-entropies. Empty: none.")
    hop: int = option(128, "Samples per frame.", least=1, unit="samples")
    ahead: int = option(2, "Look-ahead of the encoder.", least=0, most=2, unit="frames")
    latents: int = option(12, "Dimensions of the latents.", least=1)
    width: int = option(128, "Channels of the encoder.", least=1)
    channels: int = option(160, "Channels of the decoder.", least=1)
    layers: int = option(6, "Layers of the decoder.", least=1)
    formants: float = option(0.05, "Largest random shift of the formants of the encoder's input.", 0.0, unit="octaves")
    kl: float = option(0.002, "Weight of the KL term.", least=0.0)
    consistency: float = option(0.01, "Weight of the distance of latents from those of perturbed input.", least=0.0)
    adversary: float = option(0.0, "Weight of the adversarial speaker classifier on the latents.", least=0.0)
    conversion: float = option(0.1, "Weight of the conversion loss: a classifier is to find the target.", least=0.0)
    latent_phones: float = option(0.1, "Weight of the phone cross-entropy of the latents.", least=0.0)
    conversion_phones: float = option(0.2, "Weight of the phone cross-entropy of converted speech.", least=0.0)
    cycle: float = option(0.05, "Weight of the cycle consistency of the latents of converted speech.", least=0.0)
    back_conversion: float = option(
        0.2, "Share of people's crops whose input the voice itself converts to a spoken:NAME first.", 0.0, 1.0
    )

    def __post_init__(self) -> None:
        if self.crop % self.hop:
            raise TrainingError(f"crops of {self.crop} samples: expected whole frames of {self.hop}")

    @property
    def instruments(self) -> tuple[str, ...]:
        """The speakers that say nothing: `instrument:NAME` among the data."""
        return self._named("instrument")

    @property
    def spoken(self) -> tuple[str, ...]:
        """The speakers that say the same in time with each other: `spoken:NAME` among the data."""
        return self._named("spoken")

    def _named(self, kind: str) -> tuple[str, ...]:
        return tuple(name for found, _, name in (place.partition(":") for place in self.data) if found == kind)

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


class VoiceModule(nn.Module):
    """A voice, the probe that tries to tell speakers by its latents, and the listener who does by what is sung."""

    def __init__(self, shape: VoiceShape) -> None:
        super().__init__()
        self.voice = Voice(shape)
        self.probe = Probe(shape.latents, shape.speakers)
        self.listener = Probe(self.voice.encoder.adaptation.channels, shape.speakers)
        self.reader = PhoneTeacher(shape.latents)


class Frames(nn.Module):
    """A series `(B, channels, n)` -> what is told by each frame and those beside it, `(B, width, n)`, at any scale."""

    def __init__(self, channels: int, width: int = 96) -> None:
        super().__init__()
        layers = [nn.Conv1d(channels, width, 5, padding=2), nn.Conv1d(width, width, 5, padding=4, dilation=2)]
        self.frames = nn.Sequential(*(part for layer in layers for part in (layer, nn.LeakyReLU(0.2))))

    def told(self, z: Tensor) -> Tensor:
        """Judge every frame, by a spread of one."""
        mean, spread = z.mean((0, 2), keepdim=True).detach(), z.std((0, 2), keepdim=True).detach()
        return cast(Tensor, self.frames((z - mean) / (spread + _LEAST_SPREAD)))


class Probe(Frames):
    """A series `(B, channels, n)` -> what it tells of the speaker, logits `(B, speakers)`, whatever its scale."""

    def __init__(self, channels: int, speakers: int, width: int = 96) -> None:
        super().__init__(channels, width)
        self.out = nn.Linear(2 * width, speakers)

    def forward(self, z: Tensor) -> Tensor:
        """Judge by the mean and the spread of what is in the frames."""
        frames = self.told(z)
        return cast(Tensor, self.out(torch.cat([frames.mean(2), frames.std(2)], 1)))


class PhoneTeacher(Frames):
    """A series `(B, channels, n)` -> which of `PHONES` each frame says, logits `(B, len(PHONES), n)`."""

    def __init__(self, channels: int, width: int = 96) -> None:
        super().__init__(channels, width)
        self.out = nn.Conv1d(width, len(PHONES), 1)

    def forward(self, z: Tensor) -> Tensor:
        """Judge every frame by those beside it."""
        return cast(Tensor, self.out(self.told(z)))


def at_rest(judge: nn.Module, z: Tensor) -> Any:
    """Return what a judge says, who does not learn from it."""
    weights = {name: value.detach() for name, value in judge.named_parameters()}
    return functional_call(judge, weights, (z,))


class Rendering(NamedTuple):
    """A batch as the voice is told it: the sound to be sung `(B, 1, T)`, speakers' vectors, prosody, adapted frames.

    `frames` are those of the ear of what was recorded, that nobody is accustomed to, and `said` they adapted; `relayed`
    `(B,)` is where `shapes` are not `said`.
    """

    sound: Tensor
    speaker: Tensor
    prosody: Tensor
    shapes: Tensor
    frames: Tensor
    said: Tensor
    relayed: Tensor


class VoiceTraining(Training):
    """A voice in training on a corpus; the loss is in distances per frame."""

    plan: VoicePlan
    net: VoiceModule

    def __init__(self, plan: VoicePlan, corpus: Corpus) -> None:
        torch.manual_seed(plan.seed)
        net = VoiceModule(plan.shape(len(corpus.speakers)))
        series = functools.cache(lambda recording: prosody(recording, plan.rate, plan.hop))
        known = acquainted(net.voice, corpus, series)
        silent = torch.tensor([speaker in plan.instruments for speaker in corpus.speakers])
        spoken = torch.tensor([speaker in plan.spoken for speaker in corpus.speakers])
        if plan.start:
            _begin_as(net.voice, Path(plan.start), corpus.speakers)
        net.voice.encoder.adaptation.usual.copy_(known.moments[~silent].mean(0))
        super().__init__(net, plan)
        self._corpus, self._acquainted, self._silent, self._spoken = corpus, known, silent, spoken
        self._teacher = _hears_phones(plan)
        self._cutter = Cutter(corpus.speakers, plan.crop, 0, plan.hop, series=series, after=net.voice.delay)

    @property
    def judged_names(self) -> tuple[str, ...]:
        """The speakers that have held-out recordings."""
        return tuple(self._corpus.examples)

    @property
    def voice(self) -> Voice:
        """The voice with averaged weights."""
        return cast(VoiceModule, self.averaged).voice

    @property
    def usual_hz(self) -> dict[str, float]:
        """The speakers' median pitch in Hz."""
        hz = (MIDDLE_HZ * self._acquainted.middles.exp2()).tolist()
        return dict(zip(self._corpus.speakers, (round(one, 1) for one in hz), strict=True))

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return the bound's loss per frame; while training, of what is disguised, and with the probe's."""
        trainee = cast(VoiceModule, net)
        voice, sung = trainee.voice, self._sung(trainee.voice, batch)
        plain = _encoded(voice, sung.said)
        place = torch.zeros(len(batch.sound), 1, dtype=torch.int64, device=batch.sound.device)
        if not self.training:
            envelopes = _envelopes(voice, plain.mean, sung.speaker, sung.prosody)
            return self._cost(bound_of(voice, sung, plain, plain.mean, envelopes, place))
        posterior = _encoded(voice, disguised(sung.shapes, voice.shape.bands, voice.shape.rate, self.plan.formants))
        z = posterior.rsample()
        z = torch.where(sung.relayed[:, None, None], z.detach(), z)  # what is not clearly said teaches no hearing
        silent = self._silent.to(z.device)[batch.speaker]
        others = silent & _chance(batch, _OTHERS_SHARE)
        said = torch.where(others[:, None, None], z.roll(1, 0).detach(), z)
        envelopes = _envelopes(voice, said, sung.speaker, sung.prosody)
        bound = bound_of(voice, sung, posterior, said, envelopes, place.random_(1 << 17))
        apart = F.smooth_l1_loss(posterior.mean, plain.mean, reduction="none").sum(1).mean()
        told = self._told(sung.said)[:, :, voice.encoder.delay :]
        return (
            self._cost(bound)
            + self.plan.consistency * apart
            + self._probed(trainee, plain.mean[~silent], batch.told[~silent])
            + self.plan.latent_phones * _misread(trainee.reader(z), told, ~silent)
            + self._converted(trainee, sung, plain.mean.detach(), told, batch.told)
        )

    def _cost(self, bound: Bound) -> Tensor:
        """Return the loss of a bound per frame."""
        return bound.loss(self.plan.kl) / bound.z.shape[2]

    def _probed(self, trainee: VoiceModule, z: Tensor, speaker: Tensor) -> Tensor:
        """Return how wrong the probe is of people, and by how much the encoder does not leave it at a loss."""
        if len(z) < 2:
            return z.new_zeros(())
        learnt = F.cross_entropy(trainee.probe(z.detach()), speaker)
        told: Tensor = at_rest(trainee.probe, z)[:, ~self._silent.to(z.device)].log_softmax(1)
        return learnt + self.plan.adversary * (-told.mean() - math.log(told.shape[1]))

    @torch.no_grad()
    def _told(self, shapes: Tensor) -> Tensor:
        """Return how likely each of `PHONES` is, by adapted frames: nothing where nobody can tell."""
        if self._teacher is None:
            return shapes.new_zeros(shapes.shape[0], len(PHONES), shapes.shape[2])
        return self._teacher(shapes).softmax(1)

    def _converted(self, trainee: VoiceModule, sung: Rendering, z: Tensor, told: Tensor, speaker: Tensor) -> Tensor:
        """Return how wrong the listener is of who spoke, and how little those who speak as others pass for them.

        `told` is which phones are said. None of it teaches the encoder: with latents that learn from it, nothing is
        said in the end.
        """
        voice, count = trainee.voice, trainee.voice.shape.speakers
        people = ~self._silent.to(z.device)[speaker]
        if count < 2 or int(people.sum()) < 2:
            return z.new_zeros(())
        source = speaker[people]
        target = (source + torch.randint(1, count, source.shape, device=z.device)) % count
        frames = self._as_another(voice, z[people], sung.prosody[people], source, target)
        own, other = _as_by_a_stranger(voice, sung.frames), _as_by_a_stranger(voice, frames)
        guessed = trainee.listener(torch.cat([own[:, :, : other.shape[2]], other.detach()]))
        learnt = F.cross_entropy(guessed, torch.cat([speaker, source]))
        taken = F.cross_entropy(at_rest(trainee.listener, other), target)
        # An instrument says nothing.
        speaks = ~self._silent.to(z.device)[target]
        if not speaks.any():
            return learnt + self.plan.conversion * taken
        shapes = _adapted(voice, frames[speaks], self._knowing(voice, frames[speaks], target[speaks]))
        kept = self._kept(voice, shapes, z[people][speaks], told[people][speaks])
        return learnt + self.plan.conversion * taken + kept * speaks.float().mean()

    def _kept(self, voice: Voice, shapes: Tensor, z: Tensor, told: Tensor) -> Tensor:
        """Return how little of what was to be said, latents and phones, is heard in frames, without the last ones."""
        late = voice.encoder.delay
        z, told = z[:, :, :-late] if late else z, told[:, :, :-late] if late else told
        heard = gaussian(at_rest(voice.encoder.layers, shapes)[0][:, :, late:].float()).mean
        spread = z.std((0, 2), keepdim=True) + _LEAST_SPREAD
        changed = F.smooth_l1_loss(heard / spread, z / spread, reduction="none").sum(1).mean()
        if self._teacher is None:
            return self.plan.cycle * changed
        misheard = _misread(self._teacher(shapes)[:, :, late:], told)
        return self.plan.cycle * changed + self.plan.conversion_phones * misheard

    def crops(self, rank: int, processes: int) -> Dataset[Batch]:
        """Return crops of the recordings that may be trained on; of the cast any who say the same in time are heard."""
        together: defaultdict[str, list[Recording]] = defaultdict(list)
        for recording in self._corpus.training:
            if recording.speaker in self.plan.spoken:
                together[recording.name].append(recording)

        def chorus(recording: Recording) -> Sequence[Recording]:
            return together[recording.name] if recording.speaker in self.plan.spoken else ()

        drawn = self._corpus.training, self._cutter
        return Crops(*drawn, self.plan.batch, self.plan.seed, rank, processes, chorus)

    def judged(self) -> ValidationBatch:
        """Return crops of the held-out recordings, a batch per speaker."""
        return ValidationBatch(self._corpus.held_out, self._cutter, JUDGED)

    def _sung(self, voice: Voice, batch: Batch) -> Rendering:
        """Return what the voice hears and is told; while training, louder or softer, blurred, or whispered."""
        x, heard, intoned, speaker = (
            batch.sound[:, :, 1:],
            batch.heard[:, :, 1:],
            batch.local,
            voice.table[batch.speaker],
        )
        if self.training:
            gain = (torch.rand(len(x), 1, 1, device=x.device) * (_LOUDER + _SOFTER) - _SOFTER).exp()
            x, heard = x * gain, heard * gain
            speaker = speaker + _BLUR * torch.randn_like(speaker)
            octaves, voicing = intoned.chunk(2, 1)
            intoned = torch.cat([octaves, voicing * ~_chance(batch, _WHISPERED_SHARE)[:, None, None]], 1)
        with torch.no_grad(), _exactly(x):
            frames, _ = voice.encoder.ear(heard)
            said = _adapted(voice, frames, self._accustomed(voice, frames, batch))
            loudness = voice.loudness(x)[0][:, :, voice.encoder.delay :]
        told = torch.cat([intoned, loudness], 1)
        relayed = self._to_be_relayed(batch) if self.training else torch.zeros_like(batch.told, dtype=torch.bool)
        shapes = self._relayed(voice, said, told, batch.told, relayed)
        return Rendering(x[:, :, : self.plan.crop], speaker, told, shapes, frames, said, relayed)

    def _to_be_relayed(self, batch: Batch) -> Tensor:
        """Return for each crop whether it is to be heard in one of the cast's throats."""
        if not self._spoken.any():
            return torch.zeros_like(batch.told, dtype=torch.bool)
        recorded = ~(self._silent | self._spoken)
        return recorded.to(batch.told.device)[batch.told] & _chance(batch, self.plan.back_conversion)

    @torch.no_grad()
    def _relayed(self, voice: Voice, said: Tensor, prosody: Tensor, speaker: Tensor, which: Tensor) -> Tensor:
        """Return adapted frames, some of them of what the voice makes one of the cast say."""
        if not which.any():
            return said
        source, throats = speaker[which], self._spoken.nonzero()[:, 0].to(speaker.device)
        target = throats[torch.randint(len(throats), source.shape, device=throats.device)]
        frames = self._as_another(voice, _encoded(voice, said[which]).mean, prosody[which], source, target)
        frames = F.pad(frames, (0, voice.encoder.delay), mode="replicate")
        shapes = said.clone()
        shapes[which] = _adapted(voice, frames, self._knowing(voice, frames, target))
        return shapes

    def _as_another(self, voice: Voice, z: Tensor, prosody: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Return the ear's frames of what one says, sung by another at about the other's pitch."""
        middles = self._acquainted.middles.to(z.device)
        rise = middles[target] - middles[source] + _OFF * torch.randn_like(middles[target])
        prosody = prosody + F.pad(rise[:, None, None], (0, 0, 0, PROSODY - 1))
        return _heard_again(voice, _envelopes(voice, z, voice.table[target], prosody), prosody)

    def _accustomed(self, voice: Voice, frames: Tensor, batch: Batch) -> State:
        """Return the state of who knows each crop's voice well; while training, now and then not at all."""
        known = self._knowing(voice, frames, batch.told)
        if not self.training:
            return known
        new, strange = (
            _chance(batch, _UNACCUSTOMED_SHARE)[:, None, None],
            voice.encoder.adaptation.initial_state(frames),
        )
        return tuple(torch.where(new, *both) for both in zip(strange, known, strict=True))

    def _knowing(self, voice: Voice, frames: Tensor, speaker: Tensor) -> State:
        """Return the state of who knows each speaker's voice well."""
        return _expecting(voice, frames, self._acquainted.moments.to(frames)[speaker])


@torch.no_grad()
def _begin_as(voice: Voice, start: Path, speakers: Sequence[str]) -> None:
    """Give a voice of some speakers the weights of another: it knows those that the other knows by name.

    Raises:
        TrainingError: it is made otherwise.
        CheckpointError: the file is no voice.
    """
    known, card = load(start, "voice")
    weights = known.state_dict()
    table = weights["table"]
    strangers = table.mean(0) + _NEW * voice.table
    weights["table"] = torch.stack(
        [
            table[card.speakers.index(name)] if name in card.speakers else stranger
            for name, stranger in zip(speakers, strangers, strict=True)
        ]
    )
    try:
        voice.load_state_dict(weights)
    except RuntimeError as error:
        raise TrainingError(f"{start}: a voice made otherwise than the plan says ({error})") from None


class MeanSpeaker(NamedTuple):
    """What is known of each speaker from some minutes: the moments of frames `(speakers, 2 C)`, the middle octave."""

    moments: Tensor
    middles: Tensor


@torch.no_grad()
def acquainted(voice: Voice, corpus: Corpus, series: Series) -> MeanSpeaker:
    """Return what is known of each speaker of a corpus from recordings that may be trained on."""
    moments, middles = [], []
    for speaker in corpus.speakers:
        own = spread_evenly([r for r in corpus.training if r.speaker == speaker], _GREETINGS)
        moments.append(moments_of(voice, own))
        told = np.concatenate([series(recording) for recording in own])
        voiced = told[told[:, 1] >= 0.5, 0]
        middles.append(float(np.median(voiced)) if len(voiced) else 0.0)
    return MeanSpeaker(torch.stack(moments), torch.tensor(middles))


def moments_of(voice: Voice, recordings: Sequence[Recording]) -> Tensor:
    """Return the moments of what is heard in some recordings, `(2 C,)`."""
    shape = voice.shape
    listener = SpeakerNormalisation(shape.bands, voice.encoder.adaptation.channels - shape.bands, memory=math.inf)
    state: State | None = None
    for recording in recordings:
        samples = torch.from_numpy(sound(recording, 0, round(_GREETING_S * shape.rate)))
        frames = voice.heard(samples[: len(samples) // shape.hop * shape.hop][None, None])
        _, state = listener(frames, state)
    assert state is not None
    return state[2][0, :, 0]


def _hears_phones(plan: VoicePlan) -> Callable[[Tensor], Tensor] | None:
    """Return what gives the logits of `PHONES` by adapted frames, if the plan has it.

    Raises:
        TrainingError: it hears other frames than the voice does.
        CheckpointError: the file is no such thing.
    """
    if not plan.phones:
        return None
    phones, card = load(Path(plan.phones), "phones")
    if (card.rate, card.hop) != (plan.rate, plan.hop):
        raise TrainingError(
            f"{plan.phones}: tells phones at {card.rate} Hz in frames of {card.hop} samples, "
            f"the voice is of {plan.rate} Hz and {plan.hop}; expected the same"
        )
    frozen = cast(PhoneClassifier, phones.eval().requires_grad_(False))

    def logits(frames: Tensor) -> Tensor:
        even = F.pad(frames, (0, frames.shape[2] % 2))
        return cast(Tensor, frozen.to(frames.device)(even)).float()[:, :, : frames.shape[2]]

    return logits


def _misread(logits: Tensor, told: Tensor, which: Tensor | None = None) -> Tensor:
    """Return how wrong somebody is of the phones that are told, in nats a frame, of those examples."""
    wrong = -(told * logits.log_softmax(1)).sum(1).mean(1)
    return (wrong if which is None else wrong * which).mean()


def _encoded(voice: Voice, shapes: Tensor) -> Normal:
    """Return the distribution of the latents of adapted frames."""
    return gaussian(voice.encoder.layers(shapes)[0][:, :, voice.encoder.delay :].float())


def _envelopes(voice: Voice, z: Tensor, speaker: Tensor, prosody: Tensor) -> Tensor:
    """Return what the decoder's network makes of latents, `(B, envelopes, n)`."""
    return cast(Tensor, voice.decoder.network(z, None, speaker, prosody)[0].float())


def _heard_again(voice: Voice, envelopes: Tensor, prosody: Tensor) -> Tensor:
    """Return the ear's frames of what is sung, `(B, channels, n)`."""
    with _exactly(envelopes):
        place = torch.zeros(len(envelopes), 1, dtype=torch.int64, device=envelopes.device).random_(1 << 17)
        return cast(Tensor, voice.encoder.ear(_sounding(voice, envelopes, prosody, place))[0])


def _as_by_a_stranger(voice: Voice, frames: Tensor) -> Tensor:
    """Return frames adapted as by who knows people, but nobody of them."""
    usual = voice.encoder.adaptation.usual.to(frames).repeat(len(frames), 1)
    return _adapted(voice, frames, _expecting(voice, frames, usual))


def _expecting(voice: Voice, frames: Tensor, moments: Tensor) -> State:
    """Return the state of who is well used to such moments `(B, 2 * channels)`, and to how loud frames are."""
    adaptation = voice.encoder.adaptation
    loudest = adaptation.level(frames.detach()).amax((1, 2))
    return adaptation.accustomed(moments, loudest, adaptation.memory)


def _adapted(voice: Voice, frames: Tensor, known: State) -> Tensor:
    """Return frames as heard by who knows so much."""
    with _exactly(frames):
        return cast(Tensor, voice.encoder.adaptation(frames, known)[0])


def bound_of(
    voice: Voice, sung: Rendering, posterior: Distribution, z: Tensor, envelopes: Tensor, noise: Tensor
) -> Bound:
    """Return the bound of what is sung with latents `z`, beginning at a place `(B, 1)` in the noise."""
    with _exactly(z):
        likelihood = Spectra(_sounding(voice, envelopes, sung.prosody, noise), z.shape[2]).log_prob(sung.sound)
    return Bound(likelihood, closed_kl(posterior, voice.prior(), z), z)


def _sounding(voice: Voice, envelopes: Tensor, prosody: Tensor, noise: Tensor) -> Tensor:
    """Return the sound of envelopes, beginning at a place `(B, 1)` in the noise, `(B, 1, T)`."""
    state = (*voice.decoder.initial_state(envelopes)[-SOUNDING:-1], noise)
    said, _ = voice.decoder.sing(envelopes, state, prosody, envelopes.new_zeros(len(envelopes), COLOUR))
    return said


def _exactly(x: Tensor) -> torch.autocast:
    """Return a context in which precision is whole, whatever the plan's is: sound is worth its 24 bits."""
    return torch.autocast(x.device.type, enabled=False)


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
        notes = {USUAL_PITCH: training.usual_hz, "instruments": list(plan.instruments)}
        save(folder.model, voice, replace(_card(voice, plan, corpus, step, scores), notes=notes))
        if sample_s:
            write_sounds(_examples(voice, corpus, sample_s), plan.rate, folder.at / "samples" / f"step-{step:07d}")

    fit(training, folder, machine, write, tell)
    save_explained(folder.model, corpus)


def save_explained(path: Path, corpus: Corpus) -> None:
    """Name and arrange the latents of a voice in a file, and note where speakers' lie."""
    loaded, card = load(path, "voice")
    voice = cast(Voice, loaded)
    save(path, voice, explained(card, encoder_of(voice, corpus), functools.partial(arrange, voice), corpus))


def _examples(voice: Voice, corpus: Corpus, seconds: float) -> dict[str, Audio]:
    """Return the beginning of a held-out recording per speaker, sung again."""
    frames = round(seconds * corpus.rate)
    return {
        speaker: sung_again(voice, recording, voice.table[corpus.speakers.index(speaker)][None], frames)
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
