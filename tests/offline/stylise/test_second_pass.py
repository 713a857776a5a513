"""The second pass of an offline mosaic: levels nearly the content's, pauses, attacks and any sound and rate kept."""

import json

import numpy as np
import pytest
import soundfile
from scipy.signal import ShortTimeFFT
from support.stage import noise, run, voice
from typer.testing import CliRunner

from gramophone.models.layers.mel import MelBands
from gramophone.offline.cli.main import app
from gramophone.offline.judges.music import onset_correlation
from gramophone.offline.stylise.second_pass import SecondPass
from gramophone.presets import CLIPS
from gramophone.realtime.stage import Format
from gramophone.realtime.stages.mosaic.stage import MosaicStage

pytestmark = pytest.mark.slow

RATE = 48_000
CELLO, DRUMS = (str(CLIPS / f"{name}.flac") for name in ("cello", "drums"))


def mosaic(content, clip=CELLO, rate=RATE, **values):
    return run(MosaicStage(Format(rate, len(content)), {"clip": clip, **values}), content)


def cut(sound, size=16_384):
    return lambda: (sound[:, i : i + size] for i in range(0, sound.shape[1], size))


def corrected(content, wet, rate=RATE, strength=1.0, sizes=(16_384, 16_384)):
    second = SecondPass(cut(content, sizes[0]), rate, len(content))
    return np.concatenate([content[:, :0], *second(cut(wet, sizes[1]), strength)], axis=1)


def power_db(sound):
    return 10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-12)


def levels_db(sound, rate=RATE, bands=24):
    """Levels in mel bands of another number than the pass has, in frames of 25 ms."""
    length = round(0.025 * rate)
    frames = np.abs(ShortTimeFFT(np.hanning(length), length // 2, rate).stft(sound.mean(0))) ** 2
    return 10 * np.log10(MelBands(rate, length, bands, 100, 8000).weights.numpy() @ frames + 1e-9)


def error_db(content, sound, rate=RATE):
    """Root mean square difference of the levels in loud frames, less its mean by band: what no filter explains."""
    own, other = levels_db(content, rate), levels_db(sound, rate)
    loud = (10 ** (own / 10)).sum(0) > 1e-2 * (10 ** (own / 10)).sum(0).mean()
    difference = (
        np.maximum(other, other.max(1, keepdims=True) - 40) - np.maximum(own, own.max(1, keepdims=True) - 40)
    )[:, loud]
    return float(np.sqrt(np.mean((difference - difference.mean(1, keepdims=True)) ** 2)))


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_levels_of_speech_are_the_contents_through_one_filter(rate):
    content = voice(8, 1, rate)
    wet = mosaic(content, rate=rate, texture=0.9)
    before, after = error_db(content, wet, rate), error_db(content, corrected(content, wet, rate), rate)
    assert after < 0.65 * before
    assert after < 4


def test_a_wrong_filter_is_no_error_and_stays():
    """A sound that is the content through a filter of 12 dB is already right."""
    content = voice(8)
    spectrum = np.fft.rfft(content)
    hz = np.fft.rfftfreq(content.shape[1], 1 / RATE)
    filtered = np.fft.irfft(spectrum * 4 ** np.sin(np.log2(1 + hz / 200)), content.shape[1]).astype(np.float32)
    filtered *= np.sqrt(np.mean(content**2) / np.mean(filtered**2))
    after = corrected(content, filtered)
    before_db, after_db = (levels_db(each).mean(1) for each in (filtered, after))
    assert np.abs(before_db - after_db).max() < 2


@pytest.mark.parametrize("clip", [CELLO, DRUMS])
def test_pauses_stay_pauses_and_attacks_stay_attacks(clip):
    """A second of room noise 60 dB below the voice is within 3 dB of the content, as the first pass left it."""
    pause = np.random.default_rng(0).normal(0, 1e-4, (1, RATE)).astype(np.float32)
    content = np.concatenate([voice(4), pause, voice(4)], axis=1)
    wet = mosaic(content, clip)
    after = corrected(content, wet)
    inside = slice(4 * RATE + RATE // 10, 5 * RATE - RATE // 20)
    assert power_db(after[:, inside]) - power_db(content[:, inside]) <= 3
    kept, live = (onset_correlation(content[0], each[0], RATE) for each in (after, wet))
    assert kept > max(live - 0.02, 0.85)


def test_digital_silence_stays_silent_up_to_an_attack():
    content = voice(6)
    content[:, 2 * RATE : 3 * RATE] = 0
    after = corrected(content, mosaic(content, DRUMS))
    assert np.abs(after[:, 2 * RATE + 128 : 3 * RATE - 128]).max() < 1e-6
    assert power_db(after[:, 3 * RATE - 960 : 3 * RATE]) - power_db(content) <= -25


def test_it_does_not_click():
    """The largest step between samples is no larger than the first pass has, but for the level."""
    content = voice(6)
    wet = mosaic(content)
    after = corrected(content, wet)
    steps = [np.abs(np.diff(np.diff(each))).max() / np.sqrt(np.mean(each**2)) for each in (wet, after)]
    assert steps[1] < 2 * steps[0]


def test_any_blocks_give_the_same_sound():
    content = voice(3, 2)
    wet = mosaic(content)
    whole = corrected(content, wet, sizes=(content.shape[1], content.shape[1]))
    for sizes in ((1, 4096), (777, 16_384), (50_000, 255)):
        assert np.abs(corrected(content, wet, sizes=sizes) - whole).max() <= 1e-6


def test_strength_leads_from_the_content_bit_for_bit_to_the_mosaic():
    content = voice(5)
    found = [corrected(content, mosaic(content, strength=s), strength=s) for s in (0.0, 0.01, 0.5, 1.0)]
    assert np.array_equal(found[0], content)
    away = [np.sqrt(np.mean((each - content) ** 2) / np.mean(content**2)) for each in found]
    assert away[1] < 0.05
    assert away == sorted(away)


def chord(seconds=12):
    rng = np.random.default_rng(1)
    tones = sum(np.sin(2 * np.pi * hz * np.arange(seconds * RATE) / RATE) for hz in (220, 277, 330))[None]
    return (0.1 * tones + rng.normal(0, 1e-3, tones.shape)).astype(np.float32)


def test_music_is_changed_by_one_gain_alone():
    """Where no one speaks for three seconds ahead, bands stay as they are; the gain is within 3 dB."""
    content = chord()
    wet = mosaic(content)
    second = SecondPass(cut(content), RATE, 1)
    assert second.texture < 0.65
    after = np.concatenate([*second(cut(wet), 1.0)], axis=1)
    inside = slice(4 * RATE, -RATE)
    there = np.abs(wet[:, inside]) > 1e-3
    gain = after[:, inside][there] / wet[:, inside][there]
    assert 0.7 < gain.min() <= gain.max() < 1.42
    assert np.abs(np.diff(gain)).max() < 0.05


def test_what_begins_in_the_clip_alone_is_softened():
    """Noise has hardly attacks; bursts that are added to it rise less."""
    rng = np.random.default_rng(3)
    content = rng.normal(0, 0.1, (1, 10 * RATE)).astype(np.float32)
    bursts = 1 + np.exp(-(np.arange(10 * RATE) % (RATE // 2)) / (0.1 * RATE))
    after = corrected(content, (content * bursts).astype(np.float32))
    risen = [np.maximum(np.diff(np.log(frames(each[0, 4 * RATE :]))), 0).sum() for each in (content * bursts, after)]
    assert risen[1] < 0.8 * risen[0]


def frames(sound, length=1024):
    return np.square(sound[: len(sound) // length * length].reshape(-1, length)).mean(1)


def test_stereo_stays_where_it_is():
    content = voice(5, 2)
    wet = mosaic(content)
    after = corrected(content, wet)
    apart = [power_db(each[0]) - power_db(each[1]) for each in (wet, after)]
    assert abs(apart[0] - apart[1]) < 1


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    "sound",
    [
        np.zeros((1, RATE)),
        np.full((1, RATE), 0.5),
        np.zeros((1, 0)),
        np.full((1, 1), 0.9),
        np.random.default_rng(2).uniform(-1, 1, (1, RATE)),
        noise(2 * RATE),
    ],
    ids=["silence", "DC", "nothing", "one sample", "full-scale noise", "swells"],
)
def test_any_sound_stays_finite_and_of_its_length(sound, channels):
    content = np.repeat(sound, channels, 0).astype(np.float32)
    wet = mosaic(content)
    after = corrected(content, wet)
    assert after.shape == content.shape
    assert np.isfinite(after).all()
    assert np.abs(after).max(initial=0) <= 4 * max(np.abs(content).max(initial=0), np.abs(wet).max(initial=0)) + 1e-6


def test_stylise_writes_the_second_pass_with_length_rate_channels_and_tags(tmp_path):
    content, out = np.round(voice(4, 2, 44_100) * 2**15) / np.float32(2**15), tmp_path / "out.wav"
    soundfile.write(tmp_path / "in.flac", content.T, 44_100)
    command = ["stylise", tmp_path / "in.flac", CELLO, "--method", "mosaic", "--out", out, "--json"]
    result = CliRunner().invoke(app, list(map(str, command)))
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["out"] == str(out)
    written, rate = soundfile.read(out, always_2d=True)
    assert (written.T.shape, rate) == (content.shape, 44_100)
    wet = mosaic(content, rate=44_100, texture=SecondPass(cut(content), 44_100, 2).texture)
    assert np.abs(written.T - corrected(content, wet, 44_100)).max() < 1e-3
