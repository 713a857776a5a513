"""Effects that are kernels: pedalboard's samples to the bit, at any values, rates and channels, and in motion."""

from __future__ import annotations

import numpy as np
import pedalboard
import pytest

from gramophone.models.parameters import Value
from gramophone.presets import Preset, StageSettings
from gramophone.realtime.engine import Engine
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stage import Audio, Format, Stage
from gramophone.realtime.stages.effects.plugin import EffectPlugin
from gramophone.realtime.stages.effects.stage import EffectStage, effect_stage
from gramophone.realtime.stages.effects.table import EFFECTS

RATE, BLOCK = 48_000, 256
KINDS = sorted(kind for kind, effect in EFFECTS.items() if effect.compiles and effect.plugin != "Echo")
TANGENT = {"highpass": 1e-6, "lowpass": 1e-6}
"""Their coefficients come from a tangent, whose last bit differs between C libraries."""


def noise(channels: int, frames: int, seed: int = 0) -> Audio:
    """Noise whose level goes up and down, from -60 dBFS to full scale."""
    rng = np.random.default_rng(seed)
    level = 10 ** (-1.5 + 1.5 * np.sin(np.arange(frames) / 1900 + seed))
    return (0.3 * level * rng.standard_normal((channels, frames))).astype(np.float32)


def random_values(kind: str, seed: int) -> dict[str, Value]:
    rng = np.random.default_rng(seed)
    return {
        p.name: p.from_0to1(float(rng.uniform())) if p.is_number else bool(rng.uniform() < 0.3)
        for p in EFFECTS[kind].parameters
    }


def by_pedalboard(kind: str, form: Format, values: dict[str, Value]) -> Stage:
    """The same stage, whose instances are pedalboard's: of long memory, the second one processes everything too."""

    class Slow(effect_stage(kind)):  # type: ignore[misc]
        def _make_instance(self, values: dict[str, Value]) -> EffectPlugin:
            return EffectPlugin(self.effect, form, values)

    return Slow(form, values)


def in_blocks(stage: Stage, sound: Audio, changes: dict[int, dict[str, Value]] | None = None) -> Audio:
    pieces = []
    for number, start in enumerate(range(0, sound.shape[1], BLOCK)):
        for name, value in (changes or {}).get(number, {}).items():
            stage.set(name, value)
        pieces.append(stage.process(sound[:, start : start + BLOCK]))
    return np.concatenate(pieces, axis=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2), (48000, 1), (96000, 5), (192000, 2)])
def test_at_any_values_the_samples_are_pedalboards(kind: str, rate: int, channels: int) -> None:
    form, sound = Format(rate, channels), noise(channels, 6000)
    for seed in range(8):
        values = random_values(kind, seed)
        expected = in_blocks(by_pedalboard(kind, form, values), sound)
        heard = in_blocks(effect_stage(kind)(form, values), sound)
        np.testing.assert_allclose(heard, expected, rtol=0, atol=TANGENT.get(kind, 0.0), err_msg=f"{values}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_sounds_as_if_the_second_instance_had_processed_everything(kind: str) -> None:
    """Values without a memory of their own move twice: what a release has kept may differ after its own change."""
    form, sound = Format(RATE, 2), noise(2, 200 * BLOCK)
    before, after = random_values(kind, 1), random_values(kind, 2)
    steady = {name: value for name, value in after.items() if name not in ("attack", "release")}
    changes = {50: after, 55: {}, 120: {name: before[name] for name in steady}}
    slow, quick = by_pedalboard(kind, form, before), effect_stage(kind)(form, before)
    assert isinstance(quick, EffectStage)
    expected, heard = (in_blocks(stage, sound, changes) for stage in (slow, quick))
    once = slice(0, 120 * BLOCK)
    np.testing.assert_allclose(heard[:, once], expected[:, once], rtol=0, atol=TANGENT.get(kind, 0.0))
    np.testing.assert_allclose(heard, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_a_reverb_moves_as_pedalboards_when_set_in_the_midst_of_a_move() -> None:
    sound = noise(2, 60 * BLOCK)
    values = random_values("reverb", 3)
    quick, slow = effect_stage("reverb")(Format(RATE, 2), values), by_pedalboard("reverb", Format(RATE, 2), values)
    changes = {number: random_values("reverb", number) for number in (5, 6, 7, 20, 21, 40)}
    np.testing.assert_array_equal(in_blocks(quick, sound, changes), in_blocks(slow, sound, changes))


@pytest.mark.parametrize("kind", [*KINDS, "delay"])
@pytest.mark.parametrize("form_of_block", ["float64", "strided", "reversed"])
def test_blocks_of_another_layout_or_precision_give_the_same_samples(kind: str, form_of_block: str) -> None:
    sound = noise(2, 4 * BLOCK)
    made = {
        "float64": sound.astype(np.float64),
        "strided": np.repeat(sound, 2, axis=1)[:, ::2],
        "reversed": np.ascontiguousarray(sound[::-1, ::-1])[::-1, ::-1],
    }[form_of_block]
    plain, other = (effect_stage(kind)(Format(RATE, 2), {}) for _ in range(2))
    heard = other.process(made)
    assert heard.dtype == np.float32
    np.testing.assert_array_equal(heard, plain.process(sound))


def test_a_chain_of_them_is_a_pedalboard_also_where_one_is_bypassed_and_comes_back() -> None:
    """To the bit before the bypass and while it lasts, as each stage keeps on processing."""
    kinds = ("highpass", "compressor", "peak", "reverb")
    values = {kind: random_values(kind, 7) for kind in kinds} | {"reverb": {"wet": 0.2}}
    theirs = [by_pedalboard(kind, Format(RATE, 2), values[kind]) for kind in kinds]
    stages = tuple(StageSettings(kind, kind, values[kind]) for kind in kinds)
    engine = Engine(complete(Preset("test", stages)), RATE, 2)
    sound = noise(2, 90 * BLOCK)
    for number, start in enumerate(range(0, sound.shape[1], BLOCK)):
        if number in (30, 60):
            engine.set("compressor.bypass", number == 30)
        block = expected = sound[:, start : start + BLOCK]
        fades, is_out = number in range(30, 36) or number in range(60, 66), number in range(30, 60)
        for kind, stage in zip(kinds, theirs, strict=True):
            output = stage.process(expected)
            expected = expected if kind == "compressor" and is_out else output
        heard = engine.process(block)
        if number < 30:
            np.testing.assert_array_equal(heard, expected)
        elif not fades:
            np.testing.assert_allclose(heard, expected, rtol=0, atol=0.2)  # what the fades left in the room
    assert not engine.report().left_out
    engine.close()


@pytest.mark.parametrize("kind", KINDS)
def test_silence_after_sound_leaves_no_number_that_slows_the_processor_down(kind: str) -> None:
    stage = effect_stage(kind)(Format(RATE, 2), random_values(kind, 4))
    in_blocks(stage, noise(2, 20 * BLOCK))
    silent = np.zeros((2, 16_384), np.float32)
    heard = np.concatenate([stage.process(silent) for _ in range(60)], axis=1)[:, -16_384:]
    tiny = np.abs(heard[heard != 0])
    assert not tiny.size or tiny.min() > np.finfo(np.float32).tiny


def test_pedalboard_still_has_what_the_kernels_compute() -> None:
    assert all(hasattr(pedalboard, EFFECTS[kind].plugin) for kind in KINDS)
