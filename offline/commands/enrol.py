"""`gramophone enrol`: a voice from a clip, kept by a name in the user's own folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gramophone.presets.checks import name_of
from gramophone.presets.models import model_file
from gramophone.presets.voices import voice_file
from gramophone.realtime.stages.voice.target import save_target, target_of

_MODEL = "anyone"


@dataclass(frozen=True)
class EnrolledVoice:
    """What was kept: its name and file, the seconds of speech in the clip, and what there is to say about it."""

    name: str
    path: str
    seconds: float
    words: tuple[str, ...]


def enrol(clip: Path, name: str) -> EnrolledVoice:
    """Keep the voice of a clip under a name, in place of an earlier one of that name.

    Raises:
        PresetError: no name can be made of `name`.
        StageError: the clip cannot be read, or there is hardly any voice in it.
    """
    own = name_of(name or clip.stem)
    target = target_of(model_file(_MODEL), str(clip))
    path = voice_file(own)
    save_target(path, target)
    return EnrolledVoice(own, str(path), round(target.seconds, 1), target.words)
