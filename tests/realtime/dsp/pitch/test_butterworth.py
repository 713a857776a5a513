"""Butterworth sections are scipy's."""

import numpy as np
import pytest
from scipy.signal import butter

from gramophone.realtime.dsp.pitch.kernel import butterworth


@pytest.mark.parametrize("kind", ["lowpass", "highpass"])
@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize(("hz", "rate"), [(65.0, 48_000), (50.0, 16_000), (1_000.0, 44_100), (3_900.0, 8_000)])
def test_the_sections_are_scipys(kind, order, hz, rate):
    wanted = butter(order, hz, kind, fs=rate, output="sos")
    np.testing.assert_allclose(butterworth(order, hz, kind, rate), wanted, rtol=1e-9, atol=1e-13)
