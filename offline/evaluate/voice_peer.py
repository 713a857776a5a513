"""`gramophone evaluate voice-peer`: another maker's codec, on the phrases and by the scores of `evaluate voice`.

The codec is a TorchScript file with methods `encode` and `decode`, as RAVE (Caillon and Esling 2021) exports it and nn~
takes it. It has no conditions such as pitch, loudness or speaker. A phrase is converted by transporting its latents
from the Gaussian of the source's to that of the target's; its pitch is not transposed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gramophone.models.style.gaussian import Gaussian, moments
from gramophone.models.style.transport import transport
from gramophone.offline.data.mono_audio import Sound
from gramophone.offline.evaluate.base import EvaluationError, report
from gramophone.offline.evaluate.voice import print_scores
from gramophone.offline.evaluate.voice_cases import Conversion, EvaluatedPhrase, VoiceCases, VoiceScore
from gramophone.offline.train.voice.resynthesis import clip

_USUAL_S = 120.0
"""Seconds of a speaker's training recordings from which the Gaussian of its latents is estimated."""
_TIMED_S, _WARM = 10.0, 8
"""Seconds of sound that are timed in blocks, and how many blocks go before them."""


class Peer:
    """A codec in TorchScript without conditions; a latent frame is of `hop` samples.

    Raises:
        EvaluationError: the file is no such codec of mono sound.
    """

    def __init__(self, path: Path) -> None:
        try:
            model = torch.jit.load(path, "cpu").eval()  # type: ignore[no-untyped-call]
            channels, _, self.latents, self.hop = (int(number) for number in model.encode_params)
            self._model, self._encode, self._decode = model, model.encode, model.decode
        except (OSError, RuntimeError, ValueError, AttributeError) as error:
            why = str(error).strip().partition("\n")[0]
            raise EvaluationError(
                f"{path}: expected TorchScript with encode and decode, as nn~ takes ({why})"
            ) from None
        if channels != 1:
            raise EvaluationError(f"{path}: a codec of {channels} channels; expected 1")

    @property
    def parameters(self) -> int:
        """The number of trained parameters."""
        return sum(parameter.numel() for parameter in self._model.parameters())

    @torch.no_grad()
    def encode(self, samples: Sound) -> Tensor:
        """Return the latents of a sound, `(n, D)`; its random numbers are the same each time."""
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            z: Tensor = self._encode(torch.from_numpy(np.pad(samples, (0, -len(samples) % self.hop)))[None, None])
        return z[0].t()

    @torch.no_grad()
    def decode(self, z: Tensor) -> Sound:
        """Return the sound of latents `(n, D)`, `(n * hop,)`."""
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            said: Tensor = self._decode(z.t()[None])
        samples: Sound = said[0, 0].clamp(-1, 1).numpy()
        return samples

    def latent_gaussian(self, samples: Sound) -> Gaussian:
        """Return the Gaussian of the latents of a sound."""
        return moments(self.encode(samples)).gaussian()

    def resynthesis(self, samples: Sound) -> Sound:
        """Return a sound through the codec and back, of its length."""
        return self.decode(self.encode(samples))[: len(samples)]

    def transported(self, samples: Sound, source: Gaussian, target: Gaussian) -> Sound:
        """Return a sound with its latents transported from the source's Gaussian to the target's."""
        moved = transport(source, target)(self.encode(samples).numpy())
        return self.decode(torch.from_numpy(moved))[: len(samples)]


class PeerCases(VoiceCases):
    """The cases of a voice, decoded by a peer."""

    def __init__(self, peer: Peer, voice: Path, data: Sequence[str], phrases: int) -> None:
        super().__init__(voice, data, phrases)
        self._peer = peer
        self._gaussians = {name: peer.latent_gaussian(clip(self.corpus, name, _USUAL_S)) for name in self.speakers}

    def conversion(
        self, phrase: EvaluatedPhrase, target: str, vector: Tensor, middle: float, usual: Gaussian | None
    ) -> Conversion:
        """Return a phrase to be converted to a target at its own pitch."""
        return Conversion(phrase, phrase.z, target, vector)

    def decoded(self, conversion: Conversion) -> Sound:
        """Return the sound of a conversion by the peer, `(T,)`."""
        phrase, target = conversion.phrase, conversion.target
        source, samples = phrase.judged.speaker, phrase.judged.sound
        if target == source:
            return self._peer.resynthesis(samples)
        return self._peer.transported(samples, self._gaussians[source], self._gaussians[target])


@dataclass(frozen=True)
class Speed:
    """How fast a codec is in blocks, fed as live sound is: times real time, and the slowest 5 % against their block."""

    block: int
    times_real: float
    slow: float


@dataclass(frozen=True)
class PeerReport:
    """The scores of a peer, its size, and its speed on one core."""

    resynthesis: VoiceScore
    conversion: VoiceScore | None
    instruments: VoiceScore | None
    parameters: int
    file_mb: float
    speed: Speed


def speed(peer: Peer, rate: int) -> Speed:
    """Return how fast a codec is on one core in blocks of a latent frame, the least that it takes."""
    blocks = np.random.default_rng(0).normal(0, 0.05, (round(_TIMED_S * rate / peer.hop) + _WARM, peer.hop))
    threads, spent = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        for block in blocks.astype(np.float32):
            began = time.perf_counter()
            peer.decode(peer.encode(block))
            spent.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)
    shares = np.array(spent[_WARM:]) * rate / peer.hop
    return Speed(peer.hop, float(1 / shares.mean()), float(np.quantile(shares, 0.95)))


def run(model: Path, voice: Path, data: Sequence[str], phrases: int, *, json: bool) -> None:
    """Evaluate a peer on a voice's phrases and print.

    Raises:
        EvaluationError: the file is no codec, or no recordings are given or known.
        MissingLibraryError: a model of the evaluation is not installed.
        CheckpointError: the voice is none.
        DataError: there are no held-out recordings of its speakers.
    """
    peer = Peer(model)
    cases = PeerCases(peer, voice, data, phrases)
    resynthesis = cases.score(cases.resyntheses())
    assert resynthesis is not None
    found = PeerReport(
        resynthesis,
        cases.score(cases.conversions(cases.people, cases.people)),
        cases.score(cases.conversions(cases.speakers, cases.instruments)),
        peer.parameters,
        model.stat().st_size / 1e6,
        speed(peer, cases.corpus.rate),
    )

    def show() -> None:
        print_scores(found, ("resynthesis", "conversion", "instruments", "speed"))
        print(f"{found.parameters:,} parameters, {found.file_mb:.1f} MB")

    report(asdict(found), json=json, show=show)
