"""Sound files are read to their announced end or refused, and written whole or not at all."""

import resource

import numpy as np
import pytest

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
    with pytest.raises(ValueError, match="channels"), AudioWriter(tmp_path / "a.wav", RATE, 1, 100) as writer:
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
