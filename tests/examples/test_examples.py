"""The examples run as they are, and do what they say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
VOICE = ROOT / "presets" / "clips" / "voice.flac"


def run(*arguments, folder, **environment):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def voice(tmp_path):
    """Two seconds of the bundled voice, as a file in a folder."""
    sound, rate = soundfile.read(VOICE, dtype="float32")
    path = tmp_path / "takes" / "voice.wav"
    path.parent.mkdir()
    soundfile.write(path, sound[: 2 * rate], rate, "FLOAT")
    return path


@pytest.mark.slow
def test_chunks_of_any_length_play_in_real_time(voice, tmp_path):
    done = run(EXAMPLES / "realtime.py", voice, "out.wav", folder=tmp_path)
    assert re.search(r"out.wav: \d+\.\d ms late, \d+%", done.stdout)
    assert soundfile.info(tmp_path / "out.wav").frames == soundfile.info(voice).frames


@pytest.mark.slow
def test_a_folder_is_rendered_and_a_broken_file_ends_nothing(voice, tmp_path):
    (voice.parent / "broken.wav").write_bytes(b"RIFF")
    done = run(EXAMPLES / "batch.py", voice.parent, "out", "old-record", "style.strength=0.5", folder=tmp_path)
    assert "broken.wav" in done.stderr
    before, after = (soundfile.read(path)[0] for path in (voice, tmp_path / "out" / "voice.wav"))
    assert after.shape == before.shape
    assert not np.allclose(after, before, atol=0.01)
    assert not (tmp_path / "out" / "broken.wav").exists()


@pytest.mark.slow
def test_a_stage_of_ones_own_is_installed_and_plays_in_a_preset(voice, tmp_path):
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    source = tmp_path / "source"  # a build leaves its parts where it runs
    source.mkdir()
    for path in (EXAMPLES / "own_stage").iterdir():
        if path.is_file():
            (source / path.name).write_bytes(path.read_bytes())
    run(*pip, "--target", tmp_path / "packages", source, folder=tmp_path)
    preset = EXAMPLES / "own_stage" / "wobble.toml"
    gramophone = ["-m", "gramophone.offline", "render", voice, "--out", "out"]
    arguments = [*gramophone, "--preset", preset, "--set", "wobble.depth=1", "--set", "room.bypass=true"]
    run(*arguments, folder=tmp_path, PYTHONPATH=str(tmp_path / "packages"))
    before, after = (soundfile.read(path, dtype="float32")[0] for path in (voice, tmp_path / "out" / "voice.wav"))
    loud = np.abs(before) > 0.05
    shares = after[loud] / before[loud]
    assert shares.min() < 0.05
    assert 0.9 < shares.max() <= 1.001


@pytest.mark.slow
def test_a_model_of_ones_own_learns_and_streams(tmp_path):
    done = run(EXAMPLES / "own_model.py", "150", folder=tmp_path)
    error, difference = re.search(r"error (-?\d+) dB; .* differ by (\S+)", done.stdout).groups()
    assert float(error) < -5
    assert float(difference) < 1e-4
