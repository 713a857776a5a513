"""Takes: what is recorded is what was played, it is served in parts, rendered again to the sample, and never lost."""

import threading
from contextlib import contextmanager
from functools import partial

import httpx
import numpy as np
import pytest
from support.jack_server import until
from support.osc import Setup, make_preset

from gramophone.presets import Preset, StageSettings, load
from gramophone.realtime.control.oscquery import oscquery_server
from gramophone.realtime.control.oscquery.uploads import take_routes
from gramophone.realtime.control.performance.takes import TakeError, Takes, sound_of, take_bin, takes, takes_folder
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import AudioWriter, read
from gramophone.realtime.live.capture import record_take
from gramophone.realtime.live.record import RecordError
from gramophone.realtime.live.shared_state import SharedState
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stage import Format

RATE, BLOCK = 48_000, 128
FORM = Format(RATE, 2, "cpu")


class Session:
    """A session without processes, whose rings the test writes: its output is half its input."""

    playing = True
    format = FORM

    def __init__(self):
        self.shared = SharedState.new(2, recorded=True)
        self.shared.status["block"] = BLOCK
        self.preset = complete(make_preset(stages=(("level", "gain", {"gain": -6.0}),)))
        self.number = 0

    def play(self, blocks):
        made = []
        for _ in range(blocks):
            made.append(np.random.default_rng(self.number).normal(0, 0.1, (2, BLOCK)).astype(np.float32))
            self.shared.inputs.write(self.number, made[-1])
            self.shared.outputs.write(self.number, 0.5 * made[-1])
            self.shared.status["done"] = self.number
            self.number += 1
        return np.concatenate(made, axis=1)


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    session = Session()
    yield session
    session.shared.close()


@pytest.fixture
def recorded(session):
    """Return a set-up with one take of 400 blocks, and what was played meanwhile."""
    setup = Setup(session.preset, surfaces=True)
    recorder = Takes(setup.controller, setup.space, partial(record_take, session, print))
    session.play(10)
    setup.controller.set("record", True)
    until(lambda: recorder.progress.status.startswith("recording"))
    played = np.concatenate([session.play(100) for _ in range(4)], axis=1)
    setup.controller.set("record", False)
    until(lambda: recorder.progress.status.startswith("recorded"))
    yield setup, recorder, played
    recorder.close()


def test_a_take_is_what_was_played_while_it_was_recorded(recorded):
    setup, _, played = recorded
    (take,) = takes()
    assert (take.preset, take.rate, take.sounds) == ("test", RATE, ("input.wav", "output.wav"))
    assert take.seconds == round(400 * BLOCK / RATE, 2)
    heard, rate = read(sound_of(take.name, "input.wav"))
    assert rate == RATE
    np.testing.assert_array_equal(heard, played)
    np.testing.assert_array_equal(read(sound_of(take.name, "output.wav"))[0], 0.5 * played)
    assert complete(load(str(takes_folder() / take.name / "preset.toml"))).stages == setup.controller.preset.stages
    assert setup.controller.get("record") is False


def test_a_take_is_rendered_with_another_preset_as_the_engine_does(recorded, session):
    setup, recorder, played = recorded
    other = complete(Preset("other", (StageSettings("drive", "distortion", {"drive": 20.0}),)))
    setup.space.library.snapshots["snapshot-1"] = other
    (take,) = takes()
    with pytest.raises(RefusedError):
        recorder.render(take.name, "no-such-preset")
    recorder.render(take.name, "snapshot-1")
    until(lambda: recorder.progress.status.startswith("rendered"), 60)
    (again,) = takes()
    assert again.sounds == ("input.wav", "output.wav", "render-other.wav")
    engine = Engine(other, RATE, 2, "cpu")
    np.testing.assert_array_equal(read(sound_of(take.name, "render-other.wav"))[0], engine.render(played))
    engine.close()


def test_takes_are_listed_fetched_in_parts_downloaded_and_put_into_the_bin(recorded):
    setup, recorder, _ = recorded
    (take,) = takes()
    with (
        oscquery_server(setup.space, 0, 9000, advertise=False, more=[take_routes]) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as web,
    ):
        (listed,) = web.get("/ui/takes").json()
        assert listed["name"] == take.name
        path = f"/ui/takes/{take.name}/output.wav"
        whole = web.get(path).content
        assert whole == sound_of(take.name, "output.wav").read_bytes()
        part = web.get(path, headers={"Range": "bytes=1000-1999"})
        assert (part.status_code, part.content) == (206, whole[1000:2000])
        assert part.headers["content-range"] == f"bytes 1000-1999/{len(whole)}"
        assert take.name in web.get(f"{path}?download").headers["content-disposition"]
        for wrong in ("take.json", "..%2ftake.json", "../preset.toml", "preset.toml", "render-x.wav"):
            assert web.get(f"/ui/takes/{take.name}/{wrong}").status_code == 404
        recorder.remove(take.name)
        assert web.get("/ui/takes").json() == []
        assert web.get(path).status_code == 404
    assert (take_bin().folder / take.name / "output.wav").is_file()
    for name in (take.name, "../..", "bin", ""):
        with pytest.raises(TakeError, match="expected one of"):
            recorder.remove(name)


def test_beyond_loopback_takes_need_the_token(recorded):
    setup, _, _ = recorded
    (take,) = takes()
    with oscquery_server(setup.space, 0, 9000, "0.0.0.0", advertise=False, more=[take_routes]) as server:
        for path in ("/ui/takes", f"/ui/takes/{take.name}/input.wav"):
            address = f"http://127.0.0.1:{server.port}{path}"
            assert httpx.get(address, trust_env=False).status_code == 403
            assert httpx.get(f"{address}?token={server.token}", trust_env=False).status_code == 200


def test_where_nothing_plays_or_the_disk_fails_the_switch_goes_off_and_says_why(session):
    setup = Setup(session.preset, surfaces=True)

    @contextmanager
    def fails(folder):
        raise RecordError(f"{folder}: no space left")
        yield

    recorder = Takes(setup.controller, setup.space, fails)
    for _ in range(2):
        setup.controller.set("record", True)
        until(lambda: "no space left" in recorder.progress.status and setup.controller.get("record") is False)
        assert str(takes_folder()) not in recorder.progress.status
        recorder.progress.status = ""
    assert takes() == []
    session.playing = False
    with pytest.raises(RecordError, match="nothing plays"), record_take(session, print, takes_folder() / "x"):
        pass


def test_a_session_that_ends_keeps_the_take_that_was_being_recorded(session):
    setup = Setup(session.preset, surfaces=True)
    recorder = Takes(setup.controller, setup.space, partial(record_take, session, print))
    setup.controller.set("record", True)
    until(lambda: recorder.progress.status.startswith("recording"))
    session.play(50)
    recorder.close()
    assert [take.seconds for take in takes()] == [round(50 * BLOCK / RATE, 2)]
    assert not [thread for thread in threading.enumerate() if thread.name == "recorder"]


def test_a_sound_that_was_cut_short_is_no_take(session):
    folder = takes_folder() / "2026-01-01-000000"
    folder.mkdir(parents=True)
    with AudioWriter(folder / "output.wav", RATE, 2) as out:
        out.write(np.zeros((2, 10), np.float32))
    assert takes() == []
