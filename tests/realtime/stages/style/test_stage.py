"""The style stage: reaches the style, keeps level and channel balance, survives any input."""

import itertools

import numpy as np
import pytest
from support.stage import run, voice

from gramophone.models.style.style_bands import StyleBands
from gramophone.presets import CLIPS
from gramophone.realtime.files import AudioWriter, read
from gramophone.realtime.stage import Format, StageError
from gramophone.realtime.stage_registry import keys_of
from gramophone.realtime.stages.style.stage import StyleStage

pytestmark = pytest.mark.slow


RATE = 48_000
CHOIR, DRUMS = str(CLIPS / "choir.flac"), str(CLIPS / "drums.flac")


def stage(rate=RATE, channels=1, clip=CHOIR, **values):
    return StyleStage(Format(rate, channels), {"clip": clip, **values})


def log_spectra(sound, rate=RATE, bands=20):
    """Levels in dB of third-octave-like bands, silent frames left out: features that the stage does not use."""
    frames = np.lib.stride_tricks.sliding_window_view(sound.mean(axis=0), 2400)[::1200] * np.hanning(2400)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    edges = np.searchsorted(np.fft.rfftfreq(2400, 1 / rate), np.geomspace(100, 8000, bands + 1))
    levels = np.stack([power[:, a : max(b, a + 1)].mean(axis=1) for a, b in itertools.pairwise(edges)], 1)
    loud = power.sum(axis=1) > 1e-4 * power.sum(axis=1).max()
    return 10 * np.log10(levels[loud] / power[loud].mean() + 1e-7)


def distance(a, b):
    """Between mean and spread of log spectra, in dB."""
    a, b = log_spectra(a), log_spectra(b)
    return np.sqrt(np.mean((a.mean(0) - b.mean(0)) ** 2) + np.mean((a.std(0) - b.std(0)) ** 2))


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000, 96_000])
def test_strength_zero_is_a_delay_and_the_delay_is_as_stated(rate):
    playing = stage(rate, 2, strength=0.0)
    if rate == RATE:
        assert playing.delay <= 1024
    impulse = np.zeros((2, rate // 2), np.float32)
    impulse[:, 1234] = 0.9
    heard = run(playing, impulse, (1, 7, 300, 4096))
    assert np.abs(heard - impulse).max() < 1e-6


@pytest.mark.parametrize("block", [64, 1000, 4096])
def test_another_band_layout_at_strength_zero_is_inaudible(block):
    """The new processor has a delay: faded to before, it would make a dip in level."""
    sound = voice(1.0, 2)
    playing = stage(RATE, 2, strength=0.0)
    playing.hold()
    playing.set("detail", 16.0)
    pieces = []
    for start in range(0, sound.shape[1], block):
        if start // block == 24_000 // block:
            playing.take(1)
        pieces.append(playing.process(sound[:, start : start + block]))
    playing.close()
    heard = np.concatenate(pieces, axis=1)
    assert heard.dtype == np.float32
    np.testing.assert_allclose(heard[:, playing.delay :], sound[:, : -playing.delay], rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_any_blocks_give_the_same_sound(rate, channels):
    rng = np.random.default_rng(rate + channels)
    audio = voice(3, channels, rate)
    sizes = [int(np.exp(rng.uniform(0, np.log(8193)))) for _ in range(200)]
    whole = run(stage(rate, channels), audio, (audio.shape[1],))
    assert np.abs(run(stage(rate, channels), audio, sizes) - whole).max() <= 1e-6
    assert np.abs(run(stage(rate, channels), audio, (256,)) - whole).max() <= 1e-6


@pytest.mark.parametrize("clip", ["choir.flac", "drums.flac", "vocals.flac", "guitar.flac"])
def test_strength_goes_from_the_sound_to_the_style(clip):
    import soxr

    style, rate = read(CLIPS / clip)
    style = soxr.resample(style.mean(0), rate, RATE)[None]
    audio = voice(10)
    far = distance(audio, style)
    distances = [
        distance(run(stage(clip=str(CLIPS / clip), strength=s, guard=0.0), audio), style) for s in (0.0, 0.5, 1.0)
    ]
    assert abs(distances[0] - far) < 0.1
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.9 * far


def test_loudness_stays_put():
    for clip in ("choir.flac", "drums.flac", "music-box.flac"):
        audio = voice(8)
        heard = run(stage(clip=str(CLIPS / clip)), audio)
        assert abs(10 * np.log10(np.mean(heard**2) / np.mean(audio**2))) < 3


def test_channels_share_their_gains():
    """A voice half as loud on the right stays half as loud on the right."""
    heard = run(stage(channels=2), voice(4, 2))
    assert np.corrcoef(heard)[0, 1] > 0.95
    assert 0.4 < np.sqrt(np.mean(heard[1] ** 2) / np.mean(heard[0] ** 2)) < 0.6


def test_freezing_before_anything_is_heard_changes_nothing():
    audio = voice(2)
    assert np.abs(run(stage(freeze=True), audio) - audio).max() < 1e-5


def test_blending_has_the_two_styles_at_its_ends():
    audio = voice(3)
    one, two = run(stage(), audio), run(stage(clip=DRUMS), audio)
    assert np.array_equal(run(stage(clip2=DRUMS, blend=0.0), audio), one)
    assert np.array_equal(run(stage(clip2=DRUMS, blend=1.0), audio), two)
    half = run(stage(clip2=DRUMS, blend=0.5), audio)
    assert np.abs(half - one).max() > 1e-3
    assert np.abs(half - two).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "value"),
    [("clip", DRUMS), ("detail", 48.0), ("low", 200.0), ("strength", 0.2), ("gain", -6.0), ("tilt", 0.0)],
)
def test_turning_a_knob_makes_no_click(name, value):
    """A steady sine: whatever the gains do, nothing may appear far from it."""
    t = np.arange(RATE) / RATE
    audio = 0.5 * np.sin(2 * np.pi * 500 * t)[None].astype(np.float32)
    playing = stage(fill=0.0)
    for _ in range(3):
        playing.process(audio)
    playing.set(name, value)
    pieces = []
    while playing.background._request or playing._outgoing:
        pieces.append(playing.process(audio[:, : RATE // 10]))
        assert len(pieces) < 300
    heard = np.concatenate([*pieces, playing.process(audio)], axis=1)[0]
    playing.close()
    frames = np.lib.stride_tricks.sliding_window_view(heard, 960)[::240] * np.hanning(960)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    high = power[:, np.fft.rfftfreq(960, 1 / RATE) > 6000].sum(axis=1)
    assert high.max() < 1e-6 * power.sum(axis=1).max()


HOSTILE = {
    "silence": lambda n: np.zeros((1, n), np.float32),
    "constant": lambda n: np.ones((1, n), np.float32),
    "noise at full scale": lambda n: np.sign(np.random.default_rng(0).normal(size=(1, n))).astype(np.float32),
    "one click": lambda n: np.eye(1, n, 100, dtype=np.float32),
    "very loud": lambda n: np.random.default_rng(0).normal(0, 1e4, (1, n)).astype(np.float32),
    "very quiet": lambda n: np.random.default_rng(0).normal(0, 1e-6, (1, n)).astype(np.float32),
}
SILENT = {"silence", "very quiet"}


@pytest.mark.parametrize("content", HOSTILE)
@pytest.mark.parametrize("style", [*sorted(HOSTILE.keys() - SILENT), "shorter than a window"])
def test_it_never_blows_up(tmp_path, content, style):
    sound = HOSTILE[style](RATE) if style in HOSTILE else voice(0.005)
    with AudioWriter(tmp_path / "clip.wav", RATE, 1, sound.shape[1]) as writer:
        writer.write(sound)
    audio = HOSTILE[content](2 * RATE)
    heard = run(stage(clip=str(tmp_path / "clip.wav")), audio)
    assert np.isfinite(heard).all()
    # a level that was learnt may be wrong for a moment, but not by more than its bounds
    assert np.sqrt(np.mean(heard**2)) <= 2 * np.sqrt(np.mean(audio**2)) + 1e-9
    after = run(stage(clip=str(tmp_path / "clip.wav")), np.concatenate([audio, voice(2)], axis=1))
    assert np.isfinite(after).all()


@pytest.mark.parametrize("key", ["clip", "clip2"])
def test_a_silent_clip_is_refused_by_name(tmp_path, key):
    with AudioWriter(tmp_path / "empty.wav", RATE, 1, RATE) as writer:
        writer.write(np.full((1, RATE), 1e-5, np.float32))
    with pytest.raises(StageError, match=r"empty\.wav: silent"):
        stage(**{key: str(tmp_path / "empty.wav")})


def test_a_clip_that_is_no_sound_is_named(tmp_path):
    (tmp_path / "clip.wav").write_text("nothing")
    with pytest.raises(StageError, match=r"clip\.wav"):
        stage(clip=str(tmp_path / "clip.wav"))


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000, 96_000])
def test_the_hop_that_the_stage_states_is_the_one_it_works_in(rate):
    assert round(keys_of("style", {}, None).hop_s * rate) == StyleBands(rate, 24, 40.0, 7000.0).hop
