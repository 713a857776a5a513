"""What the live processes share: rings against a list, memory of the newest values, events of both kinds."""

from __future__ import annotations

import os
import sys
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gramophone.models.parameters import Parameter
from gramophone.realtime.live.messages import Text
from gramophone.realtime.live.parameter_memory import ParameterMemory
from gramophone.realtime.live.preset_generations import ParameterReader
from gramophone.realtime.live.shared_state import BlockRing
from gramophone.realtime.live.status import Status
from gramophone.realtime.switches import SWITCHES
from gramophone.realtime.system.wakeup import EventWake, SemaphoreWake, make_wake

SPAWN = get_context("spawn")
EVENTS = [SemaphoreWake, *([EventWake] if sys.platform == "linux" else [])]
LONG_S = 60


def block(number: int, frames: int) -> np.ndarray:
    return np.full((2, frames), number, np.float32)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 8)), max_size=20),
)
def test_a_ring_holds_the_newest_blocks_and_no_other(slots: int, writes: list[tuple[int, int]]) -> None:
    """The truth is a dict of all that was ever written; numbers may jump, as after a skip."""
    ring = BlockRing(2, slots, 8)
    assert ring.newest == -1
    number, truth = -1, {}
    for step, frames in writes:
        number += step
        ring.write(number, block(number, frames), delay=frames)
        truth = {n: f for n, f in truth.items() if n % slots != number % slots} | {number: frames}
        assert ring.newest == number
        for asked in range(number + 3):
            taken = ring.read(asked)
            assert (taken is not None) == (asked in truth)
            if taken:
                assert taken.delay == truth[asked]
                np.testing.assert_array_equal(taken.sound, block(asked, truth[asked]))
    ring.close()


def write_many(ring: BlockRing, blocks: int) -> None:
    for number in range(blocks):
        ring.write(number, block(number, 64))


def test_a_reader_in_another_process_never_sees_half_a_block() -> None:
    ring, blocks = BlockRing(2, 2, 64), 30_000
    writer = SPAWN.Process(target=write_many, args=(ring, blocks))
    writer.start()
    whole = 0
    while ring.newest < blocks - 1:
        assert writer.is_alive() or ring.newest == blocks - 1
        taken = ring.read(number := ring.newest)
        if taken:
            np.testing.assert_array_equal(taken.sound, block(number, 64))
            whole += 1
    writer.join(LONG_S)
    assert whole
    ring.close()


def test_the_parameter_memory_returns_each_change_once() -> None:
    memory = ParameterMemory(8)
    memory.add(0, [1.0, 2.0, 3.0])
    reader = memory.reader(0, [1.0, 2.0, 3.0])
    assert reader.changes() == []
    memory.set(0, {1: 5.0})
    memory.set(0, {2: 6.0})
    assert reader.changes() == [(1, 5.0), (2, 6.0)]
    assert reader.changes() == []
    memory.set(0, {1: 7.0})
    memory.set(0, {1: 5.0})
    assert reader.changes() == []
    memory.close()


def test_values_of_a_coming_chain_do_not_set_those_of_the_playing_one() -> None:
    memory = ParameterMemory(8)
    memory.add(0, [1.0])
    playing = memory.reader(0, [1.0])
    for generation in range(1, 20):
        memory.add(generation, [50.0, 60.0])
        memory.set(generation, {0: 70.0})
        assert playing.changes() == []
    coming = memory.reader(19, [50.0, 60.0])
    assert coming.changes() == [(0, 70.0)]
    memory.set(0, {0: 99.0})
    assert coming.changes() == []
    with pytest.raises(ValueError, match="at most 8"):
        memory.add(20, [0.0] * 9)
    memory.close()


def test_a_switch_is_turned_in_every_generation_and_with_the_knobs_of_the_newest() -> None:
    """The chain that still plays hears it at once; a chain that comes later finds it turned."""
    memory = ParameterMemory(8, switches=2)
    memory.set(-1, {-2: 3.0})
    memory.add(0, [1.0])
    playing = memory.reader(0, [1.0, 3.0, 0.0])
    memory.add(1, [50.0, 60.0])
    coming = memory.reader(1, [50.0, 60.0, 3.0, 0.0])
    memory.set(1, {0: 70.0, -1: 5.0})
    assert playing.changes() == [(-1, 5.0)]
    assert coming.changes() == [(0, 70.0), (-1, 5.0)]
    memory.add(2, [0.0])
    assert memory.reader(2, [0.0, 0.0, 0.0]).changes() == [(-2, 3.0), (-1, 5.0)]
    assert (memory.switch(-2), memory.switch(-1)) == (3.0, 5.0)
    memory.close()


def flood(memory: ParameterMemory, times: int) -> None:
    for value in range(times):
        for place in range(4):
            memory.set(0, {place: float(value)})


def test_a_flood_from_another_process_ends_at_the_newest_values() -> None:
    memory, times = ParameterMemory(4), 50_000 // 4
    memory.add(0, [-1.0] * 4)
    reader = memory.reader(0, [-1.0] * 4)
    writer = SPAWN.Process(target=flood, args=(memory, times))
    writer.start()
    known = dict.fromkeys(range(4), -1.0)
    while writer.is_alive():
        for place, value in reader.changes():
            assert value > known[place]
            known[place] = value
    writer.join(LONG_S)
    known |= dict(reader.changes())
    assert known == dict.fromkeys(range(4), float(times - 1))
    memory.close()


def chords(memory: ParameterMemory, slots: list[int], times: int) -> None:
    for value in range(times):
        memory.set(0, dict.fromkeys(slots, float(value)))
        memory.set(0, {1: float(-value)})


def test_what_is_set_at_once_is_read_at_once_by_another_process() -> None:
    """The reader looks as often as it can, the writer writes as often as it can; knob 1 is turned by itself."""
    memory, times = ParameterMemory(64), 15_000
    slots = [place for place in range(64) if place != 1]
    memory.add(0, [-1.0] * 64)
    reader = memory.reader(0, [-1.0] * 64)
    writer = SPAWN.Process(target=chords, args=(memory, slots, times))
    writer.start()
    seen, alive = 0, True
    while alive:
        alive = writer.is_alive()  # asked first: what was written before the end is read in this round
        changed = dict(reader.changes())
        changed.pop(1, None)
        assert not changed or changed.keys() == set(slots)
        assert len(set(changed.values())) <= 1
        seen += bool(changed)
    writer.join(LONG_S)
    assert seen > 1
    assert reader.known[0] == times - 1
    memory.close()


def test_an_edition_that_is_not_whole_is_not_read_until_it_is() -> None:
    """As a reader may meet it: while it is written, or on a processor whose writes arrive in another order."""
    memory = ParameterMemory(4)
    memory.add(0, [1.0] * 4)
    reader = memory.reader(0, [1.0] * 4)
    assert reader.changes() == []
    memory.set(0, {0: 2.0, 3: 2.0})
    newest = memory._newest_of(0)
    newest[3] = 1.0
    assert reader.changes() == []
    newest[3] = 2.0
    assert reader.changes() == [(0, 2.0), (3, 2.0)]
    memory.close()


def test_a_text_holds_back_what_was_set_with_it_until_it_is_there() -> None:
    knobs = {
        "a.clip": Parameter("clip", "", "a file"),
        "a.gain": Parameter("gain", 0.0, "loudness"),
        "a.on": Parameter("on", False, "switch"),
    }
    memory = ParameterMemory(3, len(SWITCHES))
    memory.add(0, [0.0, 0.0, 0.0])
    heard = ParameterReader(memory)
    heard.follow(knobs, 0, [0.0, 0.0, 0.0])
    memory.set(0, {0: 1.0, 1: 0.5, 2: 1.0})
    assert heard.changes() == []
    heard.receive(Text(1, "choir"))
    assert heard.changes() == [("a.clip", "choir"), ("a.gain", 0.5), ("a.on", True)]
    for number in range(2, 50):
        heard.receive(Text(number, f"clip {number}"))
        memory.set(0, {0: float(number)})
    assert heard.changes() == [("a.clip", "clip 49")]
    assert len(heard._texts) == 1, "texts that were overtaken are dropped"
    heard.follow(knobs, 0, [1.0, 0.5, 1.0])  # a fresh chain, made when the first text was heard
    assert heard.changes() == [("a.clip", "clip 49")]
    memory.close()


def test_status_is_the_same_in_another_process() -> None:
    status = Status()
    writer = SPAWN.Process(target=Status.__setitem__, args=(status, "load", 0.25))
    writer.start()
    writer.join(LONG_S)
    assert status["load"] == 0.25
    with pytest.raises(KeyError):
        status["no-such-figure"]
    status.close()


def answer(question: SemaphoreWake, reply: SemaphoreWake, times: int) -> None:
    for _ in range(times):
        question.wait()
        reply.set()


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_wakes_another_process_every_time(kind: type) -> None:
    question, reply, times = kind(), kind(), 200
    other = SPAWN.Process(target=answer, args=(question, reply, times), daemon=True)
    other.start()
    for _ in range(times):
        question.set()
        reply.wait()
    other.join(LONG_S)
    assert other.exitcode == 0
    question.close()
    reply.close()


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_set_many_times_before_a_wait_is_one(kind: type) -> None:
    event, reply = kind(), kind()
    for _ in range(1000):
        event.set()
    event.wait()
    other = SPAWN.Process(target=answer, args=(event, reply, 1), daemon=True)
    other.start()
    other.join(0.3)
    assert other.is_alive()
    event.set()
    reply.wait()
    other.join(LONG_S)
    assert other.exitcode == 0


def test_the_quickest_event_is_the_system_s_own() -> None:
    assert type(make_wake()).__name__ == ("EventWake" if hasattr(os, "eventfd") else "SemaphoreWake")


def test_before_anything_has_played_the_levels_are_those_of_silence() -> None:
    status = Status()
    try:
        assert {status[f"{side}_{kind}_db"] for side in ("in", "out") for kind in ("peak", "rms")} == {-120.0}
        assert status["underruns"] == 0
    finally:
        status.close()
