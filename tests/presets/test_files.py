"""A preset file is read as editors leave it, and whatever it may hold survives being saved."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from gramophone.offline.cli.main import app
from gramophone.presets import Preset, PresetError, StageSettings, load, own_folder, parse, read, save

TEXT = 'title = "Été"\n\n[[stages]]\nkind = "gain"\nmix = 0.5  # half\n'
CHARACTERS = st.characters(exclude_categories=["Cs"])
SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(CHARACTERS, max_size=20)
)
VALUES = st.dictionaries(st.text(CHARACTERS).filter(lambda key: key not in ("name", "kind")), SCALARS, max_size=4)
ROWS = st.lists(st.dictionaries(st.text(CHARACTERS), SCALARS, min_size=1, max_size=3), max_size=3)


def held(preset):
    return preset.title, preset.description, preset.stages, preset.midi


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.encode() + b"\x00",
        TEXT.encode() + b"\x1a",
        TEXT.encode().rstrip(),
        b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode() + b"\x1a",
    ],
    ids=["mark", "utf-16", "crlf", "cr", "nul", "ctrl-z", "no last line end", "all of it"],
)
def test_what_editors_add_is_no_part_of_a_preset(tmp_path, data):
    path = tmp_path / "a.toml"
    path.write_bytes(data)
    preset = load(path)
    assert held(preset) == held(parse(TEXT, path))
    save(preset.with_values({("gain", "mix"): 0.25}), path)
    assert load(path).stage("gain").values == {"mix": 0.25}
    assert "# half" in path.read_text("utf-8")


@settings(max_examples=60, deadline=None)
@given(st.text(CHARACTERS), st.text(CHARACTERS), VALUES, ROWS)
def test_whatever_toml_may_hold_survives_saving(tmp_path_factory, title, description, values, midi):
    folder = tmp_path_factory.mktemp("presets")
    stages = StageSettings("a", "gain", values), StageSettings("b", "gain", {})
    first = Preset("a", stages, title, description, None, tuple(midi))
    save(first, folder / "a.toml")
    assert held(read(folder / "a.toml")) == held(first)
    changed = replace(first, stages=stages[::-1], title=description, midi=tuple(midi[::-1]), path=folder / "a.toml")
    save(changed, folder / "b.toml")
    assert held(read(folder / "b.toml")) == held(changed)


@pytest.mark.parametrize(
    "text",
    [
        'stages = [{kind = "gain", mix = 0.5}, {kind = "lowpass"}]\nmidi = [{knob = "gain.mix"}]\n',
        '[[stages]]\nkind = "gain"\n[[midi]]\nknob = "gain.mix"\n[[stages]]\nkind = "lowpass"\n',
        '"stages" = [\n  {kind = "gain"}, # first\n  {kind = "lowpass"},\n]\n',
    ],
    ids=["inline", "out of order", "several lines"],
)
def test_any_layout_of_a_file_can_be_changed_and_saved(tmp_path, text):
    (tmp_path / "a.toml").write_text(text)
    preset = load(tmp_path / "a.toml")
    changed = preset.with_values({("lowpass", "frequency"): 300.0})
    for wanted in (
        replace(changed, title="Dusk"),
        replace(changed, stages=changed.stages[::-1], midi=()),
        replace(changed, stages=(*changed.stages, StageSettings("wide", "gain", {"mix": 1.0}))),
    ):
        save(wanted, tmp_path / "b.toml")
        assert held(load(tmp_path / "b.toml")) == held(wanted)


def test_a_file_that_was_broken_since_is_written_anew(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(TEXT)
    preset = load(path)
    for broken in ("stages = ", "stages = 3\n", "[[stages]]\nmix = 1\n", "\udcff"):
        path.write_bytes(broken.encode("utf-8", "surrogateescape"))
        save(preset, path)
        assert held(load(path)) == held(preset)


def test_a_text_that_is_no_unicode_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(TEXT)
    with pytest.raises(PresetError, match=r"a\.toml: cannot be written"):
        save(replace(load(path), title="\ud800"), path)
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_text() == TEXT


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1" * 5000, "not valid TOML"), ("9" * 400, "at most 64 bits"), ("[" * 5000, "nested too deeply"),
     ("2026-11-30", "expected a number, true, false or a text")],
    ids=["long", "large", "deep", "date"],
)  # fmt: skip
def test_values_that_no_parameter_can_hold_are_named(tmp_path, value, expected):
    with pytest.raises(PresetError, match=rf"a\.toml.*{expected}"):
        parse(f'[[stages]]\nkind = "gain"\nmix = {value}\n', tmp_path / "a.toml")


def test_a_name_that_no_file_can_have_is_named(tmp_path):
    preset = parse(TEXT, tmp_path / "a.toml")
    for name in ("a" * 300, "a\0b", "x/" * 3000):
        with pytest.raises(PresetError, match="no file"):
            preset.find_file(name)


def test_one_broken_preset_hides_none_of_the_others(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own_folder().mkdir(parents=True)
    (own_folder() / "broken.toml").write_text("stages = ")
    (own_folder() / "mine.toml").write_text(
        'title = "[/b]"\ndescription = "[/x] \\u001b[2J"\n' + TEXT.partition("\n")[2]
    )
    (own_folder() / "My Sound.toml").write_text(TEXT)
    (own_folder() / "default.toml").write_text(TEXT)
    listed = CliRunner().invoke(app, ["presets"])
    assert listed.exit_code == 0, listed.output
    assert {"default", "mine", "[/x]"} <= set(listed.stdout.split())
    assert "\x1b[2J" not in listed.stdout
    assert listed.stderr.count("error: ") == 3
    assert f"{Path('broken.toml')}: not valid TOML" in listed.stderr
    rows = json.loads(CliRunner().invoke(app, ["presets", "--json"]).stdout)
    assert {row["name"] for row in rows if not row.get("error")} >= {"default", "mine"}
    assert len([row for row in rows if row.get("error")]) == 3
    assert CliRunner().invoke(app, ["presets", "mine"]).exit_code == 0
