"""The level of a block: NumPy's, bit for bit where it is exact; what is no plain array is refused."""

import math
import pickle

import numpy as np
import pytest

from gramophone.realtime.dsp.delay_line import DelayLine
from gramophone.realtime.dsp.meters import BlockMeter
from gramophone.realtime.kernels.levels import (
    ANY,
    BITS,
    ENERGY,
    FIELDS,
    SAMPLES,
    LineMemory,
    amplitude_of,
    bits_of,
    level_meter,
    new_figures,
)

HIGHEST_FINITE = bits_of(math.inf) - 1


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(0, 0.3, shape).astype(np.float32)


def read_only(sound):
    sound = sound.copy()
    sound.flags.writeable = False
    return sound


PLAIN = {
    "rows": lambda sound: sound,
    "slice": lambda sound: sound[:, 3:-5],
    "every other row": lambda sound: sound[::2],
    "rows backwards": lambda sound: sound[::-1],
    "read only": read_only,
    "broadcast": lambda sound: np.broadcast_to(sound[:1], sound.shape),
    "one column": lambda sound: np.asfortranarray(sound)[:, :1],
}
OTHERS = {
    "backwards": lambda sound: sound[:, ::-1],
    "columns": np.asfortranarray,
    "float64": lambda sound: sound.astype(np.float64),
    "other bytes": lambda sound: sound.astype(">f4"),
    "integers": lambda sound: sound.view(np.int32),
    "one dimension": lambda sound: sound[0],
    "three dimensions": lambda sound: sound[None],
    "masked": np.ma.asarray,
    "out of a pickle": lambda sound: pickle.loads(pickle.dumps(sound)),
    "list": lambda sound: sound.tolist(),
    "none": lambda sound: None,
}


@pytest.mark.parametrize("layout", PLAIN)
@pytest.mark.parametrize("frames", [0, 1, 17, 256, 4097])
def test_peak_is_exact_and_energy_is_the_sum_of_squares(layout, frames):
    sound = PLAIN[layout](noise((3, frames + 8)))
    figures = new_figures(3)
    assert level_meter(figures, 1)(sound, sound, 0)
    bits, energy, samples = figures[FIELDS:][[BITS, ENERGY, SAMPLES]]
    assert amplitude_of(int(bits)) == np.abs(sound).max(initial=0)
    assert energy == pytest.approx(np.square(sound, dtype=np.float64).sum(), rel=1e-5)
    assert samples == sound.size


@pytest.mark.parametrize("layout", OTHERS)
def test_what_is_no_plain_array_of_float32_is_refused(layout):
    sound, figures, line = noise((3, 256)), new_figures(1), DelayLine(3, 10)
    other = OTHERS[layout](sound)
    measure = level_meter(figures, 0, ANY, LineMemory(*line.memory))
    assert not measure(other, sound, 5)
    assert not measure(sound, other, 5)
    assert not figures.any()
    assert not line.read(10, 0).any()


@pytest.mark.parametrize("delay", [1, 1023, 5000])
def test_a_line_gets_the_block_as_by_write(delay):
    ours, truth = DelayLine(2, delay), DelayLine(2, delay)
    measure = level_meter(new_figures(1), 0, ANY, LineMemory(*ours.memory))
    for number, frames in enumerate((256, 0, 1, 2048, 300, 2047, 1000) * 3):
        block = noise((2, frames), number)
        assert measure(3 * block, block, 0)
        truth.write(block)
        assert np.array_equal(ours.read(frames), truth.read(frames))


@pytest.mark.parametrize("block", [noise((2, 2049)), noise((1, 256)), noise((3, 256))])
def test_a_block_that_the_line_has_no_room_for_is_refused(block):
    line, figures = DelayLine(2, 100), new_figures(1)
    assert not level_meter(figures, 0, ANY, LineMemory(*line.memory))(noise((2, 256)), block, 0)
    assert not figures.any()
    assert line.memory[1][0] == 0


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 100, 255])
def test_one_sample_that_is_not_finite_shows_in_the_bits(bad, place):
    sound = noise((2, 256))
    sound[1, place] = bad
    figures = new_figures(1)
    assert not level_meter(figures, 0, HIGHEST_FINITE)(sound, sound, 5)
    assert not figures.any()
    assert level_meter(figures, 0)(sound, sound, 5)
    assert figures[BITS] > HIGHEST_FINITE


def test_a_sample_as_high_as_is_allowed_passes_and_the_next_higher_does_not():
    sound = noise((2, 256))
    highest = bits_of(float(np.abs(sound).max()))
    figures = new_figures(1)
    assert level_meter(figures, 0, highest)(sound, sound, 0)
    assert not level_meter(figures, 0, highest - 1)(sound, sound, 0)


def test_bits_are_in_the_order_of_amplitudes():
    amplitudes = np.sort(np.abs(noise(1000) * 10.0 ** np.arange(-30, 20).repeat(20)).astype(np.float32))
    bits = [bits_of(float(amplitude)) for amplitude in amplitudes]
    assert bits == sorted(bits)
    assert [amplitude_of(each) for each in bits] == amplitudes.tolist()


def test_a_meter_reads_the_level_of_all_blocks_since_the_last_reading():
    meter = BlockMeter(2)
    quiet, loud = meter.measure(0), meter.measure(1)
    before = noise((2, 100), 1)
    quiet(before, before, 0)
    meter.read()
    sound = noise((2, 1024))
    for start in range(0, 1024, 64):
        block = sound[:, start : start + 64]
        quiet(block, block, 0)
        loud(3 * block, block, 0)
    level, samples = meter.read()
    assert samples == 2048
    assert level.peak_db == pytest.approx(20 * np.log10(np.abs(sound).max()))
    assert level.rms_db == pytest.approx(10 * np.log10(np.square(sound).mean()), abs=1e-4)
    assert meter.read(1)[0].peak_db == pytest.approx(level.peak_db + 20 * np.log10(3))


@pytest.mark.parametrize("blocks", [1, 7, 1024, 1500])
def test_times_are_those_of_the_last_1024_blocks_part_by_part(blocks):
    meter, sound = BlockMeter(3), noise((1, 8))
    measures = [meter.measure(part) for part in range(3)]
    assert meter.quantile_ms(0.5) == 0.0
    for block in range(blocks):
        for part, measure in enumerate(measures):
            measure(sound, sound, 1000 * (block + 10_000 * part))
    for part in range(3):
        times = np.arange(max(blocks - 1024, 0), blocks) + 10_000 * part
        assert meter.quantile_ms(0.95, part) == pytest.approx(np.quantile(times, 0.95) / 1e3)
        assert meter.spent_ns(part) == 1000 * (np.arange(blocks) + 10_000 * part).sum()
