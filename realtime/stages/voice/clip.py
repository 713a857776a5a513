"""A voice from a clip: what is measured in it, the voice, and what is wrong with it, in words."""

from __future__ import annotations

import numpy as np
import torch

from gramophone.models.nets.anyone import Anyone
from gramophone.models.nets.enrolment import Speech
from gramophone.models.nets.voice import MIDDLE_HZ
from gramophone.realtime.dsp.pitch.tracker import pitch_contour
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.latent.pitch_transform import VOICED

LONGEST_S = 300.0
"""Seconds of a clip that are used at most."""
_LEVEL = 0.1
"""RMS of the loudest fifth of a clip's frames, as it is heard: -20 dBFS."""

ENOUGH_S = 15.0
_EXPECTATIONS = (
    (60.0, "plenty"),
    (ENOUGH_S, "enough"),
    (4.0, "little; 20 s say more of the voice"),
)
_WHISPERED, _SUNG_OCTAVES, _APART_OCTAVES, _LEAST_FRAMES = 0.25, 2.0, 0.6, 100
_QUIET_DB, _NARROW_HZ = 20.0, 4200.0


def speech_in(model: Anyone, sound: Floats) -> Speech:
    """Return what is measured in a clip `(T,)` at the model's rate; its level does not matter."""
    shape = model.shape
    hops = min(len(sound), round(LONGEST_S * shape.rate)) // shape.hop
    whole = sound[: hops * shape.hop]
    powers = np.square(whole.reshape(-1, shape.hop), dtype=np.float64).mean(axis=1)
    loud = float(np.sqrt(powers[powers >= np.quantile(powers, 0.8)].mean())) if hops else 0.0
    whole = np.asarray(whole * (_LEVEL / loud if loud > 0 else 0.0), np.float32)
    contour = pitch_contour(whole, shape.rate, shape.hop)
    hz = np.where(contour[:, 1] >= VOICED, MIDDLE_HZ * 2.0 ** contour[:, 0], 0.0).astype(np.float32)
    return model.speech(torch.from_numpy(whole), torch.from_numpy(hz))


def described(speech: Speech, sound: Floats, rate: int) -> tuple[float, tuple[str, ...]]:
    """Return the seconds of speech in a clip, and sentences about what to expect of it and what is wrong with it."""
    frame_s = len(sound) / rate / max(len(speech.audible), 1)
    audible = speech.audible.numpy()
    octaves = speech.octaves.numpy()
    voiced = octaves[audible & ~np.isnan(octaves)]
    seconds = float(audible.sum()) * frame_s
    words = [_expected(seconds)]
    share = len(voiced) / max(int(audible.sum()), 1)
    if share < _WHISPERED:
        words.append(f"only {share:.0%} of it has a pitch: a whisper or noise, whose voice sounds as hoarse")
    if len(voiced) and float(np.quantile(voiced, 0.95) - np.quantile(voiced, 0.05)) > _SUNG_OCTAVES:
        words.append("its pitch covers more than two octaves: music, singing or two people; expected one who speaks")
    elif _is_two(voiced):
        words.append("it has two usual pitches: two people? expected one, or the voice is their mixture")
    if quiet := _background(sound, rate):
        words.append(quiet)
    if _bandwidth(sound, rate) < _NARROW_HZ:
        words.append("nothing above 4 kHz in it, as by telephone: the voice is as dull")
    return seconds, tuple(words)


def _expected(seconds: float) -> str:
    for least, what in _EXPECTATIONS:
        if seconds >= least:
            return f"{seconds:.1f} s of speech: {what}"
    return f"{seconds:.1f} s of speech: hardly more than pitch and colour; give it 20 s"


def _is_two(octaves: Floats) -> bool:
    """Return whether pitches fall apart into two groups, each narrow beside what lies between them."""
    if len(octaves) < _LEAST_FRAMES:
        return False
    low, high = np.quantile(octaves, [0.25, 0.75])
    for _ in range(10):
        nearer = np.abs(octaves - low) < np.abs(octaves - high)
        if nearer.all() or not nearer.any():
            return False
        low, high = np.median(octaves[nearer]), np.median(octaves[~nearer])
    within = max(float(np.std(octaves[nearer])), float(np.std(octaves[~nearer])))
    smaller = min(nearer.mean(), 1 - nearer.mean())
    return bool(high - low > _APART_OCTAVES and high - low > 3 * within and smaller > 0.15)


def _background(sound: Floats, rate: int) -> str:
    """Return what is wrong where the softest moments are not soft, or an empty text."""
    hop = rate // 50
    whole = sound[: len(sound) // hop * hop].reshape(-1, hop)
    if len(whole) < 25:
        return ""
    softest, loudest = np.quantile(10 * np.log10(np.square(whole).mean(1) + 1e-8), [0.05, 0.95])
    if loudest - softest >= _QUIET_DB:
        return ""
    return (
        f"its softest moments are only {loudest - softest:.0f} dB below its loudest: music or noise beside the voice, "
        f"which becomes part of it; expected {_QUIET_DB:.0f} dB or more"
    )


def _bandwidth(sound: Floats, rate: int) -> float:
    """Return the frequency in Hz below which 99.8 % of a sound's power lies, once it is raised by 6 dB/octave."""
    power = np.square(np.abs(np.fft.rfft(np.diff(sound))))
    total = np.cumsum(power)
    if not len(total) or total[-1] <= 0:
        return rate / 2
    return float(np.searchsorted(total, 0.998 * total[-1]) / len(total) * rate / 2)
