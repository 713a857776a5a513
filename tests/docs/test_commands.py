"""The documentation tells the truth: its commands run, its options exist, and the files that it names are there.

A fence whose info string is one word is executed: `sh` in a fresh folder, page by page, block after block, `python`
likewise, `toml` as a preset (or as tables behind one). A comment `# writes PATH` in a block is checked after it. What
cannot run here says why behind the word: "sh needs a sound card". Options are checked in both kinds.
"""

import os
import re
import shlex
import stat
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pytest
import soundfile
import typer

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "presets" / "README.md"]
EXECUTED = {"sh", "python", "toml"}
ELSEWHERE = {"text", "supercollider"}
"""Languages that this test does not run; programs of others have tests of their own."""
CUT_S = 3.0
"""The bundled clips are cut to this, so that the commands take seconds."""
SHORTENED = {
    "match": ["--evaluations", "2", "--jobs", "1"],
    "dream": ["--steps", "2", "--seconds", "4"],
    "stylise": ["--steps", "1"],
    "play": ["--duration", "1"],
}
"""What is appended to these commands: fewer steps, the same way."""


class Block(NamedTuple):
    """A fenced block: where it begins, its language, why it cannot be run (or nothing), and its text."""

    page: Path
    line: int
    language: str
    reason: str
    text: str


def blocks(page):
    lines, k = page.read_text("utf-8").splitlines(), 0
    while k < len(lines):
        if opening := re.fullmatch(r"```(\w*) ?(.*)", lines[k]):
            end = lines.index("```", k + 1)
            yield Block(page, k + 1, opening[1], opening[2], "\n".join(lines[k + 1 : end]) + "\n")
            k = end
        k += 1


def unfenced(page):
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)


BLOCKS = {page: list(blocks(page)) for page in PAGES}
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
each_page = pytest.mark.parametrize("page", PAGES, ids=NAMES)


def commands(text):
    """The arguments of every `gramophone` and the words of every `python -m` in a shell script."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        if len(words) > 1 and words[0] in {"gramophone", ".venv/bin/gramophone", "python"}:
            yield [word for word in words if word != "&"]


@pytest.fixture(scope="module")
def program():
    from gramophone.offline.cli.main import app

    return typer.main.get_command(app)


def parse(program, arguments):
    """Parse a command line to its end without calling anything."""
    context = program.make_context("gramophone", list(arguments))
    while isinstance(context.command, click.Group) or hasattr(context.command, "resolve_command"):
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        if not rest and context.command.invoke_without_command:
            return
        name, command, rest = context.command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)


@each_page
def test_every_block_says_what_it_is(page):
    for block in BLOCKS[page]:
        where = f"{page.relative_to(ROOT)}:{block.line}"
        assert block.language in EXECUTED | ELSEWHERE, f"{where}: language {block.language!r}"
        assert not block.reason or block.reason.startswith("needs "), f"{where}: {block.reason!r}"
    indented = re.findall(r"^(?: {4}|\t)(?:gramophone|python|pip|make|osc\w+) .*$", unfenced(page), re.M)
    assert indented == [], "commands belong in fences"


@each_page
def test_every_command_line_parses(page, program):
    for block in BLOCKS[page]:
        for words in commands(block.text) if block.language == "sh" else ():
            where = f"{page.relative_to(ROOT)}:{block.line}: {shlex.join(words)}"
            if words[0] == "python":
                assert words[1] != "-m" or find_spec(words[2]), where
            else:
                try:
                    parse(program, words[1:])
                except click.exceptions.ClickException as error:
                    pytest.fail(f"{where}: {error.format_message()}")


@each_page
def test_every_option_named_in_the_text_exists(page, program):
    for span in re.findall(r"`(gramophone [^`\n]+)`", unfenced(page)):
        command = program
        for word in shlex.split(span)[1:]:
            if word.startswith("--"):
                names = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
                assert word.partition("=")[0] in {*names, "--help"}, f"{page.name}: `{span}` has no {word}"
            elif hasattr(command, "get_command"):
                found = command.get_command(click.Context(command), word)
                assert found, f"{page.name}: `{span}`: no command {word}"
                command = found


@each_page
def test_every_file_named_exists(page):
    text = re.sub(r"^```.*$", "", page.read_text("utf-8"), flags=re.M)
    named = re.findall(r"`((?:realtime|models|offline|presets|tests|docs)/[\w/.-]+)`", text)
    if page.parent.name != "lab":  # a dated note names what was there on its day
        assert [name for name in named if not (ROOT / name).exists()] == []
    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).exists(), f"{page.relative_to(ROOT)}: link to {link}"


def rows(page, head):
    """The backticked names in the first column of every table whose first heading is `head`."""
    for block in re.findall(rf"^\| {head} \|.*\n\|-.*\n((?:\|.*\n?)+)", unfenced(page), re.M):
        for row in block.splitlines():
            yield from re.findall(r"`([^`]+)`", row.split("|")[1])


@each_page
def test_every_stage_knob_and_preset_of_a_table_exists(page):
    from gramophone.presets import load, names
    from gramophone.realtime.parameter_table import complete, table
    from gramophone.realtime.stage_registry import kinds

    shown = [complete(load(name)) for name in ("default", "sixteen-numbers", "hall", "noisy-room", "choir-of-one")]
    knobs = {address.partition(".")[2] for preset in shown for address in table(preset)}
    assert {name for name in rows(page, "knob") if not name.startswith("z1…")} <= knobs
    assert set(rows(page, "stage")) <= set(kinds())
    assert set(rows(page, "preset")) <= set(names())


def provide(folder):
    """Lay out what the pages take as given: a clone's clips, some recordings, and the two programs that they call."""
    clips = folder / "presets" / "clips"
    clips.mkdir(parents=True)
    for source in (ROOT / "presets" / "clips").glob("*.flac"):
        sound, rate = soundfile.read(source, dtype="float32")
        soundfile.write(clips / source.name, sound[: round(CUT_S * rate)], rate)
    voice, rate = soundfile.read(clips / "voice.flac", dtype="float32")
    for name in ("voice.wav", "ann.wav", "takes/one.wav", "takes/two.flac"):
        (folder / name).parent.mkdir(exist_ok=True)
        soundfile.write(folder / name, voice, rate)
    for name, clip in (
        ("song.wav", "vocals"),
        ("record.wav", "vocals"),
        ("cello.flac", "cello"),
        ("other.wav", "telephone"),
    ):
        sound, rate = soundfile.read(clips / f"{clip}.flac", dtype="float32")
        soundfile.write(folder / name, np.tile(sound, 3), rate)
    programs = folder / ".programs"
    programs.mkdir()
    python = shlex.quote(sys.executable)
    cases = "".join(f'  {name}) set -- "$@" {shlex.join(extra)};;\n' for name, extra in SHORTENED.items())
    for name, text in (
        ("python", f'exec {python} "$@"\n'),
        ("gramophone", f'case "$1" in\n{cases}esac\nexec {python} -m gramophone.offline "$@"\n'),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{text}")
        (programs / name).chmod(stat.S_IRWXU)
    return programs


def run(block, folder, programs):
    paths = os.pathsep.join([str(programs), os.environ["PATH"]])
    shell = ["bash", "-euo", "pipefail", "-c", block.text]
    done = subprocess.run(
        shell if block.language == "sh" else [sys.executable, "-c", block.text],
        cwd=folder,
        env={**os.environ, "PATH": paths, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    where = f"{block.page.relative_to(ROOT)}:{block.line}"
    assert done.returncode == 0, f"{where}:\n{block.text}\n{done.stdout}\n{done.stderr}"
    for path in re.findall(r"# writes (\S+)", block.text):
        assert (folder / path).stat().st_size > 0, f"{where}: {path} was not written"


def load_tables(block, folder):
    """Load `[[stages]]` as a preset; tables of another kind stand behind those of the preset `dream`."""
    from gramophone.presets import load
    from gramophone.realtime.parameter_table import complete, mappings_of, table

    text = block.text
    if "[[stages]]" not in text:
        text = f"{(ROOT / 'presets' / 'factory' / 'dream.toml').read_text('utf-8')}\n{text}"
    path = folder / f"block-{block.line}.toml"
    path.write_text(text if "title" in tomllib.loads(text) else f'title = "As documented"\ndescription = ""\n{text}')
    preset = complete(load(path))
    assert table(preset)
    assert len(mappings_of(preset)) == len(preset.midi)


@pytest.mark.slow
@each_page
def test_every_block_runs_in_a_fresh_folder(page, tmp_path):
    runnable = [block for block in BLOCKS[page] if block.language in EXECUTED and not block.reason]
    if not runnable:
        return
    programs = provide(tmp_path)
    for block in runnable:
        load_tables(block, tmp_path) if block.language == "toml" else run(block, tmp_path, programs)
