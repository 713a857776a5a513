"""Training a voice: a resumed run reaches the same weights, and each loss trains the networks that it should."""

import itertools
import multiprocessing
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from gramophone.models.checkpoint import Card, card_of, load, save
from gramophone.models.nets.phone_classifier import PHONES, PhoneClassifier, PhoneClassifierShape
from gramophone.models.nets.speaker_fit import fit_speaker
from gramophone.models.nets.voice import Voice
from gramophone.offline.data import instruments, spoken
from gramophone.offline.data.corpus import gather
from gramophone.offline.data.layouts import find
from gramophone.offline.data.recording import DataError
from gramophone.offline.evaluate.speaker_probe import probed
from gramophone.offline.train.perturbation import perturbed
from gramophone.offline.train.pitch_cache import prosody
from gramophone.offline.train.plan import TrainingError
from gramophone.offline.train.run import Machine, fit
from gramophone.offline.train.run_folder import RunFolder
from gramophone.offline.train.voice.modules import SpeakerClassifier, with_frozen_weights
from gramophone.offline.train.voice.passes import normalised, synthesised_frames
from gramophone.offline.train.voice.plan import VoicePlan
from gramophone.offline.train.voice.resynthesis import decoded, resynthesised
from gramophone.offline.train.voice.run import train_voice
from gramophone.offline.train.voice.training import VoiceTraining
from gramophone.realtime.dsp.pitch.tracker import pitch_contour, without_octave_jumps
from gramophone.realtime.stages.latent.voice_analysis import analyse

pytestmark = pytest.mark.train

RATE = 16_000


def tone(hz, seconds, chance):
    time = np.arange(round(seconds * RATE)) / RATE
    partials = sum(np.sin(2 * np.pi * k * hz * time) / k for k in range(1, 12))
    return (0.1 * partials * (np.sin(2 * np.pi * time) > -0.7) + chance.normal(0, 0.001, len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two speakers' recordings, and a cache."""
    folder = tmp_path_factory.mktemp("home")
    chance = np.random.default_rng(0)
    for speaker, pitch in (("ann", 220), ("bob", 110)):
        (folder / "voices" / speaker).mkdir(parents=True)
        for take in range(12):
            soundfile.write(folder / "voices" / speaker / f"{take}.wav", tone(pitch + take, 4, chance), RATE)
    return folder


@pytest.fixture(autouse=True)
def _cache(home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))


def plan(home, **given):
    small = {"batch": 2, "crop": 2048, "width": 8, "channels": 8, "layers": 2, "latents": 3, "warmup": 5}
    return VoicePlan(**{"data": (str(home / "voices"),), "steps": 4, "every": 4, **small, **given})


def train(plan, at):
    lines = []
    train_voice(plan, RunFolder(at), Machine("cpu"), 0.0, lines.append)
    return lines


def test_a_killed_run_resumes_to_the_very_same_weights(home, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    long = plan(home, steps=105, every=105)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    arguments = (long, RunFolder(killed), Machine("cpu"), 0.0, sender.send)
    process = multiprocessing.get_context("fork").Process(target=train_voice, args=arguments)
    process.start()
    sender.close()  # so that reading fails if the run does
    while receiver.recv().get("step", 0) < 100:
        pass
    process.kill()
    process.join()
    train(long, killed)
    train(long, whole)
    for name, value in load(whole / "model.safetensors")[0].state_dict().items():
        torch.testing.assert_close(load(killed / "model.safetensors")[0].state_dict()[name], value, rtol=0, atol=0)


def test_training_lowers_the_validation_loss_and_the_card_describes_the_model(home, tmp_path):
    of = plan(home, steps=140, every=140, peak=1e-2, average=0.9)
    training = VoiceTraining(of, gather(of.data, RATE)).eval()
    with torch.no_grad():
        before = float(np.mean([training.loss(training.net, batch) for batch in training.validation_batches()]))
    lines = train(of, tmp_path)
    assert lines[-1]["held_out"]["mean"] < 0.9 * before
    voice, card = load(tmp_path / "model.safetensors", "voice")
    assert (card.speakers, card.hop, card.delay) == (("ann", "bob"), 128, 256)
    assert [name.split()[0] for name in card.latents] == ["z1", "z2", "z3"]
    assert card.notes["pitch_hz"] == pytest.approx({"ann": 225, "bob": 115}, rel=0.03)
    recording = gather(of.data, RATE).held_out[0]
    audio = resynthesised(voice, recording, voice.table[:1].detach())
    assert len(audio) == recording.heard.frames
    assert 0.3 < np.sqrt(np.mean(audio**2)) / 0.1 < 3


def test_a_loss_that_is_not_finite_stops_the_run(home, tmp_path):
    class Poisoned(VoiceTraining):
        def loss(self, net, batch):
            return super().loss(net, batch) * (float("nan") if self.global_step == 2 else 1)

    of = plan(home)
    with pytest.raises(TrainingError, match="step 3: the loss is nan"):
        fit(Poisoned(of, gather(of.data, RATE)), RunFolder(tmp_path), Machine("cpu"), lambda *_: None, lambda _: None)


def test_pitch_is_that_of_the_end_of_each_hop(home):
    time = np.arange(2 * RATE) / RATE
    hz = 180 * 2 ** (0.5 * np.sin(2 * np.pi * time))
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    found = pitch_contour(sum(np.sin(k * phase) / k for k in range(1, 12)).astype(np.float32) * 0.1, RATE, 128)
    assert found.shape == (250, 2)
    error = {}
    for lag in (-1, 0, 1):
        at = np.clip((np.arange(250) + 1 + lag) * 128, 0, len(hz) - 1)
        error[lag] = np.median(np.abs(1200 * (found[10:-10, 0] - np.log2(hz[at] / 160)[10:-10])))
    assert error[0] < 5
    assert min(error[-1], error[1]) > 2 * error[0]
    recording = gather([str(home / "voices")], RATE).recordings[0]
    np.testing.assert_array_equal(prosody(recording, RATE, 128), prosody(recording, RATE, 128))


def test_octave_errors_that_jump_and_return_are_corrected():
    octaves = np.full(200, 0.3, np.float32) + np.linspace(0, 0.1, 200, dtype=np.float32)
    wrong = octaves.copy()
    wrong[50:58] += 1
    wrong[120] -= 1
    voicing = np.ones(200, np.float32)
    voicing[90:100] = 0
    np.testing.assert_allclose(without_octave_jumps(wrong, voicing)[voicing > 0], octaves[voicing > 0], atol=1e-6)
    np.testing.assert_array_equal(without_octave_jumps(octaves + 0.7, voicing), octaves + 0.7)
    assert not without_octave_jumps(np.zeros(3, np.float32), np.zeros(3, np.float32)).any()


def test_perturbation_moves_formants_and_tilts_the_spectrum_by_example_and_not_over_time():
    torch.manual_seed(0)
    frames = torch.full((200, 96, 3), 1e-6)
    frames[:, 20] = 1.0
    hidden = perturbed(frames, 64, RATE, 0.15)
    torch.testing.assert_close(hidden[..., 0], hidden[..., 2])
    level = perturbed(torch.full((200, 96, 1), 1e-6), 64, RATE, 0.15)[:, :64, 0]
    assert 0.1 < float(level.std()) < 0.6
    assert abs(float(level.mean())) < 0.1
    assert not perturbed(torch.zeros(200, 96, 3), 64, RATE, 0.15).any()  # a pause stays one
    torch.manual_seed(0)
    bend = perturbed(torch.full((200, 96, 3), 1e-6), 64, RATE, 0.15)
    peaks = (hidden - bend)[:, :64, 0].argmax(1).float()
    assert float(peaks.min()) < 19
    assert float(peaks.max()) > 21


def test_a_speaker_classifier_ignores_the_scale_of_latents_and_frozen_its_weights_get_no_gradient():
    torch.manual_seed(0)
    classifier = SpeakerClassifier(3, 2)
    z = torch.randn(4, 3, 40, requires_grad=True)
    torch.testing.assert_close(classifier(1000 * z + 5), classifier(z), rtol=0, atol=0.02)
    torch.testing.assert_close(with_frozen_weights(classifier, z), classifier(z))
    with_frozen_weights(classifier, z).square().sum().backward()
    assert z.grad is not None
    assert z.grad.any()
    assert all(value.grad is None for value in classifier.parameters())


def teacher(at, **card):
    """The file of an untrained phone classifier."""
    torch.manual_seed(1)
    save(at, PhoneClassifier(PhoneClassifierShape(width=8, dilations=(1,))), Card(**{"rate": RATE, "hop": 128, **card}))
    return str(at)


def test_phone_cross_entropy_trains_the_phone_head_and_not_the_phone_classifier(home, tmp_path):
    of = plan(home, phones=teacher(tmp_path / "phones.safetensors"))
    training = VoiceTraining(of, gather(of.data, RATE))
    batch = training.crops(0, 1)[0]
    training.loss(training.net, batch).backward()
    learnt = {name.split(".")[0] for name, value in training.net.named_parameters() if value.grad.any()}
    assert {"voice", "phone_head", "speaker_classifier"} <= learnt
    assert not any("phone_logits" in name for name in training.state_dict())  # its weights are fixed


def test_cycle_consistency_is_zero_for_the_same_frames_and_trains_the_decoder_alone(home):
    of = plan(home)
    training = VoiceTraining(of, gather(of.data, RATE))
    batch = training.crops(0, 1)[0]
    voice, prepared = training.net.voice, training.batches.prepared(training.net.voice, batch, training=True)
    phones = torch.zeros(2, len(PHONES), 16)
    same = training.content_loss(
        voice, prepared.encoder_input[:, :, :16], z := encoded(voice, prepared.encoder_input[:, :, :16]), phones
    )
    assert float(same.detach()) == pytest.approx(0, abs=1e-6)
    envelopes = voice.decoder.network(z, None, prepared.speaker, prepared.prosody[:, :, :16])[0]
    frames = synthesised_frames(voice, envelopes, prepared.prosody[:, :, :16])
    shapes = normalised(voice, frames, training.batches.speaker_state(voice, frames, batch.speaker))
    training.content_loss(voice, shapes, z, phones).backward()
    learnt = {name.split(".")[0] for name, value in voice.named_parameters() if value.grad is not None}
    assert learnt == {"table", "decoder"}


def test_back_conversion_changes_the_encoder_input_of_people_alone(home, parallel_speakers):
    of = plan(home, batch=16, data=(str(home / "voices"), *parallel_speakers), back_conversion=1.0)
    corpus = gather(of.data, RATE)
    training = VoiceTraining(of, corpus)
    voice, batch = training.net.voice, training.crops(0, 1)[0]
    prepared = training.batches.prepared(voice, batch, training=True)
    people = torch.tensor([corpus.speakers[one] in ("ann", "bob") for one in batch.source_speaker])
    assert torch.equal(prepared.back_converted, people)
    assert prepared.encoder_input.shape == prepared.normalised.shape
    changed = (prepared.encoder_input - prepared.normalised).abs().flatten(1).amax(1)
    assert bool((changed.gt(0.1) == people).all())
    training.loss(training.net, batch).backward()
    assert bool(voice.table.grad.isfinite().all())
    validation = training.batches.prepared(voice, batch, training=False)
    assert torch.equal(validation.encoder_input, validation.normalised)


def encoded(voice, shapes):
    """Latents of frames, as many; the last ones, which lack look-ahead, are made up."""
    numbers, _ = voice.encoder.layers(shapes)
    mean = numbers[:, : voice.shape.latents].detach()
    late = voice.encoder.delay
    return torch.cat([mean[:, :, late:], mean[:, :, -late:]], 2)


def test_a_phone_classifier_of_another_hop_is_refused(home, tmp_path):
    other = plan(home, phones=teacher(tmp_path / "phones.safetensors", hop=256))
    with pytest.raises(TrainingError, match="a hop of 256 samples; expected the plan's 16000 Hz and 128"):
        VoiceTraining(other, gather(other.data, RATE))


def test_speaker_statistics_are_those_of_the_training_recordings(home):
    of = plan(home)
    training = VoiceTraining(of, gather(of.data, RATE))
    ann, bob = training.statistics.median_octaves.tolist()
    assert ann == pytest.approx(np.log2(225 / 160), abs=0.05)
    assert bob == pytest.approx(np.log2(115 / 160), abs=0.05)
    adaptation = training.net.voice.encoder.normalisation
    torch.testing.assert_close(adaptation.mean_speaker, training.statistics.moments.mean(0))
    mean, square = adaptation.mean_speaker.chunk(2)
    assert bool((square > mean.square()).all())


def test_instruments_among_the_data_are_known_by_name(home):
    of = plan(home, data=(str(home / "voices"), "instrument:flute"))
    assert of.instruments == ("flute",)
    with pytest.raises(DataError, match=r"instrument:kazoo: no such instrument; expected one of flute, cello"):
        find("instrument:kazoo")


@pytest.fixture
def parallel_speakers(tmp_path, monkeypatch):
    """Two synthetic speakers with time-aligned recordings, as places of data."""
    for name, pitch in (("sara", 210), ("onyx", 105)):
        (tmp_path / name).mkdir()
        for take in range(12):
            hum = tone(pitch, 4, np.random.default_rng(take))
            soundfile.write(tmp_path / name / f"en__{take}.wav", np.roll(hum, 1000 * take), RATE)
    monkeypatch.setattr(spoken, "spoken", lambda name: tmp_path / name)
    return "spoken:sara", "spoken:onyx"


def test_source_and_target_of_parallel_speakers_are_drawn_independently(home, parallel_speakers):
    of = plan(home, batch=64, data=(str(home / "voices"), *parallel_speakers))
    assert of.spoken == ("sara", "onyx")
    corpus = gather(of.data, RATE)
    training = VoiceTraining(of, corpus)
    batch = training.crops(0, 1)[0]
    pairs = {(corpus.speakers[a], corpus.speakers[b]) for a, b in zip(batch.speaker, batch.source_speaker, strict=True)}
    assert pairs == {("ann", "ann"), ("bob", "bob"), *itertools.product(of.spoken, repeat=2)}
    own = batch.speaker == batch.source_speaker
    assert torch.equal(batch.source[own], batch.sound[own])
    loud = [sound.abs()[~own].unfold(2, 500, 500).amax(3) > 0.01 for sound in (batch.source, batch.sound)]
    assert float((loud[0] == loud[1]).float().mean()) > 0.95
    assert not torch.equal(batch.source[~own], batch.sound[~own])
    assert bool(training.loss(training.net, batch).isfinite())


@pytest.mark.parametrize("name", instruments.INSTRUMENTS)
def test_an_instrument_plays_one_note_at_a_time_within_its_range(name):
    player = instruments.INSTRUMENTS[name]
    events = sorted(instruments._events(player, np.random.default_rng(3)), key=lambda event: event[0])
    sounding, notes = 0, set()
    for _, message in events:
        if message.type == "note_on":
            sounding, notes = sounding + 1, notes | {message.note}
        sounding -= message.type == "note_off"
        assert sounding <= 1
    assert len(notes) > 3
    assert player.lowest <= min(notes)
    assert max(notes) <= player.highest


def test_a_crop_that_is_not_a_whole_number_of_frames_is_refused(home):
    with pytest.raises(TrainingError, match="whole frames of 128"):
        plan(home, crop=2000)


def test_a_speaker_vector_is_recovered_from_a_clip(home):
    of = plan(home)
    torch.manual_seed(1)
    voice = Voice(replace(of.shape(4), channels=16)).eval().requires_grad_(False)
    voice.table.mul_(8)
    clip = tone(200, 3, np.random.default_rng(1))[: 128 * 370]
    z, told = analyse(voice, clip)
    target = voice.table[2:3] + 0.05 * torch.randn(1, 64)
    model = torch.from_numpy(decoded(voice, z, target, told))[None, None]
    found = fit_speaker(voice, z, told, model, steps=5)
    distance = (voice.table - found).norm(dim=1)
    assert int(distance.argmin()) == 2
    with pytest.raises(ValueError, match="expected 64 or more"):
        fit_speaker(voice, z[:, :, :10], told[:, :, :10], model[:, :, :1280])


def test_a_linear_probe_tells_speakers_by_the_frames(home):
    of = plan(home)
    corpus = gather(of.data, RATE)
    voice = Voice(of.shape(2)).eval().requires_grad_(False)
    found = probed(voice, corpus, corpus.speakers, {"ann": "en", "bob": "fr"})
    assert found.chance == 0.5
    assert found.heard == 1.0
    assert 0 <= found.latents <= 1
    assert np.isnan([found.latents_alike, found.heard_alike]).all()
    alike = probed(voice, corpus, corpus.speakers, {"ann": "en", "bob": "en"})
    assert (alike.latents_alike, alike.heard_alike) == (alike.latents, alike.heard)  # there are only these two


def test_the_card_holds_the_moments_of_speakers_latents_and_the_descriptor_of_each_latent(home, tmp_path):
    train(plan(home), tmp_path / "run")
    card = card_of(tmp_path / "run" / "model.safetensors")
    assert set(card.notes["moments"]) == {"ann", "bob"}
    assert np.shape(card.notes["moments"]["ann"]["covariance"]) == (3, 3)
    assert [len(card.notes[key]) for key in ("about", "r2", "spread", "company")] == [3, 3, 3, 3]
    assert list(card.notes["r2"]) == sorted(card.notes["r2"], reverse=True)
    assert [name.split()[0] for name in card.latents] == ["z1", "z2", "z3"]


def test_a_voice_may_start_from_another_and_train_on_other_speakers(home, tmp_path):
    train(plan(home), tmp_path / "first")
    start = tmp_path / "first" / "model.safetensors"
    known = load(start)[0].state_dict()
    corpus = gather((str(home / "voices"),), RATE)
    again = VoiceTraining(plan(home, start=str(start)), corpus).voice.state_dict()
    assert all(torch.equal(again[name], known[name]) for name in known if name != "encoder.normalisation.mean_speaker")
    alone = gather((str(home / "voices"),), RATE, speakers=("ann",))
    other = VoiceTraining(plan(home, start=str(start), speakers=("ann",)), alone).voice
    assert torch.equal(other.table, known["table"][:1])
    (tmp_path / "zoe").mkdir()
    for take in range(12):
        soundfile.write(tmp_path / "zoe" / f"{take}.wav", tone(300, 4, np.random.default_rng(take)), RATE)
    three = gather((str(home / "voices"), str(tmp_path / "zoe")), RATE)
    more = VoiceTraining(plan(home, start=str(start)), three).voice
    assert torch.equal(more.table[:2], known["table"])
    assert not torch.equal(more.table[2], known["table"].mean(0))
    assert torch.equal(other.decoder.network.out.weight, known["decoder.network.out.weight"])
    with pytest.raises(TrainingError, match="another shape"):
        VoiceTraining(plan(home, start=str(start), channels=16), corpus)
