"""Descriptors say what was put into a sound; latents are named after them, arranged, and turned."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from gramophone.models.checkpoint import Card, save
from gramophone.models.layers.pre_emphasis import Deemphasis, Emphasis
from gramophone.models.nets.latent_order import LatentOrder
from gramophone.models.nets.vlae import VLAE, VLAEShape, arrange
from gramophone.offline.cli.main import app
from gramophone.offline.commands.traversal import SHIFTS, monotone_share, traversed
from gramophone.offline.data.descriptors import DESCRIPTORS, describe
from gramophone.offline.data.pyin import pitch
from gramophone.offline.train.latent_names import correlations
from gramophone.offline.train.vlae_resynthesis import decoded, encoded, resynthesised

RATE, HOP = 16_000, 128
SHAPE = VLAEShape(
    bands=8,
    mel_hop=32,
    mel_window=128,
    pitch_window=256,
    width=6,
    units=1,
    latents=6,
    layers=4,
    cycle=4,
    residual=6,
    skip=6,
    emphasis=0.85,
    speakers=2,
    told=1,
    prior=8,
)


def chance(*shape):
    return np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)


def named(sound):
    return dict(zip(DESCRIPTORS, describe(sound.astype(np.float32), RATE, HOP).T, strict=True))


def buzz(hertz, seconds=1.0):
    time = np.arange(round(seconds * RATE)) / RATE
    return 0.1 * sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 12))


@pytest.mark.parametrize("hertz", [80, 117, 200, 310, 430])
def test_pitch_of_a_buzz_is_its_pitch_and_it_is_voiced(hertz):
    heard = {name: values[10:-10] for name, values in named(buzz(hertz)).items()}
    np.testing.assert_allclose(160 * 2 ** heard["pitch"], hertz, rtol=5e-3)
    assert heard["voicing"].min() > 0.9


def test_pitch_of_a_glide_is_what_pyin_says():
    hertz = np.geomspace(100, 300, 2 * RATE)
    sound = np.sign(np.sin(2 * np.pi * np.cumsum(hertz) / RATE)).astype(np.float32) * 0.1
    expected = pitch(sound, RATE, HOP)[20:230]
    found = 160 * 2 ** named(sound)["pitch"][20:230]
    there = (expected > 0) & np.isfinite(found)
    assert there.mean() > 0.95
    # pYIN's frames lie around samples, ours around the middle of hops.
    assert np.median(np.abs(np.log2(found[there] / expected[there]))) < 0.02


def test_noise_has_no_pitch_and_is_noisier_and_brighter_than_a_buzz():
    noise, tone = named(0.1 * chance(RATE)), named(buzz(150))
    assert np.isfinite(noise["pitch"]).mean() < 0.05
    for name in ("noisiness", "brightness"):
        assert np.nanmin(noise[name][10:-10]) > np.nanmax(tone[name][10:-10])
    assert np.nanmean(noise["voicing"]) < 0.5


def test_twice_as_loud_is_six_decibels_and_changes_nothing_else():
    sound = (buzz(150) + 0.02 * chance(RATE)).astype(np.float32)
    low, high = named(0.5 * sound), named(sound)
    np.testing.assert_allclose(high["loudness"] - low["loudness"], 6.02, atol=0.01)
    np.testing.assert_allclose(high["brightness"], low["brightness"], atol=1e-2)
    np.testing.assert_allclose(high["pitch"], low["pitch"], atol=1e-3)
    full = 10 * np.log10(np.mean(sound**2))
    assert high["loudness"][10:-10].mean() == pytest.approx(full, abs=0.5)


def test_an_onset_is_where_sound_begins_and_silence_says_only_that_it_is_silent():
    sound = np.concatenate([np.zeros(RATE // 2), 0.1 * chance(RATE // 2)])
    heard = named(sound)
    assert abs(int(heard["onset"].argmax()) - RATE // 2 // HOP) <= 2
    assert np.isnan([heard[name][:50] for name in ("pitch", "voicing", "brightness", "noisiness")]).all()
    assert len(heard["onset"]) == -(-RATE // HOP)


def test_frames_do_not_depend_on_how_many_are_in_memory(monkeypatch):
    sound = chance(20 * HOP + 5)
    whole = describe(sound, RATE, HOP)
    monkeypatch.setattr("gramophone.offline.data.descriptors._AT_ONCE", 7)
    np.testing.assert_array_equal(describe(sound, RATE, HOP), whole)


def test_deemphasis_undoes_emphasis_in_any_chunks_and_is_the_recursion():
    sound = torch.randn(2, 1, 300, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    up, down = Emphasis(0.85), Deemphasis(0.85)
    raised, _ = up(sound)
    torch.testing.assert_close(down(raised)[0], sound, rtol=0, atol=1e-12)
    state, pieces = None, []
    for chunk in sound.split([1, 63, 64, 0, 130, 42], 2):
        piece, state = down(chunk, state)
        pieces.append(piece)
    slow, last = [], torch.zeros(2, 1, dtype=torch.float64)
    for time in range(300):
        last = sound[:, :, time] + 0.85 * last
        slow.append(last)
    torch.testing.assert_close(torch.cat(pieces, 2), torch.stack(slow, 2), rtol=0, atol=1e-12)


def made(shape=SHAPE):
    torch.manual_seed(0)
    model = VLAE(shape).eval()
    with torch.no_grad():
        for parameter in model.frames.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("told", [0, 1])
def test_latents_in_another_order_and_turned_round_make_no_difference_to_sound(told):
    shape = replace(SHAPE, told=told)
    model, other = made(shape).double(), made(shape).double()
    order, signs = [3, 0, 5, 1, 2, 4], [1, -1, 1, 1, -1, -1]
    arrange(other, LatentOrder(order, signs))
    x = torch.from_numpy(chance(2, 1, 32 * 12)).double() * 0.1
    speakers = torch.eye(2, dtype=torch.float64)
    turned = torch.tensor(signs)[None, :, None]
    before, after = model.posterior(x), other.posterior(x)
    torch.testing.assert_close(after.mean, before.mean[:, order] * turned)
    torch.testing.assert_close(after.scale, before.scale[:, order])
    z = before.mean
    rearranged = z[:, order] * turned
    for given in (x,):
        torch.testing.assert_close(
            other.conditional(rearranged, speakers).log_prob(given), model.conditional(z, speakers).log_prob(given)
        )
    torch.testing.assert_close(other.prior().log_prob(rearranged), model.prior().log_prob(z)[:, order])
    with pytest.raises(ValueError, match="each of 6 latents once"):
        LatentOrder([0, 0, 1, 2, 3, 4], signs)


def test_the_quick_sampler_says_what_the_decoder_says():
    model = made()
    z = torch.from_numpy(chance(1, 6, 5))
    uniform = torch.from_numpy(np.random.Generator(np.random.Philox(key=[3, 0])).random((160, 1)).T[None])
    expected, _ = model.decoder(z, None, torch.eye(2)[1:], uniform)
    np.testing.assert_allclose(decoded(model, z, 1, seed=3), expected[:, 0].clamp(-1, 1).numpy(), atol=1e-5)


def test_saying_again_keeps_the_length_and_means_are_the_posteriors():
    model, sound = made(), 0.1 * chance(1000)
    assert resynthesised(model, sound).shape == (1000,)
    whole = torch.from_numpy(np.pad(sound, (0, 24)))[None, None]
    torch.testing.assert_close(encoded(model, sound), model.posterior(whole).mean)


def test_correlations_pass_over_gaps():
    z = chance(400, 3).astype(np.float64)
    heard = np.tile(chance(400, 1), (1, len(DESCRIPTORS)))
    heard[:, 1] = 2 - 3 * z[:, 2]
    heard[::3, 1] = np.nan
    found = correlations(z, heard)
    assert found.shape == (3, len(DESCRIPTORS))
    assert found[2, 1] == pytest.approx(-1)
    expected = np.corrcoef(z[:, 0], heard[:, 0])[0, 1]
    assert found[0, 0] == pytest.approx(expected)


def explained():
    names = ("z1 loudness +", "z2 pitch +", "z3", "z4", "z5", "z6")
    notes = {"about": ["loudness", "pitch", "", "", "", ""], "r2": [0.9, 0.8] + [0.1] * 4, "spread": [0.7] * 6}
    notes["company"] = np.eye(6).tolist()
    notes["company"][1][4] = 0.5
    return Card(RATE, hop=32, latents=names, notes=notes, speakers=("ann", "bob"))


def test_turning_a_latent_adds_deviations_and_what_rises_with_it_is_counted(monkeypatch):
    model, clips = made(), [(0.1 * chance(640), 0), (0.1 * chance(640), 1)]
    z = encoded(model, clips[0][0])
    turned = traversed(model, explained(), z, 1, 0)
    assert len(turned) == len(SHIFTS)
    np.testing.assert_array_equal(turned[2], decoded(model, z, 0))
    louder = z.clone()
    louder[:, 1] += 0.7 * SHIFTS[-1]
    louder[:, 4] += 0.35 * SHIFTS[-1]
    np.testing.assert_array_equal(turned[-1], decoded(model, louder, 0))
    levels = iter([[1, 2, 3, 4, 5], [1, 2, 2, 4, 5]])

    def loudening(*_):
        return [np.full((1, 640), 0.001 * 2**level, np.float32) for level in next(levels)]

    monkeypatch.setattr("gramophone.offline.commands.traversal.traversed", loudening)
    assert monotone_share(model, explained(), clips, 0) == 0.5


def test_a_models_page_shows_its_latents_and_writes_what_they_do(tmp_path):
    save(tmp_path / "net.safetensors", made(), explained())
    page = ["models", str(tmp_path / "net.safetensors")]
    shown = CliRunner().invoke(app, page)
    assert shown.exit_code == 0, shown.output
    assert "z2 pitch +" in shown.output
    assert "0.80" in shown.output
    written = json.loads(CliRunner().invoke(app, [*page, "--out", str(tmp_path / "page"), "--json"]).output)["written"]
    names = sorted(path.name for path in (tmp_path / "page").iterdir())
    assert names == ["traversal.png", "z1-loudness.wav", "z2-pitch.wav"]
    assert len(written) == 3
