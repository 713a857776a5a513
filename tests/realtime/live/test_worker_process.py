"""A real worker process beside a simulated device: what it plays, when it stalls, when it is killed, and recorded."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from gramophone.models.parameters import Value
from gramophone.offline.render.inputs import find_inputs
from gramophone.presets import CLIPS, Preset, StageSettings, load, save
from gramophone.realtime.files import AudioWriter, read
from gramophone.realtime.live.audio_callback import AudioCallback
from gramophone.realtime.live.messages import Ask, Event, Held, Play, PresetChange, Refused, Text, Warm
from gramophone.realtime.live.player import Player
from gramophone.realtime.live.preset_generations import numbers_of, places_of
from gramophone.realtime.live.record import EVENTS, INPUT, OUTPUT, PRESET, Recorder, RecordError
from gramophone.realtime.live.replay import is_recording, replay, replayed, segments_of
from gramophone.realtime.live.shared_state import SWITCH_PLACES, SharedState
from gramophone.realtime.live.status import MOVE_SAMPLES, read_hops
from gramophone.realtime.live.worker_process import spawn_worker
from gramophone.realtime.parameter_table import chain_parameters, complete, hops_s
from gramophone.realtime.stage import Audio, Format, StageError
from gramophone.realtime.stages.plugins import scan
from gramophone.realtime.system.wakeup import make_wake

pytestmark = pytest.mark.slow

RATE, BLOCK = 48_000, 128
FORM = Format(RATE, 2, "cpu")
PATIENCE_S = 100.0

needs_zam = pytest.mark.skipif(
    "ZamCompX2" not in {plugin.name for plugin in scan.installed()},
    reason="needs zam-plugins as VST3 (apt install zam-plugins)",
)

Stage = tuple[str, str, dict[str, float | bool | str]]
GAIN: Stage = ("level", "gain", {"gain": -6.0})
HALL: Stage = ("hall", "reverb", {"wet": 0.5})
CHORUS: Stage = ("ensemble", "chorus", {})


def chain(*stages: Stage) -> Preset:
    return complete(Preset("test", tuple(StageSettings(*stage) for stage in stages)))


def noise(blocks: int, seed: int = 0) -> Audio:
    return np.random.default_rng(seed).normal(0, 0.1, (2, blocks * BLOCK)).astype(np.float32)


def until(reached: Callable[[], object]) -> None:
    """Wait for what another process will do; fail if it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


class Simulation:
    """A device that is never in a hurry, and a worker process; knobs are turned as a session would."""

    def __init__(self, preset: Preset) -> None:
        self.shared = SharedState.new(2, recorded=True)
        self.shared.status["block"] = BLOCK
        self.wake = make_wake()
        self.callback = AudioCallback(self.shared, self.wake, 2)
        self.events: list[Event] = []
        self.heard: list[object] = []
        self.complaints: list[str] = []
        self.listeners: list[Callable[[Event], None]] = [self.events.append]
        self.generation = 0
        self.numbers = count(1)
        self.preset, self.form = preset, FORM
        self.begin()

    def lay_out(self, preset: Preset) -> None:
        self.preset = preset
        knobs = places_of(chain_parameters(preset))
        self.slots = {address: place for place, (address, _) in enumerate(knobs)}
        self.shared.parameters.add(self.generation, numbers_of(knobs, preset))

    def begin(self) -> None:
        """Start a worker; return when it plays."""
        starts = self.count("start")
        self.generation += 1
        self.lay_out(self.preset)
        self.worker = spawn_worker(self.wake)
        self.worker.send(Play(self.preset, self.form, self.generation, self.shared))
        until(lambda: self.count("start") > starts)

    def count(self, name: str) -> int:
        self.hear(self.worker.received() if hasattr(self, "worker") else [])
        return sum(event.name == name for event in self.events)

    def hear(self, messages: list[object]) -> None:
        self.heard += messages
        for message in messages:
            if isinstance(message, Event):
                for listener in self.listeners:
                    listener(message)
            elif isinstance(message, Refused):
                self.complaints.append(message.why)
            else:
                assert isinstance(message, Warm | Held)

    def set(self, address: str, value: Value) -> None:
        self.set_many({address: value})

    def set_many(self, changes: Mapping[str, Value], *, texts_first: bool = True) -> None:
        """Turn knobs; texts go by pipe before the memory holds their numbers, or too late."""
        numbers = {address: next(self.numbers) for address, value in changes.items() if isinstance(value, str)}
        texts = [Text(number, str(changes[address])) for address, number in numbers.items()]
        for text in texts if texts_first else ():
            self.worker.send(text)
        slots = self.slots | SWITCH_PLACES
        numbers_held = {slots[address]: float(numbers.get(address, value)) for address, value in changes.items()}
        self.shared.parameters.set(self.generation, numbers_held)
        for text in () if texts_first else texts:
            self.catch_up()
            self.worker.send(text)
        knobs = {address: value for address, value in changes.items() if address not in SWITCH_PLACES}
        turned = {(stage, key): v for address, v in knobs.items() for stage, _, key in [address.partition(".")]}
        self.preset = self.preset.with_values(turned)

    def change(self, preset: Preset) -> None:
        self.generation += 1
        self.lay_out(preset)
        self.worker.send(PresetChange(preset, self.generation))

    def play(self, sound: Audio, *, wait: bool = True) -> Audio:
        """Play `sound` block by block, each when the worker is done with the last."""
        made = []
        for start in range(0, sound.shape[1], BLOCK):
            made.append(self.callback.process(sound[:, start : start + BLOCK]))
            if wait:
                self.catch_up()
        return np.concatenate(made, axis=1)

    def catch_up(self) -> None:
        until(lambda: self.shared.status["done"] >= self.shared.inputs.newest)

    def play_until(self, name: str, count: int = 1) -> None:
        """Play noise until the worker tells of an event; fail if it never does."""
        deadline, seed = time.monotonic() + PATIENCE_S, 0
        while self.count(name) < count:
            assert time.monotonic() < deadline, f"no {name}"
            self.play(noise(1, seed))
            seed += 1

    def close(self) -> None:
        self.hear(self.worker.stop())
        self.shared.close()
        self.wake.close()


@pytest.fixture(scope="module")
def gain() -> Iterator[Simulation]:
    simulation = Simulation(chain(GAIN))
    yield simulation
    simulation.close()


def test_the_worker_plays_what_the_player_plays_one_block_later() -> None:
    preset, sound = chain(CHORUS, HALL, GAIN), noise(200)
    simulation, truth = Simulation(preset), Player(preset, FORM)
    made = []
    for number in range(200):
        here = slice(number * BLOCK, (number + 1) * BLOCK)
        if number == 50:
            simulation.set("level.gain", -20.0)
            truth.set("level.gain", -20.0)
        if number == 70:
            simulation.set("ensemble.bypass", True)
            truth.set("ensemble.bypass", True)
        if number in (90, 110):
            simulation.shared.parameters.set(simulation.generation, {SWITCH_PLACES["bypass"]: number == 90})
            truth.switch("bypass", number == 90)
        if number in (130, 150):
            simulation.shared.parameters.set(simulation.generation, {SWITCH_PLACES["mute"]: number == 130})
            truth.switch("mute", number == 130)
        heard = simulation.play(sound[:, here])
        if number > 1:  # the first answer is faded in
            np.testing.assert_array_equal(heard, made[-1], err_msg=f"block {number - 1}")
        made.append(truth.process(sound[:, here]))
    assert simulation.shared.status["underruns"] == simulation.shared.status["errors"] == 0
    simulation.close()
    truth.close()


def test_the_budget_is_raised_before_a_chain_that_needs_more_plays_and_lowered_after_it_has_left() -> None:
    style = chain(("style", "style", {"clip": str(CLIPS / "choir.flac")}))
    simulation = Simulation(chain(GAIN))
    status = simulation.shared.status
    assert not read_hops(status)
    at: list[int] = []
    simulation.change(style)
    while not simulation.count("change"):
        simulation.play(noise(1))
        if read_hops(status) and not at:
            at.append(simulation.shared.inputs.newest)
    (change,) = [event for event in simulation.events if event.name == "change"]
    assert read_hops(status) == hops_s(style) != frozenset()
    assert change.block >= at[0] + MOVE_SAMPLES // BLOCK
    simulation.change(chain(GAIN))
    while read_hops(status):
        simulation.play(noise(1))
        last = [event for event in simulation.events if event.name == "change"][-1].block
    assert simulation.count("change") == 2
    assert simulation.shared.inputs.newest >= last + RATE // 20 // BLOCK, "both chains play during the fade"
    simulation.close()


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be stopped there")
@pytest.mark.parametrize("stalled", [1, 3, 19, 100])
def test_after_a_stall_the_latency_is_what_it_was(gain: Simulation, stalled: int) -> None:
    """19 blocks are 50 ms, which the worker catches up; 100 are too many, and it goes on with the newest."""
    sound = noise(stalled + 60, stalled)
    gain.play(sound[:, : 20 * BLOCK])
    before = gain.shared.status["underruns"]
    os.kill(gain.worker.pid, signal.SIGSTOP)
    during = gain.play(sound[:, 20 * BLOCK : (20 + stalled) * BLOCK], wait=False)
    os.kill(gain.worker.pid, signal.SIGCONT)
    gain.catch_up()
    after = gain.play(sound[:, (20 + stalled) * BLOCK :])
    assert gain.shared.status["underruns"] - before <= stalled
    # the stopped worker still had the block before; then the dry sound, as late as the wet
    np.testing.assert_array_equal(during[:, 2 * BLOCK :], sound[:, 21 * BLOCK : (19 + stalled) * BLOCK])
    wet = sound[:, (19 + stalled) * BLOCK : -BLOCK] * np.float32(10 ** (-6 / 20))
    np.testing.assert_allclose(after[:, 2 * BLOCK :], wet[:, 2 * BLOCK :], atol=1e-6)


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is not known there")
def test_a_killed_worker_leaves_the_dry_sound_and_another_takes_over(gain: Simulation) -> None:
    gain.play(noise(20, 1))
    gain.set("level.gain", -12.0)
    gain.play(noise(20, 2))
    os.kill(gain.worker.pid, signal.SIGKILL)
    until(lambda: not gain.worker.alive)
    sound = noise(20, 3)
    heard = gain.play(sound, wait=False)
    np.testing.assert_array_equal(heard[:, 2 * BLOCK :], sound[:, BLOCK:-BLOCK])
    gain.begin()
    gain.play(noise(20, 4))
    after = gain.play(sound)
    wet = sound[:, :-BLOCK] * np.float32(10 ** (-12 / 20))
    np.testing.assert_allclose(after[:, BLOCK:], wet, atol=1e-6)


def test_a_preset_that_cannot_be_played_is_named_and_the_old_one_plays_on(gain: Simulation) -> None:
    missing = Preset("broken", (StageSettings("space", "convolution", {"impulse": "/no/such/file.wav", "mix": 1.0}),))
    gain.worker.send(PresetChange(missing, 99))
    until(lambda: gain.count("start") and gain.complaints)
    assert "/no/such/file.wav" in gain.complaints[-1]
    assert gain.play(noise(20)).any()


def record(folder: Path, simulation: Simulation, perform: Callable[[], None]) -> Audio:
    """Record what `perform` does; return the output, and hold the recording against its replay."""
    recorder = Recorder(folder, simulation.shared)
    for event in simulation.events:
        recorder.take(event)
    simulation.listeners.append(recorder.take)
    with recorder.writing(FORM):
        perform()
        simulation.catch_up()
        simulation.close()
    assert not recorder.trouble
    output, rate = read(folder / OUTPUT)
    assert rate == RATE
    np.testing.assert_array_equal(np.concatenate(list(replayed(folder)), axis=1), output)
    return output


def test_a_recording_is_replayed_bit_for_bit(tmp_path: Path) -> None:
    simulation = Simulation(chain(CHORUS, GAIN))

    def perform() -> None:
        simulation.play(noise(30, 1))
        simulation.set("level.gain", 3.0)
        simulation.play(noise(5, 2))
        simulation.set("level.gain", -9.0)
        simulation.shared.parameters.set(simulation.generation, {SWITCH_PLACES["bypass"]: 1})
        simulation.play(noise(30, 3))
        simulation.shared.parameters.set(simulation.generation, {SWITCH_PLACES["bypass"]: 0})
        simulation.change(chain(HALL, GAIN))
        simulation.set("hall.wet", 0.9)
        simulation.play_until("change")
        simulation.play(noise(60, 4))
        simulation.shared.parameters.set(simulation.generation, {SWITCH_PLACES["panic"]: 1})
        simulation.set("hall.wet", 0.1)
        simulation.play_until("refresh")
        simulation.shared.parameters.set(simulation.generation, {SWITCH_PLACES["mute"]: 1})
        simulation.play(noise(30, 5))
        simulation.shared.parameters.set(simulation.generation, {SWITCH_PLACES["mute"]: 0})
        simulation.play(noise(30, 6))

    output = record(tmp_path / "take", simulation, perform)
    assert output.any()
    names = {event.name for event in simulation.events}
    assert names == {"start", "set", "bypass", "change", "panic", "refresh", "mute"}
    replay(tmp_path / "take", tmp_path / "again.wav")
    np.testing.assert_array_equal(read(tmp_path / "again.wav")[0], output)


def test_a_recording_of_impulse_files_changed_while_they_play_is_replayed_bit_for_bit(tmp_path: Path) -> None:
    impulses = []
    for seed, frames in enumerate((3000, 20_000)):
        impulses.append(str(tmp_path / f"room {seed}.wav"))
        decay = np.exp(-np.arange(frames) / (0.2 * frames))
        with AudioWriter(Path(impulses[-1]), 44_100, 2, frames) as file:
            file.write((np.random.default_rng(seed).normal(0, 0.1, (2, frames)) * decay).astype(np.float32))
    simulation = Simulation(chain(("room", "convolution", {"impulse": impulses[0], "mix": 0.5}), GAIN))

    def perform() -> None:
        simulation.play(noise(60, 1))
        for turn in (1, 0):
            simulation.set("room.impulse", impulses[turn])
            simulation.play_until("take", 2 - turn)
            simulation.play(noise(40, 2 + turn))
        simulation.change(chain(HALL, ("room", "convolution", {"impulse": impulses[1], "mix": 1.0})))
        simulation.play_until("change")
        simulation.play(noise(60, 4))

    output = record(tmp_path / "take", simulation, perform)
    assert output.any()
    assert simulation.count("take") == 2


@pytest.mark.peer
@needs_zam
def test_a_plugin_is_saved_as_it_is_turned_live_and_its_recording_is_replayed_bit_for_bit(tmp_path: Path) -> None:
    """The program that the plug-in loads of itself is in its state, and in no knob of the preset."""
    simulation = Simulation(complete(chain(("comp", "plugin", {"plugin": "ZamCompX2", "ratio": 8.0}), GAIN)))
    answers: list[Held] = []

    def perform() -> None:
        simulation.play(noise(60, 1))
        simulation.set_many({"comp.threshold": -30.0, "comp.makeup": 6.0, "level.gain": -3.0})
        simulation.play(noise(60, 2))
        simulation.worker.send(Ask(7))
        while not answers:
            simulation.play(noise(1, 3))
            simulation.count("start")  # and hears what else the worker says
            answers.extend(message for message in simulation.heard if isinstance(message, Held))
        simulation.play(noise(60, 4))

    record(tmp_path / "take", simulation, perform)
    ((address, state),) = answers[0].values.items()
    assert address == ("comp", "state")
    save(simulation.preset.with_values(answers[0].values), tmp_path / "kept.toml")
    kept = complete(load(tmp_path / "kept.toml"))
    assert kept.stage("comp").values["state"] == state
    sound = noise(60, 5)
    heard = []
    for preset in (kept, simulation.preset, chain(("comp", "plugin", {"plugin": "ZamCompX2", "state": state}), GAIN)):
        player = Player(complete(preset), FORM)
        player.set("level.gain", -3.0)
        heard.append(player.process(sound)[:, 3000:])
        player.close()
    np.testing.assert_array_equal(heard[0], heard[1])
    np.testing.assert_array_equal(heard[0], heard[2])


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is not known there")
def test_a_recording_of_the_style_stage_and_of_a_killed_worker_is_replayed_bit_for_bit(tmp_path: Path) -> None:
    simulation = Simulation(chain(("style", "style", {"clip": str(CLIPS / "choir.flac")}), HALL))

    def perform() -> None:
        simulation.play(noise(200, 1))
        simulation.set("style.strength", 0.5)
        simulation.set("style.tilt", 0.5)
        simulation.play(noise(100, 2))
        simulation.catch_up()
        os.kill(simulation.worker.pid, signal.SIGKILL)
        until(lambda: not simulation.worker.alive)
        simulation.play(noise(30, 3), wait=False)
        simulation.begin()
        simulation.play(noise(100, 4))

    output = record(tmp_path / "take", simulation, perform)
    dead = output[:, 300 * BLOCK : 330 * BLOCK]
    assert not dead.any()
    assert output[:, -BLOCK:].any()
    assert '"gap", "frames": 3840' in (tmp_path / "take" / EVENTS).read_text()


def test_a_device_that_comes_back_at_another_rate_begins_a_segment_that_is_replayed_bit_for_bit(tmp_path: Path) -> None:
    """The worker of the former rate leaves the blocks of the new one alone, however long it is still there."""
    simulation = Simulation(chain(CHORUS, HALL))
    simulation.shared.open_at(RATE, BLOCK)
    recorder, take = Recorder(tmp_path / "take", simulation.shared), tmp_path / "take"
    for event in simulation.events:
        recorder.take(event)
    simulation.listeners.append(recorder.take)
    first, between, second = noise(60, 1), noise(40, 2), noise(60, 3)
    with recorder.writing(FORM):
        simulation.play(first)
        simulation.shared.status["rate"] = 0
        simulation.shared.open_at(44_100, BLOCK)
        simulation.play(between, wait=False)
        assert simulation.shared.status["done"] == 59
        simulation.hear(simulation.worker.stop())
        simulation.form = Format(44_100, 2, "cpu")
        simulation.begin()
        simulation.play(second)
        simulation.close()
    assert not recorder.trouble
    segments = segments_of(take)
    assert segments == recorder.folders == [take, take / "take-segment-2"]
    for folder, rate, sound in zip(segments, (RATE, 44_100), (first, np.hstack((between, second))), strict=True):
        recorded, found = read(folder / INPUT)
        assert found == rate
        np.testing.assert_array_equal(recorded, sound)
        output = read(folder / OUTPUT)[0]
        assert output[:, -BLOCK:].any()
        np.testing.assert_array_equal(np.concatenate(list(replayed(folder)), axis=1), output)
    assert find_inputs([str(tmp_path)]).files == find_inputs([str(take)]).files == segments


def test_what_comes_in_while_no_worker_plays_is_recorded_however_long_that_lasts(tmp_path: Path) -> None:
    """Longer than the rings hold; the recorder writes ahead of a worker that will not make up for it any more."""
    simulation = Simulation(chain(GAIN))
    recorder, inputs, sound = Recorder(tmp_path, simulation.shared), simulation.shared.inputs, noise(2000, 7)
    for event in simulation.events:
        recorder.take(event)
    simulation.worker.kill()
    with recorder.writing(FORM):
        for start in range(0, sound.shape[1], 200 * BLOCK):
            simulation.play(sound[:, start : start + 200 * BLOCK], wait=False)
            until(lambda: recorder.written >= inputs.newest - inputs.slots // 2)
        simulation.listeners.append(recorder.take)
        simulation.begin()
        simulation.play(noise(20, 8))
        simulation.close()
    assert not recorder.trouble
    np.testing.assert_array_equal(read(tmp_path / INPUT)[0][:, : sound.shape[1]], sound)


def test_a_recording_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / EVENTS).write_text("")
    shared = SharedState.new(2)
    with pytest.raises(RecordError, match="holds a recording already"):
        Recorder(tmp_path, shared)
    shared.close()


def test_what_is_no_recording_is_refused_by_name(tmp_path: Path) -> None:
    assert not is_recording(tmp_path)
    with pytest.raises(RecordError, match=f"{tmp_path}: not a recording"):
        next(replayed(tmp_path))


def test_nothing_played_is_nothing_recorded(tmp_path: Path) -> None:
    shared = SharedState.new(2)
    with pytest.raises(RecordError, match="nothing was played"), Recorder(tmp_path, shared).writing(FORM):
        pass
    assert not (tmp_path / PRESET).exists()
    shared.close()


def test_texts_numbers_and_switches_set_at_once_are_heard_from_the_same_block_on() -> None:
    """Also where the text comes late: nothing of what was set with it is heard before."""
    simulation = Simulation(chain(("filter", "ladder", {"frequency": 400.0}), GAIN))
    for together in (True, False):
        before = len(simulation.events)
        kind = "high-24" if together else "low-12"
        changes = {"mute": together, "level.gain": -3.0 - together, "filter.mode": kind, "bypass": together}
        simulation.set_many(changes, texts_first=together)
        simulation.play_until("bypass", simulation.count("bypass") + 1)
        turned = [event for event in simulation.events[before:] if event.name != "start"]
        assert {(event.address or event.name, event.value) for event in turned} == set(changes.items())
        assert len({event.block for event in turned}) == 1
    simulation.close()


def test_a_recording_of_clips_analysed_under_load_is_replayed_bit_for_bit(tmp_path: Path) -> None:
    """Clips and bands change at random times while other programs take the machine; analyses overtake each other."""
    clips = [str(path) for path in sorted(CLIPS.glob("*.flac"))]
    simulation = Simulation(chain(("style", "style", {"clip": clips[0], "detail": 16.0}), GAIN))
    random = np.random.default_rng(5)

    def perform() -> None:
        load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
        for turn in range(8):
            if turn == 4:
                simulation.play_until("take")  # or the change may overtake every lesson of the first chain
                simulation.change(chain(HALL, ("style", "style", {"clip": clips[1], "detail": 8.0})))
            address, value = [
                ("style.detail", float(random.integers(6, 24))),
                ("style.clip", clips[random.integers(len(clips))]),
            ][turn % 2]
            simulation.set(address, value)
            simulation.play(noise(int(random.integers(5, 80)), turn))
        simulation.play_until("take", 2)
        simulation.shared.parameters.set(simulation.generation, {SWITCH_PLACES["panic"]: 1})
        simulation.set("style.detail", 12.0)
        simulation.play_until("refresh")
        simulation.play(noise(40, 99))
        for process in load:
            process.kill()
            process.wait()

    output = record(tmp_path / "take", simulation, perform)
    assert output.any()
    taken = [event for event in simulation.events if event.name == "take"]
    assert len(taken) >= 2
    text = (tmp_path / "take" / EVENTS).read_text()
    assert text.count('"event": "take"') == len(taken)
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path / "take", moved)
    later = re.sub(r'("sample": )(\d+)(, "event": "take")', lambda m: f"{m[1]}{int(m[2]) + 9600}{m[3]}", text, count=1)
    (moved / EVENTS).write_text(later)
    with suppress(StageError):  # a lesson that had been overtaken by then
        assert not np.array_equal(np.concatenate(list(replayed(moved)), axis=1), output)
