"""The trainer of the VLAE: what it calls bits and cost is the model's own bound, and a kill changes nothing."""

import multiprocessing
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from gramophone.models.checkpoint import load
from gramophone.models.layers import mulaw
from gramophone.models.nets.vae import gaussian
from gramophone.models.nets.wavenet import one_hot_speaker
from gramophone.models.style.transport import transport
from gramophone.offline.data.corpus import gather, sound
from gramophone.offline.data.descriptors import DESCRIPTORS
from gramophone.offline.evaluate.vlae import collapse, opened, styles_of
from gramophone.offline.train.plan import TrainingError
from gramophone.offline.train.plans import VLAEPlan
from gramophone.offline.train.run import Machine
from gramophone.offline.train.run_folder import RunFolder
from gramophone.offline.train.vlae import VLAETraining, dissect, train_vlae
from gramophone.offline.train.vlae_resynthesis import encoded

pytestmark = pytest.mark.train

RATE = 8000


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """Two speakers' recordings."""
    folder = tmp_path_factory.mktemp("voices")
    chance = np.random.default_rng(0)
    for speaker, pitch in (("ann", 220), ("bob", 110)):
        (folder / speaker).mkdir()
        for take in range(12):
            time = np.arange(4 * RATE) / RATE
            loud = 0.5 + 0.5 * np.sin(2 * np.pi * 2 * time)
            voice = 0.2 * loud * np.sign(np.sin(2 * np.pi * (pitch + take) * time))
            soundfile.write(folder / speaker / f"{take}.wav", voice + chance.normal(0, 0.01, len(time)), RATE)
    return folder


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "vlae-cache"))


def plan(voices, **given):
    small = {
        "data": (str(voices),),
        "rate": RATE,
        "steps": 4,
        "every": 4,
        "warmup": 5,
        "batch": 2,
        "crop": 64,
        "precision": "32-true",
        "latents": 6,
        "layers": 4,
        "residual": 4,
        "skip": 4,
        "bands": 8,
        "hop": 32,
        "pitch_window": 256,
        "width": 6,
        "units": 1,
        "told": 1,
        "prior": 4,
    }
    return VLAEPlan(**{**small, **given})


def train(plan, at):
    lines = []
    train_vlae(plan, RunFolder(at), Machine("cpu"), 0.05, lines.append)
    return lines


def weights(at):
    return load(at / "model.safetensors", "vlae")[0].state_dict()


def test_bits_and_cost_of_a_crop_are_those_of_the_whole_recording_there(voices):
    of = plan(voices)
    corpus = gather(of.data, RATE)
    training = VLAETraining(of, corpus)
    model, recording = training.net.double(), corpus.training[0]
    batch = training._cutter.cut(recording, 5000)
    batch = batch._replace(sound=batch.sound.double())
    torch.manual_seed(3)
    parts = dissect(model, batch)
    start, frames = 5000 // 32 * 32, batch.scored.shape[1] // 32
    whole = torch.from_numpy(sound(recording))[None, None].double()
    numbers = model.posterior(whole)
    hops = slice(start // 32, start // 32 + frames)
    torch.testing.assert_close(parts.means, numbers.mean[:, :, hops], rtol=0, atol=1e-9)
    # The same sample of the latents: those of the crop come last of what was drawn for it.
    torch.manual_seed(3)
    heard = torch.cat([numbers.mean, numbers.scale.log()], 1)[:, :, hops.start - 32 : hops.stop]
    z = gaussian(heard).rsample()
    prior, _ = model.frames(torch.cat([torch.zeros_like(z[:, :, :1]), z[:, :, :-1]], 2))
    spread, expected = numbers.scale[:, :, hops], gaussian(prior[:, :, -frames:])
    kl = torch.distributions.kl_divergence(torch.distributions.Normal(numbers.mean[:, :, hops], spread), expected)
    torch.testing.assert_close(parts.kl, kl, rtol=0, atol=1e-6)
    conditions, _ = model.wavenet.conditions(z, None, one_hot_speaker(0, 2).double())
    raised = whole[0, 0].clone()
    raised[1:] -= of.emphasis * whole[0, 0, :-1]
    levels = mulaw.encode(raised)[None, None, start - 1 : start + frames * 32]
    said, _ = model.wavenet(levels[:, :, :-1], None, conditions[:, :, -frames:])
    bits = model.wavenet.output.bits(said, levels[:, 0, 1:])
    torch.testing.assert_close(parts.bits, bits, rtol=0, atol=1e-5)


def test_a_run_that_is_killed_goes_on_to_the_very_same_weights(voices, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    long = plan(voices, steps=120, every=120, kl_from=20, kl_full=110)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    arguments = (long, RunFolder(killed), Machine("cpu"), 0.0, sender.send)
    process = multiprocessing.get_context("fork").Process(target=train_vlae, args=arguments)
    process.start()
    while receiver.recv().get("step", 0) < 100:
        pass
    process.kill()
    process.join()
    assert not (killed / "model.safetensors").exists()
    train(long, killed)
    train(long, whole)
    expected, found = weights(whole), weights(killed)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_kl_weight_rises_between_its_two_steps_and_free_bits_are_a_floor(voices):
    of = plan(voices, kl_from=100, kl_full=200, kl_least=0.0, kl_weight=0.5, guide=0.0)
    assert [of.weight(step) for step in (0, 100, 150, 200, 999)] == [0, 0, 0.25, 0.5, 0.5]
    corpus = gather(of.data, RATE)
    batch = VLAETraining(of, corpus).crops(0, 1)[0]
    losses = []
    for free in (0.0, 1000.0):
        training = VLAETraining(replace(of, kl_from=-1, kl_full=0, free_nats=free), corpus)
        torch.manual_seed(0)
        losses.append(training.loss(training.net, batch).item())
    parts = dissect(training.net, batch)
    cost = parts.kl.mean((0, 2)).sum().item()
    assert losses[1] - losses[0] == pytest.approx(0.5 * (6000 - cost) / 32 / np.log(2), rel=1e-2)


def test_guides_draw_the_first_latents_to_the_descriptors_and_gaps_draw_nothing(voices, tmp_path):
    of = plan(voices, steps=120, every=120, crop=128, peak=2e-2, guide=1.0, average=0.9, batch=4)
    train(of, tmp_path)
    model, card = load(tmp_path / "model.safetensors", "vlae")
    training = VLAETraining(of, gather(of.data, RATE))
    batches = list(training.validation_batches())
    means = torch.cat([dissect(model, batch).means for batch in batches])
    guides = torch.cat([batch.local for batch in batches])
    latent = card.notes["about"].index("loudness")
    assert card.latents[latent] == f"z{latent + 1} loudness +"
    assert card.notes["r2"][latent] > 0.6
    pairs = torch.stack([means[:, latent].flatten(), guides[:, DESCRIPTORS.index("loudness")].flatten()])
    assert torch.corrcoef(pairs)[0, 1] > 0.8
    assert card.notes["moments"].keys() == {"ann", "bob"}
    assert guides[:, DESCRIPTORS.index("pitch")].isnan().any()


def test_the_twin_has_no_latents_and_the_card_says_what_was_found(voices, tmp_path):
    lines = train(plan(voices, latents=0), tmp_path)
    _, card = load(tmp_path / "model.safetensors", "vlae")
    assert card.latents == ()
    assert card.scores["kl"] == card.scores["units"] == 0
    assert card.scores["bits"] == pytest.approx(card.scores["mean"], abs=1e-5)
    assert card.speakers == ("ann", "bob")
    assert lines[-2]["held_out"].keys() == {"ann", "bob", "mean"}


def test_examples_are_written_as_sound_and_picture(voices, tmp_path):
    train(plan(voices), tmp_path)
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == ["step-0000004-ann.wav", "step-0000004-bob.wav", "step-0000004.png"]


@pytest.mark.parametrize(
    ("given", "message"),
    [({"crop": 65}, "whole frames of 32"), ({"latents": 3}, "3 latents: expected 6 or more to guide")],
)
def test_plans_that_do_not_fit_are_refused(voices, given, message):
    with pytest.raises(TrainingError, match=message):
        plan(voices, **given)


def test_collapse_is_measured_beside_the_twin_and_bits_are_those_of_the_bound(voices, tmp_path):
    train(plan(voices), tmp_path / "run")
    train(plan(voices, latents=0), tmp_path / "twin")
    model, card, corpus = opened(tmp_path / "run", ())
    found = collapse("run", model, card, corpus)
    assert found.bits.keys() == {"right", "shuffled", "another", "zero"}
    assert found.together == pytest.approx(found.bits["right"] + found.kl)
    assert len(found.nats) == 6
    assert found.kl == pytest.approx(sum(found.nats) / np.log(2) / 32, rel=1e-4)
    twin = collapse("twin", *opened(tmp_path / "twin", ()))
    assert (twin.kl, twin.units, twin.active) == (0, 0, 0)
    assert len(set(twin.bits.values())) == 1


def test_a_voice_is_mapped_to_the_moments_of_the_other(voices, tmp_path):
    train(plan(voices), tmp_path)
    model, card, corpus = opened(tmp_path, ())
    styles = styles_of(card)
    for speaker, style in styles.items():
        assert style.covariance.shape == (6, 6)
        assert np.linalg.eigvalsh(style.covariance).min() > 0
        again = transport(style, styles["bob"])
        np.testing.assert_allclose(again(style.mean[None]), styles["bob"].mean[None], rtol=0, atol=1e-8)
        frames = [encoded(model, sound(r))[0].T for r in corpus.training if r.speaker == speaker]
        np.testing.assert_allclose(torch.cat(frames).mean(0).numpy(), style.mean, rtol=0, atol=0.05)
