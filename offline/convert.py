"""One person's speech as another's, from a clip of the other: `python -m gramophone.offline.convert SOURCE TARGET OUT`.

Closed form, without training: content (`ContentFeatures`: the causal encoder's, or the whole recogniser's) is mapped to
the target's envelopes (`models.nets.enrolment`), which WORLD measures; harmonics and noise make the sound, with the
source's rhythm, loudness and intonation in the target's range.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gramophone.models.checkpoint import CheckpointError, load
from gramophone.models.nets.anyone import Anyone
from gramophone.models.nets.content import ContentEncoder, content_of
from gramophone.models.nets.enrolment import (
    Enrolment,
    Speech,
    attend,
    converted,
    converted_octaves,
    enrolled,
    speaker_map,
    unexplained,
    universal_map,
)
from gramophone.models.nets.envelope_decoder import EnvelopeDecoder, EnvelopeDecoderShape
from gramophone.offline.data.corpora import load as load_sound
from gramophone.offline.data.mono_audio import RATE, Sound, levelled
from gramophone.offline.data.moonshine import FIRST, STRIDE, Moonshine
from gramophone.offline.data.world import HOP, POINTS, loudness, vocoded

CAUSAL = (-9, -6, -3, 0)
"""Frames of content, 8 ms each, that an envelope follows live; the content itself is 24 ms late."""
AROUND = (-8, -4, 0, 4, 8)
"""The same where the future is known."""
_AUDIBLE_DB = -35.0
_TEMPERATURE = 0.2
ContentFeatures = Callable[[Sound], NDArray[np.float32]]
"""Content `(n, D)` of a sound at 16 kHz, for the middle of each of its hops of 128 samples."""


def recogniser_content() -> ContentFeatures:
    """Return the whole recogniser's content: it hears past and future."""
    teacher = Moonshine()

    def content(sound: Sound) -> NDArray[np.float32]:
        features = teacher.features(sound)
        places = (((np.arange(len(sound) // HOP) + 0.5) * HOP - FIRST) / STRIDE).clip(0, len(features) - 1)
        below = np.floor(places).astype(int)
        share = (places - below)[:, None]
        above = np.minimum(below + 1, len(features) - 1)
        return np.asarray(features[below] * (1 - share) + features[above] * share, np.float32)

    return content


def encoder_in(path: Path) -> ContentEncoder:
    """Return the content encoder of a file: it is one, or a model of `anyone`, which holds one.

    Raises:
        CheckpointError: the file is no content encoder.
    """
    model = load(path)[0]
    encoder = model.encoder if isinstance(model, Anyone) else model
    if not isinstance(encoder, ContentEncoder):
        raise CheckpointError(f"{path}: no content encoder")
    return encoder


def encoder_content(path: Path) -> ContentFeatures:
    """Return a causal encoder's content, as it says it once it is accustomed to the speaker of a sound.

    The file is a content encoder's or that of `anyone`, which holds one.

    Raises:
        CheckpointError: the file is no content encoder.
    """
    encoder = encoder_in(path)

    def content(sound: Sound) -> NDArray[np.float32]:
        return np.asarray(content_of(encoder, torch.from_numpy(sound[: len(sound) // HOP * HOP])).numpy())

    return content


@dataclass(frozen=True)
class Measured:
    """A sound as it is measured once for all conversions: for enrolment, and each frame's RMS `(n,)`."""

    speech: Speech
    loudness: NDArray[np.float64]


def measured(sound: Sound, content: ContentFeatures) -> Measured:
    """Return the measurements of speech at 16 kHz."""
    sound = levelled(sound)
    vocoder = vocoded(sound)
    level = loudness(vocoder)
    decibels = 20 * np.log10(np.maximum(level, 1e-12))
    speech = Speech(
        torch.from_numpy(content(sound)),
        torch.from_numpy(vocoder.coded).float(),
        torch.from_numpy(vocoder.octaves).float(),
        torch.from_numpy(decibels > np.percentile(decibels, 95) + _AUDIBLE_DB),
    )
    return Measured(speech, level)


def joined(parts: Sequence[Measured]) -> Speech:
    """Return several recordings' measurements as one clip's."""
    return Speech(*(torch.cat([getattr(part.speech, name) for part in parts]) for name in Speech.__dataclass_fields__))


@dataclass(frozen=True)
class ClosedFormConversion:
    """From a source to a target: the two, the map of each, and the frames that the maps' inputs are around each frame.

    A share of `attention` of the envelope is the target's centroids' instead of the map's.
    """

    source: Enrolment
    target: Enrolment
    source_map: torch.Tensor
    target_map: torch.Tensor
    context: Sequence[int]
    attention: float = 0.0

    def __call__(self, phrase: Measured) -> Sound:
        """Return what the source says in a phrase as the target, as loud as it was frame by frame."""
        speech = phrase.speech
        envelopes = converted(speech, self.source, self.target, self.target_map, self.context)
        if self.attention:
            near = attend(self.source.content(speech.content), self.target, _TEMPERATURE)
            envelopes = torch.lerp(envelopes, self.target.envelopes(near), self.attention)
        envelopes = envelopes + unexplained(speech, self.source, self.source_map, self.context)
        return spoken(envelopes, converted_octaves(speech.octaves, self.source, self.target), phrase.loudness)


@torch.no_grad()
def spoken(envelopes: torch.Tensor, octaves: torch.Tensor, loudness: NDArray[np.float64]) -> Sound:
    """Return the sound of envelopes `(n, POINTS + 1)`, pitch `(n,)` and each frame's RMS `(n,)`."""
    hz = torch.where(octaves.isnan(), 0.0, octaves.nan_to_num().exp2())
    decoder = EnvelopeDecoder(EnvelopeDecoderShape(RATE, HOP, POINTS))
    rms = torch.from_numpy(loudness).float()
    sound, _ = decoder(envelopes.t()[None], None, hz[None, None], rms[None, None])
    return np.asarray(sound[0, 0].numpy())


def main() -> None:
    """Convert a file."""
    parser = argparse.ArgumentParser(description="Say what SOURCE says as the person in TARGET.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--encoder", type=Path, help="a causal content encoder; else the whole recogniser hears")
    parser.add_argument("--prior", type=Path, nargs="*", default=[], help="sounds of others, one file a speaker")
    parser.add_argument("--shrinkage", type=float, default=1000.0, help="frames that the universal map counts as")
    arguments = parser.parse_args()
    import soundfile

    context = CAUSAL if arguments.encoder else AROUND
    content = encoder_content(arguments.encoder) if arguments.encoder else recogniser_content()
    source = measured(load_sound(arguments.source, RATE), content)
    paths = [arguments.target, *arguments.prior]
    target, *others = (enrolled(measured(load_sound(path, RATE), content).speech, context) for path in paths)
    speaker = enrolled(source.speech, context)
    universal = universal_map([speaker, target, *others])
    own, wanted = (speaker_map(one, universal, arguments.shrinkage) for one in (speaker, target))
    convert = ClosedFormConversion(speaker, target, own, wanted, context)
    soundfile.write(arguments.out, levelled(convert(source)), RATE)


if __name__ == "__main__":
    main()
