"""A project's state brings back the preset with every value, and the user's own clips on another machine."""

import base64
import json
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from gramophone.presets import PresetError, load, names
from gramophone.realtime.bridge.project_state import MOST_COPIED_BYTES, ProjectState, from_text, to_text
from gramophone.realtime.parameter_table import complete, overridden, values_of


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def with_own_clip(tmp_path):
    """Return `choir` with a clip of the user's own of so many seconds, and the clip's path."""

    def make(seconds):
        clip = tmp_path / "own.wav"
        sound = 0.1 * np.random.default_rng(1).standard_normal(round(seconds * 8000))
        soundfile.write(clip, sound, 8000, "PCM_16")
        return overridden(complete(load("choir")), [f"style.clip={clip}"]), clip

    return make


@pytest.mark.parametrize("name", names())
def test_every_preset_comes_back_with_every_value(name):
    preset = complete(load(name))
    state = from_text(to_text(ProjectState(preset, 3, ("style.tilt", ""))))
    assert values_of(state.preset) == values_of(preset)
    assert (state.preset.name, state.number, state.free, state.missing) == (name, 3, ("style.tilt", ""), ())


def test_the_text_has_nothing_that_a_host_could_take_for_a_sign_of_its_own(with_own_clip):
    preset, _ = with_own_clip(0.1)
    text = to_text(ProjectState(preset, free=('a "quoted" \\ name',)), (48000, 1024, 1159, 2))
    assert text.startswith("48000/1024/1159/2/")
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", text)
    assert from_text(text).free == ('a "quoted" \\ name',)


def test_a_clip_of_the_users_own_is_played_from_its_copy_where_the_file_is_gone(with_own_clip):
    preset, clip = with_own_clip(1.0)
    text = to_text(ProjectState(preset))
    data = clip.read_bytes()
    assert from_text(text).preset.stage("style").values["clip"] == str(clip)
    clip.unlink()
    copy = from_text(text).preset.stage("style").values["clip"]
    assert Path(copy).read_bytes() == data


def test_a_file_that_has_changed_since_is_not_taken_for_the_clip(with_own_clip, tmp_path):
    preset, clip = with_own_clip(1.0)
    text = to_text(ProjectState(preset))
    clip.write_bytes(b"something else")
    assert from_text(text).preset.stage("style").values["clip"] != str(clip)


def test_a_clip_that_is_nowhere_is_named_and_the_rest_plays(with_own_clip):
    preset, clip = with_own_clip(MOST_COPIED_BYTES / 16_000)  # with its header a little more than is copied
    text = to_text(ProjectState(preset))
    assert len(text) < 10_000
    clip.unlink()
    shutil.rmtree(clip.parent / "cache", ignore_errors=True)
    state = from_text(text)
    assert state.missing == (str(clip),)
    assert state.preset.stage("style").values["clip"] == ""


@given(
    st.text(max_size=60) | st.dictionaries(st.sampled_from(["version", "preset", "name"]), st.none()).map(json.dumps)
)
def test_what_is_no_state_is_refused(text):
    for packed in (text, base64.b64encode(zlib.compress(text.encode())).decode()):
        with pytest.raises(PresetError):
            from_text(packed)


def test_a_state_that_would_fill_the_memory_is_refused():
    packed = base64.b64encode(zlib.compress(b" " * (64 << 20))).decode()
    with pytest.raises(PresetError, match="longer than"):
        from_text(packed)
