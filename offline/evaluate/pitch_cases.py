"""Sounds of known pitch, to evaluate pitch trackers.

Truth is a value every 4 ms: Hz, 0 where nothing is voiced, NaN where it is not known. It comes in three ways:

- recordings: where Harvest (Morise 2017) and CREPE (Kim et al. 2018) agree within 50 cents, or that there is no pitch;
- the same recordings taken apart and put together by WORLD (Morise et al. 2016) with a pitch that is prescribed: as
  spoken, or sung with vibrato, gliding, leaping by octaves; whispered, it is none;
- notes of instruments of a soundfont, from when they have spoken until they end.
"""

from __future__ import annotations

import hashlib
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data import corpora
from gramophone.offline.data.fluidsynth import synthesise
from gramophone.offline.data.mono_audio import RATE, Sound, resampled
from gramophone.offline.data.recording import DataError
from gramophone.offline.data.world import pyworld
from gramophone.offline.evaluate.base import EvaluationError
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.system.cache_folder import cache_folder

Doubles = NDArray[np.float64]

STEP = 64
"""Samples from one value of the truth to the next."""

SETS = ("test", "dev")
RANGE = (55.0, 1400.0)
"""Lowest and highest pitch in Hz that trackers are asked for."""

INSTRUMENTS = {
    "cello": (42, 36, 72),
    "choir": (52, 48, 79),
    "clarinet": (71, 50, 84),
    "flute": (73, 60, 88),
    "trumpet": (56, 54, 82),
    "violin": (40, 55, 88),
}
"""General MIDI program from 0, and the lowest and highest note."""

SOUNDFONT = ("fluid-soundfont-gm", "usr/share/sounds/sf2/FluidR3_GM.sf2")
_INTERVALS = (0, 2, 4, -12, 7, 12, 5, -3, 9, -7, 1, 16)
_ALL_SOUND_OFF = 120
_NOTE_S, _GAP_S, _SPEAKS_S = 0.35, 0.05, 0.1

_TUNED_CENTS = 100.0
"""How far players with vibrato, and choirs, may be from their notes."""

_STEP_S = STEP / RATE
_SHORTEST_S, _LONGEST_S = 1.5, 3.5
_RECORDINGS = 2
_SPARSE = 4
"""CREPE, which is slow, is asked once for so many values of the truth."""

_SAME_CENTS = 50.0
_SURE = (0.25, 0.6)
"""CREPE's periodicity below which there is no pitch, and from which there is."""

_FAINT_DB = -45.0
_BEDS = {"test": "wesnoth/battle", "dev": "wesnoth/sad"}


@dataclass(frozen=True)
class PitchCase:
    """A sound at 16 kHz, `(samples,)`, its truth, `(values,)`, the row of the table that it counts in, and how true."""

    group: str
    name: str
    sound: Sound
    truth: Doubles
    cents: float = 50.0


def cases(which: str) -> Iterator[PitchCase]:
    """Yield every case of `test`, on held-out recordings, or of `dev`, on others, to tune on.

    Raises:
        EvaluationError: a command or a library that makes them is missing.
        CorporaError: the recordings cannot be had.
    """
    random = np.random.default_rng(0)
    bed = corpora.load(corpora.held_out_music(_BEDS[which]), RATE, 20.0, 60.0)
    for voice in corpora.VOICES:
        for number, (name, sound) in enumerate(_recordings(voice, which)):
            spoken = PitchCase("speech", f"{voice}/{name}", sound, agreed(sound))
            yield spoken
            yield from disturbed(spoken, bed, random)
            if number == 0:
                yield from resynthesised(spoken, random)
    for instrument in INSTRUMENTS:
        yield notes(instrument, first=0 if which == "test" else 1)
    yield from nothing(random)


def disturbed(case: PitchCase, bed: Sound, random: np.random.Generator) -> Iterator[PitchCase]:
    """Yield the case in white noise, over music, and as it comes from a telephone."""
    noise = random.standard_normal(len(case.sound)).astype(np.float32)
    place = int(random.integers(len(bed) - len(case.sound)))
    for group, other, ratio_db in (
        ("noise 20 dB", noise, 20.0),
        ("noise 10 dB", noise, 10.0),
        ("music 10 dB", bed[place : place + len(case.sound)], 10.0),
    ):
        gain = _rms(case.sound) / max(_rms(other), 1e-9) * 10 ** (-ratio_db / 20)
        yield replace(case, group=f"{case.group}, {group}", sound=case.sound + np.float32(gain) * other)
    narrow = resampled(resampled(case.sound, RATE, RATE // 2), RATE // 2, RATE)[: len(case.sound)]
    yield replace(case, group=f"{case.group}, 8 kHz", sound=narrow)


def resynthesised(case: PitchCase, random: np.random.Generator) -> Iterator[PitchCase]:
    """Yield the case put together again with prescribed pitch."""
    world = pyworld()

    sound = case.sound.astype(np.float64)
    own, times = world.harvest(sound, RATE, f0_floor=60, f0_ceil=600, frame_period=1000 * _STEP_S)
    own = world.stonemask(sound, own, times, RATE)
    envelope = world.cheaptrick(sound, own, times, RATE)
    breath = world.d4c(sound, own, times, RATE)
    hoarse = (envelope * breath**2).sum(axis=1) / envelope.sum(axis=1)  # the share of noise in what is called voiced
    if not (own > 0).any():
        return
    middle = float(np.median(own[own > 0]))
    contours = {
        "exact": _smooth(own),
        "exact, sung": _melody(times, 1.5 * middle, random),
        "exact, gliding": middle * 2 ** (0.25 + np.abs((times / 1.5 + random.random()) % 2 - 1)),
        "exact, leaping": middle * 2.0 ** (np.floor(times / 0.4) % 2),
        "whispered": np.zeros_like(own),
    }
    for group, contour in contours.items():
        pitch = np.where((own > 0) & (contour > 0), np.clip(contour, RANGE[0], 1000.0), 0.0)
        made = world.synthesize(pitch, envelope, np.where(pitch[:, None] > 0, breath, 1.0), RATE, 1000 * _STEP_S)
        made = made.astype(np.float32)[: len(case.sound)]
        truth = np.where((pitch > 0) & (hoarse > 0.5), np.nan, _certain(pitch))
        yield replace(case, group=group, sound=made, truth=_audible(truth, made))


def notes(instrument: str, first: int) -> PitchCase:
    """Return notes of an instrument as FluidSynth plays them; every second of them, from `first`.

    Raises:
        EvaluationError: mido, the command fluidsynth or the soundfont is missing.
    """
    program, lowest, highest = INSTRUMENTS[instrument]
    played, note = [], (lowest + highest) // 2
    for turn in range(first, 60, 2):
        note += _INTERVALS[turn % len(_INTERVALS)]
        note = lowest + (note - lowest) % (highest - lowest + 1)
        played.append(note)
    sound = _rendered(program, played)
    truth = np.full(-(-len(sound) // STEP), np.nan)
    for place, note in enumerate(played):
        start = place * (_NOTE_S + _GAP_S)
        begin, end = (round(at / _STEP_S) for at in (start + _SPEAKS_S, start + _NOTE_S - 0.01))
        truth[begin:end] = 440 * 2 ** ((note - 69) / 12)
    return PitchCase(instrument, f"{len(played)} notes", sound, truth, _TUNED_CENTS)


def nothing(random: np.random.Generator) -> Iterator[PitchCase]:
    """Yield sounds without pitch: silence, white noise, noise as of the sea, and faint hiss."""
    samples = 10 * RATE
    white = random.standard_normal(samples).astype(np.float32)
    brown = np.convolve(white, 0.98 ** np.arange(400), "same").astype(np.float32)
    sounds = {
        "silence": 0 * white,
        "white": 0.1 * white,
        "brown": 0.1 * brown / _rms(brown),
        "hiss": 1e-4 * white,
    }
    for name, sound in sounds.items():
        yield PitchCase("no pitch", name, sound.astype(np.float32), np.zeros(samples // STEP))


def agreed(sound: Sound) -> Doubles:
    """Return the pitch where Harvest and CREPE agree, 0 where they agree that there is none or it is too faint."""
    harvest, crepe, sure = _opinions(sound)
    same = np.abs(1200 * np.log2(np.maximum(harvest, 1) / crepe)) < _SAME_CENTS
    truth = np.where((harvest == 0) & (sure < _SURE[0]), 0.0, np.nan)
    truth[_faint(len(truth), sound)] = 0.0
    voiced = (harvest > 0) & same & (sure >= _SURE[1])
    truth[voiced] = harvest[voiced]
    return _audible(truth, sound)


def stand_in_for_torchaudio() -> None:
    """Let libraries be imported that want torchaudio only to read files."""
    sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))


def _recordings(voice: str, which: str) -> Iterator[tuple[str, Sound]]:
    """Yield a few recordings of a voice, spread over all that are long enough."""
    known = [(name, path) for name, path in corpora.recordings(voice).items()]
    known = [(name, path) for name, path in known if corpora.is_held_out(name) == (which == "test")]
    found = 0
    for place in np.random.default_rng(1).permutation(len(known)):
        name, path = known[place]
        sound = corpora.load(path, RATE)
        if len(sound) >= _SHORTEST_S * RATE and _rms(sound) > 1e-3:
            yield name, sound[: round(_LONGEST_S * RATE)]
            found += 1
        if found == _RECORDINGS:
            return


def _opinions(sound: Sound) -> Doubles:
    """Return what Harvest and CREPE find and how sure CREPE is, `(3, values)`; kept by the sound's hash."""
    kept = cache_folder("pitch", f"{hashlib.sha256(sound.tobytes()).hexdigest()[:24]}.npy")
    if kept.is_file():
        return np.asarray(np.load(kept), np.float64)
    harvest, (crepe, sure) = _harvest(sound), _crepe(sound)
    values = min(len(harvest), len(crepe))
    found = np.stack([harvest[:values], crepe[:values], sure[:values]])
    kept.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(kept) as part, part.open("wb") as file:
        np.save(file, found)
    return found


def _harvest(sound: Sound) -> Doubles:
    world = pyworld()

    doubles = sound.astype(np.float64)
    found, times = world.harvest(doubles, RATE, f0_floor=60, f0_ceil=800, frame_period=1000 * _STEP_S)
    return np.asarray(world.stonemask(doubles, found, times, RATE), np.float64)


def _crepe(sound: Sound) -> tuple[Doubles, Doubles]:
    """Return pitch and periodicity by torchcrepe."""
    import torch

    stand_in_for_torchaudio()
    import torchcrepe

    heard = torch.from_numpy(sound)[None]
    found = torchcrepe.predict(heard, RATE, _SPARSE * STEP, 60, 800, "tiny", return_periodicity=True, batch_size=256)
    pitch, sure = (np.repeat(each[0].double().numpy(), _SPARSE) for each in found)
    return pitch, sure


def _smooth(pitch: Doubles) -> Doubles:
    """Return a contour without the jumps of its tracker, led through where nothing is voiced."""
    from scipy.ndimage import gaussian_filter1d

    voiced = np.flatnonzero(pitch > 0)
    logs = np.interp(np.arange(len(pitch)), voiced, np.log(pitch[voiced]))
    return np.asarray(np.exp(gaussian_filter1d(logs, 0.02 / _STEP_S)))


def _melody(times: Doubles, middle: float, random: np.random.Generator) -> Doubles:
    """Return notes of a scale, two a second, slurred over 60 ms, with vibrato of 60 cents at 5.5 Hz."""
    scale = np.array([-5, -3, 0, 2, 4, 7, 9])
    held = scale[random.integers(len(scale), size=int(times[-1] * 2) + 2)][(times * 2).astype(int)]
    slur = round(0.06 / _STEP_S)
    slurred = np.convolve(np.pad(held, (slur, 0), "edge"), np.full(slur, 1 / slur), "valid")[: len(times)]
    return np.asarray(middle * 2 ** ((slurred + 0.6 * np.sin(2 * np.pi * 5.5 * times)) / 12))


def _certain(pitch: Doubles) -> Doubles:
    """Return the pitch without the 8 ms on either side of where voice begins or ends."""
    change = np.flatnonzero(np.diff(pitch > 0)) + 1
    unsure = np.unique(np.clip(change[:, None] + np.arange(-2, 2), 0, len(pitch) - 1))
    certain = pitch.copy()
    certain[unsure] = np.nan
    return certain


def _audible(truth: Doubles, sound: Sound) -> Doubles:
    """Return the truth without what is voiced and too faint to hear."""
    return np.where((truth > 0) & _faint(len(truth), sound), np.nan, truth)


def _faint(values: int, sound: Sound) -> NDArray[np.bool_]:
    """Return where a sound is 45 dB below its loudest, for each value of a truth."""
    padded = np.pad(sound, (2 * STEP, 4 * STEP + STEP * values))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 4 * STEP)[::STEP][:values]
    level = np.sqrt(np.mean(windows**2, axis=1))
    return np.asarray(level < level.max() * 10 ** (_FAINT_DB / 20))


def _rendered(program: int, played: list[int]) -> Sound:
    import mido

    corpora.fetch([SOUNDFONT[0]])
    soundfont = cache_folder("corpora", *SOUNDFONT)
    song = mido.MidiFile(type=0)
    ticks = [round(seconds * 2 * song.ticks_per_beat) for seconds in (_NOTE_S, _GAP_S)]  # 120 beats a minute
    track = mido.MidiTrack([mido.Message("program_change", program=program)])
    for place, note in enumerate(played):
        # What rings on of one note would be a second voice in the next.
        track.append(mido.Message("control_change", control=_ALL_SOUND_OFF, time=ticks[1] if place else 0))
        track.append(mido.Message("note_on", note=note, velocity=96))
        track.append(mido.Message("note_off", note=note, time=ticks[0]))
    song.tracks.append(track)
    try:
        return resampled(synthesise(song.save, soundfont, 48_000, 0.5), 48_000, RATE)
    except DataError as error:
        raise EvaluationError(str(error)) from None


def _rms(sound: Sound) -> float:
    return float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))
