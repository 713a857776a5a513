"""How many phonemes change: by hama's recogniser of phonemes, which knows no words and nothing that we train on.

hama 1.7.0 (Apache-2.0; a Conformer of 4 x 144 trained on English and Korean by connectionist temporal classification,
CTC, 50 frames a second) is in a wheel on PyPI with its own engine, a shared library. The wheel is downloaded once,
checked and unpacked in the cache. The library is used directly: two functions in C.
"""

from __future__ import annotations

import ctypes
import functools
import json
import platform
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.offline.data.mono_audio import Sound, heard
from gramophone.offline.data.packages import PackageError, filled, from_pypi
from gramophone.offline.judges.speech import edits
from gramophone.realtime.system.cache_folder import cache_folder

_REQUIREMENT = "hama==1.7.0"
_WHEEL = "hama-1.7.0-py3-none-any.whl"
_SHA256 = "be48d6379d288fc588ff9a5f609462b2fb81287dd84afaa2dfb1d283cb280c4d"
_MODEL, _VOCABULARY = "hama/assets/asr_waveform.hama", "hama/assets/g2p_vocab.json"
_SHORTEST = 1600
_NO_SOUND = ("<wb>", "<blank>", "<unk>", "<pad>", "<sos>", "<eos>", " ", ",", "%", "~")
"""What the recogniser writes that is no phoneme."""


def phonemes(speech: Sound, rate: int) -> list[str]:
    """Return the phonemes that are heard in speech `(T,)` at `rate` Hz, in the international phonetic alphabet.

    Raises:
        PackageError: the recogniser is not there and cannot be downloaded, or does not run here.
    """
    sound = np.ascontiguousarray(np.clip(heard(speech, rate), -1, 1), np.float32)
    if len(sound) < _SHORTEST:
        return []
    library, model, names = _recogniser()
    likelihoods = np.empty((int(library.hama_asr_num_frames(len(sound))), len(names)), np.float32)
    count = ctypes.c_int64()
    if library.hama_asr_run(model, _pointer(sound), len(sound), _pointer(likelihoods), ctypes.byref(count)) < 0:
        raise PackageError(f"{_REQUIREMENT}: its recogniser failed on {len(sound)} samples")
    best = likelihoods[: count.value].argmax(1)
    ends = np.flatnonzero(np.append(best[1:] != best[:-1], True))
    return [names[one] for one in best[ends] if names[one] not in _NO_SOUND]


def phonemes_changed(recorded: Sequence[str], found: Sequence[str]) -> tuple[int, int]:
    """Return how many phonemes are others, missing or too many beside those in the recording, and how many it has.

    By this measure an untouched recording has 0. It needs no transcript and compares in any language, but is surest in
    English.
    """
    return edits(recorded, found), len(recorded)


@functools.cache
def _recogniser() -> tuple[Any, Any, list[str]]:
    """Return the library, the model, and what each of its outputs is called."""
    folder = _unpacked()
    library = ctypes.CDLL(str(folder / _library()))
    library.hama_asr_load.restype = ctypes.c_void_p
    library.hama_asr_num_frames.restype = library.hama_asr_run.restype = ctypes.c_int64
    library.hama_asr_num_frames.argtypes = [ctypes.c_int64]
    floats = ctypes.POINTER(ctypes.c_float)
    library.hama_asr_run.argtypes = [ctypes.c_void_p, floats, ctypes.c_int64, floats, ctypes.c_void_p]
    weights = (folder / _MODEL).read_bytes()
    model = library.hama_asr_load(weights, ctypes.c_size_t(len(weights)))
    if not model:
        raise PackageError(f"{_REQUIREMENT}: its recogniser cannot be loaded")
    names = [*json.loads((folder / _VOCABULARY).read_text("utf-8"))["decoder"], "<wb>", "<blank>"]
    return library, ctypes.c_void_p(model), names


def _unpacked() -> Path:
    """Return the folder with what is needed of the wheel."""
    wanted = cache_folder("judges", "hama-1.7.0")
    if not (wanted / _library()).exists():
        with (
            zipfile.ZipFile(from_pypi(_REQUIREMENT, _WHEEL, _SHA256, wanted.parent)) as archive,
            filled(wanted) as part,
        ):
            for inside in (_MODEL, _VOCABULARY, _library()):
                archive.extract(inside, part)
    return wanted


def _library() -> str:
    system, machine = platform.system().lower(), platform.machine().lower()
    return f"hama/_libs/{system}-{machine}/libhama.{'dylib' if system == 'darwin' else 'so'}"


def _pointer(values: Any) -> Any:
    return values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
