"""A pack plays on another machine what the preset plays here, and no file that calls itself one does any harm."""

import json
import shutil
import zipfile
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.wavenet import WaveNet, WaveNetShape
from gramophone.offline.cli.main import app
from gramophone.offline.commands.pack import PackError, open_pack, write_pack
from gramophone.presets import CLIPS, Preset, PresetError, StageSettings, load
from gramophone.presets.model_library import LibraryError
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import AudioWriter
from gramophone.realtime.parameter_table import complete, values_of

RATE = 8_000


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """Return a function that moves to another machine: nothing of the user's own is there."""

    def move(name):
        for kind in ("DATA", "CACHE", "CONFIG"):
            monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / name / kind))

    move("here")
    return move


@pytest.fixture
def preset(tmp_path):
    """A preset with a model and a clip of the user's own."""
    folder = tmp_path / "mine"
    folder.mkdir()
    torch.manual_seed(0)
    net = WaveNet(WaveNetShape(layers=2, cycle=2, residual=4, skip=4))
    save(folder / "hiss.safetensors", net, Card(RATE, licence="CC0"))
    with AudioWriter(folder / "wind.wav", RATE, 1, RATE) as writer:
        writer.write(0.1 * np.random.default_rng(0).standard_normal((1, RATE)).astype(np.float32))
    stages = (
        StageSettings("hiss", "wavenet", {"model": "hiss.safetensors", "level": -3.0}),
        StageSettings("style", "style", {"clip": "wind.wav", "strength": 0.7}),
    )
    return Preset("windy", stages, path=folder / "windy.toml")


def played(preset):
    sound = 0.2 * np.random.default_rng(1).standard_normal((1, RATE)).astype(np.float32)
    engine = Engine(complete(preset), RATE, 1)
    try:
        return engine.render(sound)
    finally:
        engine.close()


def test_another_machine_plays_the_same_samples_without_the_files(preset, tmp_path, machine):
    truth = played(preset)
    write_pack(preset, tmp_path / "windy.gramophone")
    shutil.rmtree(tmp_path / "mine")
    machine("there")
    opened = open_pack(tmp_path / "windy.gramophone", agreed=True)
    np.testing.assert_array_equal(played(opened), truth)


@pytest.mark.parametrize("name", ["default", "choir", "someone-else", "talking-drums", "anyone", "hall"])
def test_a_factory_preset_comes_back_with_every_value(name, tmp_path, machine):
    whole = complete(load(name))
    write_pack(whole, tmp_path / "p.gramophone")
    machine("there")
    opened = complete(open_pack(tmp_path / "p.gramophone"))  # the licences of what is bundled have been agreed to
    files = {
        key
        for key, value in values_of(whole).items()
        if key.endswith(".model") or (isinstance(value, str) and value.startswith(str(CLIPS.resolve())))
    }
    assert {key: value for key, value in values_of(opened).items() if key not in files} == {
        key: value for key, value in values_of(whole).items() if key not in files
    }


def test_the_licence_is_shown_and_agreed_to_before_the_first_use(preset, tmp_path, machine, capsys):
    write_pack(preset, tmp_path / "windy.gramophone")
    machine("there")
    with pytest.raises(LibraryError, match=r"hiss\.safetensors: its licence has to be agreed to"):
        open_pack(tmp_path / "windy.gramophone")
    assert "licence: CC0" in capsys.readouterr().err
    open_pack(tmp_path / "windy.gramophone", agreed=True)
    open_pack(tmp_path / "windy.gramophone")


def test_the_commands_pack_play_and_render(preset, tmp_path):
    pack, out = tmp_path / "choir.gramophone", tmp_path / "out"
    done = CliRunner().invoke(app, ["pack", "choir", "--set", "style.strength=0.5", "--out", str(pack), "--json"])
    assert done.exit_code == 0, done.output
    assert [file["name"] for file in json.loads(done.stdout)["files"]] == ["choir.flac"]
    clip = str(CLIPS / "drums.flac")
    rendered = CliRunner().invoke(app, ["render", clip, "--preset", str(pack), "--out", str(out)])
    assert rendered.exit_code == 0, rendered.output
    words = ["play", str(pack), "--audio", "file", "--out", str(tmp_path / "a.wav"), "--duration", "1", "--quiet"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "a.wav").is_file()


def rewritten(pack, change, **options):
    """Write a pack anew with its members, a dictionary of bytes by name, changed."""
    with zipfile.ZipFile(pack) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(pack, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _first(members):
    return next(name for name in members if name.startswith("files/"))


def _listed(members, **changes):
    listed = json.loads(members["pack.json"])
    listed["files"][0] |= changes
    members["pack.json"] = json.dumps(listed).encode()


LIES = {
    "a path outside": (lambda m: m.update({"files/../../evil": b"x"}), r"holds 'files/\.\./\.\./evil'"),
    "an absolute path": (lambda m: m.update({"/etc/evil": b"x"}), "holds '/etc/evil'"),
    "a name of a path outside": (lambda m: _listed(m, name="../../evil.sh"), "calls a"),
    "a token of a path outside": (lambda m: _listed(m, token="../evil"), "is not in it"),
    "other contents": (lambda m: m.update({_first(m): b"other"}), "is not what it was when it was packed"),
    "a missing file": (lambda m: m.pop(_first(m)), "is not in it"),
    "no list": (lambda m: m.pop("pack.json"), r"has no pack\.json"),
    "no preset": (lambda m: m.pop("preset.toml"), r"has no preset\.toml"),
    "a list that is none": (lambda m: m.update({"pack.json": b"[]"}), "no pack of Gramophone's"),
    "a later version": (lambda m: m.update({"pack.json": b'{"version": 2, "files": []}'}), "version 2 of the format"),
    "files that are not listed": (lambda m: m.update({"pack.json": b'{"version": 1, "files": []}'}), "not in the pack"),
    "a preset of a million stages": (lambda m: m.update({"preset.toml": b"#" * (5 << 20)}), "bytes; expected"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_pack_that_lies_is_refused_and_writes_nothing_outside(lie, preset, tmp_path, machine):
    change, message = LIES[lie]
    write_pack(preset, tmp_path / "windy.gramophone")
    rewritten(tmp_path / "windy.gramophone", change)
    machine("there")
    before = {path for path in tmp_path.rglob("*") if "there" not in path.parts}
    with pytest.raises(PresetError, match=message):
        open_pack(tmp_path / "windy.gramophone", agreed=True)
    assert {path for path in tmp_path.rglob("*") if "there" not in path.parts} == before
    assert not any("evil" in path.name for path in tmp_path.rglob("*"))


def test_a_bomb_is_refused_before_anything_is_unpacked(preset, tmp_path, machine):
    write_pack(preset, tmp_path / "windy.gramophone")
    big = {f"files/sha256-{'0' * 64}.wav": bytes(50 << 20)}
    rewritten(tmp_path / "windy.gramophone", lambda m: m.update(big), compression=zipfile.ZIP_DEFLATED)
    assert (tmp_path / "windy.gramophone").stat().st_size < 1 << 20
    machine("there")
    with pytest.raises(PackError, match="is compressed; expected it as it is"):
        open_pack(tmp_path / "windy.gramophone", agreed=True)
    assert not (tmp_path / "there").exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_pack_that_is_cut_or_changed_anywhere_is_named_or_still_the_same(data, preset, tmp_path, machine):
    pack = tmp_path / "windy.gramophone"
    if not (tmp_path / "whole").exists():
        write_pack(preset, pack)
        shutil.copy(pack, tmp_path / "whole")
    content = bytearray((tmp_path / "whole").read_bytes())
    machine("there")
    truth = values_of(complete(open_pack(tmp_path / "whole", agreed=True)))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        edge = data.draw(st.sampled_from([0, max(len(content) - 1000, 0)]))
        content[min(edge + data.draw(st.integers(0, 999)), len(content) - 1)] ^= data.draw(st.integers(1, 255))
    shutil.rmtree(tmp_path / "there" / "CACHE")
    pack.write_bytes(content)
    with suppress(PresetError):  # any other error, and other values, are what must not be
        assert values_of(complete(open_pack(pack, agreed=True))) == truth


def test_a_plug_in_is_not_packed(preset, tmp_path):
    (tmp_path / "mine" / "echo.vst3").write_bytes(b"")
    stages = (StageSettings("style", "style", {"clip": str(tmp_path / "mine" / "echo.vst3")}),)
    with pytest.raises(PresetError, match="a plug-in has to be installed"):
        write_pack(Preset("echo", stages), tmp_path / "echo.gramophone")
    assert not (tmp_path / "echo.gramophone").exists()
