"""`gramophone render`, as its users call it: every file done or named, none half-written, none lost."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from support.render import QUIET, gramophone, sounds  # noqa: F401

from gramophone.presets import CLIPS
from gramophone.realtime.files import read

VOICE, RATE = read(CLIPS / "voice.flac")


def test_a_folder_of_every_format_rate_and_width(sounds, tmp_path):
    out = tmp_path / "out"
    result = gramophone("render", sounds, "--out", out, *QUIET)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == [f"{stem}.wav" for stem in "abcde"]
    for source in sounds.glob("*.[!t]*"):
        before, after = soundfile.info(source), soundfile.info(out / f"{source.stem}.wav")
        assert (after.frames, after.samplerate, after.channels) == (before.frames, before.samplerate, before.channels)


def test_what_is_done_is_skipped_unless_told(sounds, tmp_path):
    out = tmp_path / "out"
    gramophone("render", sounds / "a.wav", "--out", out, *QUIET)
    before = (out / "a.wav").stat().st_mtime_ns
    again = gramophone("render", sounds / "a.wav", sounds / "*.flac", "--out", out, *QUIET, "--json")
    assert json.loads(again.stdout)["skipped"] == [str(sounds / "a.wav")]
    assert (out / "a.wav").stat().st_mtime_ns == before
    gramophone("render", sounds / "a.wav", "--out", out, *QUIET, "--overwrite")
    assert (out / "a.wav").stat().st_mtime_ns != before


def test_strength_zero_nulls_against_the_input(tmp_path):
    """No effects, no style: what comes out is what went in, to the sample."""
    preset = tmp_path / "style.toml"
    preset.write_text('[[stages]]\nkind = "style"\nclip = "voice.flac"\nstrength = 0.0\n')
    for rate in (44100, 48000, 96000):
        sound = np.random.default_rng(1).normal(0, 0.1, (2 * rate, 2)).astype(np.float32)
        soundfile.write(tmp_path / "in.wav", sound, rate, subtype="FLOAT")
        gramophone("render", tmp_path / "in.wav", "--preset", preset, "--out", tmp_path / "out", "--overwrite")
        back, _ = soundfile.read(tmp_path / "out" / "in.wav", dtype="float32")
        residue = np.sqrt(np.mean((back - sound) ** 2) / np.mean(sound**2))
        assert 20 * np.log10(residue + 1e-20) <= -100


def test_blocks_and_jobs_do_not_change_the_sound(sounds, tmp_path):
    gramophone("render", sounds, "--out", tmp_path / "one", *QUIET)
    gramophone("render", sounds, "--out", tmp_path / "two", *QUIET, "--jobs", 2, "--block", 100)
    for path in (tmp_path / "one").iterdir():
        assert np.abs(read(path)[0] - read(tmp_path / "two" / path.name)[0]).max() <= 1e-6


def test_bad_files_are_named_and_the_others_done(sounds, tmp_path):
    (sounds / "empty.wav").write_bytes(b"")
    (sounds / "noise.flac").write_bytes(os.urandom(1000))
    whole = (sounds / "b.flac").read_bytes()
    (sounds / "short.flac").write_bytes(whole[: len(whole) // 2])
    soundfile.write(sounds / "one.wav", np.ones((1, 1)) * 0.5, 48000)
    soundfile.write(sounds / "wide.wav", np.random.default_rng(0).normal(0, 0.1, (4800, 8)), 48000)
    broken = np.zeros(4800, np.float32)
    broken[100] = np.nan
    soundfile.write(sounds / "nan.wav", broken, 48000, subtype="FLOAT")
    before = {path: path.read_bytes() for path in sounds.iterdir()}
    out = tmp_path / "out"
    result = gramophone("render", sounds, tmp_path / "missing.wav", "--out", out, *QUIET, "--json")
    assert result.exit_code == 1
    said = json.loads(result.stdout.splitlines()[0])
    assert set(said["failed"]) == {
        str(path)
        for path in [*(sounds / n for n in ("empty.wav", "noise.flac", "short.flac")), tmp_path / "missing.wav"]
    }
    assert list(said["warnings"]) == [str(sounds / "nan.wav")]
    stems = ["a", "b", "c", "d", "e", "nan", "one", "wide"]
    assert sorted(path.name for path in out.iterdir()) == [f"{stem}.wav" for stem in stems]
    assert all(np.isfinite(read(path)[0]).all() for path in out.iterdir())
    assert read(out / "one.wav")[0].shape == (1, 1)
    assert {path: path.read_bytes() for path in sounds.iterdir()} == before


def test_two_inputs_of_one_stem_are_both_refused(sounds, tmp_path):
    soundfile.write(sounds / "b.wav", np.zeros((100, 1)), 48000)
    result = gramophone("render", sounds, "--out", tmp_path / "out", *QUIET)
    assert result.exit_code == 1
    assert "b.flac" in result.output
    assert "b.wav" in result.output
    assert "rename" in result.output
    assert not (tmp_path / "out" / "b.wav").exists()
    assert (tmp_path / "out" / "a.wav").exists()


def test_an_input_is_never_overwritten(sounds):
    before = (sounds / "a.wav").read_bytes()
    result = gramophone("render", sounds / "a.wav", "--out", sounds, *QUIET, "--overwrite")
    assert result.exit_code == 1
    assert (sounds / "a.wav").read_bytes() == before


@pytest.mark.parametrize(
    "args", [["--set", "style.nonesuch=1"], ["--set", "style.strength=2"], ["--preset", "nonesuch"], ["--jobs", "0"]]
)
def test_usage_errors_exit_with_two(sounds, tmp_path, args):
    assert gramophone("render", sounds, "--out", tmp_path / "out", *args).exit_code == 2
    assert not (tmp_path / "out").exists()


def test_the_input_format_can_be_kept(sounds, tmp_path):
    gramophone("render", sounds, "--out", tmp_path / "out", *QUIET, "--format")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a.wav", "b.flac", "c.ogg", "d.aiff", "e.mp3"]


def test_pictures_lie_beside_the_results(sounds, tmp_path):
    command = ["render", sounds / "a.wav", "--out", tmp_path / "out", *QUIET]
    gramophone(*command)
    drawn = gramophone(*command, "--picture")
    picture = tmp_path / "out" / "a.png"
    assert f"wrote {picture}" in drawn.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "1 there already" in gramophone(*command, "--picture").output
    picture.write_bytes(b"a cover")
    refused = gramophone(*command, "--picture")
    assert refused.exit_code == 1
    assert f"{picture} is there already, and gramophone did not make it" in refused.output
    assert picture.read_bytes() == b"a cover"


@pytest.mark.parametrize(
    "name", [b"cost $5^$.wav", b"$\\foo$.wav", b"two\nlines.wav", b"\xff\xfe.wav", "日本.wav".encode()]
)
def test_a_picture_has_any_name_as_its_title(sounds, tmp_path, name):
    file = sounds / os.fsdecode(name)
    (sounds / "a.wav").rename(file)
    result = gramophone("render", file, "--out", tmp_path / "out", *QUIET, "--picture")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / f"{file.stem}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_leaves_no_half_file(tmp_path, jobs):
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", np.tile(VOICE[0], 60), RATE)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "gramophone.offline.cli.main", "render", str(tmp_path), "--out", str(out)]
    with subprocess.Popen([*command, *QUIET, "--jobs", str(jobs)], stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not list(out.glob(".*.part")) and time.monotonic() < until:
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert "interrupted" in said.lower() or "aborted" in said.lower()
    assert list(out.iterdir()) == []
