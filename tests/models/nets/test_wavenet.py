"""WaveNet streams by the contract, hears as far back as it says, and its conditions reach it."""

import math
from dataclasses import replace

import pytest
import torch

from gramophone.models.layers import mulaw
from gramophone.models.nets.output_distributions import Categorical, Logistics
from gramophone.models.nets.wavenet import SIZES, WaveNet, WaveNetShape, one_hot_speaker

SMALL = WaveNetShape(
    layers=6, cycle=3, residual=8, skip=8, speakers=3, speaker=4, vector=2, local=5, hop=8, upsampling=(2,)
)


def made(shape, seed=0):
    torch.manual_seed(seed)
    return WaveNet(shape).double()


def conditions(net, frames, batch=1):
    generator = torch.Generator().manual_seed(5)
    shape = net.shape
    local = torch.randn(batch, shape.local, frames, generator=generator, dtype=torch.float64)
    controls = []
    if shape.speakers:
        controls.append(one_hot_speaker(1, shape.speakers).double().expand(batch, -1))
    if shape.vector:
        controls.append(torch.randn(batch, shape.vector, generator=generator, dtype=torch.float64))
    return net.conditions(local, None, *controls)[0]


@pytest.mark.parametrize("output", ["mulaw", "logistics"])
@pytest.mark.parametrize(
    "given", [{}, {"local": 0, "hop": 1, "upsampling": ()}, {"speakers": 0, "vector": 0}, {"vector": 0}], ids=str
)
def test_any_chunks_give_what_the_whole_gives(output, given):
    net = made(replace(SMALL, output=output, **given))
    sound = torch.rand(2, 1, 160, dtype=torch.float64) * 2 - 1
    symbols = net.output.symbols(sound)
    held = conditions(net, 20 if net.shape.local else 1, batch=2)
    whole, _ = net(symbols, None, held)
    state, pieces, place = None, [], 0
    for frames in (1, 3, 8, 4, 4):
        chunk = symbols[:, :, place * 8 : (place + frames) * 8]
        per_frame = held.shape[2] // 20 if net.shape.local else 0
        part = held[:, :, place * per_frame : (place + frames) * per_frame] if per_frame else held
        piece, state = net(chunk, state, part)
        pieces.append(piece)
        place += frames
    torch.testing.assert_close(torch.cat(pieces, 2), whole, rtol=0, atol=1e-12)


def test_the_receptive_field_is_what_it_says():
    net = made(replace(SMALL, output="logistics", speakers=0, vector=0, local=0, hop=1, upsampling=()))
    field = net.shape.receptive_field
    assert field == 1 + 2 * (1 + 2 + 4)
    x = torch.zeros(1, 1, 40, dtype=torch.float64, requires_grad=True)
    net(x)[0][0, :, -1].sum().backward()
    heard = x.grad[0, 0].nonzero()[:, 0]
    assert heard.min() == 40 - field
    assert heard.max() == 39


def test_the_sizes_have_the_receptive_fields_of_their_dilations():
    assert [SIZES[name].receptive_field for name in "SML"] == [511, 2047, 3070]


def test_conditions_reach_every_gate_and_only_from_their_own_time_on():
    net = made(SMALL)
    symbols = mulaw.encode(torch.zeros(1, 1, 160, dtype=torch.float64))
    held = conditions(net, 20)
    before, _ = net(symbols, None, held)
    changed = held.clone()
    changed[:, :, 20:] += 1  # two frames of conditions per frame of the local series: from sample 80 on
    after, _ = net(symbols, None, changed)
    different = (before - after).abs().amax((0, 1)) > 1e-9
    assert not different[:80].any()
    assert different[80:].all()


def test_a_blend_of_speakers_lies_between_them():
    net = made(SMALL)
    local = torch.zeros(1, 5, 4, dtype=torch.float64)
    vector = torch.zeros(1, 2, dtype=torch.float64)
    first, second = (one_hot_speaker(i, 3).double() for i in (0, 2))
    ends = [net.conditions(local, None, weights, vector)[0] for weights in (first, second)]
    middle, _ = net.conditions(local, None, (first + second) / 2, vector)
    torch.testing.assert_close(middle, (ends[0] + ends[1]) / 2)


def test_activations_are_the_residual_path_that_the_prediction_is_made_of():
    net = made(replace(SMALL, layers=1, cycle=1))
    symbols = mulaw.encode(torch.rand(1, 1, 16, dtype=torch.float64))
    held = conditions(net, 2)
    (only,) = net.activations(symbols, [0], held)
    entered = net.entered(symbols).transpose(1, 2)
    assert only.shape == entered.shape == (1, 8, 16)
    assert not torch.equal(only, entered)


def test_conditions_that_do_not_fit_are_refused():
    net = made(SMALL)
    symbols = mulaw.encode(torch.zeros(1, 1, 16))
    with pytest.raises(ValueError, match="expected 14 channels"):
        net(symbols, None, torch.zeros(1, 3, 2, dtype=torch.float64))
    with pytest.raises(ValueError, match="divides the hop"):
        WaveNet(replace(SMALL, upsampling=(3,)))
    with pytest.raises(ValueError, match="expected 0 to 2"):
        one_hot_speaker(3, 3)


def test_mu_law_levels_survive_and_cost_less_than_half_a_step():
    levels = torch.arange(mulaw.LEVELS)
    assert torch.equal(mulaw.encode(mulaw.decode(levels)), levels)
    assert mulaw.encode(torch.zeros(1)) == mulaw.SILENCE
    assert mulaw.encode(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]
    sound = torch.linspace(-1, 1, 10001)
    step = 1 / 128 * math.log(256)  # the widest, at full level
    assert (mulaw.decode(mulaw.encode(sound)) - sound).abs().max() < step


def test_categorical_bits_are_cross_entropy_and_draws_follow_the_probabilities():
    output = Categorical()
    logits = torch.randn(1, 256, generator=torch.Generator().manual_seed(1))
    levels = torch.arange(256)
    bits = output.bits(logits.expand(256, -1)[:, :, None], levels[:, None])[:, 0]
    torch.testing.assert_close((2 ** -bits.double()).sum().item(), 1.0, rtol=1e-5, atol=0)
    uniform = (torch.arange(100_000) + 0.5)[:, None] / 100_000
    drawn = output.draw(logits.expand(100_000, -1), uniform, 1.0, 1.0)
    share = torch.bincount(drawn, minlength=256) / 100_000
    torch.testing.assert_close(share, torch.softmax(logits[0], 0), rtol=0, atol=2e-5)


def test_a_nucleus_keeps_the_likeliest_only():
    output = Categorical()
    logits = torch.full((1, 256), -20.0)
    logits[0, [3, 7, 9]] = torch.tensor([0.6, 0.3, 0.1]).log()
    uniform = (torch.arange(1000) + 0.5)[:, None] / 1000
    assert set(output.draw(logits.expand(1000, -1), uniform, 1.0, 0.8).tolist()) == {3, 7}
    assert set(output.draw(logits.expand(1000, -1), uniform, 1.0, 0.5).tolist()) == {3}
    assert set(output.draw(logits.expand(1000, -1), uniform, 0.0, 1.0).tolist()) == {3}


def test_a_mixture_of_logistics_sums_to_one_over_all_levels():
    output = Logistics(3)
    numbers = torch.randn(1, 9, generator=torch.Generator().manual_seed(2)).double()
    numbers[:, 6:] -= 4
    levels = (torch.arange(65536, dtype=torch.float64) * 2 / 65535 - 1)[:, None]
    bits = output.bits(numbers.expand(65536, -1)[:, :, None], levels)
    assert (2 ** -bits.double()).sum().item() == pytest.approx(1.0, abs=1e-3)


def test_logistic_draws_follow_the_mixture():
    output = Logistics(2)
    numbers = torch.tensor([[0.0, 1.0, -0.5, 0.4, -4.0, -3.0]])
    generator = torch.Generator().manual_seed(3)
    drawn = output.draw(numbers.expand(50_000, -1), torch.rand(50_000, 2, generator=generator), 1.0, 1.0)
    weight = torch.softmax(numbers[0, :2], 0)
    assert drawn.mean().item() == pytest.approx((weight * numbers[0, 2:4]).sum().item(), abs=0.01)
    assert (drawn > 0).float().mean().item() == pytest.approx(weight[1].item(), abs=0.01)
