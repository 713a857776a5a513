"""Taggers: two networks of one form, trained on a set in MagnaTagATune's layout, judged as scikit-learn judges."""

import csv
import io
import json
import shutil
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from typer.testing import CliRunner

from gramophone.models.checkpoint import load
from gramophone.models.nets.tagger import NETWORKS, RATE, LogMelImage, Tagger, TaggerShape
from gramophone.offline.cli.main import app
from gramophone.offline.commands.tag import chunks, probabilities
from gramophone.offline.data.magnatagatune import gather_tagged
from gramophone.offline.train.augmentation import (
    at_length,
    both,
    coloured,
    contrasted,
    drawn_speed,
    equalised,
    spaced,
    together,
    transposed,
)
from gramophone.offline.train.plan import TrainingError
from gramophone.offline.train.plans import TaggerPlan
from gramophone.offline.train.ranking_metrics import pr_auc, roc_auc
from gramophone.offline.train.run import Machine, fit
from gramophone.offline.train.run_folder import RunFolder
from gramophone.offline.train.tagger import LevelCrops, SoundCrops, TaggerTraining, train_tagger
from gramophone.presets import library

pytestmark = pytest.mark.train

SECONDS = 4.5
networks = pytest.mark.parametrize("network", NETWORKS)


def tone(seed, seconds=SECONDS):
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.2 * np.sign(np.sin(2 * np.pi * (200 + 20 * seed) * t))).astype(np.float32)


def noise(seed, seconds=SECONDS):
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


SOUNDS = {"tone": tone, "noise": noise}


def make_set(folder, each=4):
    """Write as many clips of each sound into every folder 0 to f, with the annotations."""
    rows = []
    for place in "0123456789abcdef":
        (folder / place).mkdir(parents=True)
        for name, make in SOUNDS.items():
            for take in range(each):
                path = f"{place}/{name}-{take}.wav"
                soundfile.write(folder / path, make(len(rows)), RATE)
                rows.append([len(rows), *(int(name == other) for other in SOUNDS), path])
    with (folder / "annotations_final.csv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL).writerows([["clip_id", *SOUNDS, "mp3_path"], *rows])
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("home") / "set", each=2)


@pytest.fixture(autouse=True)
def _own_cache(home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(home.parent / "cache"))


@pytest.fixture(scope="module")
def trained(home, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home.parent / "cache"))
        train_tagger(plan(home), RunFolder(tmp_path_factory.mktemp("run")), Machine("cpu"), lambda line: None)
        run = tmp_path_factory.getbasetemp()
    return next(run.glob("run*"))


def plan(home, **given):
    usual = {"network": "end-to-end", "steps": 60, "batch": 4, "every": 60, "warmup": 5, "average": 0.8}
    return TaggerPlan(**{"data": (str(home),), "precision": "32-true", **usual, **given})


def gramophone(*args):
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@networks
def test_a_chunk_has_a_logit_for_every_tag_however_loud_it_is(network):
    net = Tagger(TaggerShape(("a", "b", "c"), network)).eval()
    sound = torch.from_numpy(noise(0))[None, : net.chunk]
    logits = net(sound)
    assert logits.shape == (1, 3)
    torch.testing.assert_close(net(sound / 50), logits, rtol=1e-3, atol=1e-4)
    assert net(torch.zeros(1, net.chunk)).isfinite().all()
    for layer in net.activations(torch.from_numpy(noise(0, 8.0))[None]):
        assert layer.isfinite().all()


def test_the_image_is_a_plain_log_mel_spectrum_over_noise_at_80_db_below_its_loudest():
    front = LogMelImage(64)
    sound = noise(1, 2.0) * np.linspace(0, 1, 2 * RATE, dtype="f4")
    power = np.abs(librosa.stft(sound, n_fft=1024, hop_length=512, center=False)) ** 2
    mel = front.mel.weights.numpy() @ power
    levels = librosa.power_to_db(mel / mel.max() + 1e-8, top_db=None)
    np.testing.assert_allclose(front(torch.from_numpy(sound)[None])[0, 0].numpy(), 1 + levels / 80, atol=2e-3)


def test_a_network_or_tags_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="'deep': expected one of short-chunk, end-to-end"):
        Tagger(TaggerShape(("a",), "deep"))
    with pytest.raises(ValueError, match="expected one at least"):
        Tagger(TaggerShape())


def test_the_network_of_2014_has_the_layers_of_the_paper():
    layers = [
        tuple(layer.shape[1:]) for layer in Tagger(TaggerShape(("a",), "end-to-end")).activations(torch.ones(1, 47_872))
    ]
    assert layers == [(128, 187), (32, 45), (32, 9)]


def test_areas_are_those_of_scikit_learn():
    chance = np.random.default_rng(0)
    labels = chance.random((300, 6)) < [0.5, 0.02, 0.9, 0.1, 0.3, 0.5]
    scores = labels * chance.random(6) + chance.normal(0, 1, labels.shape)
    scores[:, 3:] = scores[:, 3:].round()  # many are equal
    ours = np.stack([roc_auc(labels, scores), pr_auc(labels, scores)])
    theirs = [
        [judge(labels[:, tag], scores[:, tag]) for tag in range(6)]
        for judge in (roc_auc_score, average_precision_score)
    ]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_a_tag_that_all_or_none_have_has_no_area():
    labels = np.array([[True, False], [True, False]])
    assert np.isnan(roc_auc(labels, np.zeros((2, 2)))).all()
    assert np.isnan(pr_auc(labels, np.zeros((2, 2)))).tolist() == [False, True]


def crops(kind, home, rank=0, processes=1, **given):
    clips = gather_tagged(home).parts["training"]
    front = () if kind is SoundCrops else (LogMelImage(64),)
    return kind(clips, 16_000, plan(home, **given), rank, processes, *front)


kinds = pytest.mark.parametrize("kind", [SoundCrops, LevelCrops])


@kinds
def test_a_step_has_the_same_chunks_always_and_processes_share_them(home, kind):
    alone = crops(kind, home, batch=4)
    shares = [crops(kind, home, rank, 2, batch=2) for rank in range(2)]
    for step in (0, 7):
        for whole, *parts in zip(alone[step], *(share[step] for share in shares), strict=True):
            assert torch.equal(whole, torch.cat(parts))
    assert not torch.equal(alone[0][0], alone[1][0])


@kinds
def test_mixed_chunks_have_the_tags_of_both(home, kind):
    tags = {mixed: crops(kind, home, batch=64, mixed=mixed)[0][1].sum(1) for mixed in (0, 1)}
    assert set(tags[0].tolist()) == {1.0}
    assert set(tags[1].tolist()) == {1.0, 2.0}


def test_a_sound_is_varied_in_pitch_and_colour_and_two_are_about_equally_loud():
    chance = np.random.default_rng(0)
    sound = np.sin(2 * np.pi * 500 * np.arange(2 * RATE) / RATE).astype(np.float32)
    faster = at_length(sound, RATE)
    assert np.abs(np.fft.rfft(faster)).argmax() == 1000
    assert all(0.89 < drawn_speed(chance) < 1.13 for _ in range(100))
    white = chance.normal(0, 1, RATE).astype(np.float32)
    shaped = [librosa.power_to_db(np.abs(np.fft.rfft(equalised(white, chance) / white.std())) ** 2) for _ in range(9)]
    assert np.std([[one[:500].mean(), one[4000:].mean()] for one in shaped], axis=0).min() > 1
    mixed = together(sound, 100 * white[: len(sound)].repeat(2), chance) - sound
    assert 0.49 < np.sqrt(np.mean(mixed**2) / np.mean(sound**2)) < 2.01


def levels_of(sound):
    return LogMelImage(64).levels(torch.from_numpy(sound.astype(np.float32))[None])[0].numpy()


def plucked(hz, every_s, seconds=4.0):
    t = np.arange(round(seconds * RATE)) / RATE
    partials = sum(np.sin(2 * np.pi * hz * number * t) / number for number in range(1, 9))
    return partials * np.exp(-6 * (t % every_s) / every_s)


def image_of(levels):
    return LogMelImage(64).image(torch.from_numpy(levels.astype(np.float32))[None]).numpy()


def test_levels_are_varied_as_the_sound_would_be():
    was = levels_of(plucked(440, 0.5))
    assert np.array_equal(spaced(was, 7, 1.0, 50), was[:, 7:57])
    np.testing.assert_allclose(transposed(was, 1.0), was, atol=1e-4)
    for found, wanted in (
        (transposed(was, 1.1), levels_of(plucked(484, 0.5))),
        (spaced(was, 0, 1.1, 100), levels_of(plucked(440, 0.5 / 1.1))[:, :100]),
    ):
        before = np.abs(image_of(was[:, : found.shape[1]]) - image_of(wanted)).mean()
        assert np.abs(image_of(found) - image_of(wanted)).mean() < before / 2


def test_levels_are_coloured_contrasted_and_two_are_about_equally_loud():
    chance = np.random.default_rng(0)
    one, other = levels_of(noise(1)), levels_of(tone(1))
    curves = np.array([(coloured(one, chance) - one).mean(1) for _ in range(30)])
    assert 0.5 < curves.std() < 2  # nats: 4 dB and more, as drawn
    assert curves.std() > 1.5 * np.abs(np.diff(curves, axis=1)).mean()  # neighbours go together
    spreads = np.array([contrasted(one, chance).std() for _ in range(30)]) / one.std()
    assert 0.8 < spreads.min() < 0.9 < 1.1 < spreads.max() < 1.25
    assert contrasted(one, chance).max() == one.max()
    mixed = [both(one, other + gain, np.random.default_rng(3)) for gain in (-9, 0, 9)]
    np.testing.assert_allclose(mixed[0], mixed[2], atol=1e-3)
    assert (mixed[1] >= one - 1e-4).all()


def test_a_network_on_log_mel_learns_from_levels_what_it_hears_in_sound(home):
    training = TaggerTraining(plan(home, network="short-chunk", batch=8), gather_tagged(home))
    heard, labels = training.crops(0, 1)[0]
    assert heard.shape[:2] == (8, 64)
    assert training.loss(training.net, (heard, labels)).isfinite()
    net = training.net.eval()
    sound = torch.from_numpy(noise(2))[None, : net.chunk]
    torch.testing.assert_close(net.logits(net.front.image(net.front.levels(sound))), net(sound))


def test_a_run_that_broke_goes_on_to_the_very_same_weights(home, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    long = plan(home, steps=120, every=120, batch=2)

    class Poisoned(TaggerTraining):
        def loss(self, net, batch):
            return super().loss(net, batch) * (float("nan") if self.global_step == 110 else 1)

    music = gather_tagged(home)
    RunFolder(broken).begin(long, music.fingerprint)
    with pytest.raises(TrainingError, match="step 111"):
        fit(Poisoned(long, music), RunFolder(broken), Machine("cpu"), lambda *_: None, lambda _: None)
    for out in (broken, whole):
        train_tagger(long, RunFolder(out), Machine("cpu"), lambda _: None)
    found, expected = (load(out / "model.safetensors", "tagger")[0].state_dict() for out in (broken, whole))
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_training_says_how_many_clips_it_left_out_and_where_they_are_named(home, tmp_path):
    music = tmp_path / "set"
    shutil.copytree(home, music)
    lost, broken = sorted((music / "0").iterdir())[:2]
    lost.unlink()
    broken.write_bytes(b"no sound")
    said = []
    train_tagger(plan(music, steps=1, every=1, batch=2), RunFolder(tmp_path / "run"), Machine("cpu"), said.append)
    words = next(line["words"] for line in said if "left out" in line.get("words", ""))
    assert "1 missing" in words
    assert "1 broken" in words
    assert broken.name in (tmp_path / "run" / "data.txt").read_text()


def test_it_learns_and_the_model_says_what_it_learnt_from(home, trained):
    net, card = load(trained / "model.safetensors", "tagger")
    assert set(net.shape.tags) == {"tone", "noise"}
    assert card.scores["roc_auc"] == 1
    assert card.rate == RATE
    assert card.data[0].startswith("set: ")
    assert "48 clips for training" in (trained / "data.txt").read_text()


def test_a_song_is_the_mean_of_its_chunks_and_a_short_one_is_repeated(trained):
    net, _ = load(trained / "model.safetensors", "tagger")
    song = np.concatenate([noise(0, 10), np.zeros(10 * RATE, np.float32), tone(3, 10)])
    parts = chunks(song, net.chunk)
    assert np.array_equal(parts[-1], song[-net.chunk :])
    assert np.abs(parts).max(axis=1).min() > 0
    each = [net.probabilities(torch.from_numpy(part)[None]).detach()[0].numpy() for part in parts]
    np.testing.assert_allclose(probabilities(net, song), np.mean(each, axis=0), atol=1e-5)
    assert np.array_equal(chunks(song[:10], 25)[0], np.resize(song[:10], 25))


def test_tags_are_printed_for_people_and_programs(home, trained, tmp_path):
    model = ("--model", trained / "model.safetensors")
    files = (home / "d" / "tone-0.wav", home / "d" / "noise-0.wav")
    (tmp_path / "broken.mp3").write_bytes(b"no sound")
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    found = json.loads(gramophone("tag", *files, *model, "--json").stdout)
    assert [next(iter(file["tags"])) for file in found["files"]] == ["tone", "noise"]
    assert found["files"][0]["seconds"] == SECONDS
    rows = list(csv.DictReader(io.StringIO(gramophone("tag", *files, *model, "--csv", "--tag", "tone").stdout)))
    assert [(row["file"], row["tag"]) for row in rows] == [(str(file), "tone") for file in files]
    assert float(rows[0]["probability"]) == pytest.approx(found["files"][0]["tags"]["tone"], abs=1e-5)
    assert "█" in gramophone("tag", files[0], *model).stdout
    bad = (tmp_path / "broken.mp3", tmp_path / "silent.wav", tmp_path / "nothing.wav")
    result = gramophone("tag", *bad, files[0], *model, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout.splitlines()[-1])
    assert len(report["files"]) == 1
    assert set(report["failed"]) == set(map(str, bad))
    with pytest.raises(ValueError, match=r"no tag 'lute'; .* has"):
        gramophone("tag", files[0], *model, "--tag", "lute")


def test_evaluating_ranks_whole_clips_of_the_test_folders(trained):
    (row,) = json.loads(gramophone("evaluate", "tagger", trained, "--json").stdout)
    assert (row["clips"], row["network"]) == (12, "end-to-end")
    assert row["roc_auc"] > 0.9
    assert row["by_tag"].keys() == {"tone", "noise"}
    assert row["parameters"] == sum(p.numel() for p in Tagger(TaggerShape(("a", "b"), "end-to-end")).parameters())


def test_the_tagger_that_ships_hears_what_plays_in_the_clips_that_ship():
    clips = Path(library.__file__).parent / "clips"
    played = ("cello", "choir", "drums", "flute")
    found = json.loads(gramophone("tag", *(clips / f"{name}.flac" for name in played), "--top", "1", "--json").stdout)
    assert tuple(next(iter(file["tags"])) for file in found["files"]) == played


def test_a_set_says_what_it_is_made_of_and_by_which_licences(home, tmp_path):
    shutil.copytree(home, tmp_path / "own")
    (tmp_path / "own" / "LICENCE").write_text("birds: CC0-1.0\nwaves: CC-BY-4.0\nwind: CC0-1.0\n")
    assert gather_tagged(home).sources == ("set: MagnaTagATune's licence",)
    assert gather_tagged(tmp_path / "own").sources == ("birds: CC0-1.0", "waves: CC-BY-4.0", "wind: CC0-1.0")
    assert gather_tagged(tmp_path / "own").licence == "CC0-1.0, CC-BY-4.0"
