"""Clips of the user's own: any sound file in, exact sound out, by name everywhere; nothing of what is broken stays."""

import shutil
import subprocess
import threading
from functools import partial

import httpx
import numpy as np
import pytest
from support.jack_server import until
from support.osc import Setup

from gramophone.presets import CLIPS, Preset, StageSettings, load, read, save
from gramophone.presets.clips import ClipError, clip_bin, clips_folder, own_clips
from gramophone.realtime.control.oscquery import oscquery_server, uploads
from gramophone.realtime.control.oscquery.tree import node_at
from gramophone.realtime.control.oscquery.uploads import clip_routes
from gramophone.realtime.control.performance.clip_import import import_clip
from gramophone.realtime.control.performance.clips import OwnClips
from gramophone.realtime.dsp.clip_quality import clip_quality
from gramophone.realtime.files import AudioWriter
from gramophone.realtime.files import read as read_sound
from gramophone.realtime.live.capture import capture_input
from gramophone.realtime.live.shared_state import SharedState
from gramophone.realtime.parameter_table import complete, overridden

VOICE = (CLIPS / "voice.flac").read_bytes()
RATE = 48_000


class Sounds(Setup):
    """A set-up with clips."""

    def __init__(self, capture=None):
        super().__init__(load("hall"), surfaces=True)
        self.clips = OwnClips(self.controller, self.space, capture)

    def done(self):
        """Finish the work that is left, after which there can be no more."""
        self.clips.close()


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def sounds():
    sounds = Sounds()
    yield sounds
    sounds.clips.close()


@pytest.fixture
def web(sounds):
    with (
        oscquery_server(sounds.space, 0, 9000, advertise=False, more=[partial(clip_routes, sounds.clips)]) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False, timeout=60) as web,
    ):
        yield web


def wav(path, sound, rate=RATE):
    with AudioWriter(path, rate, len(sound)) as out:
        out.write(np.asarray(sound, np.float32))
    return path


def test_an_uploaded_clip_is_that_sound_and_is_called_by_name_everywhere(sounds, web):
    answer = web.post("/ui/sounds", params={"name": "Ann's Voice.wav"}, content=VOICE)
    assert answer.status_code == 201, answer.text
    facts = answer.json()
    assert (facts["name"], facts["warnings"], len(facts["waveform"])) == ("ann-s-voice", [], 240)
    assert web.get("/ui/sounds").json() == [facts]
    kept, _ = read_sound(own_clips()["ann-s-voice"].file)
    whole, _ = read_sound(CLIPS / "voice.flac")
    start = next(n for n in range(RATE) if np.allclose(kept[0, :2000], whole[0, n : n + 2000], atol=2**-22))
    np.testing.assert_allclose(kept, whole[:, start : start + kept.shape[1]], atol=2**-22)
    assert web.get("/ui/sounds/ann-s-voice").content == own_clips()["ann-s-voice"].file.read_bytes()

    node = node_at(sounds.space, "/gramophone/style/clip")
    assert "ann-s-voice" in node["RANGE"][0]["VALS"]
    sounds.controller.set("style.clip", sounds.space.library.clip("ann-s-voice"))
    assert node_at(sounds.space, "/gramophone/style/clip")["VALUE"] == ["ann-s-voice"]
    assert sounds.clips.progress.status == "style is learning ann-s-voice"
    sounds.clips.learned("style")
    until(lambda: sounds.clips.progress.status == "style plays ann-s-voice")
    by_set = overridden(complete(load("hall")), ["style.clip=ann-s-voice"])
    assert complete(by_set).stage("style").values["clip"] == str(own_clips()["ann-s-voice"].file)


def test_a_clip_that_is_learned_before_its_value_is_noted_is_shown_as_playing(sounds, web, monkeypatch):
    """A worker can be quicker than the listeners of the controller that set the value."""
    web.post("/ui/sounds", params={"name": "ann"}, content=VOICE)
    sink = sounds.controller._sink
    set_many = sink.set_many

    def learn_at_once(changes):
        set_many(changes)
        sounds.clips.learned("style")

    monkeypatch.setattr(sink, "set_many", learn_at_once)
    sounds.controller.set("style.clip", sounds.space.library.clip("ann"))
    until(lambda: sounds.clips.progress.status == "style plays ann")


def test_a_preset_plays_its_clip_after_that_was_renamed_and_names_no_folder(sounds, web, tmp_path):
    web.post("/ui/sounds", params={"name": "ann"}, content=VOICE)
    clip = own_clips()["ann"]
    save(Preset("mine", (StageSettings("style", "style", {"clip": str(clip.file)}),)), tmp_path / "mine.toml")
    assert str(tmp_path) not in (tmp_path / "mine.toml").read_text()
    sounds.clips.rename("ann", "Beth")
    assert list(own_clips()) == ["beth"]
    assert complete(read(tmp_path / "mine.toml")).stage("style").values["clip"] == str(clip.file)


def test_names_are_made_unlike_and_the_same_sound_is_stored_once(web):
    other = (CLIPS / "drums.flac").read_bytes()
    for content in (VOICE, other, VOICE):
        assert web.post("/ui/sounds", params={"name": "take"}, content=content).status_code == 201
    assert list(own_clips()) == ["take", "take-2"]
    assert len(list(clips_folder().glob("*.flac"))) == 2


@pytest.mark.parametrize("suffix", ["ogg", "mp3", "aiff", "wav"])
def test_clips_of_every_common_format_come_in(tmp_path, suffix):
    sound = 0.2 * np.random.default_rng(1).normal(size=(2, 4 * RATE))
    clip = import_clip(wav(tmp_path / f"b.{suffix}", sound), suffix)
    assert clip.seconds == pytest.approx(4.0, abs=0.1)


def test_what_is_broken_is_refused_in_words_and_leaves_nothing(tmp_path):
    for name, content in (("empty", b""), ("text", b"not a sound" * 100), ("half", VOICE[: len(VOICE) // 2])):
        (tmp_path / name).write_bytes(content)
    wav(tmp_path / "silence.wav", np.zeros((1, RATE)))
    wav(tmp_path / "short.wav", np.full((1, 1000), 0.5))
    wav(tmp_path / "rate.wav", np.full((1, 1000), 0.5), 4000)
    for name, stretch, why in (
        ("empty", (), "empty"),
        ("text", (), "not a sound file"),
        ("half", (), "cut short"),
        ("silence.wav", (), "silent"),
        ("short.wav", (), "0.2 s at least"),
        ("rate.wav", (), "4000 Hz"),
        ("silence.wav", (0.9, 0.3), "0.2 s at least"),
    ):
        with pytest.raises(ClipError, match=why) as refused:
            import_clip(tmp_path / name, "x", *stretch)
        assert str(tmp_path) not in str(refused.value)
    assert [path for path in clips_folder().rglob("*") if path.is_file()] == []


def test_an_upload_that_is_refused_says_why_and_leaves_nothing(web, tmp_path, monkeypatch):
    for content, params, why in (
        (b"not a sound" * 100, {}, "not a sound file"),
        (VOICE, {"start": "nan"}, "expected seconds"),
        (VOICE, {"name": "../../etc/passwd"}, "without / or"),
    ):
        answer = web.post("/ui/sounds", params={"name": "x", **params}, content=content)
        assert (answer.status_code, why in answer.text) == (422, True), (answer.status_code, answer.text)
        assert str(tmp_path) not in answer.text
    monkeypatch.setattr(uploads, "MOST_BYTES", 1000)
    assert web.post("/ui/sounds", content=VOICE).status_code == 413
    assert web.post("/ui/sounds", content=iter([VOICE])).status_code == 413  # whose length is not announced
    assert [path for path in clips_folder().rglob("*") if path.is_file()] == []
    assert web.get("/ui/sounds/..%2f..%2fx").status_code == 404


def test_a_client_that_goes_away_leaves_nothing(sounds, web):
    def half():
        yield VOICE[:1000]
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        web.post("/ui/sounds", content=half())
    web.get("/ui/sounds")
    for _ in range(200):
        if not list(clips_folder().glob(".*")):
            break
        threading.Event().wait(0.02)
    assert list(clips_folder().glob(".*")) == []


def test_beyond_loopback_clips_need_the_token_and_no_other_page_may_send_any(sounds):
    more = [partial(clip_routes, sounds.clips)]
    with oscquery_server(sounds.space, 0, 9000, "0.0.0.0", advertise=False, more=more) as server:
        address = f"http://127.0.0.1:{server.port}/ui/sounds"
        with httpx.Client(trust_env=False, timeout=60) as web:
            assert web.post(address, content=VOICE).status_code == 403
            assert web.get(address).status_code == 403
            assert web.get(f"{address}/x").status_code == 403
            answer = web.post(address, params={"token": server.token}, content=VOICE, headers={"Origin": "http://evil"})
            assert answer.status_code == 403
            assert web.post(address, params={"token": server.token}, content=VOICE).status_code == 201


def test_a_clip_is_cut_and_what_plays_it_plays_the_cut(sounds, web):
    web.post("/ui/sounds", params={"name": "ann"}, content=VOICE)
    whole = own_clips()["ann"]
    sounds.controller.set("style.clip", str(whole.file))
    sounds.clips.trim("ann", 2.0, 9.0)
    sounds.done()
    cut = own_clips()["ann"]
    assert cut.seconds == pytest.approx(7.0, abs=0.6)
    assert sounds.controller.get("style.clip") == str(cut.file)
    assert (clip_bin().folder / whole.file.name).is_file()
    with pytest.raises(ClipError, match="expected a stretch"):
        sounds.clips.trim("ann", 3.0, 100.0)
    sounds.clips.remove("ann")
    assert own_clips() == {}
    with pytest.raises(ClipError, match="none of your own"):
        sounds.clips.remove("ann")


def test_a_remark_of_a_stage_is_passed_on_with_the_name_of_the_clip(sounds, web, tmp_path):
    web.post("/ui/sounds", params={"name": "ann"}, content=VOICE)
    file = own_clips()["ann"].file
    sounds.controller.set("style.clip", str(file))
    assert not sounds.clips.remarked("style: something else")
    assert sounds.clips.remarked(f"style: clip: {file}: no sound in it; it stays as it was")
    assert sounds.clips.progress.status == "style: ann: no sound in it; it stays as it was"


def test_the_input_is_recorded_as_it_came_until_it_is_stopped():
    """Blocks are written as fast as they are taken: the ring holds 128 of them."""
    shared = SharedState.new(2)
    shared.status["rate"] = RATE
    sound = 0.3 * np.random.default_rng(2).normal(size=(2, RATE)).astype(np.float32)
    taken = threading.Event()
    done_s = []

    def progress(seconds):
        done_s.append(seconds)
        taken.set()

    recorded = []
    stopped = threading.Event()
    thread = threading.Thread(target=lambda: recorded.append(capture_input(shared, 1.0, stopped, progress)))
    thread.start()
    for number in range(0, RATE // 480 + 1):
        taken.wait(5)
        taken.clear()
        shared.inputs.write(number, sound[:, number * 480 % RATE : number * 480 % RATE + 480])
    thread.join(10)
    ((captured, rate),) = recorded
    assert (rate, captured.shape[1]) == (RATE, RATE)
    first = int(np.flatnonzero(np.isclose(sound[0], captured[0, 0]))[0])
    np.testing.assert_array_equal(captured[:, : RATE - first], sound[:, first:])
    assert done_s[-1] >= 1.0
    shared.status["rate"] = 0
    with pytest.raises(ClipError, match="no sound device"):
        capture_input(shared, 1.0, stopped, progress)
    shared.close()


def test_what_was_recorded_becomes_a_clip():
    sound = read_sound(CLIPS / "voice.flac")[0]
    asked = []

    def capture(seconds, stopped, progress):
        asked.append(seconds)
        progress(seconds / 2)
        return sound, RATE

    sounds = Sounds(capture)
    sounds.clips.record("Me", 12)
    sounds.done()
    assert asked == [12]
    assert "me" in own_clips()
    with pytest.raises(ClipError, match="1 to 60"):
        sounds.clips.record("me", 100)
    sounds.clips.close()


@pytest.mark.parametrize(
    ("spoil", "remark"),
    [
        (lambda v: v[:, : 2 * RATE], "too short"),
        (lambda v: v[:, : 4 * RATE + RATE // 2], "short for a speaker"),
        (lambda v: 0.01 * v, "very soft"),
        (lambda v: np.clip(5 * v, -0.4, 0.4), "clipped"),
        (lambda v: v + 0.05 * np.random.default_rng(3).normal(size=v.shape), "noise beneath"),
        (lambda v: v[:, : 9 * RATE] + 0.4 * _choir()[: v.shape[0], : 9 * RATE], "music or another sound beneath"),
    ],
)
def test_what_is_wrong_with_a_clip_is_measured(spoil, remark):
    voice, rate = read_sound(CLIPS / "voice.flac")
    assert clip_quality(voice, rate).warnings == ()
    (found,) = clip_quality(np.asarray(spoil(voice), np.float32), rate).warnings
    assert found.startswith(remark)


def _choir():
    return read_sound(CLIPS / "choir.flac")[0]


@pytest.mark.peer
@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg: apt-get install ffmpeg")
def test_another_program_reads_the_clip_to_the_same_samples(web):
    web.post("/ui/sounds", params={"name": "ann"}, content=VOICE)
    file = own_clips()["ann"].file
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", file, "-f", "f32le", "-"], capture_output=True, check=True, timeout=60
    ).stdout
    sound, _ = read_sound(file)
    np.testing.assert_allclose(np.frombuffer(raw, "<f4").reshape(-1, len(sound)).T, sound, atol=2**-23)


def test_what_the_bin_holds_is_shown_and_emptied_on_request(sounds, web):
    web.post("/ui/sounds", params={"name": "ann"}, content=VOICE)
    sounds.clips.remove("ann")
    until(lambda: node_at(sounds.space, "/gramophone/sounds/bin")["VALUE"][0].startswith("1 in the bin ("))
    assert "30 days" in node_at(sounds.space, "/gramophone/sounds/bin")["VALUE"][0]
    sounds.space.find("/gramophone/sounds/empty-bin")[0].write(())
    until(lambda: node_at(sounds.space, "/gramophone/sounds/bin")["VALUE"] == [""])
    assert not any(clip_bin().folder.iterdir())
