"""What is compiled while a block runs is counted and named."""

import numba

from gramophone.realtime.kernels.compilations import Compilations
from gramophone.realtime.kernels.jit import report_compilations


def test_functions_that_are_compiled_are_counted_and_named():
    def doubled(x):
        return 2 * x

    told = []
    report_compilations()
    with Compilations(told.append) as compilations:
        numba.njit(doubled)(3)
        numba.njit(doubled)(3.0)
    assert compilations.count == 2
    assert told == ["doubled", "doubled"]
