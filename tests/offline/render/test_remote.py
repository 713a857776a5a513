"""Files by URL come out as those of this machine do; a manifest makes a second run go on; nothing is half there."""

import json
import shutil
from pathlib import Path

import fsspec
import numpy as np
import pytest
import soundfile
from support.http_files import served
from support.render import QUIET, gramophone, sounds  # noqa: F401

from gramophone.offline import urls
from gramophone.offline.render import ManifestError, RenderRequest, find_inputs, open_manifest, plan, render_all
from gramophone.offline.render.staging import Staging
from gramophone.offline.urls import Url, UrlError, parse_place, size_of
from gramophone.presets import load
from gramophone.realtime.parameter_table import complete

pytestmark = pytest.mark.slow
REQUEST = RenderRequest(complete(load("hall")))


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(urls, "_FIRST_PAUSE_S", 0.0)


def render(inputs, out, manifest=None):
    found = find_inputs(inputs, out)
    work = plan(found, out, REQUEST, manifest=manifest)
    return work, render_all(work, REQUEST, 1, lambda _: None, manifest=manifest)


def test_results_by_url_are_those_of_this_machine(sounds, tmp_path, memory):
    here, there = tmp_path / "out", Url("memory://out/deep")
    for name in ("a.wav", "b.flac", "notes.txt"):
        memory.pipe_file(f"/in/sub/{name}", (sounds / name).read_bytes())
    render([str(sounds / "a.wav"), str(sounds / "b.flac")], here) if here.mkdir() is None else None
    _, outcome = render(["memory://in/sub"], there)
    assert outcome.failed == {}
    for path in here.iterdir():
        assert memory.cat_file(f"/out/deep/{path.name}") == path.read_bytes()
    assert sorted(memory.find("/out")) == ["/out/deep/a.wav", "/out/deep/b.wav"]  # nothing half done is left
    assert len(plan(find_inputs(["memory://in/sub/*.wav"]), there, REQUEST).done) == 1


def test_a_manifest_goes_on_without_reading_and_sees_every_change(sounds, tmp_path, memory):
    for out in (tmp_path / "out", Url("memory://out")):
        place = out / "manifest.jsonl"
        if out == tmp_path / "out":
            out.mkdir()
        names = [str(sounds / name) for name in ("a.wav", "b.flac", "notes.txt")]
        _, first = render(names, out, open_manifest(place, REQUEST))
        assert (len(first.rendered), list(first.failed)) == (2, [sounds / "notes.txt"])
        text = (place.read_bytes() if out == tmp_path / "out" else memory.cat_file("/out/manifest.jsonl")).decode()
        lines = {line["input"]: line for line in map(json.loads, text.splitlines())}
        assert lines[names[0]]["seconds"] == pytest.approx(0.5, abs=0.01)
        assert lines[names[0]]["took_s"] > 0
        assert len(lines[names[0]]["input_hash"]) == len(lines[names[0]]["settings_hash"]) == 16
        assert "notes.txt" in lines[names[2]]["error"]
        assert open_manifest(place, REQUEST).holds(sounds / "a.wav", out / "a.wav", size_of(out / "a.wav"))
        work, _ = render(names, out, open_manifest(place, REQUEST))
        assert len(work.done) == 2
        assert [source.name for source, _ in work.render] == ["notes.txt"]  # what failed is tried again
        other = RenderRequest(complete(load("choir")))
        assert not open_manifest(place, other).holds(sounds / "a.wav", out / "a.wav", size_of(out / "a.wav"))
        before = (sounds / "a.wav").read_bytes()
        soundfile.write(sounds / "a.wav", np.zeros((100, 1)), 44100)
        assert not open_manifest(place, REQUEST).holds(sounds / "a.wav", out / "a.wav", size_of(out / "a.wav"))
        (sounds / "a.wav").write_bytes(before)


def test_a_manifest_knows_its_inputs_from_whatever_folder_a_run_is_started(sounds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    render(["in/a.wav"], Path("out"), open_manifest(Path("out/manifest.jsonl"), REQUEST))
    monkeypatch.chdir(sounds)
    target = tmp_path / "out" / "a.wav"
    assert open_manifest(target.with_name("manifest.jsonl"), REQUEST).holds(Path("a.wav"), target, size_of(target))


def test_a_manifest_that_was_cut_off_goes_on_and_another_file_is_refused(sounds, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    place = out / "manifest.jsonl"
    for name in ("a.wav", "b.flac"):
        render([str(sounds / name)], out, open_manifest(place, REQUEST))
        place.write_text(place.read_text() + '{"input": "' + "x" * 5)
    for name in ("a", "b"):
        source = sounds / f"{name}.{'wav' if name == 'a' else 'flac'}"
        assert open_manifest(place, REQUEST).holds(source, out / f"{name}.wav", size_of(out / f"{name}.wav"))
    place.write_text("a shopping list\n")
    with pytest.raises(ManifestError, match=r"manifest.jsonl, line 1: no line of a manifest"):
        open_manifest(place, REQUEST)


def test_a_download_that_breaks_off_is_tried_again_and_named_if_it_always_does(sounds, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with served(sounds, breaks_off=2) as (url, _):
        _, outcome = render([f"{url}/a.wav"], out)
        assert outcome.rendered == [out / "a.wav"]
    with served(sounds, breaks_off=100) as (url, _):
        _, outcome = render([f"{url}/b.flac"], out)
        ((failed, why),) = outcome.failed.items()
        assert str(failed) == f"{url}/b.flac"
        assert f"{url}/b.flac: cannot be read, 4 times" in why
    with served(sounds) as (url, _):
        _, outcome = render([f"{url}/nothing.wav", "nosuch://x/y.wav"], out)
        assert "no sound file there" in outcome.failed[Url(f"{url}/nothing.wav")]
        assert "nosuch" in outcome.failed[Url("nosuch://x/y.wav")]
    assert [path.name for path in out.iterdir()] == ["a.wav"]


def test_the_command_takes_urls(sounds, tmp_path):
    out = tmp_path / "out"
    with served(sounds) as (url, _):
        result = gramophone("render", f"{url}/a.wav", "--out", f"file://{out}", *QUIET)
        assert result.exit_code == 0, result.output
        assert "times real time" in result.output
    gramophone("render", sounds / "a.wav", "--out", tmp_path / "direct", *QUIET)
    assert (out / "a.wav").read_bytes() == (tmp_path / "direct" / "a.wav").read_bytes()


def test_a_killed_run_leaves_a_folder_that_the_next_one_removes_and_a_living_run_keeps_its_own(tmp_path):
    with Staging(tmp_path) as living:
        living.staged(0, tmp_path / "a.wav").write_bytes(b"half")
        dead = tmp_path / ".gramophone-00000000"
        (dead / "0").mkdir(parents=True)
        with Staging(tmp_path) as other:
            made = other.staged(0, tmp_path / "b.wav")
            made.write_bytes(b"whole")
            other.publish(made, tmp_path / "b.wav")
            assert not dead.exists()
            assert len(list(tmp_path.glob(".gramophone-*"))) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["b.wav"]


def test_a_url_has_the_names_of_a_path():
    url = parse_place("https://host:8000/a/b%20c.WAV?x=1")
    assert (url.name, url.stem, url.suffix) == ("b c.WAV", "b c", ".WAV")
    assert str(Url("s3://bucket/a/") / "b.wav") == "s3://bucket/a/b.wav"
    assert str(Url("s3://bucket/a/b.wav").parent) == "s3://bucket/a"
    assert parse_place("file:///a/b%20c.wav") == parse_place("/a/b c.wav")
    with pytest.raises(UrlError, match="nosuch"):
        urls.listed(Url("nosuch://a"))


def test_a_file_that_only_this_process_sees_is_refused_by_a_cluster(memory):
    from gramophone.offline.cluster.choice import EngineChoice

    memory.pipe_file("/in/a.wav", b"")
    work = plan(find_inputs(["memory://in/a.wav"]), Url("memory://out"), REQUEST)
    with pytest.raises(UrlError, match="memory:// is of one process"):
        render_all(work, REQUEST, 1, lambda _: None, engine=EngineChoice("ray"))


def test_the_files_of_a_preset_go_where_they_are_not(sounds, tmp_path, monkeypatch):
    from gramophone.offline.render.attempt import RenderCall

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    clip = tmp_path / "clip.wav"
    shutil.copy(sounds / "a.wav", clip)
    preset = complete(load("hall")).with_values({("style", "clip"): str(clip)})
    call = RenderCall.carrying(RenderRequest(preset))
    expected, found = tmp_path / "expected.wav", tmp_path / "found.wav"
    assert not isinstance(call((sounds / "b.flac", expected)), str)
    assert not (tmp_path / "cache" / "gramophone" / "carried").exists()
    clip.unlink()
    assert not isinstance(call((sounds / "b.flac", found)), str)
    assert expected.read_bytes() == found.read_bytes()


def test_a_folder_by_url_has_its_tree_in_the_results(sounds, memory):
    for name in ("x/1.wav", "x/deep/1.wav", "y/1.wav"):
        memory.pipe_file(f"/in/{name}", (sounds / "a.wav").read_bytes())
    for given, expected in {"memory://in": ["x/1", "x/deep/1", "y/1"], "memory://in/x*/*.wav": ["x/1"]}.items():
        out = Url(f"memory://{len(expected)}")
        for done in (0, len(expected)):
            work, outcome = render([given], out, open_manifest(out / "manifest.jsonl", REQUEST))
            assert (len(work.done), outcome.failed) == (done, {})
        assert len(plan(find_inputs([given]), out, REQUEST).done) == len(expected)
        memory.rm(f"/{len(expected)}/manifest.jsonl")
        assert memory.find(f"/{len(expected)}") == [f"/{len(expected)}/{name}.wav" for name in expected]
