"""The options of `gramophone train` are those of the plans, and their values reach the plan unchanged."""

from dataclasses import fields

import pytest
from typer.testing import CliRunner

from gramophone.offline.cli.main import app
from gramophone.offline.cli.train import KINDS
from gramophone.presets.models import MODELS

TRAINED = []


@pytest.fixture(autouse=True)
def _no_training(monkeypatch):
    TRAINED.clear()
    monkeypatch.setattr("gramophone.offline.train.allocator.keep_freed_memory", lambda: None)
    monkeypatch.setattr("gramophone.offline.train.digits_report.report", lambda folder: {})
    for kind in KINDS.values():
        monkeypatch.setattr(kind.run.replace(":", "."), lambda plan, *_: TRAINED.append(plan))


def train(*args):
    return CliRunner().invoke(app, ["train", *map(str, args)], env={"COLUMNS": "200"})


def begin(kind, tmp_path, *options):
    data = ["--data", "mnist"] if kind == "vae" else [tmp_path]
    done = train(kind, *data, "--out", tmp_path / "run", *options)
    assert done.exit_code == 0, done.output
    return TRAINED[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_without_options_a_plan_has_its_own_defaults(kind, tmp_path):
    plan, usual = begin(kind, tmp_path), KINDS[kind].plan()
    told = {"data", "phones"}  # the classifier that comes with Gramophone is the default at its sample rate
    assert all(getattr(plan, item.name) == getattr(usual, item.name) for item in fields(plan) if item.name not in told)
    assert plan.data == (("mnist",) if kind == "vae" else (str(tmp_path),))


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_an_option_with_its_help(kind):
    shown = train(kind, "--help").output
    switched = {switch.sets for switch in KINDS[kind].switches if isinstance(switch.value, bool)}
    for item in fields(KINDS[kind].plan):
        if item.name not in KINDS[kind].omitted | switched | {"data"}:
            assert f"--{item.name.replace('_', '-')}" in shown
            assert " ".join(item.metadata["help"].split()[:3]) in shown


def test_values_of_options_reach_the_plan(tmp_path):
    plan = begin(
        "wavenet", tmp_path, "--size", "M", "--rate", 16000, "--peak", 1e-4, "--speakers", "a", "--speakers", "b"
    )
    assert (plan.size, plan.rate, plan.peak, plan.speakers) == ("M", 16000, 1e-4, ("a", "b"))
    plan = begin("wavenet", tmp_path, "--unconditional", "--no-pauses", "--local", "mel")
    assert (plan.conditional, plan.pauses, plan.local) == (False, False, "mel")
    assert begin("vlae", tmp_path, "--unconditional").latents == 0
    assert begin("vae", tmp_path, "--binary", "--reach", 4).reach == 4


def test_models_are_named_or_found_by_path(tmp_path):
    phones, voice = (str(MODELS / f"{name}.safetensors") for name in ("phones", "voice"))
    assert begin("voice", tmp_path).phones == phones
    assert begin("voice", tmp_path, "--rate", 24000).phones == ""
    assert begin("voice", tmp_path, "--phones", "").phones == ""
    assert begin("voice", tmp_path, "--start", "voice").start == voice
    assert begin("voice", tmp_path, "--start", voice).start == voice


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("wavenet", ["--size", "XL"]),
        ("wavenet", ["--rate", "10"]),
        ("wavenet", ["--layout", "heap"]),
        ("vlae", ["--layers", "15"]),
        ("tagger", ["--mixed", "1.5"]),
        ("voice", ["--ahead", "0.5"]),
        ("vae", ["--layout", "auto"]),
    ],
)
def test_a_value_that_does_not_fit_is_a_usage_error(kind, options, tmp_path):
    refused = train(kind, tmp_path, "--out", tmp_path / "run", *options)
    assert refused.exit_code == 2
    assert options[0] in refused.output
    assert not TRAINED
