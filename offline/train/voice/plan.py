"""How a voice is trained: its data, its shape, and the weights of its losses. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gramophone.offline.train.plan import TrainingError, TrainingPlan, option

if TYPE_CHECKING:
    from gramophone.models.nets.voice import VoiceShape


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
        """Names of the speakers without speech: `instrument:NAME` among the data."""
        return self._named("instrument")

    @property
    def spoken(self) -> tuple[str, ...]:
        """Names of the speakers with parallel, time-aligned recordings: `spoken:NAME` among the data."""
        return self._named("spoken")

    def _named(self, kind: str) -> tuple[str, ...]:
        return tuple(name for found, _, name in (place.partition(":") for place in self.data) if found == kind)

    def shape(self, speakers: int) -> VoiceShape:
        """Return the shape of a model for this number of speakers."""
        from gramophone.models.nets.voice import VoiceShape

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
