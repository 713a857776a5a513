"""`--help` is quick: it imports no library that sound needs, nor what it does not show. Counted, as times vary."""

import subprocess
import sys

import pytest
import typer

from gramophone.offline.cli.command_group import CommandGroup

MOST_MODULES = 225
"""189 with Python 3.11 and typer 0.29; with Markdown, tracebacks and each command's options there were 275."""
SHOW = """
import contextlib, io, sys
before = set(sys.modules)
import typer.main
from gramophone.offline.cli.main import app

group = typer.main.get_command(app)
with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
    group(["--help"])
print(len(set(sys.modules) - before))
assert "stylise" in shown.getvalue() and "Give one recording the style of another" in shown.getvalue()

def show(group, words):
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
            app([*words, name, "--help"])
        assert command.help.split("\\n")[0].split(";")[0][:30] in shown.getvalue(), (words, name)
        if hasattr(command, "list_commands"):
            show(command, [*words, name])

show(group, [])
heavy = {"numpy", "torch", "numba", "scipy", "soundfile", "rich.markdown", "rich.traceback"}
print(*sorted(heavy & sys.modules.keys()))
"""


def test_no_commands_help_imports_what_it_does_not_need():
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, *heavy = done.stdout.split()
    assert heavy == []
    assert int(count) <= MOST_MODULES


@pytest.fixture
def group():
    app = CommandGroup()

    @app.command()
    def play(loud: bool = False) -> None:
        """Play something."""
        print("loud" if loud else "soft")

    @app.command("stop")
    def end() -> None:
        """End it."""

    return typer.main.get_group(app)


def test_a_command_is_made_when_it_is_called(group, capsys):
    assert group.list_commands(None) == ["play", "stop"]
    assert group.commands == {}
    group(["play", "--loud"], standalone_mode=False)
    assert capsys.readouterr().out == "loud\n"
    assert list(group.commands) == ["play"]


def test_a_list_shows_every_command_and_makes_none(group, capsys):
    group(["--help"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "Play something." in shown
    assert "End it." in shown
    assert group.commands == {}


def test_an_unknown_command_is_answered_with_a_similar_one(group, capsys):
    with pytest.raises(SystemExit):
        group(["plai"])
    assert "Did you mean 'play'" in capsys.readouterr().err
