"""MIDI clock: the tempo within 0.1 BPM through jitter, at once after a change; times in beats stay in time."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramophone.models.parameters import Parameter, ParameterError
from gramophone.realtime.midi.clock import Clock, from_beats

PERIOD = 256 / 48_000
"""JACK dates a message by the block that it came in."""

JITTER = {
    "even": lambda rng, time: time + rng.uniform(-0.002, 0.002),
    "bell": lambda rng, time: time + rng.gauss(0, 0.002),
    "block": lambda rng, time: time // PERIOD * PERIOD,
}


def ticks(bpm, beats, jitter, start=0.0, seed=1):
    rng = random.Random(seed)
    times = [start + k * 60 / 24 / bpm for k in range(int(beats * 24))]
    return itertools.accumulate((JITTER[jitter](rng, time) for time in times), max)


@pytest.mark.parametrize("jitter", JITTER)
@pytest.mark.parametrize("bpm", [40, 77.7, 120, 174, 240, 300])
def test_the_tempo_is_within_a_tenth_of_a_bpm_under_jitter(bpm, jitter):
    for seed in range(3):
        clock = Clock()
        for number, time in enumerate(ticks(bpm, bpm / 60 * 10, jitter, seed=seed)):
            clock.tick(time)
            if number > bpm / 60 * 24 * 5:
                assert clock.bpm == pytest.approx(bpm, abs=0.1)


@pytest.mark.parametrize("jitter", JITTER)
@pytest.mark.parametrize(("before", "after"), [(120, 121), (120, 60), (90, 180), (128, 126)])
def test_a_new_tempo_is_followed(before, after, jitter):
    clock = Clock()
    for time in ticks(before, 20, jitter):
        clock.tick(time)
    for time in ticks(after, after / 60 * 7, jitter, 20 * 60 / before):
        clock.tick(time)
    assert clock.bpm == pytest.approx(after, abs=0.1)


def test_a_steady_clock_changes_the_tempo_but_a_few_times():
    clock = Clock()
    assert sum(clock.tick(time) is not None for time in ticks(120, 200, "even")) <= 8


def test_a_stall_that_holds_some_ticks_back_is_no_new_tempo():
    clock = Clock()
    for number, time in enumerate(ticks(120, 30, "even")):
        held_back = 10.0 <= time < 10.08
        clock.tick(10.08 if held_back else time)
        if number > 240:
            assert clock.bpm == pytest.approx(120, abs=0.3)


def test_a_pause_leaves_the_tempo_and_the_next_start_begins_afresh():
    clock = Clock()
    for time in ticks(100, 8, "even"):
        clock.tick(time)
    held = clock.bpm
    clock.restart()
    assert clock.bpm == held
    for time in ticks(140, 20, "even", start=60):
        clock.tick(time)
    assert clock.bpm == pytest.approx(140, abs=0.1)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9), max_size=200))
def test_any_times_give_a_tempo_or_none(times):
    clock = Clock()
    for time in times:
        clock.tick(time)
        assert clock.bpm is None or 20 <= clock.bpm <= 400


@pytest.mark.parametrize(
    ("unit", "limits", "beats", "bpm", "expected"),
    [
        ("ms", (1, 2000), 0.75, 120, 375.0),
        ("s", (0.01, 4), 1, 90, 60 / 90),
        ("Hz", (0.01, 20), 4, 120, 0.5),
        ("ms", (1, 2000), 4, 60, 2000.0),
        ("ms", (1, 2000), 3, 60, 1500.0),
        ("ms", (10, 2000), 1 / 64, 200, 4.6875 * 4),
    ],
)
def test_beats_become_times_and_come_in_by_octaves(unit, limits, beats, bpm, expected):
    knob = Parameter("time", limits[1], "", unit, limits)
    assert from_beats(knob, beats, bpm) == pytest.approx(expected)


@given(st.floats(1 / 64, 64), st.floats(1, 1000), st.sampled_from(["ms", "s", "Hz"]))
def test_every_beat_at_every_tempo_fits_its_knob(beats, bpm, unit):
    knob = Parameter("time", 2.0, "", unit, (1.7, 3.1))
    assert knob.check(from_beats(knob, beats, bpm))


def test_what_is_no_time_is_refused():
    with pytest.raises(ParameterError, match="beats need a unit of ms, s, Hz"):
        from_beats(Parameter("gain", 0.0, "", "dB", (-60, 24)), 1, 120)
