"""The product that the kernels share is NumPy's, whatever the shape, and touches nothing but its sums."""

import numpy as np
import pytest
import torch

from gramophone.realtime.kernels.arrays import packed, packed_weights, zeros
from gramophone.realtime.kernels.jit import jit
from gramophone.realtime.kernels.matvec import add_product, add_product_from_memory, add_products


@jit
def add(y, v, x, u, w, layer):
    add_product(y, v, x, u, w, layer)


@jit
def add_from_memory(y, v, x, u, w, layer):
    add_product_from_memory(y, v, x, u, w, layer)


@jit
def add_rows(y, v, x, u, w, layer, rows):
    add_products(y, v, x, u, w, layer, rows)


def drawn(*shape, seed=0):
    array = zeros(*shape)
    array[...] = np.random.default_rng(seed).normal(size=shape)
    return array


@pytest.mark.parametrize("inputs", [0, 1, 7, 8, 33])
@pytest.mark.parametrize("outputs", [1, 15, 16, 17, 64, 96, 131])
def test_a_product_is_added_to_its_row_alone(inputs, outputs):
    y, x, w = drawn(3, outputs), drawn(4, inputs + 2, seed=1), drawn(2, inputs, outputs, seed=2)
    before = y.astype(np.float64)
    add(y, 1, x, 3, w, 1)
    np.testing.assert_allclose(y[1], before[1] + x[3, :inputs].astype(np.float64) @ w[1], atol=1e-5)
    np.testing.assert_array_equal(y[[0, 2]], before[[0, 2]])


def test_a_sum_is_the_same_to_the_bit_wherever_it_lies():
    y, x, w = drawn(1, 131), drawn(1, 33, seed=1), drawn(1, 33, 131, seed=2)
    alone = [y[:, o : o + 1].copy() for o in range(131)]
    add(y, 0, x, 0, w, 0)
    for o, one in enumerate(alone):
        add(one, 0, x, 0, np.ascontiguousarray(w[:, :, o : o + 1]), 0)
        assert one[0, 0] == y[0, o]


@pytest.mark.parametrize("inputs", [0, 1, 33])
@pytest.mark.parametrize("outputs", [1, 15, 48, 131, 320, 421])
def test_from_memory_and_by_rows_the_sums_are_the_same_to_the_bit(inputs, outputs):
    y, x, w = drawn(9, outputs), drawn(9, inputs + 2, seed=1), drawn(2, inputs, outputs, seed=2)
    one_by_one, from_memory, by_rows = y.copy(), y.copy(), y.copy()
    for row in range(1, 8):
        add(one_by_one, row, x, row + 1, w, 1)
        add_from_memory(from_memory, row, x, row + 1, w, 1)
    add_rows(by_rows, 1, x, 2, w, 1, 7)
    np.testing.assert_array_equal(from_memory, one_by_one)
    np.testing.assert_array_equal(by_rows, one_by_one)
    np.testing.assert_array_equal(by_rows[[0, 8]], y[[0, 8]])


@pytest.mark.parametrize("inputs", [0, 1, 33])
@pytest.mark.parametrize("outputs", [1, 15, 48, 96, 160, 192, 256, 421])
@pytest.mark.parametrize("product", [add, add_from_memory])
def test_weights_of_16_bits_give_the_same_sums_to_the_bit(inputs, outputs, product):
    weights = torch.from_numpy(drawn(2, inputs, outputs, seed=2)).half().float()
    if inputs:
        weights[1, 0, :5] = torch.tensor([0.0, -0.0, 2.0**-24, 65504.0, -3 * 2.0**-20])[:outputs]
    halves = packed_weights(weights)
    assert halves.dtype in (np.uint16, np.float32)  # the latter where the processor has no such floats
    x, y = drawn(1, inputs + 1, seed=1), drawn(1, outputs)
    expected = y.copy()
    product(y, 0, x, 0, halves, 1)
    product(expected, 0, x, 0, packed(weights), 1)
    np.testing.assert_array_equal(y, expected)


def test_weights_that_are_no_floats_of_16_bits_stay_as_they_are():
    weights = torch.tensor([[[1.0, 1 / 3]]])
    assert packed_weights(weights).dtype == np.float32
    assert np.array_equal(packed_weights(weights), weights)
