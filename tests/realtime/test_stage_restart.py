"""What is no sound stays nowhere: input is made harmless, and a stage that fails goes on from silence."""

import numpy as np
import pytest

from gramophone.presets import Preset, StageSettings
from gramophone.realtime import chain as chain_module
from gramophone.realtime.dsp.input_guard import LOUDEST_INPUT, InputGuard
from gramophone.realtime.engine import Engine
from gramophone.realtime.live.audio_callback import AudioCallback
from gramophone.realtime.live.shared_state import SharedState
from gramophone.realtime.stage import Stage
from gramophone.realtime.stage_registry import make_stage
from gramophone.realtime.stage_restart import REST_S
from gramophone.realtime.system.wakeup import make_wake

RATE = 48_000
REST = round(REST_S * RATE)


def preset(*stages):
    return Preset("test", tuple(StageSettings(name, kind, values) for name, kind, values in stages))


def noise(frames, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, (2, frames)).astype(np.float32)


def pieces(engine, audio, sizes):
    start, out = 0, []
    while start < audio.shape[1]:
        size = sizes[len(out) % len(sizes)]
        out.append(engine.process(audio[:, start : start + size]))
        start += size
    return np.concatenate(out, axis=1)


class Fragile(Stage):
    """A recursive filter `delay` samples late, which one sample above `limit` breaks for ever."""

    delay = 100
    made = 0

    def __init__(self, form, values):
        type(self).made += 1
        self._past = np.zeros((form.channels, self.delay), np.float32)
        self._state = np.zeros(form.channels)

    def set(self, name, value):
        self.gain = value

    def process(self, block):
        sound = np.concatenate((self._past, block), axis=1)
        self._past = sound[:, block.shape[1] :]
        out = np.empty_like(block)
        for k in range(block.shape[1]):
            x = sound[:, k]
            self._state = self._state * 0.5 + np.where(np.abs(x) > 2, self.bad, x)
            out[:, k] = self._state
        return out


@pytest.fixture(params=[np.nan, np.inf, 1e9])
def fragile(request, monkeypatch):
    """The kind `gain` is `Fragile` in this test."""
    Fragile.made, Fragile.bad = 0, request.param

    def make(kind, form, values):
        return Fragile(form, values) if kind == "gain" else make_stage(kind, form, values)

    monkeypatch.setattr(chain_module, "make_stage", make)
    return preset(("filter", "gain", {}), ("low", "lowpass", {"frequency": 8000.0}))


def test_a_stage_that_fails_passes_its_input_and_goes_on_from_silence(fragile):
    sound = noise(REST + 10_000)
    sound[:, 3000] = 3.0
    engine = Engine(preset(("filter", "gain", {})), RATE)
    out = engine.process(sound)
    begun = Engine(preset(("filter", "gain", {})), RATE)
    whole = begun.process(sound[:, :3000])
    assert np.array_equal(out[:, :3000], whole)
    back = 3100 + REST  # it fails when the sample comes out, and the next one is fed from then on
    assert np.array_equal(out[:, 3100:back], sound[:, 3000 : back - 100])
    fresh = Engine(preset(("filter", "gain", {})), RATE).process(sound[:, back:])
    assert np.array_equal(out[:, back + 600 :], fresh[:, 600:])
    assert engine.report().failures == {"filter": 1}
    assert Fragile.made == 4


def test_any_blocks_equal_one_pass_over_a_failure(fragile):
    sound = noise(2 * REST + 30_000)
    sound[:, [2000, REST + 8000]] = 3.0
    one = Engine(fragile, RATE).process(sound)
    for sizes in ([64], [1, 500, 4096], [REST + 2100, 7]):
        assert np.array_equal(pieces(Engine(fragile, RATE), sound, sizes), one)
    assert np.isfinite(one).all()
    assert np.abs(one).max() < 10


def test_each_further_failure_is_rested_twice_as_long(fragile):
    sound = np.full((2, 8 * REST), 3.0, np.float32)
    engine = Engine(fragile, RATE)
    pieces(engine, sound, [480])
    assert engine.report().failures == {"filter": 4}


def test_ten_samples_of_1e20_are_limited_and_all_is_as_before_soon_after():
    sound = noise(RATE)
    hit = sound.copy()
    hit[:, 1000:1010] = 1e20
    hit[0, 1020] = np.nan
    engine = Engine.load("hall", RATE)
    out = pieces(engine, hit, [256])
    assert np.isfinite(out).all()
    report = engine.report()
    assert (report.limited, report.non_finite, report.failures) == (20, 1, {})
    assert report.output.peak_db > -60
    assert np.abs(pieces(engine, noise(8 * RATE), [4096])[:, -RATE:]).max() < 1


def test_what_is_sound_passes_the_guard_as_it_is():
    guard = InputGuard()
    for level in (0.0, 1.0, 100.0, LOUDEST_INPUT):
        block = np.full((2, 4096), level, np.float32)
        assert guard.process(block) is block
    assert (guard.non_finite, guard.limited) == (0, 0)


def test_dry_sound_to_the_device_is_finite_and_counted():
    shared, wake = SharedState.new(2), make_wake()
    try:
        callback = AudioCallback(shared, wake, 2)
        block = noise(128)
        block[:, 5], block[0, 6] = 1e20, np.nan
        heard = np.concatenate([callback.process(block) for _ in range(20)], axis=1)
        assert np.isfinite(heard).all()
        assert np.abs(heard).max() == LOUDEST_INPUT
        assert (shared.status["limited"], shared.status["non_finite"]) == (40, 20)
    finally:
        shared.close()
        wake.close()
