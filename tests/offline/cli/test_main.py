"""The command line: usage is checked before anything is loaded, and facts are printed without torch."""

import importlib.metadata
import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from gramophone.offline.cli.main import app
from gramophone.presets import CLIPS, names
from gramophone.presets.models import model_names

WITHOUT = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "matplotlib", "onnxruntime", "lightning"}:
            raise ImportError(f"{name} was imported")
sys.meta_path.insert(0, Refused())
sys.argv = ["gramophone", *sys.argv[1:]]
from gramophone.offline.__main__ import main
main()
"""


def without_torch(*args, **env):
    """Run a command in a process where importing torch raises."""
    command = [sys.executable, "-c", WITHOUT, *args]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **env})


def test_models_are_listed_without_torch():
    listed = without_torch("models", "--json")
    assert listed.returncode == 0, listed.stderr
    assert [row["name"] for row in json.loads(listed.stdout)] == model_names()
    shown = without_torch("models", "vlae")
    assert shown.returncode == 0, shown.stderr
    assert "R²" in shown.stdout


def test_presets_are_listed_without_torch():
    listed = without_torch("presets", "--json")
    assert listed.returncode == 0, listed.stderr
    assert {row["name"] for row in json.loads(listed.stdout)} == set(names())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands_and_presets_without_torch(shell):
    words = "gramophone render --preset telep"
    done = without_torch(
        _TYPER_COMPLETE_TESTING="1",
        _TYPER_COMPLETE_ARGS=words,
        _GRAMOPHONE_COMPLETE=f"complete_{shell}",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        COMP_WORDS=words,
        COMP_CWORD="3",
    )
    assert "telephone" in done.stdout, done.stderr
    assert "--install-completion" in without_torch("--help").stdout


def test_help_has_a_short_form_in_every_command():
    for command in ([], ["render"], ["train"], ["train", "wavenet"], ["evaluate", "style"]):
        shown = CliRunner().invoke(app, [*command, "-h"])
        assert (shown.exit_code, "Usage" in shown.output) == (0, True), command


def test_the_version_is_that_of_the_package():
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"gramophone {importlib.metadata.version('gramophone')}\n")


@pytest.mark.parametrize("out", ["x.m4a", "-", "x", "", "x.txt", "x.wav/"])
@pytest.mark.parametrize(
    "command",
    [
        ["play", str(CLIPS / "voice.flac"), "--audio", "file"],
        ["play", str(CLIPS / "voice.flac")],
        ["stylise", "a.wav", "b.wav"],
        ["generate", "--model", "garble"],
        ["dream"],
    ],
    ids=["play as file", "play", "stylise", "generate", "dream"],
)
def test_a_result_that_cannot_be_written_is_a_usage_error(command, out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if out == "x.wav/":
        (tmp_path / "x.wav").mkdir()
    refused = CliRunner().invoke(app, [*command, "--out", out])
    assert refused.exit_code == 2, refused.output
    assert [path.name for path in tmp_path.iterdir()] == (["x.wav"] if out == "x.wav/" else [])


def test_commands_name_what_they_wrote_in_one_form(tmp_path):
    out = tmp_path / "out"
    played = CliRunner().invoke(
        app, ["play", str(CLIPS / "drums.flac"), "--preset", "lo-fi", "--out", str(tmp_path / "a.wav")]
    )
    assert (played.exit_code, played.stderr) == (0, f"wrote {tmp_path / 'a.wav'}\n"), played.output
    rendered = CliRunner().invoke(app, ["render", str(CLIPS / "drums.flac"), "--preset", "lo-fi", "--out", str(out)])
    assert rendered.exit_code == 0, rendered.output
    assert f"wrote {out / 'drums.wav'}\n" in rendered.stderr
