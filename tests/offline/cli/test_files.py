"""Every command that reads files and writes one: inputs stay, what is lost is named, any name can be printed."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from support.render import gramophone

from gramophone.offline.commands.tag import load_tagger, tag_file
from gramophone.offline.data.audibility import NothingToHearError
from gramophone.offline.data.corpora import is_held_out
from gramophone.offline.results import ResultError
from gramophone.presets import CLIPS, PresetError
from gramophone.realtime.dsp.resampler import mono
from gramophone.realtime.files import read
from gramophone.realtime.stage import StageError

VOICE, RATE = read(CLIPS / "voice.flac", 2)


@pytest.fixture
def files(tmp_path):
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, VOICE.T, RATE)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["stylise", "a.wav", "b.wav", "--out", "a.wav"],
        ["stylise", "a.wav", "b.wav", "--out", "./b.wav"],
        ["stylise", "a.wav", "b.wav", "--out", "link.wav", "--method", "texture"],
        ["dream", "a.wav", "--tag", "choir", "--out", "a.wav"],
        ["generate", "--model", "garble", "--like", "a.wav", "--out", "a.wav"],
        ["play", "a.wav", "--out", "a.wav"],
    ],
    ids=lambda command: f"{command[0]} {command[-1]}",
)
def test_no_command_writes_over_its_input(files, monkeypatch, command):
    monkeypatch.chdir(files)
    (files / "link.wav").symlink_to("b.wav")
    before = {path: path.read_bytes() for path in files.iterdir()}
    refused = gramophone(*command)
    assert refused.exit_code == 2, refused.output
    assert "is the input itself" in refused.output
    assert {path: path.read_bytes() for path in files.iterdir()} == before


RESULTS = [
    ["stylise", "a.wav", "b.wav", "--out", "c.wav"],
    ["stylise", "a.wav", "b.wav", "--method", "texture", "--out", "c.wav"],
    ["dream", "--tag", "choir", "--out", "c.wav"],
    ["match", "a.wav", "b.wav", "--chain", "wide", "--out", "c.toml"],
    ["generate", "--model", "garble", "--seconds", "0.1", "--out", "c.wav"],
    ["play", "a.wav", "--preset", "wide", "--out", "c.wav"],
    ["layout", "--for", "reaper", "--out", "c.ReaperOSC"],
    ["export", "vlae", "--to", "onnx", "--out", "c.onnx"],
    ["pack", "choir", "--out", "c.gramophone"],
]


@pytest.mark.parametrize("command", RESULTS, ids=lambda command: " ".join(command[:1] + command[-3:]))
def test_no_command_replaces_what_is_there(files, monkeypatch, command):
    monkeypatch.chdir(files)
    for taken in (command[-1], *(["c.png"] if {"texture", "dream", "match"} & set(command) else [])):
        (files / taken).write_bytes(b"precious")
        with pytest.raises(ResultError, match=rf"^{taken} is there already; choose another --out, or --overwrite$"):
            gramophone(*command)
        assert (files / taken).read_bytes() == b"precious"
        assert sorted(path.name for path in files.iterdir()) == sorted(["a.wav", "b.wav", taken])
        (files / taken).unlink()


@pytest.mark.parametrize("command", RESULTS, ids=lambda command: " ".join(command[:1] + command[-3:]))
def test_a_folder_that_is_not_there_is_named_before_the_work(files, monkeypatch, command):
    monkeypatch.chdir(files)
    with pytest.raises(ResultError, match=rf"^no/{command[-1]}: there is no folder no; make it first"):
        gramophone(*command[:-1], f"no/{command[-1]}")


@pytest.mark.parametrize("command", [RESULTS[number] for number in (0, 4, 5, 6, 8)], ids=lambda command: command[0])
def test_every_command_overwrites_if_it_is_asked_to(files, monkeypatch, command):
    monkeypatch.chdir(files)
    (files / command[-1]).write_bytes(b"precious")
    result = gramophone(*command, "--overwrite")
    assert result.exit_code == 0, result.output
    assert (files / command[-1]).read_bytes() != b"precious"


def test_a_command_that_was_stopped_goes_on_over_what_it_left(files, monkeypatch):
    monkeypatch.chdir(files)
    command = ["stylise", "a.wav", "b.wav", "--method", "stft", "--steps", 1, "--out", "c.wav"]
    for name in ("c.wav", "c.png", "c.wav.descent.npz"):
        (files / name).write_bytes(b"as far as it got")
    assert gramophone(*command).exit_code == 0
    assert not (files / "c.wav.descent.npz").exists()
    with pytest.raises(ResultError, match="there already"):
        gramophone(*command)


def test_stylise_says_what_it_lost(files):
    sound = VOICE.T.copy() * 40
    sound[100] = np.nan
    soundfile.write(files / "a.wav", sound, RATE, subtype="FLOAT")
    result = gramophone("stylise", files / "a.wav", files / "b.wav", "--out", files / "c.flac", "--json")
    assert result.exit_code == 0, result.output
    warnings = "; ".join(json.loads(result.stdout)["warnings"])
    assert "1 samples were NaN" in warnings
    assert "clipped by the format" in warnings
    assert f"warning: {files / 'a.wav'}: {warnings}" in result.stderr


@pytest.mark.parametrize("method", ["live", "mosaic", "texture"])
def test_a_style_without_sound_is_refused_by_every_method(files, method):
    soundfile.write(files / "b.wav", np.zeros(RATE * 2), RATE)
    with pytest.raises(NothingToHearError, match="STYLE is silent"):
        gramophone("stylise", files / "a.wav", files / "b.wav", "--out", files / "c.wav", "--method", method)


def test_a_slow_method_keeps_the_tags(files):
    with soundfile.SoundFile(files / "a.wav", "w", RATE, 1) as file:
        file.title = "Tïtel"
        file.write(VOICE[0])
    command = ["stylise", files / "a.wav", files / "b.wav", "--out", files / "c.flac"]
    gramophone(*command, "--method", "stft", "--steps", 1)
    with soundfile.SoundFile(files / "c.flac") as file:
        assert file.title == "Tïtel"


def test_a_number_is_no_file_of_that_name(files, monkeypatch):
    monkeypatch.chdir(files)
    for name in ("0.5", "false"):
        (files / name).touch()
    values = ["--set", "reverb.wet=0.5", "--set", "reverb.bypass=false"]
    (files / "room.toml").write_text('[[stages]]\nkind = "reverb"\n')
    result = gramophone("render", "a.wav", "--out", "out", "--preset", "room.toml", *values)
    assert result.exit_code == 0, result.output


def test_sound_in_opposite_phase_is_heard(files):
    both = np.stack([VOICE[0], -VOICE[0]])
    soundfile.write(files / "a.wav", both.T, RATE, subtype="FLOAT")
    np.testing.assert_array_equal(mono(both), VOICE[0])
    np.testing.assert_array_equal(mono(np.stack([VOICE[0], 0 * VOICE[0]])), VOICE[0] / 2)
    assert next(iter(tag_file(load_tagger("tagger"), files / "a.wav").tags)) == "speech"


def test_an_enrolled_voice_that_is_replaced_is_in_the_bin(files, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(files / "config"))
    voices = files / "config" / "gramophone" / "voices"
    gramophone("enrol", CLIPS / "voice.flac", "--name", "anna")
    before = (voices / "anna.voice").read_bytes()
    result = gramophone("enrol", CLIPS / "telephone.flac", "--name", "anna")
    assert f"is in {voices / 'bin'}" in result.stderr
    assert (voices / "bin" / "anna.voice").read_bytes() == before
    assert (voices / "anna.voice").is_file()


def test_a_voice_that_is_enrolled_again_is_the_same_bytes(files, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(files / "config"))
    voices = files / "config" / "gramophone" / "voices"
    kept = set()
    for _ in range(4):
        gramophone("enrol", CLIPS / "voice.flac", "--name", "anna")
        kept.add((voices / "anna.voice").read_bytes())
    assert len(kept) == 1


@pytest.mark.parametrize("frames", [1, 100, 300])
def test_a_clip_of_next_to_nothing_is_refused_in_words(files, frames):
    soundfile.write(files / "a.wav", VOICE[0, 20_000 : 20_000 + frames], RATE)
    with pytest.raises(StageError, match=r"a\.wav: no voice in it: (too short|silence)"):
        gramophone("enrol", files / "a.wav")


def test_a_preset_that_is_wrong_is_no_wrong_command_line(files):
    (files / "p.toml").write_text('[[stages]]\nkind = "latent"\nmodel = "nonesuch"\n')
    with pytest.raises(PresetError, match="nonesuch"):
        gramophone("render", files / "a.wav", "--preset", files / "p.toml", "--out", files / "out")


def test_a_name_of_two_lines_is_written_on_one(files):
    (files / "a.wav").rename(files / "a\nwrote b.wav")
    result = gramophone("stylise", files / "a\nwrote b.wav", files / "b.wav", "--out", files / "c\nd.wav")
    assert result.stderr == f"wrote {files}/c\\nd.wav\n"


def test_tag_takes_folders_and_patterns_and_prints_any_name(files):
    for name in (b"esc\x1b[31m.wav", b"\xff.wav"):
        (files / os.fsdecode(name)).write_bytes((files / "a.wav").read_bytes())
    (files / "empty.wav").touch()
    for form in ([], ["--csv"], ["--json"]):
        result = gramophone("tag", files, "--top", 1, *form)
        assert result.exit_code == 1, result.output
        assert f"error: {files / 'empty.wav'}: the file is empty" in result.stderr
        assert result.stdout.count("speech") == 4
        assert "\x1b[31m" not in result.output
        assert "udcff" in result.stdout
    assert gramophone("tag", files / "*.wav", "--json").stdout == gramophone("tag", files, "--json").stdout
    assert gramophone("tag", files / "a.wav", "--csv", "--json").exit_code == 2


def test_recordings_of_which_none_is_held_out_are_refused_before_the_training(files):
    """The model is written as it is judged: there would be none, after hours."""
    folder = files / "in"
    folder.mkdir()
    number = next(number for number in range(100) if not is_held_out(f"{number}.wav"))
    soundfile.write(folder / f"{number}.wav", np.tile(VOICE[0], 20), RATE)
    command = ["train", "wavenet", str(folder), "--out", str(files / "run"), "--steps", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "gramophone.offline.cli.main", *command], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "of 1 recordings none is held out" in done.stderr
    assert not (files / "run").exists()
