"""The smallest latency at which no block is late: the plug-in's own exchange of blocks, without threads or a clock.

Time is counted in samples. The host brings blocks and takes what is due. The engine works on one hop after the other,
for as long as each lasts: no slower engine keeps up. It answers a block after the last hop that ends in it; without
hops, every sample is a hop. The same holds for several stages whose loads together are 1, by the worst of their hops.

Derivation. After any number of samples up to `w` of them wait for the end of their hop. The work that blocks `j` to `i`
bring is thus at most their samples and `w` more. An engine that is busy since block `j` came, at the time `T_j`, has
answered block `i` by `T_j + samples(j to i) + w`.

- Blocks of one length `b`: `T_i = T_j + samples(j to i) - b`, so that is at most `b + w` after block `i` came; `w` is
  `fifo_delay(hop, b)` (derived there), wherever hops are counted from. `1 + ceil(w / b)` blocks are the fewest.
- A host that plays periods of `b` samples of a device in parts, all at once: the parts of a period come at one time, as
  one block does, and the same latency will do.
- A host whose blocks come whenever their last sample does, and have any length up to `b`: `w` is `hop - 1`, and block
  `i` is answered by `T_i + b + hop - 1`. Its first sample, heard up to `b - 1` before `T_i`, may be due in a block that
  ends with it. So that takes `2 b + hop - 2` samples: without hops, two blocks less one sample.
"""

import ctypes
import subprocess
from collections import deque
from itertools import pairwise
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gramophone.realtime.dsp.fifo import fifo_delay
from gramophone.realtime.live.status import blocks_of_time

pytestmark = pytest.mark.peer  # it needs a C++ compiler
HERE = Path(__file__).parent
NATIVE = HERE.parents[2] / "realtime" / "bridge" / "native"
LOST = -2
BLOCKS = st.integers(1, 64)
HOPS = st.integers(1, 96)


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    """The plug-in's exchange of blocks as a library."""
    library = tmp_path_factory.mktemp("exchange") / "exchange.so"
    command = ["c++", "-std=gnu++17", "-O1", "-shared", "-fPIC", f"-I{NATIVE}", str(HERE / "exchange_simulation.cpp")]
    subprocess.run([*command, "-o", str(library)], check=True)
    loaded = ctypes.CDLL(str(library))
    loaded.exchange_new.restype = ctypes.c_void_p
    loaded.exchange_delete.argtypes = [ctypes.c_void_p]
    loaded.exchange_play.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64]
    loaded.exchange_play.restype = ctypes.c_int64
    loaded.exchange_answer.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint32]
    loaded.exchange_answer.restype = ctypes.c_bool
    return loaded


class Engine:
    """Works on one hop after the other, each for `pace` times its length, and answers a block after its last one."""

    def __init__(self, hop, pace=1.0, heard=0):
        self.hop, self.pace = hop, pace
        self.heard = heard
        self.free_at = 0.0
        self.answers = deque()

    def hear(self, number, frames, at):
        """Take block `number` at the time `at`."""
        hops = (self.heard + frames) // self.hop - self.heard // self.hop
        self.heard += frames
        self.free_at = max(self.free_at, at) + self.pace * hops * self.hop
        self.answers.append((self.free_at, number, frames))


def misses(exchange, calls, hop, ahead, pace=1.0, heard=0):
    """Return how many blocks were not whole when they were due. `calls`: the time and the length of each block.

    What is whole is exactly what was sent, `ahead` samples later. `heard`: samples of the first hop from before.
    """
    simulated = exchange.exchange_new()
    engine = Engine(hop, pace, heard)
    total = sum(frames for _, frames in calls)
    sound = np.arange(1, 1 + total, dtype=np.float32)
    late = np.concatenate((np.zeros(ahead, np.float32), sound))
    missed = at = 0
    try:
        for number, (time, frames) in enumerate(calls):
            while engine.answers and engine.answers[0][0] <= time:
                _, answered, length = engine.answers.popleft()
                assert exchange.exchange_answer(simulated, answered, length)
            block = sound[at : at + frames].copy()
            if exchange.exchange_play(simulated, block.ctypes.data, frames, ahead) == LOST:
                missed += 1
            else:
                np.testing.assert_array_equal(block, late[at : at + frames])
            at += frames
            engine.hear(number, frames, time)
    finally:
        exchange.exchange_delete(simulated)
    return missed


def steady(block, count):
    """Return calls for blocks of one length, each when its last sample has been heard."""
    return [((number + 1) * block, block) for number in range(count)]


@given(block=BLOCKS, hop=HOPS, pace=st.floats(0.1, 1.0), heard=st.integers(0, 95))
@settings(deadline=None, max_examples=150)
def test_blocks_of_one_length_are_never_late_by_the_time_that_is_reported(exchange, block, hop, pace, heard):
    ahead = blocks_of_time([hop], block) * block
    assert ahead == block * (1 + ceil(fifo_delay(hop, block) / block))
    assert misses(exchange, steady(block, 2 * hop + 8), hop, ahead, pace, heard % hop) == 0


@given(block=BLOCKS, hop=HOPS)
@settings(deadline=None, max_examples=150)
def test_a_block_less_would_be_too_late(exchange, block, hop):
    ahead = (blocks_of_time([hop], block) - 1) * block
    assert misses(exchange, steady(block, 2 * hop + 8), hop, ahead) > 0


def test_a_chain_whose_hops_divide_the_block_needs_one_block_as_one_without(exchange):
    for hop in (1, 64, 128, 256):
        assert blocks_of_time([hop], 256) == 1
        assert misses(exchange, steady(256, 40), hop, 256) == 0
    assert blocks_of_time([256], 192) == 2
    assert blocks_of_time([256, 192], 256) == 2, "the shorter hop ends anywhere in a block"


@given(period=BLOCKS, hop=HOPS, cuts=st.lists(st.sets(st.integers(1, 63)), min_size=30, max_size=30))
@settings(deadline=None, max_examples=100)
def test_periods_that_a_host_plays_in_parts_are_never_late(exchange, period, hop, cuts):
    calls = []
    for number, inside in enumerate(cuts):
        ends = [0, *sorted(cut for cut in inside if cut < period), period]
        calls += [((number + 1) * period, stop - start) for start, stop in pairwise(ends)]
    assert misses(exchange, calls, hop, blocks_of_time([hop], period) * period) == 0


@given(lengths=st.lists(st.integers(1, 64), min_size=4, max_size=60), hop=HOPS)
@settings(deadline=None, max_examples=150)
def test_blocks_of_any_length_at_any_time_need_twice_the_longest_and_a_hop(exchange, lengths, hop):
    ends = np.cumsum(lengths)
    calls = list(zip(ends.tolist(), lengths, strict=True))
    assert misses(exchange, calls, hop, 2 * max(lengths) + hop - 2) == 0


@given(hop=st.integers(1, 24), whole=st.integers(0, 4))
@settings(deadline=None, max_examples=60)
def test_one_sample_less_would_be_too_late_for_such_a_host(exchange, hop, whole):
    """A hop waits for its last sample, the longest block brings that and whole hops; then come blocks of a sample."""
    block = 1 + whole * hop
    lengths = [*[1] * (2 * hop - 1), block, *[1] * (3 * block + 2 * hop)]
    calls = list(zip(np.cumsum(lengths).tolist(), lengths, strict=True))
    ahead = 2 * block + hop - 2
    assert misses(exchange, calls, hop, ahead) == 0
    assert misses(exchange, calls, hop, ahead - 1) > 0
