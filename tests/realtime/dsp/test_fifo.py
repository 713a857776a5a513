"""Any block size in, multiples of the hop through, the same samples out, as little later as possible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gramophone.realtime.dsp.fifo import Fifo, fifo_delay
from gramophone.realtime.stage import Audio, StageError


def played(fifo: Fifo, sizes: list[int], channels: int = 2) -> tuple[Audio, Audio]:
    """Input and output of a fifo whose function is checked for its contract and returns its input negated."""
    signal = np.arange(1, channels * sum(sizes) + 1, dtype=np.float32).reshape(channels, -1)

    def negate(x: Audio) -> Audio:
        assert x.shape[1] % fifo.hop == 0
        assert x.shape[1] > 0
        assert x.flags.c_contiguous
        return -x

    cuts = np.cumsum(sizes)[:-1]
    blocks = [np.ascontiguousarray(b) for b in np.split(signal, cuts, axis=1)]
    answers = [fifo.process(block, negate) for block in blocks]
    assert [a.shape for a in answers] == [b.shape for b in blocks]
    return signal, np.concatenate(answers, axis=1)


def late(signal: Audio, delay: int) -> Audio:
    """The slower truth: a list with `delay` zeros in front."""
    rows = [[0.0] * delay + list(row) for row in -signal]
    return np.array([row[: signal.shape[1]] for row in rows], np.float32)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 40), st.lists(st.integers(0, 90), min_size=1, max_size=40))
def test_any_sequence_of_blocks_comes_out_hop_minus_one_later(hop: int, sizes: list[int]) -> None:
    fifo = Fifo(2, hop)
    signal, answer = played(fifo, sizes)
    assert fifo.delay == hop - 1
    np.testing.assert_array_equal(answer, late(signal, fifo.delay))


@pytest.mark.parametrize("hop", range(1, 25))
def test_fixed_blocks_come_out_hop_minus_gcd_later(hop: int) -> None:
    for block in range(1, 50):
        fifo = Fifo(2, hop, block)
        signal, answer = played(fifo, [block] * 25)
        np.testing.assert_array_equal(answer, late(signal, fifo.delay))


def test_no_smaller_delay_is_possible() -> None:
    """Brute force: at one sample less, some block would need output of a hop that is not complete."""
    for hop in range(1, 25):
        for block in range(1, 50):
            complete = [n * block // hop * hop for n in range(1, hop + 1)]
            needed = [n * block for n in range(1, hop + 1)]
            lag = max(want - have for want, have in zip(needed, complete, strict=True))
            assert fifo_delay(hop, block) == lag
    assert all(max(n % hop for n in range(1, 3 * hop)) == fifo_delay(hop) for hop in range(1, 25))


def test_a_broken_promise_is_named_and_loses_nothing() -> None:
    fifo = Fifo(1, 8, 4)
    with pytest.raises(StageError, match="block of 7 frames"):
        fifo.process(np.zeros((1, 7), np.float32), lambda x: x)
    signal, answer = played(fifo, [4] * 6, channels=1)
    np.testing.assert_array_equal(answer, late(signal, 4))


def test_whole_hops_pass_without_a_copy() -> None:
    block = np.ones((2, 64), np.float32)
    seen: list[Audio] = []

    def keep(x: Audio) -> Audio:
        seen.append(x)
        return x

    assert Fifo(2, 32, 64).process(block, keep) is block
    assert seen[0] is block


@pytest.mark.parametrize("sizes", [(0, 8, None), (2, 0, None), (2, 8, 0)])
def test_sizes_must_be_positive(sizes: tuple[int, int, int | None]) -> None:
    with pytest.raises(StageError, match="from 1 up"):
        Fifo(*sizes)
