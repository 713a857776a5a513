"""A target speaker: a voice that was enrolled from a clip, as a file, as text in a preset, and with words about it."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from gramophone.models.checkpoint import Card, CheckpointError, card_of, load, numbers_of, ordered
from gramophone.models.units import POINTS
from gramophone.presets.atomic import atomic_write
from gramophone.presets.voices import SUFFIX, found_voice
from gramophone.realtime.dsp.resampler import mono, read_clip
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stage import StageError
from gramophone.realtime.stages.prepared import prepared
from gramophone.realtime.stages.voice.clip import ENOUGH_S, LONGEST_S, described, refused, speech_in
from gramophone.realtime.stages.voice.voices import VoiceArrays

if TYPE_CHECKING:
    from gramophone.models.nets.anyone import Anyone

IDENTITY = "identity"
"""The key of a card's notes that says which model a voice was enrolled with."""
_KIND, _VERSION = "gramophone-voice", "1"


@dataclass(frozen=True)
class EnrolledTarget:
    """A voice and where it is from: the clip's file name, its seconds of speech, what there is to say about it."""

    clip: str
    identity: str
    seconds: float
    words: tuple[str, ...]
    voice: VoiceArrays

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to say about the clip while it plays: what is wrong with it, and that it is short."""
        return self.words if self.seconds < ENOUGH_S else self.words[1:]

    def to_text(self) -> str:
        """Return the target as one line of text, for a preset."""
        return f"{self.clip}: " + base64.b85encode(zlib.compress(_packed(self), 9)).decode()


def enrolled_target(model: Anyone, card: Card, clip: str, sound: Floats) -> EnrolledTarget:
    """Return the speaker of a clip `(T,)` at the model's rate, of which 300 s are used at most.

    Raises:
        StageError: there is hardly any voice in it.
    """
    from gramophone.models.nets.enrolment import EnrolmentError

    name = Path(clip).name
    speech = speech_in(model, sound)
    whole = sound[: round(LONGEST_S * model.shape.rate)]
    try:
        voice = VoiceArrays.of(model.voice(model.enrolled(speech)))
    except EnrolmentError:
        raise StageError(f"target: {clip}: no voice in it: {refused(speech, whole)}") from None
    seconds, words = described(model, speech, whole)
    return EnrolledTarget(name, str(card.notes.get(IDENTITY, "")), seconds, words, voice)


def target_of(model: Path, text: str) -> EnrolledTarget:
    """Return the target that a parameter names: an enrolled voice by name or file, or a clip; `model` is its file.

    Raises:
        StageError: it cannot be read, was enrolled with another model, or is no voice.
    """
    path = found_voice(text) or Path(text)
    if path.suffix == SUFFIX:
        return load_target(path, model)
    return prepared(_enrolled, model, path)


def _enrolled(model: Path, clip: Path) -> EnrolledTarget:
    try:
        network, card = load(model, "anyone")
    except CheckpointError as error:
        raise StageError(str(error)) from None
    return enrolled_target(cast("Anyone", network), card, str(clip), mono(read_clip(str(clip), card.rate)))


def save_target(path: Path, target: EnrolledTarget) -> None:
    """Write a target as a file of about 100 kB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        part.write_bytes(_packed(target))


def load_target(path: Path, model: Path) -> EnrolledTarget:
    """Return the target in a file, for the model in another.

    Raises:
        StageError: it is no enrolled voice, or of another model.
    """
    try:
        return _unpacked(path.read_bytes(), model, str(path))
    except OSError as error:
        raise StageError(f"{path}: {error.strerror}") from None


def target_from_text(text: str, model: Path) -> EnrolledTarget:
    """Return the target that `to_text` wrote, for the model in a file.

    Raises:
        StageError: the text is no target, or of another model.
    """
    packed = text.rpartition(": ")[2]
    where = f"kept = {text[:40]!r}"
    try:
        data = zlib.decompress(base64.b85decode(packed))
    except (ValueError, zlib.error):
        raise StageError(f"{where}: not a voice; remove the line, and the clip is analysed again") from None
    return _unpacked(data, model, where)


def _packed(target: EnrolledTarget) -> bytes:
    """Return a target in the format safetensors, its maps in half precision."""
    from safetensors.numpy import save

    voice = target.voice
    header = {
        "kind": _KIND,
        "version": _VERSION,
        "identity": target.identity,
        "clip": target.clip,
        "seconds": f"{target.seconds:.1f}",
        "words": json.dumps(target.words),
    }
    return ordered(
        save(
            {
                "octaves": np.ascontiguousarray(voice.octaves),
                "mean": np.ascontiguousarray(voice.mean),
                "spread": np.ascontiguousarray(voice.spread),
                "maps": np.ascontiguousarray(voice.maps, np.float16),
            },
            header,
        )
    )


def _unpacked(data: bytes, model: Path, where: str) -> EnrolledTarget:
    """Return the target in safetensors bytes; `where` they are from, for messages."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as arrays_in

    try:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size]).get("__metadata__", {})
        arrays = arrays_in(data)
    except (SafetensorError, ValueError, UnicodeDecodeError):
        raise StageError(f"{where}: no enrolled voice") from None
    identity, wanted = card_of(model).notes.get(IDENTITY, ""), _maps_shape(model)
    if header.get("kind") != _KIND or header.get("version") != _VERSION or "maps" not in arrays:
        raise StageError(f"{where}: no enrolled voice of version {_VERSION}")
    if header.get("identity") != identity or arrays["maps"].shape != wanted:
        raise StageError(f"{where}: enrolled with another model; enrol the clip {header.get('clip', '')!r} again")
    voice = VoiceArrays(*(arrays[name].astype(np.float32) for name in VoiceArrays._fields))
    if not all(np.isfinite(part).all() for part in voice):
        raise StageError(f"{where}: an enrolled voice with numbers that are not finite")
    words = tuple(str(word) for word in json.loads(header.get("words", "[]")))
    return EnrolledTarget(header.get("clip", ""), header["identity"], float(header.get("seconds", 0)), words, voice)


def _maps_shape(model: Path) -> tuple[int, int, int]:
    """Return the shape of the maps of a model's voices (`AnyoneShape`), read without torch."""
    numbers = numbers_of(model)
    return len(numbers["shrinkages"]), len(numbers["context"]) * int(numbers["content"]) + 2, POINTS + 1
