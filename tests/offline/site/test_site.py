"""The documentation as a site: it builds without a broken link, and its control reference is the parameter table."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gramophone.offline.site.control_reference import control_reference
from gramophone.offline.site.hooks import on_page_markdown
from gramophone.presets import load, names
from gramophone.realtime.parameter_table import chain_parameters, complete
from gramophone.realtime.switches import ACTIONS, SWITCHES

ROOT = Path(__file__).parents[3]
SOUNDS = ROOT / "docs" / "sounds"
LARGEST = 1_000_000
HOSTED = {"plugin"}
"""Kinds of stage whose parameters are those of what they load."""


class _Page:
    class file:  # noqa: N801 - as mkdocs has it
        src_uri = "lab/voice.md"


def rows(text):
    """The cells of every row of a table that has an OSC address in its last column but one."""
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in cells] for cells in lines if len(cells) == 7]


def test_every_parameter_of_every_preset_is_in_the_reference_with_its_range_and_default():
    known = {(cells[5].strip("`").split("/")[2], cells[0].strip("`")): cells for cells in rows(control_reference())}
    for name in names():
        preset = complete(load(name))
        kinds = {stage.name: stage.kind for stage in preset.stages}
        for address, knob in chain_parameters(preset).items():
            stage, _, key = address.partition(".")
            if kinds[stage] in HOSTED:
                continue
            cells = known.get((kinds[stage], key)) or known["<stage>", key]
            assert cells[4] == knob.unit, address
            if knob.is_number and (kinds[stage], key) in known:
                assert f"{knob.range[0]:g} to {knob.range[1]:g}" in cells[2], address


def test_every_switch_action_and_preset_is_in_the_reference():
    text = control_reference()
    assert all(f"| `/gramophone/{name}` |" in text for name in {**SWITCHES, **ACTIONS})
    assert all(f"| `{name}` |" in text for name in names())


def test_links_stay_on_the_site_and_a_fence_says_what_it_needs_above_it():
    text = "[a](../voice.md#b) [c](../../README.md) [d](../../presets/README.md)\n```sh needs a phone\nx\n```\n"
    found = on_page_markdown(text, _Page)
    assert "[a](../voice.md#b) [c](../index.md) [d](../presets.md)" in found
    assert "*needs a phone*\n\n```sh\nx\n```" in found


def test_every_sound_example_is_small_and_listed_with_a_licence():
    table = (SOUNDS / "README.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| `([^`]+)` \|.*\| ([^|]+) \|$", table, re.M))
    files = {path.name for path in SOUNDS.iterdir()} - {"README.md"}
    assert set(listed) == files
    assert all(licence in {"CC-BY-SA-3.0", "CC-BY-3.0", "CC0-1.0", "MIT"} for licence in listed.values())
    assert all((SOUNDS / name).stat().st_size <= LARGEST for name in files)


@pytest.mark.slow
def test_the_site_builds_strictly_with_every_page_of_the_contents(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    start = (tmp_path / "index.html").read_text("utf-8")
    for title in ("Start", "Play live", "In your DAW", "Batch", "Train your own", "Control reference", "How it works"):
        assert title in start
    assert "Engine" in (tmp_path / "api.html").read_text("utf-8")
    assert "wobble" in (tmp_path / "examples.html").read_text("utf-8")
    for page in tmp_path.rglob("*.html"):  # nothing is fetched from another host
        assert not re.search(r"<(?:script|link|img|audio)[^>]+(?:src|href)=.?https?://(?!squidfunk)", page.read_text())
