"""What is no voice is lowered before a voice model, and what is one passes, for any blocks and rates."""

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from gramophone.presets import CLIPS
from gramophone.realtime.files import read
from gramophone.realtime.stages.voice_conditioner import VoiceConditioner

RATE = 48_000
T = np.arange(3 * RATE) / RATE
WHITE = np.random.default_rng(0).normal(size=len(T))
_BINS = np.arange(len(T) // 2 + 1)
PINK = np.fft.irfft(np.fft.rfft(WHITE) / np.sqrt(_BINS + 20))
ROOM = np.fft.irfft(np.fft.rfft(WHITE) / (_BINS + 300))
DEPTH = np.float32(40)


def hum(hz, t=T):
    return sum(np.sin(2 * np.pi * hz * k * t + k) / k for k in (1, 2, 3, 4, 5, 7, 9))


def note(hz, t=T):
    return sum(np.sin(2 * np.pi * hz * k * t + k) / k for k in range(1, 6) if hz * k < 6000)


def fading(sound):
    """The sound with 10 ms of fade at either end."""
    ends = np.minimum(np.arange(len(sound)), np.arange(len(sound))[::-1])
    return sound * np.clip(ends / (0.01 * RATE), 0, 1)


def at(sound, db):
    return (sound / np.sqrt(np.square(sound).mean()) * 10 ** (db / 20)).astype(np.float32)


def level_db(sound):
    return 10 * np.log10(np.square(sound, dtype=np.float64).mean() + 1e-14)


def conditioned(sound, rate=RATE, depth=DEPTH):
    return VoiceConditioner(rate).process(np.asarray(sound, np.float32)[None], depth)


def change_db(sound, rate=RATE):
    """By how many dB a sound's level changes once the floor is known, 1 s after it begins."""
    return level_db(conditioned(sound, rate)[rate:]) - level_db(sound[rate:])


@pytest.mark.parametrize("offset", [0.003, 0.03, -0.3])
def test_an_offset_is_removed(offset):
    assert level_db(conditioned(np.full(RATE, offset))[RATE // 4 :]) < -110


@pytest.mark.parametrize("level", [-60, -50, -40, -30])
@pytest.mark.parametrize("hz", [49.9, 50, 60, 60.1])
def test_mains_hum_and_its_harmonics_are_lowered_by_more_than_20_db(hz, level):
    assert change_db(at(hum(hz), level)) < -20


@pytest.mark.parametrize("level", [-60, -50, -40])
@pytest.mark.parametrize(
    "sound", [WHITE, PINK, ROOM, at(hum(50), 0) + at(WHITE, -6)], ids=["white", "pink", "room", "hum too"]
)
def test_steady_noise_is_lowered_by_more_than_20_db(sound, level):
    assert change_db(at(sound, level)) < -20


def test_nothing_is_lowered_that_is_as_loud_as_a_voice():
    assert change_db(at(WHITE, -20)) > -0.1


@pytest.mark.parametrize("level", [-55, -40, -20])
@pytest.mark.parametrize("hz", [82.4, 98, 123.5, 196, 220, 246.9, 293.7, 659.3, 1046.5])
def test_a_held_note_passes_however_soft(hz, level):
    assert abs(change_db(at(note(hz), level))) < 0.5


@pytest.mark.parametrize("level", [-20, -40, -50])
@pytest.mark.parametrize("name", ["voice", "vocals", "choir", "cello", "flute", "brass", "organ"])
def test_voices_and_instruments_pass(name, level):
    sound, rate = read(CLIPS / f"{name}.flac")
    sound = at(sound.mean(axis=0), level)
    assert abs(level_db(conditioned(sound, rate)) - level_db(sound)) < (0.6 if name == "choir" else 0.2)


@pytest.mark.parametrize("snr_db", [15, 25])
def test_between_words_noise_is_lowered_and_words_keep_their_ends(snr_db):
    """Bursts of a voice that fade out, in noise: lowered after 0.4 s of pause, hardly so while above the noise."""
    swell = np.clip(np.sin(2 * np.pi * T), 0, 1)
    voice, noise = at(note(150) * swell, -25), at(PINK, -25 - snr_db)
    both = conditioned(voice + noise)
    gain = np.abs(both) / np.maximum(np.abs(conditioned(voice + noise, depth=np.float32(6))), 1e-9)
    audible = np.square(at(swell, -25)) > 4 * np.square(noise).mean()
    late = T > 1.0
    assert np.quantile(gain[late & audible], 0.05) > 0.99
    pause = late & (T % 1 > 0.92)
    assert level_db(both[pause]) < level_db((voice + noise)[pause]) - 15


def test_with_no_depth_it_is_the_input_and_with_little_the_plain_high_pass():
    sound = at(WHITE, -20)
    assert np.array_equal(conditioned(sound, depth=np.float32(0)), sound)
    plain = sosfilt(butter(4, 65, "high", fs=RATE, output="sos"), sound)
    np.testing.assert_allclose(conditioned(sound), plain, atol=1e-6)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 96_000, 192_000])
def test_it_does_the_same_at_any_rate(rate):
    t = np.arange(2 * rate) / rate
    assert change_db(at(hum(50, t), -40), rate) < -20
    assert change_db(at(np.random.default_rng(0).normal(size=2 * rate), -45), rate) < -20
    assert change_db(at(note(196, t), -45), rate) > -0.2


def test_any_blocks_equal_one_pass_while_the_depth_changes():
    rng = np.random.default_rng(1)
    sound = at(hum(50) + note(146.8) * (np.sin(3 * T) > 0.3) + 0.3 * WHITE, -38)
    depth = np.linspace(0, 60, len(T), dtype=np.float32)
    whole = conditioned(sound, depth=depth)
    playing, start, parts = VoiceConditioner(RATE), 0, []
    while start < len(sound):
        stop = start + int(rng.integers(0, 3000))
        parts.append(playing.process(sound[None, start:stop], depth[start:stop]))
        start = stop
    assert np.array_equal(np.concatenate(parts), whole)


def test_a_louder_room_is_learnt_and_a_quieter_one_too():
    sound = np.concatenate([at(PINK, -60), at(PINK, -42), at(PINK, -65)])
    playing = VoiceConditioner(RATE)
    playing.process(sound[None, : len(T)], DEPTH)
    assert -64 < playing.floor_db < -56
    playing.process(sound[None, len(T) : 2 * len(T)], DEPTH)
    assert -46 < playing.floor_db < -38
    playing.process(sound[None, 2 * len(T) :], DEPTH)
    assert -68 <= playing.floor_db < -61


@pytest.mark.parametrize("noise_db", [-90, -60])
@pytest.mark.parametrize("fricative_db", [-30, -38, -45])
def test_long_fricatives_are_no_noise_of_the_room_from_the_first_word_on(fricative_db, noise_db):
    """Syllables of a fricative, a vowel and a closure, spoken from the first sample on without a pause."""
    hiss = sosfilt(butter(2, (3000, 8000), "band", fs=RATE, output="sos"), np.tile(WHITE, 2))
    vowel = fading(at(note(140, T[: RATE // 5]), -24))
    parts = []
    for start in range(0, 12 * RATE // 4, RATE // 4):
        parts += [fading(at(hiss[start : start + RATE // 4], fricative_db)), vowel, np.zeros(7 * RATE // 100)]
    speech = np.concatenate(parts)
    speech = (speech + at(np.random.default_rng(2).normal(size=len(speech)), noise_db)).astype(np.float32)
    playing = VoiceConditioner(RATE)
    out = np.concatenate([playing.process(piece[None], DEPTH) for piece in np.array_split(speech, 600)])
    frames = [slice(start, start + RATE // 20) for start in range(0, len(speech) - RATE // 20, RATE // 20)]
    gains = [level_db(out[frame]) - level_db(speech[frame]) for frame in frames if level_db(speech[frame]) > -50]
    assert min(gains) > -2
    assert playing.floor_db < noise_db + 12 if noise_db > -68 else playing.floor_db == -68
