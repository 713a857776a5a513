"""The model of anybody's voice, from a content encoder: `python -m gramophone.offline.recipes.anyone ENCODER OUT`.

The universal map is fitted to real people, Festival's voices and the crowd of Kokoro's that is in the cache (`--crowd`
of them at most); the voices that it knows are the real people's and Kokoro's cast. It takes minutes, and no training.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import cast

import numpy as np
import torch

from gramophone.models.checkpoint import Card, load, save
from gramophone.models.nets.anyone import Anyone, AnyoneShape
from gramophone.models.nets.content import ContentEncoder
from gramophone.models.nets.enrolment import Enrolment, enrolled, universal_map
from gramophone.offline.data import corpora
from gramophone.offline.data.corpora import load as load_sound
from gramophone.offline.data.corpus import gather, sound
from gramophone.offline.data.mono_audio import RATE, Sound, levelled
from gramophone.offline.data.recording import spread_evenly
from gramophone.realtime.stages.voice.clip import speech_in
from gramophone.realtime.stages.voice.target import IDENTITY
from gramophone.realtime.system.cache_folder import cache_folder

_PEOPLE = (*corpora.PEOPLE, "dutch-big-fish", "dutch-small-fish")
_SECONDS = 45.0
_RECORDINGS = 40
_LEAST_S = 1.0


def main() -> None:
    """Make the model."""
    parser = argparse.ArgumentParser(description="Fit the universal map and the known voices.")
    parser.add_argument("encoder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--crowd", type=int, default=200, help="how many of Kokoro's speakers at most")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    encoder, card = load(arguments.encoder, "content")
    model, card = fitted(cast(ContentEncoder, encoder), card, arguments.crowd)
    model.encoder.trunk.half()  # loaded as single precision again
    save(arguments.out, model, card)


def fitted(encoder: ContentEncoder, card: Card, size: int) -> tuple[Anyone, Card]:
    """Return the model for an encoder, and its card by the encoder's."""
    shape = AnyoneShape(**asdict(encoder.shape))
    model = Anyone(shape)
    model.encoder.load_state_dict(encoder.state_dict())
    speeches = {name: speech_in(model, np.concatenate(sounds)) for name, sounds in _speakers(size)}
    speakers = {name: enrolled(speech, shape.context, 2) for name, speech in speeches.items()}
    _set_usual(model, list(speakers.values()))
    known = [name for name in speakers if name in _PEOPLE]
    voices = [model.voice(model.enrolled(speeches[name])) for name in known]
    whole = Anyone(AnyoneShape(**(asdict(shape) | {"voices": len(known)})))
    weights = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("voice_")}
    whole.load_state_dict(whole.state_dict() | weights)
    whole.set_known(voices)
    hop, delay = shape.hop, shape.ahead * shape.hop
    return whole.eval(), Card(
        shape.rate,
        hop,
        delay,
        tuple(known),
        data=card.data,
        licence=card.licence,
        steps=card.steps,
        scores=card.scores,
        notes={IDENTITY: _identity(whole)},
    )


def _identity(model: Anyone) -> str:
    """Return what tells models apart: voices enrolled with one are no use with another."""
    digest = hashlib.blake2b(digest_size=8)
    for tensor in (*model.encoder.state_dict().values(), model.universal):
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _set_usual(model: Anyone, speakers: Sequence[Enrolment]) -> None:
    """Fit the universal map and the usual statistics."""
    model.universal.copy_(universal_map(speakers))
    for moments, kind in ((model.content_moments, "content"), (model.envelope_moments, "envelope")):
        for row, statistic in zip(moments, ("mean", "spread"), strict=True):
            row.copy_(torch.stack([getattr(one, f"{kind}_{statistic}") for one in speakers]).mean(0))


def people() -> Iterator[tuple[str, list[Sound]]]:
    """Yield the names of the people whom the model knows, and 45 s of each one's recordings that are not held out."""
    corpus = gather([f"voice:{name}" for name in _PEOPLE], RATE)
    for name in _PEOPLE:
        own = [r for r in corpus.training if r.speaker == name and r.heard.audible >= _LEAST_S * RATE]
        yield name, _cut([sound(recording) for recording in spread_evenly(own, _RECORDINGS)])


def _speakers(size: int) -> Iterator[tuple[str, list[Sound]]]:
    """Yield every speaker's name and `_SECONDS` of recordings that are not held out."""
    yield from people()
    for kind in ("diphones", "crowd"):
        folders = sorted({path.parent for path in (cache_folder() / kind).glob("[!.]*/*.wav")})
        for folder in folders if kind == "diphones" else folders[:size]:
            sounds = [levelled(load_sound(path, RATE)) for path in sorted(folder.glob("*.wav"))[:_RECORDINGS]]
            yield f"{kind}-{folder.name}", _cut(sounds)


def _cut(sounds: Sequence[Sound]) -> list[Sound]:
    """Return the first recordings that are `_SECONDS` long together, or all."""
    found, left = [], _SECONDS
    for one in sounds:
        if left <= 0:
            break
        found.append(one)
        left -= len(one) / RATE
    return found


if __name__ == "__main__":
    main()
