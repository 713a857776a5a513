"""An empty name, as from a shell variable that is not set, is a usage error of every command, which names it."""

import pytest
import typer.main

from gramophone.offline.cli.main import app
from gramophone.offline.cli.train import KINDS
from gramophone.presets import PresetError


def commands(group, path=()):
    """Yield every command below a group, with the words that call it."""
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


GROUP = typer.main.get_command(app)
COMMANDS = dict(commands(GROUP))


def named(parameter):
    """Whether a parameter names something: an argument, or an option that is not empty unless something is named."""
    if parameter.param_type_name == "argument":
        return True
    is_wanted = parameter.required or parameter.default is None or parameter.metavar == "DIR"
    return is_wanted and not parameter.is_flag and parameter.name != "phones"


def call(words, command, empty):
    """Return a call with all that is required, in which one parameter is empty."""
    arguments, options = [], []
    for parameter in command.params:
        value = "" if parameter is empty else "x.wav"
        if parameter.param_type_name == "argument":
            arguments.append(value)
        elif parameter is empty or parameter.required:
            options += [parameter.opts[0], value]
    return [*words, *options, "--", *arguments] if arguments else [*words, *options]


CASES = [
    pytest.param(words, command, parameter, id=" ".join((*words, parameter.name)))
    for words, command in COMMANDS.items()
    for parameter in command.params
    if named(parameter)
]


def test_every_command_is_walked():
    assert {("render",), ("tag",), ("models", "info"), ("evaluate", "voice"), ("bridge", "install")} <= set(COMMANDS)
    assert {("train", kind) for kind in KINDS} <= set(COMMANDS)
    assert len(CASES) > 60


def refusal(words, capsys):
    """Return what a call that is refused prints, on one line, and its exit code."""
    with pytest.raises(SystemExit) as end:
        GROUP.main(words)
    return capsys.readouterr().err, end.value.code


@pytest.mark.parametrize(("words", "command", "parameter"), CASES)
def test_an_empty_name_is_a_usage_error_that_names_the_argument(
    words, command, parameter, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    said, code = refusal(call(words, command, parameter), capsys)
    assert code == 2, said
    assert "an empty text; expected a value" in said
    is_option = parameter.param_type_name == "option"
    assert (parameter.opts[0] if is_option else (parameter.metavar or parameter.name).strip("[].")) in said
    assert not list(tmp_path.iterdir())


def test_an_option_that_is_empty_unless_given_may_be_given_empty(tmp_path):
    call = ["generate", "--model", "none.safetensors", "--out", str(tmp_path / "x.wav"), "--speaker", ""]
    with pytest.raises(PresetError, match="no such model file"):
        GROUP.main(call, standalone_mode=False)
