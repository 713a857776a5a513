"""Sound files are read to their announced end or refused, and written whole or not at all."""

import resource

import numpy as np
import pytest
import soundfile

from gramophone.realtime.files import EXTENSIONS, AudioWriter, SoundFileError, read

RATE = 22050


def tone(frames, channels=1):
    t = np.arange(frames) / RATE
    return np.stack([0.5 * np.sin(2 * np.pi * (440 + 110 * c) * t) for c in range(channels)]).astype(np.float32)


@pytest.mark.parametrize("ending", EXTENSIONS)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_written_comes_back(tmp_path, ending, channels):
    sound = tone(RATE, channels)
    with AudioWriter(tmp_path / f"a{ending}", RATE, channels, RATE) as writer:
        for start in range(0, RATE, 1000):
            writer.write(sound[:, start : start + 1000])
    back, rate = read(tmp_path / f"a{ending}")
    assert rate == RATE
    assert back.shape[0] == channels
    loss = 0.2 if ending in (".mp3", ".ogg") else 2**-23
    if ending != ".mp3":
        assert back.shape == sound.shape
        assert np.abs(back - sound).max() < loss
    else:
        assert back.shape[1] >= sound.shape[1]


def test_eight_channels_and_one_sample(tmp_path):
    with AudioWriter(tmp_path / "a.wav", 96000, 8, 1) as writer:
        writer.write(np.full((8, 1), 0.25, np.float32))
    sound, rate = read(tmp_path / "a.wav")
    assert rate == 96000
    assert np.array_equal(sound, np.full((8, 1), 0.25, np.float32))


def test_a_failed_write_leaves_nothing(tmp_path):
    with (
        pytest.raises(ValueError, match=r"expected \(1, frames\)"),
        AudioWriter(tmp_path / "a.wav", RATE, 1, 100) as writer,
    ):
        writer.write(tone(50, channels=2))
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_what_was_there(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"precious")
    with pytest.raises(ZeroDivisionError), AudioWriter(tmp_path / "a.wav", RATE, 1, 100):
        raise ZeroDivisionError
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"precious"]


@pytest.mark.parametrize("ending", [".wav", ".flac"])
def test_a_full_disk_is_an_error(tmp_path, ending):
    """A limit on file size fails writes at the same place as a full disk does."""
    code = f"""
import resource, signal, numpy as np
from pathlib import Path
from gramophone.realtime.files import SoundFileError, AudioWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    with AudioWriter(Path({str(tmp_path)!r}) / 'a{ending}', 48000, 1, 48000) as writer:
        writer.write(np.random.default_rng(0).normal(0, .1, (1, 48000)).astype(np.float32))
except SoundFileError as error:
    assert 'a{ending}' in str(error), error
else:
    raise SystemExit('no error')
"""
    import subprocess
    import sys

    assert hasattr(resource, "RLIMIT_FSIZE")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SoundFileError, match="cannot be written: no such folder"):
        AudioWriter(tmp_path / "file" / "a.wav", RATE, 1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("ending", "like", "kept", "bits"),
    [
        (".wav", "PCM_U8", "PCM_U8", 8),
        (".wav", "PCM_16", "PCM_16", 16),
        (".wav", "PCM_24", "PCM_24", 24),
        (".wav", "PCM_32", "PCM_32", 24),
        (".wav", "ALAW", "PCM_16", 16),
        (".wav", "GSM610", "PCM_16", 16),
        (".wav", "DOUBLE", "FLOAT", 24),
        (".aiff", "PCM_S8", "PCM_S8", 8),
        (".aiff", "PCM_16", "PCM_16", 16),
        (".aiff", "PCM_24", "PCM_24", 24),
        (".flac", "PCM_16", "PCM_16", 16),
        (".flac", "PCM_24", "PCM_24", 24),
        (".flac", "FLOAT", "PCM_24", 24),
    ],
)
def test_a_kept_sample_type_is_the_inputs_and_costs_a_step_of_it(tmp_path, ending, like, kept, bits, channels):
    """libsndfile reads it; whole steps, such as silence, come back as they are."""
    sound, step = tone(RATE // 2 + 1, channels), 2.0 ** (1 - bits)
    sound[:, :1000] = np.round(sound[:, :1000] / step) * step
    sound[:, 1000:2000] = 0
    found = []
    for number, block in enumerate((700, RATE)):
        path = tmp_path / f"{number}{ending}"
        with AudioWriter(path, RATE, channels, sound.shape[1], like=like) as writer:
            for start in range(0, sound.shape[1], block):
                writer.write(sound[:, start : start + block])
        assert soundfile.info(path).subtype == kept
        found.append(soundfile.read(path, always_2d=True)[0].T)
    assert np.array_equal(*found)
    assert found[0].shape == sound.shape
    assert np.array_equal(found[0][:, :2000], sound[:, :2000])
    error = (found[0] - sound)[:, 2000:] / step
    assert np.abs(error).max() <= 1.5
    if bits <= 16:  # white: no tone of the error follows the sound's
        assert 0.4 < error.std() < 0.6
        spectrum = np.abs(np.fft.rfft(error * np.hanning(error.shape[1]))) ** 2
        assert spectrum.max() < 20 * spectrum.mean()


def test_full_scale_of_whole_numbers_is_clipped_and_counted(tmp_path):
    with AudioWriter(tmp_path / "a.wav", RATE, 1, 4, like="PCM_16") as writer:
        writer.write(np.array([[1.5, 1.0, -1.0, -1.5]], np.float32))
    assert writer.clipped == 2
    assert soundfile.read(tmp_path / "a.wav", dtype="int16")[0].tolist() == [32767, 32767, -32768, -32768]


@pytest.mark.parametrize(("ending", "least"), [(".mp3", 35), (".ogg", 28)])
def test_codes_with_loss_lose_little(tmp_path, ending, least):
    sound = (0.3 * np.random.default_rng(0).standard_normal((1, 2 * RATE))).astype(np.float32).clip(-1, 1)
    sound = np.cumsum(sound, axis=1) * 0.02  # brown, as most sounds are
    with AudioWriter(tmp_path / f"a{ending}", RATE, 1, sound.shape[1]) as writer:
        writer.write(sound)
    back = read(tmp_path / f"a{ending}")[0][:, : sound.shape[1]]
    lost = back - sound[:, : back.shape[1]]
    assert 10 * np.log10((sound**2).mean() / (lost**2).mean()) > least


KINDS = {
    "double": lambda sound: sound.astype(float),
    "half": lambda sound: sound.astype(np.float16),
    "other byte order": lambda sound: sound.astype(sound.dtype.newbyteorder()),
    "backwards in memory": lambda sound: np.ascontiguousarray(sound[:, ::-1])[:, ::-1],
    "a list": lambda sound: sound.tolist(),
}


@pytest.mark.parametrize("ending", EXTENSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_any_kind_of_floats_are_written_as_the_same(tmp_path, ending, kind):
    sound = np.random.default_rng(0).normal(0, 0.1, (2, 4800)).astype(np.float16).astype(np.float32)
    for name, block in (("plain", sound), ("given", KINDS[kind](sound))):
        with AudioWriter(tmp_path / f"{name}{ending}", 48_000, 2) as file:
            file.write(block)
    assert np.array_equal(*(read(tmp_path / f"{name}{ending}")[0] for name in ("plain", "given")))


@pytest.mark.parametrize("ending", EXTENSIONS)
@pytest.mark.parametrize("kind", ["int16", "int32", "bool", "complex64", "object", "str"])
def test_samples_whose_full_scale_is_not_one_are_refused_and_leave_no_file(tmp_path, ending, kind):
    with (
        pytest.raises(ValueError, match="expected floating-point numbers"),
        AudioWriter(tmp_path / f"a{ending}", 48_000, 2) as file,
    ):
        file.write(np.ones((2, 480), kind))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", EXTENSIONS)
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_written_as_silence_and_counted_in_every_format(tmp_path, ending, broken):
    sound = np.random.default_rng(0).normal(0, 0.1, (2, 4800)).astype(np.float32)
    sound[:, 1000:1100] = 0.0
    given = sound.copy()
    given[:, 1000:1100] = broken
    for name, block in (("plain", sound), ("given", given)):
        with AudioWriter(tmp_path / f"{name}{ending}", 48_000, 2) as file:
            file.write(block)
    assert file.non_finite == 200
    assert file.remarks[0] == "200 samples were NaN or infinite and were taken as silence"
    assert np.array_equal(np.isnan(given) | np.isinf(given), given != sound)  # the caller's array stays as it was
    assert np.array_equal(*(read(tmp_path / f"{name}{ending}")[0] for name in ("plain", "given")))


@pytest.mark.parametrize(("ending", "most"), [(".flac", 1.0), (".ogg", 8.0), (".mp3", 8.0)])
@pytest.mark.parametrize("gain", [10.0, 251.0, 1e20])
def test_what_is_far_beyond_full_scale_is_clipped_and_not_garbled(tmp_path, ending, most, gain):
    tone = np.sin(2 * np.pi * 440 * np.arange(24_000) / 48_000, dtype=np.float32)[None]
    with AudioWriter(tmp_path / f"a{ending}", 48_000, 1) as file:
        file.write(np.float32(gain) * tone)
    sound, wanted = read(tmp_path / f"a{ending}")[0][:, 2000:22_000], np.clip(gain * tone, -most, most)[:, 2000:22_000]
    assert np.std(sound - wanted) < 0.05 * most
    assert file.clipped == np.count_nonzero(np.abs(gain * tone) > 1)


@pytest.mark.parametrize("ending", EXTENSIONS)
def test_blocks_without_frames_change_nothing(tmp_path, ending):
    sound = np.random.default_rng(0).normal(0, 0.1, (2, 4800)).astype(np.float32)
    for name, blocks in (("plain", [sound]), ("given", [sound[:, :0], sound, sound[:, :0]])):
        with AudioWriter(tmp_path / f"{name}{ending}", 48_000, 2) as file:
            for block in blocks:
                file.write(block)
    assert np.array_equal(*(read(tmp_path / f"{name}{ending}")[0] for name in ("plain", "given")))


@pytest.mark.parametrize("ending", [".flac", ".mp3"])
def test_a_format_that_cannot_be_without_sound_says_so(tmp_path, ending):
    with (
        pytest.raises(SoundFileError, match=r"no sound was written \(0 frames\)"),
        AudioWriter(tmp_path / f"a{ending}", 48_000, 2),
    ):
        pass
    assert not list(tmp_path.iterdir())
