"""Coordinate descent on a WaveNet's input: changes are exact, the objective never rises, a stop loses nothing."""

import json

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from gramophone.models.checkpoint import Card, save
from gramophone.models.layers import mulaw
from gramophone.models.nets.wavenet import WaveNet, WaveNetShape
from gramophone.offline.cli.main import app
from gramophone.offline.evaluate.descent import WAYS, DescentCase, evaluated
from gramophone.offline.stylise.descent import descend
from gramophone.offline.stylise.relaxed import RelaxedWaveNetStyle
from gramophone.offline.stylise.sweeps import colours
from gramophone.offline.stylise.transfer import TransferRequest, transfer
from gramophone.offline.stylise.wavenet import WaveNetStyle
from gramophone.realtime.files import read

pytestmark = pytest.mark.slow

RATE = 2_000
SHAPE = WaveNetShape(layers=6, cycle=3, residual=8, skip=8, speakers=2, speaker=3)
STRENGTH = 0.8


def network(shape=SHAPE):
    torch.manual_seed(0)
    return WaveNet(shape).eval().requires_grad_(False)


def tone(samples):
    return (0.3 * torch.sin(torch.arange(samples) * 0.2)).float()


def hiss(samples):
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(1))


def made(kind=WaveNetStyle, net=None, samples=300):
    return type("Made", (kind,), {"rate": RATE, "network": net or network()})(tone(samples), hiss(400))


@pytest.fixture
def checkpoint(tmp_path):
    save(tmp_path / "net.safetensors", network(), Card(RATE, speakers=("anna", "bob")))
    return tmp_path / "net.safetensors"


def pair(rate=RATE):
    return (tone(round(1.1 * rate)).numpy()[None], rate), (hiss(round(1.3 * rate)).numpy()[None], rate)


def gramophone(*args):
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize("site", [0, 1, 150, 285, 299])
def test_the_change_by_one_symbol_is_the_objectives_difference(site):
    method, truth = made(), made(net=network().double())
    x = method.start()
    for level in (0, 100, 255):
        y = x.clone()
        y[site] = level
        expected = truth.objective(y, STRENGTH) - truth.objective(x, STRENGTH)
        changed = method.sweeper(STRENGTH).change_of(x.numpy(), site, level)
        assert changed == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_the_change_by_a_sweep_is_the_objectives_difference_though_the_gram_couples_all_sites():
    method, truth = made(), made(net=network().double())
    x = method.start()
    levels, changed = method.sweeper(STRENGTH).sweep(x.numpy(), method.slopes(x.numpy(), STRENGTH), 0.0, (1,))
    expected = truth.objective(torch.from_numpy(levels), STRENGTH) - truth.objective(x, STRENGTH)
    assert changed < 0
    assert changed == pytest.approx(expected, rel=1e-4)


def test_what_is_known_after_a_sweep_is_what_the_whole_signal_gives():
    method = made()
    sweeper, x = method.sweeper(STRENGTH), method.start()
    known = sweeper.known(x.numpy())
    activations, nats = method.hearing(x, [5])
    assert known.nats.sum() == pytest.approx(float(nats), rel=1e-6)
    np.testing.assert_allclose(known.paths[-len(x) :], activations[0].numpy(), atol=1e-5)


def test_sites_of_a_colour_are_further_apart_than_the_receptive_field_and_every_site_has_one():
    sweeper = made().sweeper(STRENGTH)
    assert sweeper.distance == SHAPE.receptive_field + 1
    found = list(colours(300, sweeper.distance, np.random.default_rng(0)))
    assert all((np.diff(sites) >= sweeper.distance).all() for sites in found)
    assert sorted(np.concatenate(found)) == list(range(300))


def test_one_symbol_reaches_as_far_as_the_colours_say_and_no_further():
    method = made()
    x = method.start()
    y = x.clone()
    y[100] = 7
    before, after = (method.sweeper(STRENGTH).known(symbols.numpy()).nats for symbols in (x, y))
    changed = np.flatnonzero(before != after)
    assert changed.min() == 100
    assert changed.max() == 100 + SHAPE.receptive_field


def test_the_objective_never_rises_and_the_end_is_levels():
    method = made()
    done = descend(method, STRENGTH, 6, lambda descent: None)
    whole = [row["all"] for row in done.curve]
    assert whole == sorted(whole, reverse=True)
    assert whole[-1] < 0.8 * whole[0]
    assert done.x.dtype == torch.int64
    assert 0 <= int(done.x.min()) <= int(done.x.max()) < mulaw.LEVELS
    torch.testing.assert_close(mulaw.encode(method.sound(done.x)), done.x)


def test_a_sweep_does_not_depend_on_the_number_of_threads():
    method = made()
    x = method.start().numpy()
    slopes = method.slopes(x, STRENGTH)
    one, three = (method.sweeper(STRENGTH, threads).sweep(x, slopes, 1e-4, (1,))[0] for threads in (1, 3))
    np.testing.assert_array_equal(one, three)


def test_the_slopes_are_those_of_the_objective():
    method = made(net=network().double())
    x = method.start()
    slopes = torch.from_numpy(method.slopes(x.numpy(), STRENGTH))
    table = method.network.get_parameter("entry.weight")
    toward = table[0] - table[int(x[50])]
    table.data = table.data.clone()
    small = 1e-6
    entered = table[x].clone()
    entered[50] += small * toward
    activations, costs = method.hearing.entered(entered, method.layers)
    moved = float(method.loss_of(activations, costs.gather(0, x[None, 1:]).sum(), STRENGTH))
    expected = (moved - method.objective(x, STRENGTH)) / small
    assert float(slopes[50] @ toward) == pytest.approx(expected, rel=1e-3)


def test_real_numbers_that_are_levels_have_the_levels_objective_and_descend():
    levels, real = made(), made(RelaxedWaveNetStyle)
    assert real.objective(real.start(), STRENGTH) == pytest.approx(levels.objective(levels.start(), STRENGTH), rel=1e-5)
    curve = [row["all"] for row in descend(real, STRENGTH, 40, lambda descent: None).curve]
    assert curve == sorted(curve, reverse=True)
    assert curve[-1] < 0.8 * curve[0]


@pytest.mark.parametrize("method", ["wavenet", "wavenet-relaxed"])
def test_a_stop_can_be_resumed_and_ends_where_no_stop_would(method, checkpoint, tmp_path):
    keep = tmp_path / "descent.npz"
    steps = 3 if method == "wavenet" else 21

    def stop(share, loss):
        raise KeyboardInterrupt

    def request(keep=None):
        return TransferRequest(method, steps=steps, keep=keep, model=str(checkpoint))

    assert not transfer(*pair(), request(keep), stop).whole
    assert keep.exists()
    resumed, straight = transfer(*pair(), request(keep)), transfer(*pair(), request())
    assert resumed.whole
    assert not keep.exists()
    np.testing.assert_array_equal(resumed.audio, straight.audio)
    assert resumed.descent.curve == straight.descent.curve


def test_without_strength_the_content_stays(checkpoint):
    content, style = pair()
    done = transfer(content, style, TransferRequest("wavenet", strength=0.0, steps=1, model=str(checkpoint)))
    assert np.sqrt(np.mean((done.audio - content[0]) ** 2) / np.mean(content[0] ** 2)) < 0.05


def test_sounds_of_any_rate_and_length_and_channels_go_together(checkpoint, tmp_path):
    soundfile.write(tmp_path / "content.wav", np.tile(tone(24_000).numpy()[:, None], (1, 2)), 22_050)
    soundfile.write(tmp_path / "style.flac", hiss(60_000).numpy(), 44_100)
    command = ["stylise", tmp_path / "content.wav", tmp_path / "style.flac", "--out", tmp_path / "out.wav"]
    result = gramophone(*command, "--method", "wavenet", "--model", checkpoint, "--steps", 1, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["losses"][0]["all"] == pytest.approx(0.8)
    assert read(tmp_path / "out.wav")[0].shape == (2, 24_000)


def test_silence_and_models_that_do_not_suit_are_named(checkpoint, tmp_path):
    silent = np.zeros((1, 2 * RATE), np.float32)
    with pytest.raises(ValueError, match="STYLE is silent"):
        transfer(pair()[0], (silent, RATE), TransferRequest("wavenet", model=str(checkpoint)))
    with pytest.raises(ValueError, match="no model 'nonesuch'"):
        transfer(*pair(), TransferRequest("wavenet", model="nonesuch"))
    for name, shape, why in (
        ("series", WaveNetShape(layers=1, local=2, hop=80), "follows another sound"),
        ("logistics", WaveNetShape(layers=1, output="logistics"), "expected mulaw"),
    ):
        save(tmp_path / f"{name}.safetensors", network(shape), Card(RATE))
        with pytest.raises(ValueError, match=why):
            transfer(*pair(), TransferRequest("wavenet", model=str(tmp_path / f"{name}.safetensors")))


def test_every_way_ends_in_levels_and_is_judged_by_one_objective():
    net = network()
    content, style, rate = tone(2_000), hiss(2_000), 8_000
    sweeping = type("Made", (WaveNetStyle,), {"rate": rate, "network": net})
    annealed = type("Annealed", (sweeping,), {"hot": 0.05, "steps": 2})
    relaxed = type("Relaxed", (RelaxedWaveNetStyle,), {"rate": rate, "network": net, "steps": 20})
    case = DescentCase(sweeping(content, style), annealed(content, style), relaxed(content, style), STRENGTH, 2)
    rows = {row.way: row for row in evaluated(case, "a pair", content.numpy(), style.numpy())}
    assert list(rows) == list(WAYS)
    assert rows["sweeps"].objective < rows["untouched"].objective == pytest.approx(STRENGTH)
    assert rows["one gradient a symbol"].objective <= rows["untouched"].objective
    assert rows["sweeps"].objective < rows["one gradient a symbol"].objective
