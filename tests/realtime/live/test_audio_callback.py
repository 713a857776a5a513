"""The callback's logic, fed by hand: latency never changes, whatever the worker does, and nothing clicks."""

from __future__ import annotations

import numpy as np
import pytest

from gramophone.realtime.live.audio_callback import AudioCallback
from gramophone.realtime.live.shared_state import SWITCH_PLACES, SharedState
from gramophone.realtime.live.status import MOVE_SAMPLES, budget_blocks, write_hops
from gramophone.realtime.stage import Audio
from gramophone.realtime.system.wakeup import make_wake

BLOCK, DELAY, RATE = 64, 100, 48_000
SINE = np.sin(np.arange(BLOCK * 200) / 40).astype(np.float32)


class Host:
    """A device whose worker returns every block inverted and `DELAY` late, on request."""

    def __init__(self, depth: int = 1, spare: int | None = 0) -> None:
        self.shared = SharedState.new(1)
        self.callback = AudioCallback(self.shared, make_wake(), 1, spare if spare is None else depth - 1)
        self.heard = np.zeros((1, 0), np.float32)
        self.played = np.zeros((1, DELAY), np.float32)

    def step(self, frames: int = BLOCK, answered: tuple[int, ...] = ()) -> Audio:
        """Play a block; then the worker answers blocks by number."""
        at = self.heard.shape[1]
        block = SINE[None, at : at + frames]
        self.heard = np.concatenate((self.heard, block), axis=1)
        output = self.callback.process(block)
        for number in answered:
            self.answer(number, frames)
        return output

    def answer(self, number: int, frames: int = BLOCK) -> None:
        late = np.concatenate((np.zeros((1, DELAY), np.float32), -self.heard), axis=1)
        self.shared.outputs.write(number, late[:, number * frames : (number + 1) * frames], DELAY)

    def run(self, missing: set[int], blocks: int = 60, late: bool = False) -> Audio:
        """Play blocks, the worker answering all but `missing` in time, those a block late or never."""
        made = []
        for number in range(blocks):
            before = (number - 1,) if late and number - 1 in missing else ()
            made.append(self.step(answered=before + (() if number in missing else (number,))))
        return np.concatenate(made, axis=1)


def follow(host: Host, needed: int, blocks: int = 30) -> Audio:
    """Let the chain need `needed` spare blocks from now on; return what is played while the worker is in time."""
    write_hops(host.shared.status, [(needed * BLOCK + 1) / RATE] if needed else [])
    made = []
    for _ in range(blocks):
        made.append(host.step(answered=(host.shared.inputs.newest + 1,)))
    return np.concatenate(made, axis=1)


@pytest.mark.parametrize(("first", "second"), [(0, 3), (3, 0), (1, 2)])
def test_the_latency_follows_what_the_chain_needs_without_a_click_or_an_underrun(first: int, second: int) -> None:
    host = Host(spare=None)
    host.shared.status["rate"] = RATE
    before = follow(host, first)
    after = follow(host, second)
    end = host.heard.shape[1]
    late = (1 + second) * BLOCK + DELAY
    np.testing.assert_array_equal(after[:, -10 * BLOCK :], -dry(late, end)[:, -10 * BLOCK :])
    played = np.concatenate((before[0, 8 * BLOCK :], after[0]))
    assert np.abs(np.diff(played)).max() < 2 * np.abs(np.diff(SINE)).max() + 2 / MOVE_SAMPLES
    assert host.shared.status["underruns"] == 0
    assert budget_blocks(host.shared.status, None, BLOCK) == 1 + second
    host.shared.close()


def test_a_shorter_latency_waits_until_the_worker_is_ahead_enough() -> None:
    host = Host(spare=None)
    host.shared.status["rate"] = RATE
    follow(host, 2)
    for _ in range(20):  # the worker is in time by the former budget only
        host.step(answered=(host.shared.inputs.newest - 1,))
        write_hops(host.shared.status, [])
    assert host.shared.status["underruns"] == 0
    follow(host, 0)
    assert host.shared.status["underruns"] == 0
    host.shared.close()


@pytest.fixture
def host():
    host = Host()
    yield host
    assert host.shared.status["errors"] == 0
    host.shared.close()


def dry(offset: int, frames: int) -> Audio:
    """The dry output when the input is `offset` samples late."""
    return np.concatenate((np.zeros(offset, np.float32), SINE))[None, :frames]


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_latency_is_depth_blocks_and_the_chain_s_own(depth: int) -> None:
    host = Host(depth)
    heard = host.run(set())
    whole = depth * BLOCK + DELAY
    settled = slice(whole + BLOCK, None)
    np.testing.assert_array_equal(heard[:, settled], -dry(whole, heard.shape[1])[:, settled])
    assert host.shared.status["underruns"] == 0
    host.shared.close()


@pytest.mark.parametrize("late", [True, False], ids=["late", "never"])
def test_a_missing_block_is_the_dry_sound_in_its_place_and_latency_stays(host: Host, late: bool) -> None:
    heard = host.run({20, 30, 31, 32}, late=late)
    aligned = dry(BLOCK + DELAY, heard.shape[1])
    assert host.shared.status["underruns"] == 4
    np.testing.assert_array_equal(heard[:, 23 * BLOCK : 31 * BLOCK], -aligned[:, 23 * BLOCK : 31 * BLOCK])
    np.testing.assert_array_equal(heard[:, 32 * BLOCK : 34 * BLOCK], aligned[:, 32 * BLOCK : 34 * BLOCK])
    np.testing.assert_array_equal(heard[:, 35 * BLOCK :], -aligned[:, 35 * BLOCK :])


def test_falling_back_and_coming_back_do_not_click(host: Host) -> None:
    heard = host.run({20, 30, 31, 32})
    steepest = np.abs(np.diff(SINE)).max()
    assert np.abs(np.diff(heard[0, 4 * BLOCK :])).max() < 2 / BLOCK + 2 * steepest


def test_before_the_first_answer_the_dry_sound_plays_and_nothing_is_counted(host: Host) -> None:
    heard = host.run(set(range(60)))
    np.testing.assert_array_equal(heard, dry(BLOCK, heard.shape[1]))
    assert host.shared.status["underruns"] == 0


def test_a_muted_engine_is_silent_even_without_a_worker(host: Host) -> None:
    host.run(set(), blocks=10)
    host.shared.parameters.set(0, {SWITCH_PLACES["mute"]: 1})
    host.step()
    for _ in range(3):
        silent = host.step()
    assert not silent.any()


def test_another_block_size_is_another_latency_at_once(host: Host) -> None:
    host.run(set(), blocks=20)
    start = host.heard.shape[1]
    first = [host.step(2 * BLOCK) for _ in range(3)]
    assert all(block.shape == (1, 2 * BLOCK) for block in first)
    aligned = dry(2 * BLOCK + DELAY, host.heard.shape[1])
    np.testing.assert_array_equal(first[2], aligned[:, start + 4 * BLOCK : start + 6 * BLOCK])


def test_a_new_audio_process_goes_on_counting(host: Host) -> None:
    host.run(set(), blocks=10)
    host.callback = AudioCallback(host.shared, make_wake(), 1)
    host.step()
    assert host.shared.inputs.newest == 10


def test_a_bug_in_the_callback_is_silence_and_counted() -> None:
    host = Host()
    too_long = np.zeros((1, host.shared.inputs.longest + 1), np.float32)
    assert host.callback.process(too_long).shape == too_long.shape
    assert host.shared.status["errors"] == 1
    host.shared.close()
