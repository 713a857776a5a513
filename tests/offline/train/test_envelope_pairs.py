"""Pairs for the residual network: moved spectra, levels below the loudest, targets enrolled from other frames."""

import numpy as np
import pytest
import torch
from support.anyone import SHAPE, made
from support.stage import noise
from support.voice import sung

from gramophone.models.layers.mel import hz_to_mel
from gramophone.models.units import POINTS
from gramophone.offline.recipes.residual import converted, variance_gains
from gramophone.offline.train.envelope_pairs import PairBatch, Pairs, levels_of, measured_speaker, moved_in_frequency

RATE, HOP = SHAPE.rate, SHAPE.hop


def spoken(seconds, hz):
    return (sung(seconds, hz)[0] + 0.01 * noise(round(seconds * RATE))[0]).astype(np.float32)


@pytest.mark.parametrize("octaves", [-0.13, 0.13])
def test_a_peak_is_moved_by_so_many_octaves(octaves):
    mel = torch.linspace(0, float(hz_to_mel(torch.tensor(RATE / 2.0))), POINTS)
    hz = torch.from_numpy(
        np.interp(mel.numpy(), hz_to_mel(torch.linspace(0, RATE / 2, 2001)).numpy(), np.linspace(0, RATE / 2, 2001))
    )
    bump = -((hz.clamp_min(50).log2() - np.log2(1500.0)) ** 2) * 20
    rows = torch.cat([bump, torch.tensor([-12.0])])[None].float()
    moved = moved_in_frequency(rows, octaves)
    weights = (20 * moved[0, :POINTS]).softmax(0)
    assert float((weights * hz.clamp_min(1.0).log2()).sum()) == pytest.approx(np.log2(1500.0) + octaves, abs=0.06)
    assert float(moved[0, :POINTS].mean()) == pytest.approx(0, abs=1e-5)
    assert moved[0, POINTS] == rows[0, POINTS]
    assert moved_in_frequency(rows, 0.0) is rows


def test_levels_are_below_the_loudest_of_late():
    found = levels_of(np.array([1.0, 0.01, 1e-12, 0.01]))
    assert found[0] == 0
    assert found[1] == pytest.approx(np.log(0.1), abs=0.01)
    assert (found <= 0).all()
    loud_long_ago = levels_of(np.r_[1.0, np.full(2000, 0.01)])
    assert loud_long_ago[-1] == pytest.approx(0, abs=1e-3)


def test_a_target_is_enrolled_from_frames_that_are_not_in_its_pairs():
    model = made()
    (speaker,) = measured_speaker(model, [spoken(1.5, hz) for hz in (110.0, 140.0, 120.0)], aligned=True)
    frames = round(1.5 * RATE) // HOP
    assert [clip.rest for clip in speaker.clips] == [(n * frames, (n + 1) * frames) for n in range(3)]
    copies = measured_speaker(model, [spoken(2.0, 110.0), spoken(2.0, 140.0)], aligned=False)
    assert len(copies) == 3
    half = len(copies[0].levels) // 2
    for clip in copies[0].clips:
        start, end = clip.rest
        assert end - start >= half - 1


def test_batches_have_both_kinds_and_the_maps_own_prediction_among_their_inputs():
    model = made()
    torch.manual_seed(0)
    group = [measured_speaker(model, [spoken(1.5, hz), spoken(1.5, hz)], aligned=True)[0] for hz in (110.0, 150.0)]
    people = [measured_speaker(model, [spoken(2.0, 130.0), spoken(2.0, 125.0)], aligned=False)]
    batch = Pairs(model, [group], people, seed=0).batch(6, 40, plain=True)
    assert batch.inputs.shape == (6, 40, SHAPE.residual_inputs)
    assert batch.mapped.shape == batch.wanted.shape == (6, 40, SHAPE.envelope)
    torch.testing.assert_close(batch.inputs[..., -SHAPE.envelope :], batch.mapped)
    voiced, detail = batch.inputs[..., SHAPE.content], batch.inputs[..., SHAPE.content + 2 : -SHAPE.envelope]
    assert detail.shape[-1] == POINTS
    assert (detail[voiced == 1] == 0).all()


def test_gains_give_the_variance_back_that_regression_takes():
    model = made()
    torch.manual_seed(0)
    wanted, mapped = torch.randn(2, 60, SHAPE.envelope), torch.zeros(2, 60, SHAPE.envelope)
    inputs, weights = torch.randn(2, 60, SHAPE.residual_inputs), torch.ones(2, 60)
    batch = PairBatch(inputs, mapped, wanted, weights)
    gains = variance_gains(model.residual, batch)
    with torch.no_grad():
        varied = (gains * converted(model.residual, batch))[:, 24:].flatten(0, 1).std(0)
    torch.testing.assert_close(varied, wanted[:, 24:].flatten(0, 1).std(0), rtol=1e-3, atol=1e-3)
