"""A target speaker: a voice that was enrolled from a clip, as a file, as text in a preset, and with words about it."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch

from gramophone.models.checkpoint import Card
from gramophone.models.nets.anyone import Anyone, AnyoneShape, VoiceMap
from gramophone.models.nets.enrolment import EnrolmentError
from gramophone.presets.atomic import atomic_write
from gramophone.presets.voices import SUFFIX, found_voice
from gramophone.realtime.dsp.resampler import mono, read_clip
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stage import StageError
from gramophone.realtime.stages.voice.clip import ENOUGH_S, LONGEST_S, described, refused, speech_in

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
    voice: VoiceMap

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
    name = Path(clip).name
    speech = speech_in(model, sound)
    whole = sound[: round(LONGEST_S * model.shape.rate)]
    try:
        voice = model.voice(model.enrolled(speech))
    except EnrolmentError:
        raise StageError(f"target: {clip}: no voice in it: {refused(speech, whole)}") from None
    seconds, words = described(model, speech, whole)
    return EnrolledTarget(name, str(card.notes.get(IDENTITY, "")), seconds, words, voice)


def target_of(model: Anyone, card: Card, text: str) -> EnrolledTarget:
    """Return the target that a parameter names: an enrolled voice by name or file, or a clip.

    Raises:
        StageError: it cannot be read, was enrolled with another model, or is no voice.
    """
    path = found_voice(text) or Path(text)
    if path.suffix == SUFFIX:
        return load_target(path, model.shape, card)
    sound = mono(read_clip(text, model.shape.rate))
    return enrolled_target(model, card, text, sound)


def save_target(path: Path, target: EnrolledTarget) -> None:
    """Write a target as a file of about 100 kB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        part.write_bytes(_packed(target))


def load_target(path: Path, shape: AnyoneShape, card: Card) -> EnrolledTarget:
    """Return the target in a file.

    Raises:
        StageError: it is no enrolled voice, or of another model.
    """
    try:
        return _unpacked(path.read_bytes(), shape, card, str(path))
    except OSError as error:
        raise StageError(f"{path}: {error.strerror}") from None


def target_from_text(text: str, shape: AnyoneShape, card: Card) -> EnrolledTarget:
    """Return the target that `to_text` wrote.

    Raises:
        StageError: the text is no target, or of another model.
    """
    packed = text.rpartition(": ")[2]
    where = f"kept = {text[:40]!r}"
    try:
        data = zlib.decompress(base64.b85decode(packed))
    except (ValueError, zlib.error):
        raise StageError(f"{where}: not a voice; remove the line, and the clip is analysed again") from None
    return _unpacked(data, shape, card, where)


def _packed(target: EnrolledTarget) -> bytes:
    """Return a target in the format safetensors, its maps in half precision."""
    from safetensors.torch import save

    voice = target.voice
    header = {
        "kind": _KIND,
        "version": _VERSION,
        "identity": target.identity,
        "clip": target.clip,
        "seconds": f"{target.seconds:.1f}",
        "words": json.dumps(target.words),
    }
    return bytes(
        save(
            {
                "octaves": voice.octaves.contiguous(),
                "mean": voice.mean.contiguous(),
                "spread": voice.spread.contiguous(),
                "maps": voice.maps.half().contiguous(),
            },
            header,
        )
    )


def _unpacked(data: bytes, shape: AnyoneShape, card: Card, where: str) -> EnrolledTarget:
    """Return the target in safetensors bytes; `where` they are from, for messages."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size]).get("__metadata__", {})
        tensors = load(data)
    except (SafetensorError, ValueError, UnicodeDecodeError):
        raise StageError(f"{where}: no enrolled voice") from None
    wanted = len(shape.shrinkages), shape.inputs, shape.envelope
    if header.get("kind") != _KIND or header.get("version") != _VERSION or "maps" not in tensors:
        raise StageError(f"{where}: no enrolled voice of version {_VERSION}")
    if header.get("identity") != card.notes.get(IDENTITY, "") or tuple(tensors["maps"].shape) != wanted:
        raise StageError(f"{where}: enrolled with another model; enrol the clip {header.get('clip', '')!r} again")
    voice = VoiceMap(
        tensors["octaves"].float(), tensors["mean"].float(), tensors["spread"].float(), tensors["maps"].float()
    )
    if not all(bool(torch.isfinite(part).all()) for part in vars(voice).values()):
        raise StageError(f"{where}: an enrolled voice with numbers that are not finite")
    words = tuple(str(word) for word in json.loads(header.get("words", "[]")))
    return EnrolledTarget(header.get("clip", ""), header["identity"], float(header.get("seconds", 0)), words, voice)
