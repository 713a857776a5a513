"""Percussion and instruments by rule: as long as asked for, struck from the start, and the same from the same seed."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from gramophone.offline.data import solo
from gramophone.offline.data.fluidsynth import DRUMS

RATE = 16_000
FONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")


def stroke(seed):
    """A tenth of a second of noise that decays."""
    return np.random.default_rng(seed).normal(0, 0.1, 1600).astype(np.float32) * np.linspace(
        1, 0, 1600, dtype=np.float32
    )


def test_a_loop_is_as_long_as_asked_for_begins_with_a_stroke_and_follows_the_seed():
    samples = [stroke(seed) for seed in range(3)]
    once, again, other = (solo.drummed(samples, 4.0, RATE, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert once.shape == (4 * RATE,)
    assert np.abs(once[: RATE // 10]).max() > 0.01
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)


@pytest.mark.skipif(
    not shutil.which("fluidsynth") or not FONT.is_file(), reason="needs fluidsynth and timgm6mb-soundfont"
)
def test_each_program_plays_alone_and_nothing_of_the_one_before_is_left():
    piano, drums = solo.played([0, DRUMS], FONT, 4.0, RATE, 0)
    (alone,) = solo.played([0], FONT, 4.0, RATE, 0)
    assert piano.shape == drums.shape == (4 * RATE,)
    assert min(np.abs(piano).max(), np.abs(drums).max()) > 0.01
    np.testing.assert_allclose(piano, alone, atol=1e-4)
    assert np.abs(drums[: RATE // 20]).max() < np.abs(drums).max()
