"""Kernels bound to weights and state: what they get is what they were bound to."""

import copy
import gc
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from gramophone.realtime.kernels.bound import bind, contents
from gramophone.realtime.kernels.jit import jit


class Weights(NamedTuple):
    matrices: NDArray[np.float32]
    halves: NDArray[np.uint16]
    places: tuple[int, ...]


class State(NamedTuple):
    sums: NDArray[np.float64]
    inner: Weights
    share: float


def weights(first):
    numbers = np.arange(first, first + 24)
    return Weights(numbers.astype(np.float32).reshape(2, 3, 4), numbers.astype(np.uint16).reshape(4, 6), (3, first))


@jit
def _add(bound, number, scale, given):
    ours, state = contents(bound)
    state.sums[0] += scale * given[0, 1] + number
    state.sums[1] += ours.matrices[1, 2, 3] + ours.halves[3, 5] + ours.places[1] + len(ours.places)
    state.sums[2] += state.inner.matrices[1, 0, 2] * state.share + state.inner.matrices.shape[1] * ours.halves.size
    return state.sums[0]


def test_a_bound_kernel_works_on_what_it_was_bound_to():
    sums, given = np.zeros(3), np.array([[1, 2], [3, 4]], np.float32)
    add = bind(_add, (weights(5), State(sums, weights(100), 0.5)), 0, 0.0, given)
    gc.collect()  # nothing but the kernel holds the weights
    assert [add(7, 10.0, given), add(1, 0.5, given)] == [27.0, 29.0]
    np.testing.assert_array_equal(sums, 2 * np.array([14.5, 28 + 28 + 5 + 2, 114 * 0.5 + 3 * 24]))


def test_kernels_bound_to_others_of_the_same_types_are_one_code():
    one, other = np.zeros(3), np.zeros(3)
    given = np.ones((1, 2), np.float32)
    adds = [bind(_add, (weights(5), State(sums, weights(100), 0.5)), 0, 0.0, given) for sums in (one, other)]
    adds[0](1, 1.0, given)
    adds[1](2, 1.0, given)
    assert (one[0], other[0]) == (2.0, 3.0)
    assert len(_add.overloads) == 1


def test_a_copy_is_refused_as_it_would_work_on_what_the_original_is_bound_to():
    add = bind(_add, (weights(5), State(np.zeros(3), weights(1), 0.5)), 0, 0.0, np.ones((1, 2), np.float32))
    with pytest.raises(TypeError, match="cannot be copied"):
        copy.deepcopy({"kernel": add})


def test_arrays_that_are_not_in_order_are_refused():
    with pytest.raises(AssertionError, match="expected C order"):
        bind(_add, (weights(5)._replace(halves=np.zeros((6, 4), np.uint16).T), State(np.zeros(3), weights(1), 0.5)))


def test_an_argument_of_another_size_is_refused():
    given = np.ones((1, 2), np.float32)
    add = bind(_add, (weights(5), State(np.zeros(3), weights(100), 0.5)), 0, 0.0, given)
    with pytest.raises(TypeError):
        add(1, 1.0, given.astype(np.float64))
