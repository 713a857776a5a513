"""A delay line against a plain array of everything written so far."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gramophone.realtime.dsp.delay_line import DelayLine

SIZES = st.lists(st.integers(0, 5000), min_size=1, max_size=12)


def blocks_of(sizes, seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(2, size)).astype(np.float32) for size in sizes]


@settings(max_examples=60, deadline=None)
@given(delay=st.integers(0, 3000), sizes=SIZES)
def test_a_delay_line_is_a_list_with_silence_in_front(delay, sizes):
    line, blocks = DelayLine(2, delay), blocks_of(sizes, delay)
    output = np.concatenate([line.process(block) for block in blocks], axis=1)
    truth = np.concatenate([np.zeros((2, delay), np.float32), *blocks], axis=1)[:, : output.shape[1]]
    assert np.array_equal(output, truth)


@settings(max_examples=60, deadline=None)
@given(delays=st.lists(st.integers(0, 3000), min_size=12, max_size=12), sizes=SIZES)
def test_the_newest_block_can_be_read_at_any_delay_up_to_the_longest(delays, sizes):
    line, written = DelayLine(2, longest=3000), np.zeros((2, 3000), np.float32)
    for block, delay in zip(blocks_of(sizes, 1), delays, strict=False):
        line.write(block)
        written = np.concatenate((written, block), axis=1)
        end = written.shape[1] - delay
        assert np.array_equal(line.read(block.shape[1], delay), written[:, end - block.shape[1] : end])


def test_a_delay_beyond_what_is_kept_is_the_longest_that_is():
    line = DelayLine(1, longest=100)
    sound = np.arange(5000, dtype=np.float32)[None]
    for start in range(0, 5000, 50):
        line.write(sound[:, start : start + 50])
    oldest = line.read(50, 10_000)[0, 0]
    assert oldest <= 5000 - 150
    assert np.array_equal(line.read(50, 10_000)[0], np.arange(oldest, oldest + 50))


def test_what_was_read_is_no_view_of_the_ring():
    line = DelayLine(1, longest=10)
    line.write(np.ones((1, 4), np.float32))
    line.read(4, 0)[:] = 7
    assert np.array_equal(line.read(4, 0), np.ones((1, 4), np.float32))
