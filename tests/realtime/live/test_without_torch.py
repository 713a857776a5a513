"""What a worker loads, and what factory presets of every kind play, is without torch."""

import subprocess
import sys

import pytest

CODE = """
import sys
import numpy as np

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ImportError("torch is imported")

sys.meta_path.insert(0, Refusal())

from gramophone.realtime.live.worker_process import load_libraries
load_libraries()

from gramophone.presets import load
from gramophone.realtime.engine import Engine

noise = np.random.default_rng(0).normal(0, 0.1, (2, 256)).astype(np.float32)
for name in sys.argv[1:]:
    engine = Engine(load(name), 48_000, 2)
    for _ in range(100):
        sound = engine.process(noise)
    assert engine.report().left_out == {}, engine.report().left_out
    assert np.isfinite(sound).all()
    engine.close()
print("torch" in sys.modules)
"""
OF_EVERY_KIND = ("default", "hall", "anyone", "bowed", "male-garble", "someone-else", "noisy-room")


@pytest.mark.slow
def test_presets_of_every_kind_play_without_torch():
    run = [sys.executable, "-c", CODE, *OF_EVERY_KIND]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False"]
