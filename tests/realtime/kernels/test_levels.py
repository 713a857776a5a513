"""The level of a block: NumPy's, bit for bit where it is exact, whatever the array's layout."""

import numpy as np
import pytest

from gramophone.realtime.dsp.meters import Meter
from gramophone.realtime.kernels.levels import NOT_FINITE, amplitude_of, bits_of, level_meter


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
    bits, energy = level_meter()(sound)
    assert amplitude_of(bits) == np.abs(sound).max(initial=0)
    assert energy == pytest.approx(np.square(sound, dtype=np.float64).sum(), rel=1e-5)


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 100, 255])
def test_one_sample_that_is_not_finite_shows_in_the_bits(bad, place):
    sound = noise((2, 256))
    sound[1, place] = bad
    assert level_meter()(sound)[0] >= NOT_FINITE


def test_bits_are_in_the_order_of_amplitudes():
    amplitudes = np.sort(np.abs(noise(1000) * 10.0 ** np.arange(-30, 20).repeat(20)).astype(np.float32))
    bits = [bits_of(float(amplitude)) for amplitude in amplitudes]
    assert bits == sorted(bits)
    assert [amplitude_of(each) for each in bits] == amplitudes.tolist()


def test_a_meter_reads_the_level_of_all_blocks_since_the_last_reading():
    meter, measure = Meter(), level_meter()
    meter.add(*measure(noise((2, 100), 1)), 200)
    meter.read()
    sound = noise((2, 1024))
    for start in range(0, 1024, 64):
        block = sound[:, start : start + 64]
        meter.add(*measure(block), block.size)
    level = meter.read()
    assert level.peak_db == pytest.approx(20 * np.log10(np.abs(sound).max()))
    assert level.rms_db == pytest.approx(10 * np.log10(np.square(sound).mean()), abs=1e-4)
