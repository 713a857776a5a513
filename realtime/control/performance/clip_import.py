"""A sound file made a clip of the user's own: read to its end, cut, measured and stored. Runs in a child process."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from gramophone.presets.clips import SOUND, ClipError, OwnClip, clips_folder
from gramophone.realtime.dsp.clip_quality import clip_quality
from gramophone.realtime.files import AudioReader, AudioWriter, SoundFileError, collected_remarks, finite_sound
from gramophone.realtime.stage import Audio

LONGEST_S = 60.0
"""What is kept of a clip: a style is known after a fraction of it."""
_SHORTEST_S = 0.2
_RATES = range(8_000, 192_001)
_MOST_CHANNELS = 8
_PIECES = 240
_QUIET_DB = -50.0
_MARGIN_S = 0.1
_STEP = 1 << 16


def import_clip(source: Path, name: str, start_s: float = 0.0, end_s: float | None = None) -> OwnClip:
    """Store the sound from `start_s` to `end_s` of a file as a clip, silence at both ends left out, and return it.

    The first minute of it is kept; more than two channels are mixed to one. The sound is in place, its facts are not.

    Raises:
        ClipError: the file is no sound file, is damaged or silent, or nothing is left of it.
    """
    try:
        with collected_remarks() as remarks:
            sound, rate, whole_s = _read(source, start_s, end_s)
            sound = finite_sound(source, sound)
    except SoundFileError as error:
        raise ClipError(str(error).replace(f"{source}: ", "")) from None
    if len(sound) > 2:
        sound = sound.mean(axis=0, keepdims=True)
    quality = clip_quality(sound, rate)
    if quality.is_silent:
        raise ClipError("silent: there is nothing to learn from")
    sound = _without_silence(sound, rate)
    if sound.shape[1] < _SHORTEST_S * rate:
        raise ClipError(f"{sound.shape[1] / rate:.2f} s of sound: expected {_SHORTEST_S:g} s at least")
    warnings = (*(text for _, text in remarks), *clip_quality(sound, rate).warnings)
    if whole_s > LONGEST_S:
        warnings = (f"only {LONGEST_S:g} s of {whole_s:.0f} s are kept; choose others by start and end", *warnings)
    return OwnClip(
        _store(sound / max(float(np.abs(sound).max()), 1.0), rate),
        name,
        round(sound.shape[1] / rate, 3),
        rate,
        warnings,
        tuple(_waveform(sound)),
    )


def _read(source: Path, start_s: float, end_s: float | None) -> tuple[Audio, int, float]:
    """Return the sound that is kept, its rate, and how long the whole stretch is in seconds."""
    with AudioReader(source) as reader:
        if reader.rate not in _RATES or reader.channels > _MOST_CHANNELS:
            raise ClipError(
                f"{reader.rate} Hz and {reader.channels} channels: expected {_RATES.start} to {_RATES.stop - 1} Hz and "
                f"at most {_MOST_CHANNELS}"
            )
        last = reader.frames if end_s is None else min(round(end_s * reader.rate), reader.frames)
        first = min(max(round(start_s * reader.rate), 0), last)
        kept = min(last - first, round(LONGEST_S * reader.rate))
        if kept < _SHORTEST_S * reader.rate:
            raise ClipError(f"{kept / reader.rate:.2f} s: expected {_SHORTEST_S:g} s at least")
        for done in range(0, first, _STEP):
            reader.read(min(_STEP, first - done))
        return reader.read(kept), reader.rate, (last - first) / reader.rate


def _without_silence(sound: Audio, rate: int) -> Audio:
    """Return the sound from the first to the last moment that is not far below its peak, with a margin."""
    high = np.abs(sound).max(axis=0)
    (loud,) = np.nonzero(high > high.max() * 10 ** (_QUIET_DB / 20))
    margin = round(_MARGIN_S * rate)
    return sound[:, max(loud[0] - margin, 0) : loud[-1] + 1 + margin]


def _store(sound: Audio, rate: int) -> str:
    """Write a sound under the hash of its samples, and return that."""
    samples = np.round(sound * (2**23 - 1)).astype("<i4")
    key = hashlib.sha256(f"{rate} {len(sound)} ".encode() + samples.tobytes()).hexdigest()[:16]
    folder = clips_folder()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with AudioWriter(folder / f"{key}{SOUND}", rate, len(sound)) as out:
            out.write(np.asarray(sound, np.float32))
    except SoundFileError as error:
        raise ClipError(str(error).replace(f"{folder}/", "")) from None
    return key


def _waveform(sound: Audio) -> list[float]:
    high = np.abs(sound).max(axis=0)
    return [round(min(float(piece.max(initial=0.0)), 1.0), 3) for piece in np.array_split(high, _PIECES)]
