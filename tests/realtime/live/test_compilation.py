"""While code is compiled, the seconds left are counted down; the end is reported once, and only if it is reached."""

import numba
import pytest

from gramophone.presets import Preset, StageSettings, load
from gramophone.realtime.kernels.compilations import compile_elsewhere
from gramophone.realtime.kernels.jit import report_compilations
from gramophone.realtime.live import compilation
from gramophone.realtime.live.compilation import CompileCountdown
from gramophone.realtime.live.messages import Compiling, LeftOut
from gramophone.realtime.live.worker_reports import Announcements
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stage import Format

VOICE = Preset("sung", (StageSettings("a", "voice"), StageSettings("b", "gain"), StageSettings("c", "gain")))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    report_compilations()
    return tmp_path / "gramophone" / "compile-times" / "gain-voice"


def compile_something():
    return numba.njit(lambda x: [x + 1.0, x * 2.0])(1.0)


def countdown(report, short_s=0.0, preset=VOICE):
    return CompileCountdown(preset, report, short_s)


def counted(short_s=0.0, preset=VOICE):
    reported = []
    with countdown(reported.append, short_s, preset) as watching:
        compile_something()
    assert watching.compiled
    return [each.left_s for each in reported]


def test_the_time_left_comes_first_and_that_it_is_done_last(cache):
    reported = counted()
    assert reported[0] == 20
    assert reported[-1] is None
    assert reported.count(None) == 1
    assert float(cache.read_text()) >= 0


@pytest.mark.parametrize(("kept", "left"), [("42.0\n", 42), ("no number", 20), ("nan", 1), ("1e9", 600)])
def test_the_countdown_begins_with_what_this_machine_took_before(cache, kept, left):
    cache.parent.mkdir(parents=True)
    cache.write_text(kept)
    assert counted()[0] == left


def test_nothing_is_reported_where_nothing_or_little_is_compiled(cache):
    reported = []
    with countdown(reported.append) as watching:
        pass
    assert not watching.compiled
    assert reported == counted(short_s=60.0) == []
    assert not cache.exists()


def test_what_other_stages_took_says_nothing_of_these(cache):
    counted(preset=Preset("dry", (StageSettings("a", "style"),)))
    assert not cache.exists()
    assert counted()[0] == 20


def test_what_a_part_took_is_not_kept_for_the_whole(cache):
    cache.parent.mkdir(parents=True)
    cache.write_text("500.0\n")
    assert counted()[-1] is None
    assert cache.read_text() == "500.0\n"


def compile_and_fail(reported):
    with countdown(lambda each: reported.append(each.left_s)):
        compile_something()
        raise ZeroDivisionError


def test_what_fails_is_not_done(cache):
    reported = []
    with pytest.raises(ZeroDivisionError):
        compile_and_fail(reported)
    assert None not in reported
    assert not cache.exists()


def test_compiling_is_said_once_with_the_time_left_and_so_is_its_end():
    said = []
    announcements = Announcements(said.append)
    states = []
    for left_s in (12, 11, 0, None):
        announcements.take_compiling(Compiling(left_s, "the voice"), plays=False)
        states.append(announcements.status)
    compiling = "compiling the voice for this machine, you hear yourself dry, "
    assert states == [f"{compiling}about 12 s left", f"{compiling}about 11 s left", f"{compiling}a moment longer", ""]
    begin = "compiling the voice for this machine takes about 12 s; you hear yourself dry meanwhile"
    assert said == [begin, "the voice is on"]


def test_a_preset_that_is_chosen_while_another_plays_does_not_let_one_hear_oneself_dry():
    announcements = Announcements(lambda _news: None)
    announcements.take_compiling(Compiling(5, "the preset"), plays=True)
    assert announcements.status == "compiling the preset for this machine, what plays goes on, about 5 s left"
    announcements.forget()
    assert announcements.status == ""


def test_a_stage_that_fails_is_named_the_first_time_only():
    said = []
    announcements = Announcements(said.append)
    for count in (1, 2):
        announcements.take_left_out(LeftOut({}, {"echo": count}))
    assert len(said) == 1
    assert "'echo'" in said[0]


@pytest.fixture
def fresh(monkeypatch):
    """Note which presets are compiled in other processes, and which stages are made to load their code."""
    asked, made = [], []
    monkeypatch.setattr(compilation, "_compile_in_processes", lambda preset, form: asked.append(preset.name))
    monkeypatch.setattr(compilation, "_play_noise", lambda stage, form: (made.append(stage.kind), compile_elsewhere()))
    monkeypatch.setattr(compilation, "_loaded", set())
    return asked, made


def test_code_is_loaded_once_for_stages_alike_and_compiled_in_other_processes(fresh):
    asked, made = fresh
    for name in ("hall", "choir", "default", "hall"):
        compilation.load_code(load(name), Format(48_000, 2))
    assert made == ["style", "latent"]
    assert asked == ["hall", "default"]


@pytest.mark.parametrize(("name", "least"), [("default", 4), ("anyone", 5), ("bowed", 1), ("hall", 1)])
def test_a_voice_is_compiled_in_parts_and_other_stages_whole(name, least):
    assert len(compilation._parts(complete(load(name)), Format(48_000, 2))) >= least
