"""The mosaic stage: takes its sounds from the clip, keeps tune, attacks and level of the input, survives any input."""

import tracemalloc

import numpy as np
import pytest
from support.stage import play, run, voice

from gramophone.offline.judges.music import onset_correlation
from gramophone.presets import CLIPS
from gramophone.realtime.dsp.resampler import read_clip
from gramophone.realtime.files import AudioWriter
from gramophone.realtime.stage import Format, StageError
from gramophone.realtime.stage_registry import keys_of
from gramophone.realtime.stages.mosaic.clips import LONGEST_S
from gramophone.realtime.stages.mosaic.stage import MosaicStage

pytestmark = pytest.mark.slow

RATE = 48_000
CHOIR, DRUMS, CELLO = (str(CLIPS / f"{name}.flac") for name in ("choir", "drums", "cello"))


def stage(rate=RATE, channels=1, clip=CHOIR, **values):
    return MosaicStage(Format(rate, channels), {"clip": clip, **values})


def clip_of(folder, sound, name="clip.wav", rate=RATE):
    with AudioWriter(folder / name, rate, len(sound), sound.shape[1]) as writer:
        writer.write(np.ascontiguousarray(sound, np.float32))
    return str(folder / name)


def tone(hz, seconds=2.0, rate=RATE, partials=8):
    t = np.arange(round(seconds * rate)) / rate
    return 0.2 * sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, partials + 1))[None].astype(np.float32)


def loudness(sound):
    return 10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-12)


@pytest.mark.parametrize(("window", "longest_ms"), [("short", 25), ("long", 50), ("longest", 100)])
@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000, 96_000])
def test_strength_zero_is_the_input_bit_for_bit_after_the_delay(rate, window, longest_ms):
    playing = stage(rate, 2, strength=0.0, window=window)
    assert playing.delay <= longest_ms * rate / 1000
    audio = voice(0.5, 2, rate)
    assert np.array_equal(run(playing, audio, (1, 7, 300, 4096)), audio)


@pytest.mark.parametrize("window", ["short", "long"])
def test_the_delay_of_the_sound_is_the_one_stated(window):
    """No clip leaves the input as it is, through all windows and spectra."""
    audio = voice(1.0, 2)
    assert np.abs(run(stage(channels=2, clip="", window=window), audio, (300,)) - audio).max() < 1e-5


@pytest.mark.parametrize("key", ["clip", "clip2"])
def test_a_clip_that_is_silent_where_it_is_used_is_refused_by_name(tmp_path, key):
    late = np.zeros((1, round((LONGEST_S + 1) * RATE)))
    late[:, -100:] = 0.5
    with pytest.raises(StageError, match=r"\.wav: silent"):
        stage(**{key: clip_of(tmp_path, late)})


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_any_blocks_give_the_same_sound(rate, channels):
    rng = np.random.default_rng(rate + channels)
    audio = voice(3, channels, rate)
    sizes = [int(np.exp(rng.uniform(0, np.log(8193)))) for _ in range(200)]
    whole = run(stage(rate, channels), audio, (audio.shape[1],))
    assert np.abs(run(stage(rate, channels), audio, sizes) - whole).max() <= 1e-6
    assert np.abs(run(stage(rate, channels), audio, (256,)) - whole).max() <= 1e-6


@pytest.mark.parametrize("values", [{}, {"texture": 1.0}, {"grain": 0.0}, {"texture": 0.0}, {"strength": 0.5}])
@pytest.mark.parametrize("clip", [CHOIR, DRUMS])
def test_loudness_stays_put(clip, values):
    audio = voice(8)
    heard = run(stage(clip=clip, **values), audio)
    assert abs(loudness(heard) - loudness(audio)) < 3


@pytest.mark.parametrize("values", [{}, {"texture": 1.0, "grain": 1.0}])
def test_pauses_stay_pauses(values):
    """A second of room noise 60 dB below the voice between two phrases is as quiet afterwards."""
    rng = np.random.default_rng(0)
    pause = rng.normal(0, 1e-4, (1, RATE)).astype(np.float32)
    audio = np.concatenate([voice(3), pause, voice(3)], axis=1)
    heard = run(stage(clip=DRUMS, **values), audio)
    inside = slice(3 * RATE + RATE // 10, 4 * RATE - RATE // 20)
    assert loudness(heard[:, inside]) - loudness(audio[:, inside]) <= 3


@pytest.mark.parametrize("attack", [2 * RATE, 2 * RATE + 100])
@pytest.mark.parametrize("window", ["short", "long", "longest"])
def test_digital_silence_stays_silent_up_to_half_a_hop_before_an_attack(window, attack):
    """The last 20 ms before it are at least 25 dB below the sound on both sides of the silence."""
    audio = voice(4)
    audio[:, RATE:attack] = 0
    heard = run(stage(clip=DRUMS, window=window), audio)
    assert np.abs(heard[:, RATE + 128 : attack - 128]).max() < 1e-6
    assert loudness(heard[:, attack - 960 : attack]) - loudness(audio) <= -25


def test_dynamics_only_widen(tmp_path):
    """Noise that swells by 30 dB swells by more with a clip that does so by 60 dB, and by no less with a steady one."""
    rng = np.random.default_rng(4)
    seconds = np.arange(6 * RATE) / RATE
    noise = rng.normal(0, 0.1, (1, len(seconds)))
    steady = clip_of(tmp_path, noise[:, : 4 * RATE], "steady.wav")
    swelling = clip_of(tmp_path, noise * 10 ** (1.5 * np.cos(2 * np.pi * 0.9 * seconds) - 1.5), "swelling.wav")
    audio = (rng.normal(0, 0.1, noise.shape) * 10 ** (0.75 * np.cos(2 * np.pi * 1.3 * seconds) - 0.75)).astype(
        np.float32
    )

    def spread(clip, dynamics):
        heard = run(stage(clip=clip, guard=0.0, onsets=1.0, dynamics=dynamics, texture=1.0), audio)[0, 2 * RATE :]
        levels = [loudness(part) for part in np.array_split(heard, 200)]
        return np.percentile(levels, 90) - np.percentile(levels, 10)

    # The gain that lets no more begin than in the content takes up to 3 dB of what swells besides.
    assert spread(swelling, 1.0) > spread(swelling, 0.0) + 2
    assert spread(steady, 1.0) > spread(steady, 0.0) - 1


def test_attacks_stay_where_they_are():
    """Bursts of noise at odd times: the output's energy rises within 10 ms of where the input's does."""
    rng = np.random.default_rng(1)
    audio = rng.normal(0, 1e-4, (1, 4 * RATE)).astype(np.float32)
    begins = [round(t * RATE) for t in (0.613, 1.204, 1.777, 2.891, 3.322)]
    for at in begins:
        audio[0, at : at + RATE // 5] += rng.normal(0, 0.2, RATE // 5) * np.exp(-np.arange(RATE // 5) / 3000)
    heard = run(stage(clip=CELLO), audio)[0]
    width = RATE // 100
    for at in begins:
        before, after = heard[at - 3 * width : at - width], heard[at : at + 2 * width]
        assert loudness(after) - loudness(before) > 15


@pytest.mark.parametrize(("content", "least"), [("distorted-guitar", 0.65), ("strings", 0.75)])
def test_no_more_begins_than_in_a_content_of_few_attacks(content, least):
    """The clip is a singer: of her syllables none is heard that begins when nothing begins in the content."""
    audio = np.ascontiguousarray(read_clip(str(CLIPS / f"{content}.flac"), RATE)[:1, : 6 * RATE], np.float32)
    heard = run(stage(clip=str(CLIPS / "vocals.flac")), audio)
    assert onset_correlation(audio[0], heard[0], RATE) > least


@pytest.mark.parametrize(("pitch", "wanted"), [("follow", 330.0), ("nearest", 262.0)])
def test_pieces_follow_the_pitch_only_where_they_are_to(tmp_path, pitch, wanted):
    clip = clip_of(tmp_path, tone(262.0))
    heard = run(stage(clip=clip, pitch=pitch, texture=1.0, grain=0.5), tone(330.0, 3.0))[0, RATE:]
    power = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) ** 2
    hz = np.fft.rfftfreq(len(heard), 1 / RATE)
    at = [power[np.abs(hz - f) < 8].sum() for f in (262.0, 330.0)]
    assert bool(at[1] > 4 * at[0]) is (wanted == 330.0)


def test_without_grains_the_channels_share_their_gains():
    """A voice half as loud on the right stays half as loud on the right."""
    for values in ({"grain": 0.0}, {}):
        heard = run(stage(channels=2, **values), voice(4, 2))
        assert 0.4 < np.sqrt(np.mean(heard[1] ** 2) / np.mean(heard[0] ** 2)) < 0.6


def test_the_width_of_a_clip_is_heard(tmp_path):
    """The input is the same on both sides; a clip that is not makes the mosaic wide."""
    rng = np.random.default_rng(2)
    wide = clip_of(tmp_path, rng.normal(0, 0.1, (2, 4 * RATE)))
    audio = np.repeat(voice(4), 2, axis=0)
    assert np.corrcoef(run(stage(channels=2, clip=wide, texture=1.0, pitch="nearest"), audio))[0, 1] < 0.5
    assert np.corrcoef(run(stage(channels=2, clip=CELLO, texture=1.0), audio))[0, 1] > 0.99


def test_blending_has_the_two_clips_at_its_ends():
    audio = voice(3)
    one, two = run(stage(), audio), run(stage(clip=DRUMS), audio)
    assert np.array_equal(run(stage(clip2=DRUMS, blend=0.0), audio), one)
    half = run(stage(clip2=DRUMS, blend=0.5), audio)
    assert np.abs(half - one).max() > 1e-3
    assert np.abs(half - two).max() > 1e-3
    assert np.array_equal(run(stage(clip2=DRUMS, blend=1.0), audio), two)


def test_a_region_takes_pieces_from_there_only(tmp_path):
    """The first half of a clip is a low tone, the second a high one; pieces are not tuned."""
    clip = clip_of(tmp_path, np.concatenate([tone(200.0, partials=1), tone(2000.0, partials=1)], axis=1))
    rng = np.random.default_rng(3)
    audio = rng.normal(0, 0.1, (1, 3 * RATE)).astype(np.float32)

    def high_share(position):
        values = {"region": 0.2, "position": position, "pitch": "nearest", "texture": 1.0, "onsets": 0.0}
        heard = run(stage(clip=clip, **values), audio)[0, RATE:]
        power = np.abs(np.fft.rfft(heard)) ** 2
        hz = np.fft.rfftfreq(len(heard), 1 / RATE)
        return power[hz > 1000].sum() / power.sum()

    assert high_share(0.75) > 5 * high_share(0.25)


def test_frozen_pieces_go_on(tmp_path):
    """A clip of two tones, frozen during the first: the tune may do what it likes."""
    clip = clip_of(tmp_path, np.concatenate([tone(262.0), tone(440.0)], axis=1))
    audio = np.concatenate([tone(262.0), tone(440.0)], axis=1)
    playing = stage(clip=clip, pitch="nearest", texture=1.0, grain=0.5, onsets=0.0)
    heard = play(playing, audio, (256,), [(RATE, "freeze", True)])[0, 3 * RATE :]
    playing.close()
    power = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) ** 2
    hz = np.fft.rfftfreq(len(heard), 1 / RATE)
    assert power[np.abs(hz - 262) < 8].sum() > power[np.abs(hz - 440) < 8].sum()


def test_a_new_clip_is_taken_where_the_recording_says():
    audio = voice(2)
    pieces = []
    for size in (256, 1000):
        playing = stage()
        playing.hold()
        playing.set("clip", DRUMS)
        first = play(playing, audio[:, :RATE], (size,))
        playing.take(1)
        pieces.append(np.concatenate([first, play(playing, audio[:, RATE:], (size,))], axis=1))
        playing.close()
    assert np.array_equal(*pieces)
    assert not np.allclose(pieces[0], np.pad(run(stage(), audio), ((0, 0), (1023, 0)))[:, : 2 * RATE])


@pytest.mark.parametrize(
    ("name", "value"),
    [("clip", CELLO), ("strength", 0.2), ("strength", 0.0), ("gain", -6.0), ("texture", 0.0), ("grain", 0.0)],
)
def test_turning_a_knob_makes_no_click(tmp_path, name, value):
    """A steady tone from a steady tone: whatever the gains do, nothing may appear far above it."""
    audio = tone(500.0, 3.0, partials=1)
    playing = stage(clip=clip_of(tmp_path, audio), texture=0.5, pitch="nearest")
    play(playing, audio, (1024,))
    playing.hold()
    playing.set(name, clip_of(tmp_path, 0.5 * audio, "other.wav") if name == "clip" else value)
    if name == "clip":
        playing.take(1)
    heard = play(playing, audio[:, RATE // 2 :], (480,))[0]
    playing.close()
    frames = np.lib.stride_tricks.sliding_window_view(heard, 960)[::240] * np.hanning(960)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    high = power[:, np.fft.rfftfreq(960, 1 / RATE) > 6000].sum(axis=1)
    assert high.max() < 1e-5 * power.sum(axis=1).max()


def test_blocks_allocate_no_more_than_what_they_return():
    playing, audio = stage(channels=2), voice(2, 2)
    play(playing, audio, (256,))
    tracemalloc.start()
    try:
        for start in range(0, RATE, 256):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            playing.process(audio[:, start : start + 256])
            assert tracemalloc.get_traced_memory()[1] - before < 16 * 1024
    finally:
        tracemalloc.stop()
        playing.close()


HOSTILE = {
    "silence": lambda n: np.zeros((1, n), np.float32),
    "constant": lambda n: np.ones((1, n), np.float32),
    "noise at full scale": lambda n: np.sign(np.random.default_rng(0).normal(size=(1, n))).astype(np.float32),
    "one click": lambda n: np.eye(1, n, 100, dtype=np.float32),
    "very loud": lambda n: np.random.default_rng(0).normal(0, 1e4, (1, n)).astype(np.float32),
    "very quiet": lambda n: np.random.default_rng(0).normal(0, 1e-6, (1, n)).astype(np.float32),
}
SILENT = ("silence", "very quiet")
CLIPS_OF = {
    **{name: make(RATE) for name, make in HOSTILE.items() if name not in SILENT},
    "one sample": np.full((1, 1), 0.5, np.float32),
    "shorter than a window": voice(0.005),
}


@pytest.mark.parametrize("content", HOSTILE)
@pytest.mark.parametrize("clip", CLIPS_OF)
def test_it_never_blows_up(tmp_path, content, clip):
    path = clip_of(tmp_path, CLIPS_OF[clip])
    audio = HOSTILE[content](RATE)
    playing = stage(clip=path)
    heard = play(playing, np.concatenate([audio, voice(0.5)], axis=1), (1024,))
    playing.close()
    assert np.isfinite(heard).all()
    first = heard[:, playing.delay : RATE]
    assert np.sqrt(np.mean(first**2)) <= 2 * np.sqrt(np.mean(audio**2)) + 1e-9


def test_a_clip_that_is_no_sound_is_named(tmp_path):
    (tmp_path / "clip.wav").write_text("nothing")
    with pytest.raises(StageError, match=r"clip\.wav"):
        stage(clip=str(tmp_path / "clip.wav"))


def test_a_window_that_there_is_not_is_named():
    with pytest.raises(StageError, match="short, long, longest"):
        keys_of("mosaic", {"window": "huge"}, None)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000, 96_000])
def test_the_hop_that_the_stage_states_is_the_one_it_works_in(rate):
    from gramophone.models.style.mosaic import MosaicLayout

    assert round(keys_of("mosaic", {}, None).hop_s * rate) == MosaicLayout.of(rate, 4).hop
