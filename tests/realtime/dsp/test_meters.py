"""Meters: a reduction is the gain that a slower truth gives."""

import numpy as np
import pytest

from gramophone.realtime.dsp.delay_line import DelayLine
from gramophone.realtime.dsp.meters import ReductionMeter

RNG = np.random.default_rng(1)


def noise(*shape):
    return RNG.normal(0, 0.1, shape).astype(np.float32)


@pytest.mark.parametrize(("delay", "gain"), [(0, 0.5), (37, 0.1), (480, 1.0)])
def test_a_reduction_is_the_gain_of_output_over_input_at_any_delay_and_blocks(delay, gain):
    meter, line = ReductionMeter(2, delay), DelayLine(2, delay)
    loud = noise(2, 4096)
    loud[:, 2048:] *= 10  # a step, which a reading out of line would take for a gain
    for block in np.array_split(loud, [7, 500, 1500, 3000], axis=1):
        meter.add(block, gain * line.process(block))
    assert meter.read() == pytest.approx(20 * np.log10(gain), abs=1e-4)
    assert meter.read() == 0.0, "nothing since the last reading"


def test_a_reduction_is_relative_to_what_passes_and_never_a_gain():
    meter = ReductionMeter(1)
    block = noise(1, 1000)
    meter.add(block, 2 * block)
    assert meter.read(passes_db=20 * np.log10(4)) == pytest.approx(20 * np.log10(0.5), abs=1e-4)
    meter.add(block, 2 * block)
    assert meter.read() == 0.0
    meter.add(np.zeros((1, 100), np.float32), np.zeros((1, 100), np.float32))
    assert meter.read() == 0.0
    meter.add(block, np.full_like(block, np.nan))
    assert meter.read() == 0.0
