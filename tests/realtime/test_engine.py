"""The engine: any blocks equal one pass, latency is what it says, nothing clicks, nothing blows up."""

import gc
import pickle
import sys
import threading
import weakref

import numpy as np
import pytest

from gramophone.models.parameters import ParameterError
from gramophone.presets import CLIPS, Preset, PresetError, StageSettings, load
from gramophone.realtime import chain as chain_module
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import read
from gramophone.realtime.stage import Stage, StageError

RATE = 48_000
VOICE, VOICE_RATE = read(CLIPS / "voice.flac")


def preset(*stages):
    return Preset("test", tuple(StageSettings(name, kind, values) for name, kind, values in stages))


def cut(audio, sizes):
    start = 0
    for size in sizes:
        if start < audio.shape[1]:
            yield audio[:, start : start + size]
        start += size


def random_sizes(rng, total, longest=8192):
    sizes = []
    while sum(sizes) < total:
        sizes.append(int(np.exp(rng.uniform(0, np.log(longest + 1)))))
    return sizes


def whole(engine, audio):
    return engine.process(audio)


EFFECTS = preset(
    ("low", "lowpass", {"frequency": 3000.0}),
    ("squash", "compressor", {"threshold": -30.0, "ratio": 4.0}),
    ("space", "reverb", {"mix": 0.3}),
)


@pytest.mark.parametrize("seed", range(3))
def test_any_blocks_equal_one_pass(seed):
    rng = np.random.default_rng(seed)
    audio = np.repeat(VOICE[:1, :60_000], 2, axis=0)
    one, many = Engine(EFFECTS, RATE), Engine(EFFECTS, RATE)
    pieces = np.concatenate(list(many.stream(cut(audio, random_sizes(rng, audio.shape[1])))), axis=1)
    assert np.array_equal(pieces, one.process(audio))


def test_render_is_the_stream_with_its_latency_trimmed():
    engine = Engine.load("hall", RATE, 1)
    audio = VOICE[:1, :50_000]
    padded = np.pad(audio, ((0, 0), (0, engine.delay)))
    streamed = np.concatenate(list(engine.stream(cut(padded, [777] * 100))), axis=1)[:, engine.delay :]
    rendered = engine.render(audio)
    assert rendered.shape == audio.shape
    assert np.abs(rendered - streamed).max() <= 1e-6


def test_rendering_twice_gives_the_same_samples():
    engine = Engine.load("hall", VOICE_RATE, 1)
    assert np.array_equal(engine.render(VOICE[:1]), engine.render(VOICE[:1]))


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("name", ["hall", "processed-vocals"])
def test_the_impulse_arrives_when_the_latency_says(rate, name):
    """Every stage bypassed: what is left of a chain is its dry path, late by its latency."""
    chain = load(name)
    chain = chain.with_values({(stage.name, "bypass"): True for stage in chain.stages})
    engine = Engine(chain, rate)
    impulse = np.zeros((2, 8192), np.float32)
    impulse[:, 100] = 1.0
    heard = np.concatenate(list(engine.stream(cut(impulse, [256] * 32))), axis=1)
    assert np.array_equal(np.flatnonzero(heard[0]), [100 + engine.delay])


def test_mixing_dry_and_wet_of_a_late_stage_keeps_them_aligned():
    """A style stage at strength 0 is a pure delay: half dry and half wet must add up, not comb."""
    clip = str(CLIPS / "voice.flac")
    engine = Engine(preset(("style", "style", {"clip": clip, "strength": 0.0, "mix": 0.5})), VOICE_RATE, 1)
    assert np.abs(engine.render(VOICE) - VOICE).max() < 1e-5


def curvature(sound):
    return np.abs(np.diff(sound, 2)).max()


def sine(frames, hertz=200.0):
    return np.repeat(0.5 * np.sin(2 * np.pi * hertz * np.arange(frames) / RATE)[None], 2, axis=0).astype(np.float32)


@pytest.mark.parametrize("change", [("squash.bypass", True), ("squash.mix", 0.0), ("low.frequency", 200.0)])
def test_no_knob_clicks(change):
    audio = sine(RATE)
    engine = Engine(EFFECTS, RATE)
    engine.process(audio)
    engine.set(*change)
    assert curvature(engine.process(audio)) < 2 * curvature(audio)


@pytest.fixture
def forced_switching():
    """Threads give way after every few instructions, so that they meet in every place where they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_any_thread_may_set_while_another_feeds_and_the_last_value_arrives(forced_switching):
    """Four threads set four parameters each, to and fro; then the sound is that of an engine that begins there."""
    names = [(f"level{k}.gain", float(k - 8)) for k in range(16)]
    chain = preset(*((f"level{k}", "gain", {}) for k in range(16)))
    engine = Engine(chain, RATE)
    failed = []

    def turn(mine):
        try:
            for step in range(300):
                for address, value in mine:
                    engine.set(address, value if step % 2 else -value)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=turn, args=(names[k::4],)) for k in range(4)]
    for thread in threads:
        thread.start()
    block = sine(64)
    while any(thread.is_alive() for thread in threads):
        engine.process(block)
    engine.process(sine(RATE))
    assert failed == []
    final = chain.with_values({tuple(address.split(".")): value for address, value in names})
    assert engine.preset.stages == Engine(final, RATE).preset.stages
    np.testing.assert_array_equal(engine.process(block), Engine(final, RATE).process(block))


def test_a_value_is_known_at_once_and_heard_from_the_next_block_on():
    engine = Engine(preset(("level", "gain", {"gain": 0.0})), RATE)
    engine.set("level.gain", -6)
    assert engine.preset.stage("level").values["gain"] == -6.0
    engine.process(sine(RATE))
    np.testing.assert_allclose(engine.process(sine(256)), sine(256) * 10 ** (-6 / 20), atol=1e-6)
    with pytest.raises(ParameterError, match="expected a number from"):
        engine.set("level.gain", 1e9)


def test_changing_presets_neither_clicks_nor_gaps():
    audio = sine(RATE)
    engine = Engine(EFFECTS, RATE)
    before = engine.process(audio)
    engine.change(preset(("level", "gain", {"gain": -6.0})))
    after = np.concatenate(list(engine.stream(cut(audio, [100] * 480))), axis=1)
    joined = np.concatenate([before, after], axis=1)
    assert curvature(joined[:, RATE // 2 :]) < 2 * curvature(audio)
    level = np.sqrt(np.mean(joined[0].reshape(-1, 960) ** 2, axis=1))  # 20 ms at a time
    assert level[5:].min() > 0.9 * min(level[10], level[-1])
    assert np.allclose(after[:, -1000:], audio[:, -1000:] * 10 ** (-6 / 20), atol=1e-6)


def test_reordering_fades_to_the_other_order():
    engine = Engine(EFFECTS, RATE)
    audio = sine(RATE)
    engine.process(audio)
    engine.reorder(["space", "low", "squash"])
    assert curvature(engine.process(audio)) < 2 * curvature(audio)
    assert [stage.name for stage in engine.preset.stages] == ["space", "low", "squash"]
    with pytest.raises(PresetError, match="each of"):
        engine.reorder(["space"])


def test_a_preset_that_fails_leaves_the_old_one_playing():
    engine = Engine(EFFECTS, RATE)
    with pytest.raises(PresetError):
        engine.change(preset(("x", "nonesuch", {})))
    assert engine.process(sine(256)).shape == (2, 256)
    with pytest.raises(ParameterError, match="did you mean"):
        engine.set("low.frequenc", 3.0)


def hostile(frames):
    rng = np.random.default_rng(0)
    burst = rng.normal(0, 0.1, (2, frames)).astype(np.float32)
    burst[0, 100], burst[1, 200], burst[0, 300] = np.nan, np.inf, -np.inf
    return {
        "silence": np.zeros((2, frames), np.float32),
        "constant": np.ones((2, frames), np.float32),
        "noise at full scale": np.sign(rng.normal(size=(2, frames))).astype(np.float32),
        "far above full scale": rng.normal(0, 1e6, (2, frames)).astype(np.float32),
        "denormal": np.full((2, frames), 1e-40, np.float32),
        "not finite": burst,
    }


@pytest.mark.parametrize("kind", hostile(301))
def test_nothing_blows_up(kind):
    engine = Engine.load("hall", RATE)
    audio = hostile(3 * RATE)[kind]
    for block in cut(audio, [1, 0, 8191] + [4096] * 40):
        output = engine.process(block)
        assert output.shape == block.shape
        assert np.isfinite(output).all()
    # and it recovers
    settled = np.concatenate([engine.process(np.zeros((2, 4096), np.float32)) for _ in range(60)], axis=1)
    assert np.abs(settled[:, -4096:]).max() < 1e-2


def test_the_report_counts_and_names():
    engine = Engine(EFFECTS, RATE)
    broken = sine(RATE)
    broken[0, 7] = np.nan
    engine.process(broken)
    report = engine.report()
    assert report.non_finite == 1
    assert set(report.stages) == {"engine", "low", "squash", "space"}
    assert report.load > 0
    assert abs(report.input.peak_db - 20 * np.log10(0.5)) < 0.1
    assert engine.report().input.peak_db == -120


def test_input_blocks_are_left_as_they_were():
    engine = Engine.load("hall", RATE)
    audio = sine(5000)
    before = audio.copy()
    engine.process(audio)
    assert np.array_equal(audio, before)


def as_stage(monkeypatch, process, delay=0):
    """The kind `gain` returns what `process` does in this test."""

    class Given(Stage):
        def __init__(self, form, values):
            self.delay = delay

        def set(self, name, value):
            pass

        def process(self, block):
            return process(block)

    monkeypatch.setattr(chain_module, "make_stage", lambda kind, form, values: Given(form, values))
    return preset(("given", "gain", {}))


LAYOUTS = {
    "float64": lambda sound: sound.astype(np.float64),
    "columns": np.asfortranarray,
    "masked": np.ma.asarray,
    "out of a pickle": lambda sound: pickle.loads(pickle.dumps(sound)),  # has a dtype of its own
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sound_in_any_layout_plays_as_plain_sound(layout):
    engines = [Engine.load("hall", RATE) for _ in range(2)]
    given = LAYOUTS[layout](sine(5000)), sine(5000)
    sounds = [engine.process(sound) for engine, sound in zip(engines, given, strict=True)]
    assert np.array_equal(*sounds)
    reports = [engine.report() for engine in engines]
    assert reports[0].input == reports[1].input
    assert reports[0].output == reports[1].output


def test_a_stage_that_returns_whole_numbers_plays_on(monkeypatch):
    engine = Engine(as_stage(monkeypatch, lambda block: np.ones(block.shape, int)), RATE)
    assert np.array_equal(engine.process(sine(256)), np.ones((2, 256)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mix", [1.0, 0.25])
def test_what_a_stage_returns_in_any_layout_is_played_and_measured(monkeypatch, layout, mix):
    engine = Engine(as_stage(monkeypatch, lambda block: LAYOUTS[layout](-0.5 * block)), RATE)
    engine.set("given.mix", mix)
    for _ in range(20):
        out = engine.process(sine(500))
    np.testing.assert_allclose(out, (1 - 1.5 * mix) * sine(500), atol=1e-6)
    assert out.dtype == np.float32
    report = engine.report()
    assert not report.failures
    assert report.stages["given"]["median_ms"] > 0


def test_a_bypass_is_in_line_after_blocks_of_any_length(monkeypatch):
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.1, (2, 200_000)).astype(np.float32)
    engine = Engine(as_stage(monkeypatch, np.zeros_like, delay=777), RATE)
    out = []
    for number, block in enumerate(cut(sound, random_sizes(rng, sound.shape[1], longest=12_000))):
        engine.set("given.bypass", number % 3 == 2)
        out.append((block.shape[1], number % 3 == 2, engine.process(block)))
    start = 0
    for frames, is_bypassed, block in out:
        if is_bypassed and frames > 4000:  # the fade is over
            assert np.array_equal(block[:, 4000:], sound[:, start + 4000 - 777 : start + frames - 777])
        start += frames
    assert any(is_bypassed and frames > 4000 for frames, is_bypassed, _ in out)


def test_a_chain_that_was_closed_is_freed_at_once():
    engine = Engine(EFFECTS, RATE)
    chain = weakref.ref(engine.chain)
    engine.set("low.mix", 0.5)
    engine.process(sine(256))
    engine.close()
    gc.disable()
    try:
        del engine
        assert chain() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("rate", [0, -1, 499, 1e9, 48_000.5, float("nan"), float("inf"), "48000", None])
def test_a_rate_that_nothing_plays_at_is_refused_by_every_way_in(rate):
    with pytest.raises(PresetError, match=f"a rate of {rate} Hz; expected 500 to 1000000 Hz, a whole number"):
        Engine.load("hall", rate)
    engine = Engine.load("hall", RATE)
    for reset in (True, False) if rate is not None else (True,):
        with pytest.raises(ValueError, match=f"a rate of {rate} Hz; expected 500 to 1000000 Hz, a whole number"):
            engine(sine(256), rate, reset)


@pytest.mark.parametrize("rate", [48_000.0, np.float32(48_000), np.int64(48_000)])
def test_a_whole_rate_of_any_type_is_one(rate):
    assert np.array_equal(Engine.load("hall", rate)(sine(256), rate), Engine.load("hall", RATE)(sine(256), RATE))


def test_another_number_of_channels_than_the_engine_has_is_refused():
    engine = Engine.load("hall", RATE)
    for channels in (0, 1, 3):
        with pytest.raises(ValueError, match=rf"\({channels}, 64\): expected \(2, frames\)"):
            engine.process(np.zeros((channels, 64), np.float32))
    assert np.array_equal(engine.process(sine(256)), Engine.load("hall", RATE).process(sine(256)))


def test_frames_in_rows_as_soundfile_reads_them_are_refused_and_not_played_as_hundreds_of_channels():
    engine = Engine.load("hall", RATE)
    for reset in (True, False):
        with pytest.raises(ValueError, match=r"\(480, 2\): expected \(channels, frames\); transpose it"):
            engine(sine(480).T, RATE, reset)


def test_lists_are_played_as_arrays():
    block = sine(256)
    for way in (Engine.render, Engine.process, lambda engine, sound: engine(sound, RATE)):
        assert np.array_equal(way(Engine.load("hall", RATE), block.tolist()), way(Engine.load("hall", RATE), block))


@pytest.mark.parametrize("kind", ["int16", "int32", "bool", "complex64", "object", "str"])
def test_numbers_whose_full_scale_is_not_one_are_refused(kind):
    engine, sound = Engine(EFFECTS, RATE), sine(256)
    with pytest.raises(ValueError, match="expected floating-point numbers"):
        engine.process(sound.astype(kind))
    with pytest.raises(ValueError, match="expected floating-point numbers"):
        engine.render((30_000 * sound).astype(kind))
    assert np.array_equal(engine.process(sound.tolist()), Engine(EFFECTS, RATE).process(sound))


def test_wrong_shapes_are_refused():
    with pytest.raises(
        ValueError, match=r"\(10,\) and type float32: expected floating-point numbers, \(channels, frames\)"
    ):
        Engine(EFFECTS, RATE).process(np.zeros(10, np.float32))
    with pytest.raises(ValueError, match=r"expected \(2, frames\)"):
        Engine(EFFECTS, RATE).render(np.zeros((1, 10), np.float32))


def test_a_style_on_hold_takes_effect_at_the_given_sample_and_nowhere_else():
    """A style that was taken over by itself, noted by its block, and taken over there again sounds the same."""
    preset = Preset("t", (StageSettings("style", "style", {"clip": str(CLIPS / "choir.flac"), "detail": 8.0}),))
    block = np.random.default_rng(1).normal(0, 0.1, (2, 512)).astype(np.float32)
    free, held = Engine(preset, 48_000, 2, "cpu"), Engine(preset, 48_000, 2, "cpu")
    held.chain.hold()
    for engine in (free, held):
        engine.set("style.detail", 12.0)
        engine.set("style.detail", 16.0)
    first, taken = [], None
    while taken is None or len(first) < taken + 40:
        first.append(free.process(block))
        if free.chain.taken["style"] and taken is None:
            taken = len(first) - 1
    again = []
    for number in range(len(first)):
        if number == taken:
            assert held.chain.taken == {"style": 0}
            held.chain.take("style", 2)
        again.append(held.process(block))
    assert free.chain.taken == held.chain.taken == {"style": 2}, "the lesson that was overtaken is not heard"
    np.testing.assert_array_equal(np.concatenate(again, axis=1), np.concatenate(first, axis=1))
    for engine in (free, held):
        with pytest.raises(StageError, match="change 2: expected the last that was asked for, 2, once"):
            engine.chain.take("style", 2)
        engine.close()
