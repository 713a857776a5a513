"""A voice from a clip: what is measured in it, the voice, and what is wrong with it, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gramophone.models.units import MIDDLE_HZ, POINTS
from gramophone.realtime.dsp.pitch.tracker import pitch_contour
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.latent.pitch_transform import VOICED

if TYPE_CHECKING:
    from gramophone.models.nets.anyone import Anyone
    from gramophone.models.nets.enrolment import Speech

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
_WHISPERED, _SUNG_OCTAVES = 0.25, 2.0
_QUIET_DB, _NARROW_HZ = 20.0, 4200.0
_SPOKEN = 0.24
"""The share of the envelope's variance that content explains of any speech: .33 to .66 of 20 voices, below .15 of
music and instruments (8 clips)."""
_SEGMENT, _FEWEST = 60, 3
"""Voiced frames of a segment, and the least segments of one of two people."""
_TWO_APART = 0.4
"""How far two people's mean envelopes lie apart, in spreads: six of seven pairs do, and one of ten voices alone."""
_SILENT = 1e-4
_TOO_SHORT = "too short; expected a second of speech or more"


def speech_in(model: Anyone, sound: Floats) -> Speech:
    """Return what is measured in a clip `(T,)` at the model's rate, one hop at least; its level does not matter."""
    import torch

    shape = model.shape
    sound = np.pad(sound, (0, max(shape.hop - len(sound), 0)))
    hops = min(len(sound), round(LONGEST_S * shape.rate)) // shape.hop
    whole = sound[: hops * shape.hop]
    powers = np.square(whole.reshape(-1, shape.hop), dtype=np.float64).mean(axis=1)
    loud = float(np.sqrt(powers[powers >= np.quantile(powers, 0.8)].mean()))
    whole = np.asarray(whole * (_LEVEL / loud if loud > 0 else 0.0), np.float32)
    contour = pitch_contour(whole, shape.rate, shape.hop)
    hz = np.where(contour[:, 1] >= VOICED, MIDDLE_HZ * 2.0 ** contour[:, 0], 0.0).astype(np.float32)
    return model.speech(torch.from_numpy(whole), torch.from_numpy(hz))


def described(model: Anyone, speech: Speech, sound: Floats) -> tuple[float, tuple[str, ...]]:
    """Return the seconds of speech in a clip, and sentences about what to expect of it and what is wrong with it."""
    rate = model.shape.rate
    explained, unexplained = _by_content(model, speech)
    frame_s = len(sound) / rate / max(len(speech.audible), 1)
    audible = speech.audible.numpy()
    octaves = speech.octaves.numpy()
    voiced = octaves[audible & ~np.isnan(octaves)]
    seconds = float(audible.sum()) * frame_s
    words = [_expected(seconds, "speech" if explained >= _SPOKEN else "sound")]
    if explained < _SPOKEN:
        words.append("hardly any of it is like speech: music or an instrument, whose colour alone is learnt")
    share = len(voiced) / max(int(audible.sum()), 1)
    if share < _WHISPERED:
        words.append(f"only {share:.0%} of it has a pitch: a whisper or noise, whose voice sounds as hoarse")
    if len(voiced) and float(np.quantile(voiced, 0.95) - np.quantile(voiced, 0.05)) > _SUNG_OCTAVES:
        words.append("its pitch covers more than two octaves: music, singing or two people; expected one who speaks")
    elif explained >= _SPOKEN and _is_two(unexplained[audible & ~np.isnan(octaves)]):
        words.append("it has two voices in it: two people? expected one, or the voice is their mixture")
    if quiet := _background(sound, rate):
        words.append(quiet)
    if _bandwidth(sound, rate) < _NARROW_HZ:
        words.append("nothing above 4 kHz in it, as by telephone: the voice is as dull")
    return seconds, tuple(words)


def refused(speech: Speech, sound: Floats) -> str:
    """Return why a clip holds no voice that could be learnt, and what was expected."""
    if not len(sound) or float(np.abs(sound).max()) < _SILENT:
        return "silence; expected somebody who speaks"
    if len(speech.audible) < _SEGMENT:
        return _TOO_SHORT
    if not bool((speech.audible & ~speech.octaves.isnan()).any()):
        return "nothing in it has a pitch, as in noise, hum or a whisper; expected somebody who speaks"
    return _TOO_SHORT


def _expected(seconds: float, of: str) -> str:
    for least, what in _EXPECTATIONS:
        if seconds >= least:
            return f"{seconds:.1f} s of {of}: {what}"
    return f"{seconds:.1f} s of {of}: hardly more than pitch and colour; give it 20 s"


def _by_content(model: Anyone, speech: Speech) -> tuple[float, Floats]:
    """Return the share of the envelope's variance that content explains, and what it leaves, `(n, POINTS)`, in spreads.

    What is left is off what speakers usually are.
    """
    from gramophone.models.nets.enrolment import LEAST_SPREAD, map_inputs

    audible, points = speech.audible, speech.envelopes[:, :POINTS]
    if not bool(audible.any()):
        return 0.0, np.zeros((len(points), POINTS), np.float32)
    content, shape = (
        (rows - rows[audible].mean(0)) / rows[audible].std(0, correction=0).clamp_min(LEAST_SPREAD)
        for rows in (speech.content, points)
    )
    mapped = map_inputs(content, speech.voiced, model.shape.context) @ model.universal[:, :POINTS]
    explained = 1 - float((shape - mapped)[audible].square().mean() / shape[audible].square().mean().clamp_min(1e-6))
    usual = model.envelope_moments[:, :POINTS]
    return explained, ((points - usual[0]) / usual[1] - mapped).numpy()


def _is_two(unexplained: Floats) -> bool:
    """Return whether what content leaves of voiced frames' envelopes, `(n, POINTS)`, is of two kinds.

    The means of segments fall into two clusters, which chance puts less far apart than two people are.
    """
    count = len(unexplained) // _SEGMENT
    if count < 2 * _FEWEST:
        return False
    means = unexplained[: count * _SEGMENT].reshape(count, _SEGMENT, -1).mean(1)
    along = np.linalg.svd(means - means.mean(0), full_matrices=False)[0][:, 0]
    first = along > np.median(along)
    for _ in range(20):
        if min(first.sum(), count - first.sum()) < _FEWEST:
            return False
        one, other = means[first].mean(0), means[~first].mean(0)
        first = np.square(means - one).sum(1) < np.square(means - other).sum(1)
    return bool(np.sqrt(np.square(one - other).mean()) > _TWO_APART)


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
