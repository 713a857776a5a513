"""The worker's way with one block, from ring to ring: nothing that it makes stays, and little is alive at once."""

import gc
import sys
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from gramophone.presets import Preset, StageSettings
from gramophone.realtime.live.messages import Play
from gramophone.realtime.live.player import Player
from gramophone.realtime.live.preset_generations import PresetGenerations
from gramophone.realtime.live.shared_state import SharedState
from gramophone.realtime.live.worker import Worker
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stage import Audio, Format, Stage
from gramophone.realtime.system.wakeup import make_wake

RATE, BLOCK = 48_000, 256
TIMINGS = 1024
"""Blocks until the engine has as many times as it keeps."""
MOST_OBJECTS = 36
"""Alive at once beside what the path keeps: the block on its way in, numbers, frames of the functions under way."""


@pytest.fixture
def path() -> Iterator[tuple[SharedState, Worker, Player]]:
    preset = complete(Preset("test", tuple(StageSettings(f"level{k}", "gain", {}) for k in range(6))))
    shared = SharedState.new(2)
    generation = PresetGenerations(shared.parameters).add(preset)
    form = Format(RATE, 2, "cpu")
    player = Player(preset, form)
    shared.open_at(RATE, BLOCK)
    yield shared, Worker(make_wake(), player, Play(preset, form, generation.number, shared), None), player  # type: ignore[arg-type]
    player.close()
    shared.close()


def blocks(shared: SharedState, worker: Worker, count: int) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, (2, BLOCK)).astype(np.float32)
    for _ in range(count):
        shared.inputs.write(shared.inputs.newest + 1, sound)
        assert worker._catch_up()


def test_no_byte_of_a_block_is_kept(path):
    shared, worker, player = path
    tracemalloc.start()
    try:
        blocks(shared, worker, TIMINGS + 8)
        gc.collect()
        player.engine.report()
        before, _ = tracemalloc.get_traced_memory()
        blocks(shared, worker, 4 * TIMINGS)
        player.engine.report()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept < 4 * TIMINGS, f"{kept} bytes after {4 * TIMINGS} blocks"


def test_few_objects_are_alive_at_once(path):
    shared, worker, player = path
    blocks(shared, worker, TIMINGS + 8)
    alive = [0]

    class Counting(Stage):
        def __init__(self, stage: Stage) -> None:
            self._process = stage.process

        def set(self, name, value):
            raise NotImplementedError

        def process(self, block: Audio) -> Audio:
            output = self._process(block)
            alive[0] = max(alive[0], sys.getallocatedblocks())
            return output

    for slot in player.engine.chain:
        slot.link.stage = Counting(slot.link.stage)
        slot.update()
    blocks(shared, worker, 100)
    alive[0] = 0
    gc.collect()
    gc.disable()
    try:
        before = sys.getallocatedblocks()
        blocks(shared, worker, 100)
        most = alive[0] - before
    finally:
        gc.enable()
    assert most <= MOST_OBJECTS


def test_parameters_are_read_only_where_an_edition_changes(path):
    shared, worker, _ = path
    blocks(shared, worker, 8)
    reads = []
    memory = shared.parameters

    class Counted:
        """The values of all editions, whose reads are counted."""

        def __init__(self, values):
            self._values = values

        def __getitem__(self, place):
            reads.append(place)
            return self._values[place]

        def __setitem__(self, place, values):
            self._values[place] = values

    memory._values = Counted(memory._values)
    blocks(shared, worker, 50)
    assert not reads
    memory.set(0, {0: 1.0})
    reads.clear()
    blocks(shared, worker, 50)
    assert len(reads) == 1
