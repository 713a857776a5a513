"""The mono sum: the mean of the channels, unless they cancel."""

import numpy as np
import pytest

from gramophone.presets import CLIPS
from gramophone.realtime.files import read
from gramophone.realtime.stages.mono_sum import MonoSum

VOICE, RATE = read(CLIPS / "voice.flac")
VOICE = VOICE[0]


def power(sound):
    return float(np.square(sound, dtype=np.float64).mean())


@pytest.mark.parametrize("right", [1.0, 0.3, 0.0])
def test_in_phase_or_on_one_channel_it_is_the_mean(right):
    block = np.stack([VOICE, np.float32(right) * VOICE])
    assert np.array_equal(MonoSum(RATE).process(block), block.mean(axis=0))


@pytest.mark.parametrize("right", [-1.0, -0.7])
def test_in_opposite_phase_nothing_is_lost_but_the_first_30_ms(right):
    block = np.stack([VOICE, np.float32(right) * VOICE])
    onset = int(np.argmax(np.abs(VOICE) > 0.01)) + round(0.05 * RATE)
    sum_ = MonoSum(RATE).process(block)
    assert power(sum_[onset:]) >= 0.7 * power(VOICE[onset:])


def test_any_blocks_equal_one_pass():
    rng = np.random.default_rng(0)
    block = np.stack([VOICE, VOICE * np.where(np.arange(len(VOICE)) // 20_000 % 2, -1, 1)]).astype(np.float32)
    whole = MonoSum(RATE).process(block)
    mono, start, parts = MonoSum(RATE), 0, []
    while start < len(VOICE):
        size = int(rng.integers(0, 3000))
        parts.append(mono.process(block[:, start : start + size]))
        start += size
    assert np.array_equal(np.concatenate(parts), whole)


def test_it_goes_over_without_a_click():
    t = np.arange(2 * RATE) / RATE
    left = (0.5 * np.sin(2 * np.pi * 200 * t)).astype(np.float32)
    right = np.where(t < 1, left, -left)
    sound = MonoSum(RATE).process(np.stack([left, right]))
    settled = sound[round(1.0 * RATE) + 1 :]  # the channels themselves step there
    assert np.abs(np.diff(settled, 2)).max() < 2 * np.abs(np.diff(left, 2)).max()
    assert power(sound[-RATE // 2 :]) == pytest.approx(power(left[-RATE // 2 :]))
