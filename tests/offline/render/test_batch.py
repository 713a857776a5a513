"""A batch: one bad name, file or process costs no other; results remember what made them."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from support.render import QUIET, gramophone, sounds  # noqa: F401

from gramophone.offline.render import Inputs, Rendered, RenderPlan, RenderRequest, find_inputs, plan, render_all
from gramophone.offline.render.batch import RenderOutcome
from gramophone.offline.render.plan import folds_case
from gramophone.presets import CLIPS, Preset, StageSettings, load
from gramophone.presets.model_library import keep_model, remove_model
from gramophone.realtime.files import AudioWriter, SoundFileError, read
from gramophone.realtime.parameter_table import complete

pytestmark = pytest.mark.slow


VOICE, RATE = read(CLIPS / "voice.flac")


def test_the_same_call_skips_and_another_setting_is_refused(sounds, tmp_path):
    out = tmp_path / "out"
    assert gramophone("render", sounds / "a.wav", "--out", out, *QUIET).exit_code == 0
    assert gramophone("render", sounds / "a.wav", "--out", out, *QUIET).exit_code == 0
    before = (out / "a.wav").read_bytes()
    other = gramophone("render", sounds / "a.wav", "--out", out, "--preset", "hall", "--set", "style.strength=0.6")
    assert other.exit_code == 1
    assert "made with other settings" in other.output
    assert gramophone("render", sounds / "a.wav", "--out", out, *QUIET, "--tail", "0.5").exit_code == 1
    soundfile.write(sounds / "a.wav", np.zeros((100, 1)), 44100)
    changed = gramophone("render", sounds / "a.wav", "--out", out, *QUIET)
    assert changed.exit_code == 1
    assert "from another input" in changed.output
    assert (out / "a.wav").read_bytes() == before


@pytest.mark.parametrize("name", ["b.flac", "c.ogg", "d.aiff", "e.mp3"])
def test_a_result_of_every_format_remembers_what_made_it(sounds, tmp_path, name):
    out = tmp_path / "out"
    for _ in range(2):
        result = gramophone("render", sounds / name, "--out", out, *QUIET, "--format")
        assert result.exit_code == 0, result.output
    assert "1 there already" in result.output


def test_a_foreign_file_in_the_place_is_refused(sounds, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.wav").write_bytes(b"precious")
    result = gramophone("render", sounds / "a.wav", sounds / "b.flac", "--out", out, *QUIET)
    assert result.exit_code == 1
    assert "gramophone did not make it" in result.output
    assert (out / "a.wav").read_bytes() == b"precious"
    assert (out / "b.wav").exists()


def test_a_results_folder_inside_the_input_folder_is_no_input(sounds):
    for preset, folder in [("hall", "one"), ("hall", "one"), ("robot", "two")]:
        result = gramophone("render", sounds, "--out", sounds / folder, "--preset", preset)
        assert result.exit_code == 0, result.output
        assert sorted(path.name for path in (sounds / folder).iterdir()) == [f"{stem}.wav" for stem in "abcde"]
    result = gramophone("render", sounds, "--out", sounds, *QUIET)
    assert "a.wav is the input itself" in result.output
    assert result.exit_code == 1


def test_results_are_inputs_where_their_own_inputs_are_not(sounds, tmp_path):
    gramophone("render", sounds / "a.wav", "--out", tmp_path / "one", *QUIET)
    assert gramophone("render", tmp_path / "one", "--out", tmp_path / "two", *QUIET).exit_code == 0
    assert (tmp_path / "two" / "a.wav").exists()


def test_strange_files_are_named_and_the_others_done(sounds, tmp_path):
    os.mkfifo(sounds / "pipe.wav")
    (sounds / "gone.wav").symlink_to(sounds / "nowhere")
    (sounds / "headerless.raw").write_bytes(bytes(1000))
    (sounds / "__MACOSX").mkdir()
    for folder in (sounds, sounds / "__MACOSX"):
        (folder / "._a.wav").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    (sounds / "loop").symlink_to(sounds)
    strange = os.fsdecode(os.fsencode(sounds) + b"/caf\xe9 [1].wav")
    soundfile.write(tmp_path / "x.wav", np.zeros((100, 1)), 44100)
    (tmp_path / "x.wav").rename(strange)
    longest = "n" * 251 + ".wav"
    soundfile.write(tmp_path / "x.wav", np.zeros((100, 1)), 44100)
    (tmp_path / "x.wav").rename(sounds / longest)
    names = [sounds, sounds / "headerless.raw", "/dev/null", "n" * 300, "a\0b", tmp_path / "none*.wav"]
    out = tmp_path / "out"
    result = gramophone("render", *names, "--out", out, *QUIET, "--json")
    assert result.exit_code == 1
    said = json.loads(result.stdout.splitlines()[0])
    failed = {sounds / "pipe.wav", sounds / "gone.wav", *names[1:]}
    assert set(said["failed"]) == {str(name) for name in failed}
    assert list(said["aside"]) == [str(sounds / "._a.wav")]
    done = sorted(os.fsencode(path.name) for path in out.iterdir())
    assert done == sorted([*(f"{stem}.wav".encode() for stem in "abcde"), b"caf\xe9 [1].wav", longest.encode()])


def test_a_folder_loses_no_sound_by_its_ending(tmp_path):
    """What can be read is rendered whatever it is called; what cannot is named, and nothing else of the folder is."""
    folder, sound = tmp_path / "in", np.zeros((100, 1), np.float32)
    folder.mkdir()
    kinds = {".opus": ("OGG", "OPUS"), ".oga": ("OGG", "VORBIS"), ".au": ("AU", "PCM_16"), ".caf": ("CAF", "PCM_24")}
    kinds |= {
        ".W64": ("W64", "FLOAT"),
        ".aifc": ("AIFF", "FLOAT"),
        ".rf64": ("RF64", "PCM_16"),
        ".wave": ("WAV", "PCM_U8"),
    }
    for number, (ending, (form, subtype)) in enumerate(kinds.items()):
        soundfile.write(folder / f"s{number}{ending}", sound, 48_000, format=form, subtype=subtype)
    for name in ("song.m4a", "film.MP4", "old.wma", "cover.jpg", "notes.txt", "._song.m4a"):
        (folder / name).write_bytes(b"\0\5\x16\7" if name.startswith("._") else bytes(100))
    result = gramophone("render", folder, "--out", tmp_path / "out", *QUIET, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout.splitlines()[0])
    assert len(said["rendered"]) == len(kinds)
    assert {path.rpartition("/")[2] for path in said["aside"]} == {"song.m4a", "film.MP4", "old.wma"}


def test_a_pattern_in_a_folder_with_brackets_in_its_name(sounds, tmp_path):
    sounds.rename(tmp_path / "takes [1]")
    result = gramophone("render", tmp_path / "takes [1]" / "*.wav", "--out", tmp_path / "out", *QUIET)
    assert result.exit_code == 0, result.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.wav"]


def test_rates_and_channels_beyond_a_format_are_named(sounds, tmp_path):
    """libvorbis would end the process at 500 kHz."""
    folder = tmp_path / "odd"
    folder.mkdir()
    for name, rate, channels in [("fast.wav", 2**31 - 1, 1), ("slow.wav", 1, 1), ("wide.wav", 48000, 1000)]:
        soundfile.write(folder / name, np.zeros((100, channels)), rate)
    shutil.copy(sounds / "c.ogg", folder)
    result = gramophone("render", folder, "--out", tmp_path / "out", "--preset", "hall", "--json", "--format")
    said = json.loads(result.stdout.splitlines()[0])
    assert {str(folder / "fast.wav"), str(folder / "slow.wav")} <= set(said["failed"])
    assert str(tmp_path / "out" / "c.ogg") in said["rendered"]
    for ending, rate, channels in [(".ogg", 500_000, 1), (".ogg", 48000, 256), (".mp3", 48000, 3), (".flac", 48000, 9)]:
        with pytest.raises(SoundFileError, match="takes up to"):
            AudioWriter(tmp_path / f"a{ending}", rate, channels, 1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_process_that_dies_is_named_and_the_others_are_done(sounds, tmp_path, jobs):
    """A plug-in or codec may end the process that it runs in."""
    pairs = tuple((sounds / name, tmp_path / f"{name}.wav") for name in ("a.wav", "b.flac", "c.ogg"))
    work = RenderPlan(pairs, (), {}, tmp_path)
    killed = []

    def kill_one(seconds):
        if not killed:
            killed.append(multiprocessing.active_children()[0])
            os.kill(killed[0].pid, signal.SIGKILL)

    outcome = render_all(work, RenderRequest(complete(load("hall"))), jobs, kill_one)
    assert len(outcome.failed) == 1
    assert "SIGKILL" in str(outcome.failed)
    assert len(outcome.rendered) == 2


def test_an_empty_name_is_a_usage_error(tmp_path):
    assert gramophone("render", "", "--out", tmp_path / "out").exit_code == 2
    assert gramophone("render", "a.wav", "--out", tmp_path / "out", "--tail", "long").exit_code == 2


def test_a_stage_that_is_left_out_is_a_failure(sounds, tmp_path):
    preset = tmp_path / "plugin.toml"
    preset.write_text('[[stages]]\nkind = "plugin"\nplugin = "broken.vst3"\n')
    (tmp_path / "broken.vst3").write_bytes(b"no plug-in")
    out = tmp_path / "out"
    result = gramophone("render", sounds / "a.wav", "--out", out, "--preset", preset)
    assert result.exit_code == 1, result.output
    assert "broken.vst3" in result.output
    assert not list(out.iterdir())
    result = gramophone("render", sounds / "a.wav", "--out", out, "--preset", preset, "--allow-missing")
    assert result.exit_code == 0, result.output
    assert "without stage" in result.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_every_end_leaves_no_half_file_and_no_worker(tmp_path, number):
    soundfile.write(tmp_path / "a.wav", np.tile(VOICE[0], 200), RATE)
    shutil.copy(tmp_path / "a.wav", tmp_path / "b.wav")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "gramophone.offline.cli.main", "render", str(tmp_path), "--out", str(out)]
    with subprocess.Popen([*command, *QUIET, "--jobs", "2"], stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 120
        while len(list(out.glob(".*.part"))) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(60) == (1 if number != signal.SIGKILL else -signal.SIGKILL)
    while list(out.iterdir()) and time.monotonic() < until:
        time.sleep(0.01)
    assert list(out.iterdir()) == []


def test_a_full_disk_is_reported_by_its_name(sounds, tmp_path):
    """A limit on file size fails writes at the same place as a full disk does."""
    command = [sys.executable, "-m", "gramophone.offline.cli.main", "render", str(sounds), "--out", str(tmp_path / "o")]
    limited = ["bash", "-c", 'ulimit -f 20; trap "" XFSZ; exec "$@"', "bash", *command, *QUIET, "--format"]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{tmp_path / 'o' / 'b.flac'}: cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert "cffi" not in done.stderr


def test_a_result_behind_large_metadata_is_known_again(sounds, tmp_path):
    data = (sounds / "a.wav").read_bytes() + b"id3 " + (1 << 19).to_bytes(4, "little") + bytes(1 << 19)
    (sounds / "a.wav").write_bytes(data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:])
    for _ in range(2):
        result = gramophone("render", sounds / "a.wav", "--out", tmp_path / "out", *QUIET)
        assert result.exit_code == 0, result.output
    assert "1 there already" in result.output


def test_a_result_that_may_lack_a_stage_is_none_for_who_wants_all(sounds, tmp_path):
    """But one that lacks nothing does for who would have taken less."""

    def planned(out, *, made, wanted):
        out.mkdir()
        render_all(plan(Inputs({sounds / "a.wav": ""}), out, made), made, 1, lambda _seconds: None)
        return plan(Inputs({sounds / "a.wav": ""}), out, wanted)

    preset = complete(load("wide"))
    whole, any_of_it = RenderRequest(preset), RenderRequest(preset, allow_missing=True)
    assert planned(tmp_path / "1", made=whole, wanted=any_of_it).done
    assert planned(tmp_path / "2", made=any_of_it, wanted=any_of_it).done
    assert "other settings" in str(planned(tmp_path / "3", made=any_of_it, wanted=whole).failed)


def test_a_model_of_another_content_under_the_same_name_is_another_setting(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    preset = Preset("p", (StageSettings("amp", "nam", {"model": "amp"}),))
    found = []
    for content in (b"one", b"two", b"one"):
        (tmp_path / "amp.nam").write_bytes(content)
        keep_model(tmp_path / "amp.nam", "amp", "", "")
        found.append(RenderRequest(preset).settings)
        remove_model("amp")
    assert found[0] == found[2] != found[1]


def test_a_file_has_its_own_name_where_a_link_to_it_is_found_too(sounds):
    (sounds / "0.wav").symlink_to("a.wav")
    names = [file.name for file in find_inputs([str(sounds)]).files]
    assert names.count("a.wav") == 1
    assert "0.wav" not in names
    assert find_inputs([str(sounds / "0.wav")]).files == [sounds / "0.wav"]


def test_a_target_that_another_input_or_the_preset_needs_is_refused(sounds, tmp_path):
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "z.wav").symlink_to(sounds / "a.wav")
    (tmp_path / "a.wav").write_bytes((sounds / "a.wav").read_bytes())
    request = RenderRequest(complete(load("wide")))
    inputs = Inputs({tmp_path / "a.wav": "", tmp_path / "link" / "z.wav": ""})
    assert list(plan(inputs, sounds, request, overwrite=True).failed) == [tmp_path / "a.wav"]
    styled = RenderRequest(complete(load("hall")).with_values({("style", "clip"): str(sounds / "a.wav")}))
    assert plan(Inputs({tmp_path / "a.wav": ""}), sounds, styled, overwrite=True).failed


def test_two_inputs_that_would_draw_one_picture_are_refused(sounds, tmp_path):
    """A sound and a picture are each named by their input's stem."""
    soundfile.write(sounds / "a.flac", np.zeros((100, 1)), 44_100)
    names = [sounds / "a.wav", sounds / "a.flac"]
    request = RenderRequest(complete(load("wide")), keep_format=True)
    assert len(plan(Inputs(dict.fromkeys(names, "")), tmp_path, request).render) == 2
    both = plan(Inputs(dict.fromkeys(names, "")), tmp_path, replace(request, picture=True))
    assert not both.render
    assert all(f"would both become {tmp_path / 'a.png'}" in both.failed[name] for name in names)


def test_names_that_are_one_on_the_disk_of_the_results_are_refused(sounds, tmp_path, monkeypatch):
    """As on macOS and Windows, disks that are not at hand here: what `folds_case` finds is set."""
    (sounds / "sub").mkdir()
    shutil.copy(sounds / "a.wav", sounds / "sub" / "A.wav")
    inputs = Inputs(dict.fromkeys(find_inputs([str(sounds)]).files, ""))
    request = RenderRequest(complete(load("wide")))
    assert folds_case(tmp_path / "not" / "yet") == (tmp_path / "IN").exists()
    for is_folding in (False, True):
        monkeypatch.setattr(sys.modules[plan.__module__], "folds_case", lambda _folder, found=is_folding: found)
        found = plan(inputs, tmp_path / "out", request)
        assert {path.name for path in found.failed} == ({"a.wav", "A.wav"} if is_folding else set())
        assert len(found.render) == len(inputs.files) - 2 * is_folding


def tree_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_has_its_tree_in_the_results(sounds, tmp_path):
    """Whatever its name ends in, in one process or two, also where the results lie within it; again, all is there."""
    for below in ("b", ".c/d"):
        (sounds / below).mkdir(parents=True)
        for name in ("a.wav", "b.flac"):
            shutil.copy(sounds / name, sounds / below / name)
    expected = {"a.wav", "b.wav", "c.wav", "d.wav", "e.wav", "b/a.wav", "b/b.wav", ".c/d/a.wav", ".c/d/b.wav"}
    for given, out, *options in [
        (f"{sounds}", tmp_path / "1", "--jobs", "2"),
        (f"{sounds}/", tmp_path / "1"),
        (f"{sounds}/", sounds / "results", "--picture"),
        (f"{sounds}", sounds / "results"),
    ]:
        result = gramophone("render", given, "--out", out, *QUIET, *options)
        assert result.exit_code == 0, result.output
        pictures = {name.replace(".wav", ".png") for name in expected} if out == sounds / "results" else set()
        assert tree_of(out) == expected | pictures
    assert f"{len(expected)} there already" in result.output
    again = gramophone("render", tmp_path / "1", "--out", tmp_path / "2", *QUIET)  # a tree of results is an input, too
    assert again.exit_code == 0, again.output
    assert tree_of(tmp_path / "2") == expected


def test_what_is_named_lies_right_in_the_results_and_matches_below_what_the_pattern_begins_with(sounds, tmp_path):
    for name in ("x/1.wav", "x/deep/2.wav", "y/1.wav"):
        (sounds / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sounds / "a.wav", sounds / name)
    for given, expected in {
        ("x/1.wav", "x/deep/2.wav"): ["1.wav", "2.wav"],
        ("[xy]/*.wav",): ["x/1.wav", "y/1.wav"],
        ("?",): ["x/1.wav", "x/deep/2.wav", "y/1.wav"],
        ("x/*/../*.wav",): ["1.wav"],
        ("x/deep", "x"): ["1.wav", "2.wav"],
        ("x", "x/deep"): ["1.wav", "deep/2.wav"],
    }.items():
        found = find_inputs([str(sounds / name) for name in given])
        work = plan(found, tmp_path / "out", RenderRequest(complete(load("wide"))))
        assert sorted(target.relative_to(tmp_path / "out").as_posix() for _, target in work.render) == expected, given
    found = find_inputs([str(sounds / "x"), str(sounds / "y")])
    work = plan(found, tmp_path / "out", RenderRequest(complete(load("wide"))))
    assert set(work.failed) == {sounds / "x" / "1.wav", sounds / "y" / "1.wav"}
    assert "give the folder that holds both" in work.failed[sounds / "x" / "1.wav"]


def test_a_folder_has_its_own_place_where_links_to_it_are_found_too(sounds):
    (sounds / "z" / "deep").mkdir(parents=True)
    shutil.copy(sounds / "a.wav", sounds / "z" / "deep" / "1.wav")
    (sounds / "a").mkdir()
    for link, to in {"a/link": "z", "a/loop": "a", "0": "z/deep"}.items():
        (sounds / link).symlink_to(sounds / to)
    found = find_inputs([str(sounds)])
    assert found.folders[sounds / "z" / "deep" / "1.wav"] == "z/deep"
    assert len(found.files) == 6
    assert find_inputs([str(sounds / "a")]).folders == {sounds / "a" / "link" / "deep" / "1.wav": "link/deep"}


def test_a_result_with_the_name_of_a_folder_of_results_is_refused(sounds, tmp_path):
    (sounds / "b.wav").mkdir()
    shutil.copy(sounds / "a.wav", sounds / "b.wav" / "1.wav")
    request = RenderRequest(complete(load("wide")))
    work = plan(find_inputs([str(sounds)]), tmp_path / "out", request)
    assert set(work.failed) == {sounds / "b.flac", sounds / "b.wav" / "1.wav"}
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "b.wav").write_bytes(b"precious")
    work = plan(find_inputs([str(sounds / "?.wav")]), tmp_path / "there", request, overwrite=True)
    assert "b.wav is there already, and no folder" in work.failed[sounds / "b.wav" / "1.wav"]


def test_no_folder_is_left_where_all_in_it_failed(sounds, tmp_path):
    (sounds / "bad").mkdir()
    (sounds / "bad" / "1.wav").write_bytes(b"no sound")
    assert gramophone("render", sounds, "--out", tmp_path / "out", *QUIET).exit_code == 1
    assert tree_of(tmp_path / "out") == {f"{stem}.wav" for stem in "abcde"}
    assert not (tmp_path / "out" / "bad").exists()


def test_no_remark_takes_the_place_of_another(tmp_path):
    outcome, a, b = RenderOutcome(), tmp_path / "a.wav", tmp_path / "b.wav"
    outcome.add(a, tmp_path / "out.wav", Rendered(1.0, False, ("one", "two")))
    for source in (b, a):
        outcome.add(
            source, tmp_path / "out.wav", Rendered(1.0, False, (), on_others=((str(a), "three"), (str(a), "four")))
        )
    assert outcome.warnings == {a: "one; two; three; four"}
