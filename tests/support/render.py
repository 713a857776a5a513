"""`gramophone render` as its users call it, and a folder of sounds for it."""

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from gramophone.offline.cli.main import app

QUIET = ["--preset", "hall", "--set", "style.strength=0.5"]


def gramophone(*args):
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def sounds(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, rate, channels in [("a.wav", 44100, 1), ("b.flac", 48000, 2), ("c.ogg", 22050, 1), ("d.aiff", 96000, 2)]:
        sound = rng.normal(0, 0.1, (rate // 2 + 17, channels))
        soundfile.write(folder / name, sound, rate)
    soundfile.write(folder / "e.mp3", rng.normal(0, 0.1, (16000, 1)), 16000)
    (folder / "notes.txt").write_text("not a sound")
    return folder
