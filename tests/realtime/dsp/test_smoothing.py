"""What moves, moves by the count of samples: the same for any cutting into blocks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gramophone.models.parameters import Parameter, ParameterError, Value
from gramophone.realtime.dsp.smoothing import GRID, Fade, Ramps, crossfade

KNOBS = (
    Parameter("tone", 1000.0, "a log knob", "Hz", (20.0, 20000.0), "log", smoothing_ms=20.0),
    Parameter("level", 0.0, "a linear knob", "dB", (-60.0, 12.0), smoothing_ms=5.0),
    Parameter("freeze", False, "a switch"),
    Parameter("now", 0.5, "a knob without smoothing", smoothing_ms=0.0),
)
BLOCKS = st.lists(st.integers(1, 700), min_size=1, max_size=12)
Change = tuple[int, str, Value]


def trace(changes: list[Change], sizes: list[int]) -> list[tuple[Value, ...]]:
    """The values at every sample, with the changes made at their sample counts (blocks are cut there)."""
    ramps = Ramps(KNOBS, {}, 48000)
    total = 6000
    cuts = sorted({at for at, _, _ in changes} | set(np.cumsum(sizes).tolist()) | {0, total})
    seen: list[tuple[Value, ...]] = []
    for start, stop in pairwise(cuts):
        if stop > total:
            break
        for at, name, value in changes:
            if at == start:
                ramps.set(name, value)
        for a, b, values in ramps.segments(stop - start):
            assert 0 <= a < b <= stop - start
            seen += [tuple(values.values())] * (b - a)
    return seen


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 4000),
            st.sampled_from(["tone", "level", "now"]),
            st.sampled_from([0.1, 0.9]),
        ),
        max_size=4,
    ),
    BLOCKS,
)
def test_ramps_do_not_depend_on_the_blocks(picks: list[tuple[int, str, float]], sizes: list[int]) -> None:
    knob = {p.name: p for p in KNOBS}
    changes: list[Change] = [(at, name, knob[name].from_0to1(u)) for at, name, u in picks]
    assert trace(changes, sizes) == trace(changes, [6000])


def test_a_knob_at_rest_needs_one_run() -> None:
    ramps = Ramps(KNOBS, {"level": -6.0}, 48000)
    ramps.set("level", -6.0)
    assert [(a, b) for a, b, _ in ramps.segments(8192)] == [(0, 8192)]


def test_a_log_knob_moves_by_equal_ratios_and_arrives_exactly_in_time() -> None:
    tone = np.array([v[0] for v in trace([(0, "tone", 8000.0)], [6000])], float)
    steps = tone[: 30 * GRID : GRID]
    np.testing.assert_allclose(steps[1:] / steps[:-1], steps[1] / steps[0], rtol=1e-9)
    samples = round(0.020 * 48000)
    assert np.all(tone[samples - GRID :] == 8000.0)
    assert tone[samples - GRID - 1] < 8000.0


def test_switches_and_unsmoothed_knobs_are_set_at_once() -> None:
    values = trace([(100, "freeze", True), (100, "now", 0.7)], [6000])
    assert values[99][2:] == (False, 0.5)
    assert values[100][2:] == (True, 0.7)


def test_an_unknown_knob_is_named() -> None:
    with pytest.raises(ParameterError, match="tnoe: expected one of tone"):
        Ramps(KNOBS, {}, 48000).set("tnoe", 1.0)


@settings(max_examples=60, deadline=None)
@given(BLOCKS, st.integers(1, 900), st.integers(1, 1500))
def test_a_crossfade_does_not_depend_on_the_blocks(sizes: list[int], samples: int, turn: int) -> None:
    rng = np.random.default_rng(samples)
    dry, wet = rng.standard_normal((2, 2, 3000)).astype(np.float32)

    def mixed(cuts: set[int]) -> np.ndarray:
        fade = Fade(0.0, samples)
        fade.set(1.0)
        pieces = []
        edges = sorted(c for c in cuts | {0, turn, 3000} if c <= 3000)
        for a, b in pairwise(edges):
            if a == turn:
                fade.set(0.3)
            pieces.append(crossfade(dry[:, a:b], wet[:, a:b], fade.next(b - a)))
        return np.concatenate(pieces, axis=1)

    np.testing.assert_array_equal(mixed(set(np.cumsum(sizes).tolist())), mixed(set()))


def test_a_fade_is_a_straight_line_that_ends_on_its_target() -> None:
    fade = Fade(0.0, 100)
    fade.set(1.0)
    assert fade.left == 100
    np.testing.assert_allclose(fade.next(150), np.minimum(np.arange(1, 151) / 100, 1.0), atol=1e-7)
    assert fade.left == 0
    assert fade.next(10) == np.float32(1.0)


def test_a_crossfade_at_rest_returns_the_very_samples() -> None:
    rng = np.random.default_rng(0)
    dry, wet = rng.standard_normal((2, 2, 64)).astype(np.float32)
    assert crossfade(dry, wet, np.float32(0)) is dry
    assert crossfade(dry, wet, np.float32(1)) is wet
    np.testing.assert_array_equal(crossfade(dry, wet, np.ones(64, np.float32)), wet)
    np.testing.assert_array_equal(crossfade(dry, wet, np.zeros(64, np.float32)), dry)
