"""The level of a block: NumPy's, bit for bit where it is exact, whatever the array's layout."""

import numpy as np
import pytest

from gramophone.realtime.dsp.meters import BlockMeter
from gramophone.realtime.kernels.levels import (
    ANY,
    BITS,
    ENERGY,
    FIELDS,
    NOT_FINITE,
    SAMPLES,
    amplitude_of,
    bits_of,
    level_meter,
    new_figures,
)


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(0, 0.3, shape).astype(np.float32)


def read_only(sound):
    sound = sound.copy()
    sound.flags.writeable = False
    return sound


LAYOUTS = {
    "rows": lambda sound: sound,
    "slice": lambda sound: sound[:, 3:-5],
    "reversed": lambda sound: sound[:, ::-1],
    "columns": np.asfortranarray,
    "read only": read_only,
    "float64": lambda sound: sound.astype(np.float64),
    "broadcast": lambda sound: np.broadcast_to(sound[:1], sound.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("frames", [0, 1, 17, 256, 4097])
def test_peak_is_exact_and_energy_is_the_sum_of_squares(layout, frames):
    sound = LAYOUTS[layout](noise((3, frames + 8)))
    figures = new_figures(3)
    assert level_meter()(sound, ANY, figures, 1, 0)
    bits, energy, samples = figures[FIELDS:][[BITS, ENERGY, SAMPLES]]
    assert amplitude_of(int(bits)) == np.abs(sound).max(initial=0)
    assert energy == pytest.approx(np.square(sound, dtype=np.float64).sum(), rel=1e-5)
    assert samples == sound.size


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 100, 255])
def test_one_sample_that_is_not_finite_shows_in_the_bits(bad, place):
    sound = noise((2, 256))
    sound[1, place] = bad
    figures = new_figures(1)
    assert not level_meter()(sound, NOT_FINITE - 1, figures, 0, 5)
    assert not figures.any()
    assert level_meter()(sound, ANY, figures, 0, 5)
    assert figures[BITS] >= NOT_FINITE


def test_a_sample_as_high_as_is_allowed_passes_and_the_next_higher_does_not():
    sound = noise((2, 256))
    highest = bits_of(float(np.abs(sound).max()))
    figures = new_figures(1)
    assert level_meter()(sound, highest, figures, 0, 0)
    assert not level_meter()(sound, highest - 1, figures, 0, 0)


def test_bits_are_in_the_order_of_amplitudes():
    amplitudes = np.sort(np.abs(noise(1000) * 10.0 ** np.arange(-30, 20).repeat(20)).astype(np.float32))
    bits = [bits_of(float(amplitude)) for amplitude in amplitudes]
    assert bits == sorted(bits)
    assert [amplitude_of(each) for each in bits] == amplitudes.tolist()


def test_a_meter_reads_the_level_of_all_blocks_since_the_last_reading():
    meter, measure = BlockMeter(2), level_meter()
    measure(noise((2, 100), 1), ANY, meter.figures, 0, 0)
    meter.read()
    sound = noise((2, 1024))
    for start in range(0, 1024, 64):
        measure(sound[:, start : start + 64], ANY, meter.figures, 0, 0)
        measure(3 * sound[:, start : start + 64], ANY, meter.figures, 1, 0)
    level, samples = meter.read()
    assert samples == 2048
    assert level.peak_db == pytest.approx(20 * np.log10(np.abs(sound).max()))
    assert level.rms_db == pytest.approx(10 * np.log10(np.square(sound).mean()), abs=1e-4)
    assert meter.read(1)[0].peak_db == pytest.approx(level.peak_db + 20 * np.log10(3))


@pytest.mark.parametrize("blocks", [1, 7, 1024, 1500])
def test_times_are_those_of_the_last_1024_blocks_part_by_part(blocks):
    meter, measure, sound = BlockMeter(3), level_meter(), noise((1, 8))
    assert meter.quantile_ms(0.5) == 0.0
    for block in range(blocks):
        for part in range(3):
            measure(sound, ANY, meter.figures, part, 1000 * (block + 10_000 * part))
    for part in range(3):
        times = np.arange(max(blocks - 1024, 0), blocks) + 10_000 * part
        assert meter.quantile_ms(0.95, part) == pytest.approx(np.quantile(times, 0.95) / 1e3)
        assert meter.spent_ns(part) == 1000 * (np.arange(blocks) + 10_000 * part).sum()
