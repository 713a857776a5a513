"""A killed run resumes to the same weights, on one process and several, reports its progress, and stops on errors."""

import itertools
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from lightning.pytorch import Trainer

from gramophone.models.checkpoint import load
from gramophone.models.nets.wavenet import SIZES, WaveNetShape
from gramophone.offline.data.corpus import gather
from gramophone.offline.data.recording import DataError
from gramophone.offline.data.text import TextError
from gramophone.offline.evaluate.vocoder import resynthesis
from gramophone.offline.evaluate.wavenet import measure_bits, sexes_auc, summary
from gramophone.offline.train.conditions import local_series
from gramophone.offline.train.log_lines import described
from gramophone.offline.train.plan import TrainingError
from gramophone.offline.train.plans import WaveNetPlan
from gramophone.offline.train.run import Machine, fit, launched, train_wavenet
from gramophone.offline.train.run_folder import RunFolder, begun_plan
from gramophone.offline.train.wavenet import WaveNetTraining
from gramophone.realtime.kernels.executor import DeviceError

pytestmark = pytest.mark.train

RATE = 8000
TINY = WaveNetShape(layers=3, cycle=3, residual=4, skip=4)

COMMAND = f"""
import sys
from gramophone.models.nets import wavenet
wavenet.SIZES["tiny"] = wavenet.{TINY!r}
from dataclasses import fields
from gramophone.offline.train.plans import WaveNetPlan
size = next(item for item in fields(WaveNetPlan) if item.name == "size")
size.metadata = {{**size.metadata, "choices": ("S", "tiny")}}
from gramophone.offline.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two speakers' recordings, a cache, and the command with a size small enough for a test."""
    folder = tmp_path_factory.mktemp("home")
    chance = np.random.default_rng(0)
    for speaker, pitch in (("ann", 220), ("bob", 110)):
        (folder / "voices" / speaker).mkdir(parents=True)
        for take in range(12):
            time = np.arange(4 * RATE) / RATE
            sound = 0.2 * np.sign(np.sin(2 * np.pi * (pitch + take) * time)) + chance.normal(0, 0.01, len(time))
            soundfile.write(folder / "voices" / speaker / f"{take}.wav", sound, RATE)
    (folder / "command.py").write_text(COMMAND)
    return folder


@pytest.fixture(autouse=True)
def _tiny(home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setitem(SIZES, "tiny", TINY)


def plan(home, **given):
    return WaveNetPlan(
        **{
            "data": (str(home / "voices"),),
            "steps": 4,
            "batch": 2,
            "crop": 64,
            "every": 4,
            "size": "tiny",
            "warmup": 5,
            "precision": "32-true",
            **given,
        }
    )


def train(plan, at):
    lines = []
    train_wavenet(plan, RunFolder(at), Machine("cpu"), 0.05, lines.append)
    return lines


def weights(out):
    return load(out / "model.safetensors", "wavenet")[0].state_dict()


def test_a_killed_run_resumes_to_the_very_same_weights(home, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    long = plan(home, steps=240, every=90)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    arguments = (long, RunFolder(killed), Machine("cpu"), 0.0, sender.send)
    process = multiprocessing.get_context("fork").Process(target=train_wavenet, args=arguments)
    process.start()
    while receiver.recv().get("step", 0) < 150:
        pass
    process.kill()
    process.join()
    assert not (killed / "model.safetensors").exists() or load(killed / "model.safetensors")[1].steps == 90
    train(long, killed)
    train(long, whole)
    expected, found = weights(whole), weights(killed)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    steps = [json.loads(line)["step"] for line in (killed / "log.jsonl").read_text().splitlines()]
    assert steps == [50, 90, 100, 150, 180, 200, 240]


def test_two_processes_with_half_the_crops_each_learn_the_same(home, tmp_path):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    options = {"out": shared, "size": "tiny", "steps": 20, "every": 20, "crop": 64, "batch": 2, "peak": 1e-3}
    options |= {"precision": "32-true", "device": "cpu", "samples": 0, "devices": 2}
    command = [sys.executable, str(home / "command.py"), "train", "wavenet", str(home / "voices")]
    subprocess.run(
        [*command, *(f"--{name}={value}" for name, value in options.items())],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    train(plan(home, steps=20, every=20, batch=4, peak=1e-3, warmup=WaveNetPlan.warmup), alone)
    expected, found = weights(alone), weights(shared)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-5)


def curve(out):
    """The training and held-out losses by step, with the floats of each line in one list."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [(line["step"], *([line["bits"]] if "bits" in line else line["held_out"].values())) for line in lines]


SMALL_VLAE = {"latents": 0, "layers": 3, "residual": 4, "skip": 4, "bands": 8, "hop": 16, "pitch-window": 0}
SMALL_VLAE |= {"width": 8, "units": 1, "prior": 0, "guide": 0, "rate": RATE}
"""Without latents: what is drawn at random differs from process to process."""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "given"), [("wavenet", {"size": "tiny"}), ("vlae", SMALL_VLAE)])
def test_two_processes_of_torchrun_give_the_loss_curve_of_one_with_the_doubled_batch(home, tmp_path, kind, given):
    options = {**given, "steps": 50, "every": 50, "crop": 64, "peak": 1e-3, "precision": "32-true", "samples": 0}
    launch = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0"]
    for name, batch, launcher in (("alone", 4, []), ("shared", 2, launch)):
        command = [sys.executable, *launcher, str(home / "command.py"), "train", kind, str(home / "voices")]
        run = {**options, "batch": batch, "out": tmp_path / name, "device": "cpu"}
        command += [f"--{key}={value}" for key, value in run.items()]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    expected, found = curve(tmp_path / "alone"), curve(tmp_path / "shared")
    assert [line[0] for line in found] == [50, 50]
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-3)


def test_processes_beside_those_of_torchrun_are_refused(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert launched(Machine("cpu")) == launched(Machine("cpu", 2, 2)) == Machine("cpu", 2, 2)
    with pytest.raises(TrainingError, match=r"--devices 3 --nodes 1: torchrun has started 4 processes; leave both out"):
        launched(Machine("cpu", 3))


def test_the_card_names_the_data_and_the_scores(home, tmp_path):
    lines = train(plan(home, steps=8), tmp_path)
    net, card = load(tmp_path / "model.safetensors", "wavenet")
    assert net.shape == replace(TINY, speakers=2)
    assert (card.speakers, card.rate, card.steps) == (("ann", "bob"), RATE, 8)
    assert card.data == (f"{home / 'voices'}: licence unknown: yours to state",)
    assert card.scores.keys() == {"ann", "bob", "mean"}
    assert card.scores == lines[-1]["held_out"]
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [
        f"step-000000{step}{end}" for step in (4, 8) for end in ("-ann.wav", "-bob.wav", ".png")
    ]
    assert "ann" in (tmp_path / "data.txt").read_text()


def test_a_run_resumes_by_its_folder_alone_and_refuses_another_plan(home, tmp_path):
    first = plan(home)
    train(first, tmp_path)
    assert begun_plan(WaveNetPlan, RunFolder(tmp_path)) == first
    with pytest.raises(TrainingError, match=r"another run was begun here \(seed was 0, now 1\); use another folder"):
        train(replace(first, seed=1), tmp_path)
    with pytest.raises(TrainingError, match="no run was begun here"):
        begun_plan(WaveNetPlan, RunFolder(tmp_path / "nothing"))


def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_last_good_state(home, tmp_path):
    good = plan(home, steps=120, every=120)

    class Poisoned(WaveNetTraining):
        def loss(self, net, batch):
            return super().loss(net, batch) * (float("nan") if self.global_step == 110 else 1)

    corpus = gather(good.data, RATE)
    training = Poisoned(good, corpus)
    with pytest.raises(TrainingError, match="step 111: the loss is nan; the state before it is kept"):
        fit(training, RunFolder(tmp_path), Machine("cpu"), lambda *_: None, lambda _: None)
    kept = torch.load(tmp_path / "state.ckpt", weights_only=True)
    assert kept["global_step"] == 100
    assert all(value.isfinite().all() for value in kept["state_dict"].values())


@pytest.mark.parametrize(("pace_s", "states"), [(1.0, [1]), (31.0, [1, 2, 3, 4])])
def test_a_state_is_saved_after_the_first_step_and_every_30_seconds(home, tmp_path, monkeypatch, pace_s, states):
    of, now, saved = plan(home, steps=4, every=4), itertools.count(0, pace_s), []
    training = WaveNetTraining(of, gather(of.data, RATE))
    save = Trainer.save_checkpoint
    monkeypatch.setattr(
        Trainer, "save_checkpoint", lambda self, path: saved.append(self.global_step) or save(self, path)
    )
    fit(training, RunFolder(tmp_path), Machine("cpu"), lambda *_: None, lambda _: None, lambda: next(now))
    assert saved == [*states, 4]  # the last one when training ends
    assert torch.load(tmp_path / "state.ckpt", weights_only=True)["global_step"] == 4


def test_a_run_says_what_it_does_before_it_trains_and_reports_total_and_time_left(home, tmp_path):
    lines = train(plan(home, steps=60, every=60), tmp_path)
    words, reports = [line["words"] for line in lines if "words" in line], [line for line in lines if "step" in line]
    assert words[0] == f"reading the recordings of {home / 'voices'}"
    assert words[1] == "24 recordings of 2 speakers; preparing them"
    assert words[2] == f"training: 60 steps on cpu, in {tmp_path}"
    assert lines.index(reports[0]) == len(words) == 3
    assert reports[0]["step"] == 1
    assert all(line["steps"] == 60 and line["left_s"] >= 0 for line in reports)
    assert reports[-1]["left_s"] == 0
    logged = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert logged == [50, 60]  # reports between them are not kept
    assert described(reports[0]).startswith("step       1 of 60")


def test_it_learns(home, tmp_path):
    lines = train(plan(home, steps=100, every=100, crop=256, peak=1e-2, warmup=20, average=0.9), tmp_path)
    assert lines[-1]["held_out"]["mean"] < 6


def test_a_uniform_prediction_costs_eight_bits_and_the_receptive_field_is_not_scored(home):
    of = plan(home)
    training = WaveNetTraining(of, gather(of.data, RATE))
    for parameter in training.net.head[-1].parameters():
        parameter.data.zero_()
    batch = training.crops(0, 1)[0]
    assert training.loss(training.net, batch).item() == pytest.approx(8)
    assert not batch.scored[:, : TINY.receptive_field].any()
    assert batch.scored[:, TINY.receptive_field :].all()


def test_the_average_is_a_running_mean_with_a_memory_that_grows(home, tmp_path):
    of = plan(home, steps=12, every=12, average=0.5)
    corpus = gather(of.data, RATE)
    training = WaveNetTraining(of, corpus)
    seen = []

    def remember(*_):
        seen.append(training.net.head[-1].weight.detach().clone())

    training.on_train_batch_end = remember
    fit(training, RunFolder(tmp_path), Machine("cpu"), lambda *_: None, lambda _: None)
    slow = seen[0]
    for updates, weight in enumerate(seen[1:], start=1):
        memory = min(0.5, (1 + updates) / (10 + updates))
        slow = memory * slow + (1 - memory) * weight
    torch.testing.assert_close(training.averaged.head[-1].weight, slow)


@pytest.mark.parametrize(
    ("given", "message"),
    [({"size": "XXL"}, r"size 'XXL'.*expected one of"), ({"crop": 8}, "receptive field of 8; expected longer")],
)
def test_plans_that_do_not_fit_are_refused(home, tmp_path, given, message):
    with pytest.raises(TrainingError, match=message):
        train(plan(home, **given), tmp_path)


def test_options_that_a_resumed_run_would_ignore_are_refused(home, tmp_path):
    train(plan(home), tmp_path)
    command = [sys.executable, str(home / "command.py"), "train", "wavenet", "--out", str(tmp_path)]
    assert subprocess.run([*command, "--samples", "0", "--device", "cpu"], check=False).returncode == 0
    refused = subprocess.run([*command, "--speakers", "ann"], check=False, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "--speakers: a run goes on by its own plan" in refused.stderr


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(DeviceError, match="'toaster': expected auto or one of"):
        Machine("toaster")


def test_several_clocks_are_refused(home, tmp_path):
    of = plan(home, minutes=1.0)
    with pytest.raises(TrainingError, match="--steps"):
        train_wavenet(of, RunFolder(tmp_path), Machine("cpu", devices=2), 0, print)
    assert not Path(tmp_path / "model.safetensors").exists()


def test_several_machines_without_a_rendezvous_do_not_wait(home, tmp_path, monkeypatch):
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(TrainingError, match="MASTER_ADDR"):
        train_wavenet(plan(home), RunFolder(tmp_path), Machine("cpu", nodes=2), 0, print)


def test_a_vocoder_resynthesises_as_many_samples_as_its_frames_cover(home, tmp_path):
    vocoder = plan(home, local="mel", hop=8, bands=5)
    lines = train(vocoder, tmp_path)
    net, card = load(tmp_path / "model.safetensors", "wavenet")
    assert (net.shape.local, net.shape.hop, net.shape.upsampling) == (5, 8, (4,))
    assert (card.hop, card.notes) == (8, {"local": "mel"})
    assert "held_out" in lines[-1]
    recording = gather(vocoder.data, RATE).held_out[0]
    said = resynthesis(net, WaveNetTraining(vocoder, gather(vocoder.data, RATE)), recording)
    assert len(said) == recording.heard.frames // 8 * 8
    with pytest.raises(TrainingError, match="whole frames of 12"):
        train(plan(home, local="mel", hop=12), tmp_path / "other")


def speaking(home, voices):
    """Write the recordings with transcripts."""
    shutil.copytree(home / "voices", voices)
    for sound in voices.rglob("*.wav"):
        sound.with_suffix(".txt").write_text("high sea" if sound.parent.name == "ann" else "low whale")


def test_a_plan_without_trained_weights_may_be_corrected(home, tmp_path):
    voices, broken, whole = tmp_path / "voices", tmp_path / "broken.txt", tmp_path / "whole.txt"
    speaking(home, voices)
    broken.write_text("high 1 0\nlow 1\n")
    whole.write_text("high 1 0\nlow 0 1\n")
    told = plan(home, data=(str(voices),), text=f"glove:{whole}")
    with pytest.raises(TextError, match="line 2: 1 numbers; expected 2"):
        train(replace(told, text=f"glove:{broken}"), tmp_path / "run")
    train(told, tmp_path / "run")
    with pytest.raises(TrainingError, match="another run was begun here"):
        train(replace(told, text=""), tmp_path / "run")


def test_timed_words_are_all_looked_up_before_training(home, tmp_path):
    voices, glove = tmp_path / "voices", tmp_path / "glove.txt"
    speaking(home, voices)
    glove.write_text("high 1 0\nlow 0 1\n")
    sounds = sorted(voices.rglob("*.wav"))
    for sound in sounds:
        sound.with_suffix(".labels.txt").write_text("0.5\t1.0\thigh\n1.5\t2.0\twhale\n")
    told = plan(home, data=(str(voices),), text=f"glove:{glove}", local="words", hop=8)
    lines = train(told, tmp_path / "run")
    assert {"words": f"1 words have no vector, met {len(sounds)} times; most often whale ({len(sounds)})"} in lines
    assert load(tmp_path / "run" / "model.safetensors", "wavenet")[0].shape.local == 2
    sounds[0].with_suffix(".labels.txt").unlink()
    with pytest.raises(DataError, match="not there"):
        train(told, tmp_path / "other")
    assert not (tmp_path / "other" / "state.ckpt").exists()


def test_text_and_a_series_may_condition_together(home, tmp_path):
    voices, glove = tmp_path / "voices", tmp_path / "glove.txt"
    speaking(home, voices)
    glove.write_text("high 1 0\nlow 0 1\n")
    train(plan(home, data=(str(voices),), text=f"glove:{glove}", local="mel", hop=8, bands=5), tmp_path)
    shape = load(tmp_path / "model.safetensors", "wavenet")[0].shape
    assert (shape.vector, shape.local) == (2, 5)


def test_text_conditions_as_a_vector_and_words_without_one_are_reported(home, tmp_path):
    voices = tmp_path / "voices"
    speaking(home, voices)
    glove = tmp_path / "glove.txt"
    glove.write_text("high 1 0\nlow 0 1\nsea 1 1\n")
    lines = train(plan(home, data=(str(voices),), text=f"glove:{glove}", conditional=False), tmp_path / "run")
    net, card = load(tmp_path / "run" / "model.safetensors", "wavenet")
    assert (net.shape.vector, net.shape.speakers) == (2, 0)
    assert (card.speakers, card.notes) == ((), {"text": "glove.txt"})
    assert {"words": "1 words have no vector, met 12 times; most often whale (12)"} in lines
    with pytest.raises(DataError, match="no transcript"):
        train(plan(home, text=f"glove:{glove}"), tmp_path / "other")


def test_pitch_as_a_condition_is_the_pitch(home):
    channels, series = local_series("mel+pitch", RATE, 80, 20, None)
    recording = next(r for r in gather([str(home / "voices")], RATE).recordings if r.name == "ann__0")
    found = series(recording)
    assert found.shape == (4 * RATE // 80, channels) == (400, 22)
    octaves, voiced = found[20:-20, 20], found[20:-20, 21]
    assert voiced.mean() > 0.9
    assert np.median(octaves[voiced > 0]) == pytest.approx(np.log2(220 / 160), abs=0.02)
    np.testing.assert_array_equal(local_series("mel+pitch", RATE, 80, 20, None)[1](recording), found)


def test_evaluating_finds_the_bits_that_the_trainer_found_wherever_the_model_is(home, tmp_path):
    train(plan(home), tmp_path / "told")
    train(plan(home, conditional=False), tmp_path / "alone")
    elsewhere = tmp_path / "model.safetensors"
    shutil.copy(tmp_path / "told" / "model.safetensors", elsewhere)
    told = measure_bits(tmp_path / "told", [])
    alone = measure_bits(tmp_path / "alone", [])
    for row, name in ((told, "told"), (alone, "alone")):
        _, card = load(tmp_path / name / "model.safetensors")
        assert row.right == pytest.approx(card.scores["mean"], abs=1e-5)
    assert told.wrong is not None
    assert alone.wrong is None
    assert measure_bits(elsewhere, [str(home / "voices")]).by_speaker.keys() == {"ann", "bob"}
    assert summary([told, alone])["margin"] == pytest.approx(alone.right - told.right)


def test_sexes_are_distinguished_by_pairs_of_clips():
    medians = {"moscow": [100.0, 200.0], "russian": [150.0, 200.0, 250.0], "someone": [50.0]}
    assert sexes_auc(medians) == pytest.approx((1 + 1 + 1 + 0 + 0.5 + 1) / 6)
    assert sexes_auc({"moscow": [100.0]}) is None
