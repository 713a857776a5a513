"""The whole engine on a real JACK server: latency to the sample, against a bare client, through deaths and restarts."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.jack_server import clear_metadata

from gramophone.presets import Preset, StageSettings
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.dsp.channel_matrix import RouteError, parse_route
from gramophone.realtime.files import read
from gramophone.realtime.live.devices.backend import AudioError
from gramophone.realtime.live.devices.jack import JackBackend
from gramophone.realtime.live.record import OUTPUT, Recorder
from gramophone.realtime.live.replay import replayed, segments_of
from gramophone.realtime.live.session import Session
from gramophone.realtime.live.session_settings import SessionSettings
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stages.plugins import scan

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        not (shutil.which("jackd") and shutil.which("jack_iodelay")),
        reason="needs jackd and jack_iodelay (Debian: apt install jackd2 jack-example-tools)",
    ),
]

needs_zam = pytest.mark.skipif(
    not {"ZamCompX2", "ZamVerb"} <= {plugin.name for plugin in scan.installed()},
    reason="needs zam-plugins as VST3 (apt install zam-plugins)",
)

SERVER = f"gramophone-test-{os.getpid()}"
OTHER_SERVER = f"gramophone-again-{os.getpid()}"
ENVIRONMENT = {**os.environ, "JACK_DEFAULT_SERVER": SERVER, "OMP_NUM_THREADS": "1"}
GRAMOPHONE = [sys.executable, "-m", "gramophone.offline"]
PLAY = [*GRAMOPHONE, "play", "--osc-port", "0", "--http-port", "0"]  # the usual ports may be another player's
PATIENCE_S = 60.0
PRESET = """
title = "Half as loud"
description = "A gain and nothing else."

[[stages]]
name = "level"
kind = "gain"
gain = -6.0
"""


def until(reached: Callable[[], object]) -> None:
    """Wait for what other processes will do; fail if they never do."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def tool(*command: str, server: str = SERVER) -> str:
    environment = {**ENVIRONMENT, "JACK_DEFAULT_SERVER": server}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S).stdout


@contextmanager
def jack_server(name: str = SERVER, rate: int = 48_000) -> Iterator[subprocess.Popen[bytes]]:
    """A server without a sound card, with real-time priority where that is allowed."""
    for priority in (["-R", "-P", "70"], ["-r"], ["-r"]):
        command = ["jackd", *priority, "-n", name, "-d", "dummy", "-r", str(rate), "-p", "256"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda s=server: s.poll() is not None or "system:playback_1" in tool("jack_lsp", server=name))
        if server.poll() is None:
            break
        clear_metadata()
    else:
        pytest.fail("jackd does not start here")
    yield server
    server.terminate()
    server.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with jack_server():
        yield


@pytest.fixture(scope="module")
def session(server: None) -> Iterator[Session]:
    """A chain with a latency of its own that leaves the sound as it is."""
    stages = (StageSettings("style", "style", {"strength": 0.0}), StageSettings("level", "gain", {"gain": 0.0}))
    preset = complete(Preset("transparent", stages))
    with Session(SessionSettings(f"jack:{SERVER}")) as session:
        session.start(preset)
        session.wait_until_playing()
        yield session
        assert session.report()["errors"] == 0


def set_block(block: int) -> None:
    """Change the server's block while it plays."""
    code = f"import jack; c = jack.Client('setter', servername={SERVER!r}); c.blocksize = {block}; c.close()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE_S)


def measured_latency() -> int:
    """What jack_iodelay reads, in samples, once it reads the same three times in a row."""
    command = ["stdbuf", "-oL", "jack_iodelay"]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as meter:
        assert meter.stdout
        until(lambda: "jack_delay:in" in tool("jack_lsp"))
        tool("jack_connect", "jack_delay:out", "gramophone:in_1")
        tool("jack_connect", "gramophone:out_1", "jack_delay:in")
        deadline, readings = time.monotonic() + PATIENCE_S, [0.0, 1.0, 2.0]
        while len(set(readings[-3:])) > 1:
            assert time.monotonic() < deadline, f"no steady reading: {readings}"
            found = re.match(r"\s*([\d.]+) frames .* total roundtrip", meter.stdout.readline())
            if found:
                readings.append(round(float(found[1]), 1))
        meter.terminate()
    assert readings[-1] == round(readings[-1])
    return int(readings[-1])


@pytest.mark.parametrize("block", [64, 128, 256, 512])
def test_the_latency_reported_is_what_jack_iodelay_reads(session: Session, block: int) -> None:
    set_block(block)
    until(lambda: session.report()["block"] == block)
    report = session.report()
    delay = int(session.shared.status["delay"])
    assert delay > 0
    budget = {64: 4, 128: 2, 256: 1, 512: 1}[block]  # the style stage works in hops of 256 samples
    assert session.blocks == budget
    assert report["latency_samples"] == (1 + budget) * block + delay == measured_latency()


def counts(session: Session) -> tuple[int, int]:
    """Blocks that came too late, and those that the server says it missed itself."""
    report = session.report()
    return int(str(report["underruns"])), int(str(report["xruns"]))


def announced_latency() -> tuple[str, str]:
    """The least and greatest capture latency, in samples, that JACK announces for gramophone's first output."""
    listing = tool("jack_lsp", "-l").split("gramophone:out_1")[1]
    least, greatest = re.findall(r"capture latency = \[ (\d+) (\d+) \]", listing)[0]
    return least, greatest


def test_jack_knows_the_latency(session: Session) -> None:
    block, delay = session.report()["block"], int(session.shared.status["delay"])
    card = 512  # the dummy's own capture latency is its block, which the test before has left at this
    assert block == card
    until(lambda: announced_latency() == (str(card + block + delay),) * 2)  # the style stage's hop divides the block


@pytest.mark.parametrize("stall_ms", [1, 5, 50])
def test_a_stall_leaves_the_latency_as_it_was(session: Session, stall_ms: int) -> None:
    before = measured_latency()
    for _ in range(3):
        assert session.worker_pid
        os.kill(session.worker_pid, signal.SIGSTOP)
        time.sleep(stall_ms / 1000)
        os.kill(session.worker_pid, signal.SIGCONT)
    assert measured_latency() == before == session.report()["latency_samples"]


def test_no_underruns_beyond_those_of_a_bare_client(session: Session) -> None:
    """At the same time on the same server; a stall that costs the bare client a block may cost us its neighbours."""
    set_block(256)
    until(lambda: session.report()["block"] == 256)
    measured_latency()  # the change of block is over
    bare = (
        "import jack, time\n"
        f"client, missed = jack.Client('bare', servername={SERVER!r}), []\n"
        "source, target = client.inports.register('in_1'), client.outports.register('out_1')\n"
        "def relay(frames): target.get_array()[:] = source.get_array()\n"
        "client.set_process_callback(relay)\n"
        "client.set_xrun_callback(missed.append)\n"
        "with client: time.sleep(6)\n"
        "print(len(missed))"
    )
    before = session.report()
    missed = int(subprocess.run([sys.executable, "-c", bare], capture_output=True, text=True, timeout=60).stdout)
    after = session.report()
    blocks, underruns = (int(str(after[name])) - int(str(before[name])) for name in ("blocks", "underruns"))
    assert blocks > 500
    assert underruns <= 4 * missed + blocks // 50


def test_a_killed_worker_is_replaced_with_the_same_values(session: Session) -> None:
    controller = Controller(complete(session_preset(session)), session)
    controller.set("level.gain", -6.0)
    until(lambda: session.report()["playing"])
    pid, restarts = session.worker_pid, session.restarts
    assert pid
    latency = session.report()["latency_samples"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: session.worker_pid != pid and session.playing)
    assert session.restarts == restarts + 1
    assert session.report()["latency_samples"] == latency == measured_latency()
    assert abs(level_of_loop() - -6.0) < 0.1
    controller.set("level.gain", 0.0)
    until(lambda: abs(level_of_loop()) < 0.1)


def test_the_controller_mutes_bypasses_panics_and_changes_presets(session: Session) -> None:
    controller = Controller(session_preset(session), session)
    quieter = complete(Preset("quieter", (StageSettings("volume", "gain", {"gain": -12.0}),)))
    controller.change(quieter)
    until(lambda: abs(level_of_loop() - -12.0) < 0.1)
    assert session.report()["latency_samples"] == measured_latency()
    controller.set("volume.gain", -18.0)
    until(lambda: abs(level_of_loop() - -18.0) < 0.1)
    controller.set("bypass", True)
    until(lambda: abs(level_of_loop()) < 0.1)
    controller.set("mute", True)
    until(lambda: level_of_loop() < -100)
    controller.set("bypass", False)
    controller.set("mute", False)
    controller.set("panic", True)
    until(lambda: abs(level_of_loop() - -18.0) < 0.1)


def test_the_latency_follows_a_preset_that_needs_more_time_and_jack_knows_it(session: Session) -> None:
    plain = complete(Preset("plain", (StageSettings("volume", "gain", {"gain": -18.0}),)))
    styled = complete(Preset("styled", (StageSettings("style", "style", {"strength": 0.0}),)))
    controller = Controller(session_preset(session), session)
    set_block(128)
    for preset, spare in ((plain, 0), (styled, 1), (plain, 0)):
        before = counts(session)
        controller.change(preset)
        until(lambda p=preset: session.preset and session.preset.name == p.name)
        until(lambda s=spare: session.report()["block"] == 128 and session.blocks == 1 + s)
        until(lambda: session.report()["latency_samples"] == measured_latency())
        block, delay = int(str(session.report()["block"])), int(session.shared.status["delay"])
        assert session.report()["latency_samples"] == (2 + spare) * block + delay
        whole = str(block + (1 + spare) * block + delay)  # the dummy card's own capture latency is a block
        until(lambda w=whole: announced_latency() == (w, w))
        underruns, xruns = (after - count for after, count in zip(counts(session), before, strict=True))
        # A stall of the machine that costs the server a block may cost us its neighbour, too.
        assert underruns <= 2 + 2 * xruns
    controller.change(complete(Preset("quieter", (StageSettings("volume", "gain", {"gain": -18.0}),))))
    until(lambda: abs(level_of_loop() - -18.0) < 0.1)
    set_block(256)


def test_a_preset_that_cannot_be_played_leaves_the_knobs_of_the_one_that_can(session: Session, tmp_path: Path) -> None:
    refused: list[Preset] = []
    session.on_refused = refused.append
    playing, gone = session_preset(session), tmp_path / "gone.wav"
    gone.touch()
    broken = complete(Preset("broken", (StageSettings("style", "style", {"clip": str(gone)}),)))
    gone.unlink()
    session.change(broken)
    until(lambda: refused)
    assert refused[0] == session.preset == playing
    session.set_many({"volume.gain": -24.0})
    until(lambda: abs(level_of_loop() - -24.0) < 0.1)


@pytest.mark.peer
@needs_zam
def test_a_snapshot_holds_what_plugins_hold_and_the_report_names_those_left_out(server: None) -> None:
    """ZamVerb hangs while it loads. The worker that is stopped cannot be asked, nor one that is dead."""
    stages = (
        StageSettings("comp", "plugin", {"plugin": "ZamCompX2", "ratio": 8.0}),
        StageSettings("verb", "plugin", {"plugin": "ZamVerb", "load_timeout": 1.0}),
        StageSettings("level", "gain", {}),
    )
    preset = complete(Preset("plugins", stages))
    with Session(SessionSettings(f"jack:{SERVER}")) as session:
        session.start(preset)
        session.wait_until_playing()
        until(lambda: session.report()["left_out"])
        (why,) = session.report()["left_out"].items()
        assert why[0] == "verb"
        assert "ZamVerb" in why[1]
        assert why[1].endswith("bypassed")
        session.set_many({"comp.ratio": 4.0, "level.gain": -3.0})
        known, held = session.preset, session.snapshot()
        assert known
        assert held.stage("comp").values["state"]
        assert not known.stage("comp").values["state"]
        assert held == known.with_values({("comp", "state"): held.stage("comp").values["state"]})
        assert held.stage("comp").values["ratio"] == 4.0
        pid = session.worker_pid
        assert pid
        os.kill(pid, signal.SIGSTOP)
        assert session.snapshot() == known
        os.kill(pid, signal.SIGKILL)
        assert session.snapshot() == known


def test_inputs_and_outputs_are_those_that_were_asked_for_and_can_be_changed() -> None:
    preset = complete(Preset("plain", (StageSettings("level", "gain", {"gain": -6.0}),)))
    settings = SessionSettings(f"jack:{OTHER_SERVER}", inputs=parse_route("3,2"), outputs=parse_route("4,0"), sockets=4)
    with jack_server(OTHER_SERVER), Session(settings) as session:
        session.start(preset)
        session.wait_until_playing()
        until(lambda: abs(level_of_loop(OTHER_SERVER, "in_3", "out_4") - -6.0) < 0.1)
        session.route_inputs(parse_route("1,1"))
        session.route_outputs(parse_route("2,2+3"))
        until(lambda: abs(level_of_loop(OTHER_SERVER, "in_1", "out_2")) < 0.1)  # both channels, half as loud each
        assert abs(level_of_loop(OTHER_SERVER, "in_1", "out_3") - -6.0) < 0.1
        assert level_of_loop(OTHER_SERVER, "in_3", "out_4") < -100
        assert session.worker_pid
        os.kill(session.worker_pid, signal.SIGSTOP)  # dry, the same way
        assert abs(level_of_loop(OTHER_SERVER, "in_1", "out_3")) < 0.1
        with pytest.raises(RouteError, match="no output 5; expected 1 to 4"):
            session.route_outputs(parse_route("1,5"))


def test_a_route_that_the_chain_cannot_take_is_refused_at_the_start(server: None, preset_file: Path) -> None:
    command = [*PLAY, "--audio", "jack", "--preset", str(preset_file)]
    for option, code, said in (("1,2,3", 1, "3 channels; expected 2"), ("left", 2, "expected numbers up to 64")):
        done = subprocess.run(
            [*command, "--inputs", option], env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert done.returncode == code
        assert said in done.stderr


def session_preset(session: Session) -> Preset:
    assert session.preset
    return session.preset


def level_of_loop(server: str = SERVER, source: str = "in_1", target: str = "out_1") -> float:
    """How much louder a sine comes out of gramophone than it goes in, in dB."""
    code = (
        "import jack, numpy as np, time\n"
        f"client, heard = jack.Client('loop', servername={server!r}), []\n"
        "source, target = client.inports.register('in'), client.outports.register('out')\n"
        "phase = [0]\n"
        "def relay(frames):\n"
        "    heard.append(source.get_array().copy())\n"
        "    target.get_array()[:] = 0.1 * np.sin((phase[0] + np.arange(frames)) * 0.05)\n"
        "    phase[0] += frames\n"
        "client.set_process_callback(relay)\n"
        "with client:\n"
        f"    client.connect('loop:out', 'gramophone:{source}'); client.connect('gramophone:{target}', 'loop:in')\n"
        "    time.sleep(0.8)\n"
        "peaks = [np.abs(block).max() for block in heard[-40:]]\n"
        "print(20 * np.log10(max(np.median(peaks), 1e-9) / 0.1))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    return float(done.stdout or "nan")  # a port may not be there yet


def lines_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def preset_file(tmp_path: Path) -> Path:
    path = tmp_path / "half.toml"
    path.write_text(PRESET)
    return path


def test_devices_lists_the_server(server: None) -> None:
    command = [*GRAMOPHONE, "devices", "--json"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_S)
    (listed,) = lines_of(done)
    jack = listed["devices"][0]
    assert (jack["audio"], jack["rate"], jack["inputs"], jack["default"]) == ("jack", 48000, 2, True)


def test_play_records_what_is_replayed_bit_for_bit(server: None, preset_file: Path, tmp_path: Path) -> None:
    take = tmp_path / "take"
    command = [*PLAY, "--preset", str(preset_file), "--json", "--duration", "2.5", "--record", str(take)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_S)
    reports = lines_of(done)
    assert len(reports) >= 2
    assert {"latency_samples", "load", "underruns", "input", "output", "time_s"} <= reports[0].keys()
    assert reports[-1]["latency_samples"] == 2 * reports[-1]["block"]
    output, rate = read(take / OUTPUT)
    assert rate == 48000
    assert output.shape[1] > rate
    np.testing.assert_array_equal(np.concatenate(list(replayed(take)), axis=1), output)


@pytest.mark.parametrize("channels", [1, 8])
def test_play_takes_one_to_eight_channels_and_can_close_midi(
    server: None, preset_file: Path, tmp_path: Path, channels: int
) -> None:
    take = tmp_path / "take"
    command = [*PLAY, "--preset", str(preset_file), "--channels", str(channels), "--midi", "none"]
    options = ["--duration", "1", "--record", str(take)]
    done = subprocess.run([*command, *options], env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, "")
    assert read(take / OUTPUT)[0].shape[0] == channels


def test_portaudio_plays_too_until_it_is_stopped(server: None, preset_file: Path) -> None:
    """PortAudio counts JACK among its devices. SIGTERM is a good end and leaves nothing behind."""
    command = [*PLAY, "--preset", str(preset_file), "--json", "--audio", "portaudio:system"]
    with subprocess.Popen(
        [*command, "--block", "512"], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as play:
        assert play.stdout
        assert play.stderr
        report = next((each for each in map(json.loads, play.stdout) if each["playing"]), {})
        play.terminate()
        play.wait(PATIENCE_S)
        said = play.stderr.read()
    if "PortAudio" in said:
        pytest.skip(f"PortAudio here does not know JACK (Debian: apt install libportaudio2): {said}")
    assert (play.returncode, said) == (0, "")
    assert (report["block"], report["latency_samples"]) == (512, 1024)


def test_without_a_device_the_error_says_what_to_do(preset_file: Path) -> None:
    environment = {**ENVIRONMENT, "JACK_DEFAULT_SERVER": "no-such-server"}
    command = [*PLAY, "--audio", "jack", "--preset", str(preset_file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1
    assert "error: no JACK server runs" in done.stderr


def test_a_restarted_server_is_found_again() -> None:
    news: list[str] = []
    preset = complete(Preset("half", (StageSettings("level", "gain", {"gain": -6.0}),)))
    with ExitStack() as stack:
        with jack_server(OTHER_SERVER) as server:
            session = stack.enter_context(Session(SessionSettings(f"jack:{OTHER_SERVER}")))
            session.on_news = news.append
            session.start(preset)
            session.wait_until_playing()
            server.kill()
            server.wait(PATIENCE_S)
            until(lambda: session.report()["rate"] == 0)
        with jack_server(OTHER_SERVER):
            until(lambda: session.report()["rate"] == 48000)
            blocks = session.report()["blocks"]
            until(lambda: session.report()["blocks"] > blocks)
            until(lambda: abs(level_of_loop(OTHER_SERVER) - -6.0) < 0.1)
    assert "gone" in news[0]


def test_a_client_has_the_name_that_it_is_given_and_connects_only_if_it_may(server: None) -> None:
    for choice, connected in ((f"{SERVER},name=singer", True), (f"{SERVER},connect=no,name=singer", False)):
        backend = JackBackend(choice, 2, None)
        try:
            backend.start(lambda block: block)
            assert backend.name == "JACK client singer"
            found = tool("jack_lsp", "-c", "singer:in_1")
            assert "singer:in_1" in found
            assert ("system:capture_1" in found) is connected
        finally:
            backend.close()
    with pytest.raises(AudioError, match="loud"):
        JackBackend(f"{SERVER},loud=yes", 2, None)


def test_a_block_that_changes_while_one_is_processed_silences_nothing(server: None) -> None:
    """The process is slow, so that most changes find it at work with arrays of the size of before."""
    seen: list[int] = []

    def process(block: np.ndarray) -> np.ndarray:
        seen.append(block.shape[1])
        time.sleep(0.02)
        return block

    backend = JackBackend(SERVER, 2, 64)
    try:
        backend.start(process)
        for block in (128, 16, 32, 64, 4096, 16, 2048, 32, 1024, 512, 256):
            before = len(seen)
            set_block(block)
            until(lambda n=before, b=block: b in seen[n + 1 :])
            assert backend.block == block
            before = len(seen)
            until(lambda n=before: len(seen) > n + 2)
        assert not backend.lost.is_set()
    finally:
        backend.close()


@pytest.mark.slow
def test_a_session_survives_every_change_of_the_block(session: Session) -> None:
    levels = [math.nan]
    # One reading alone may be of blocks that were late beside other tests, and would be waited for in vain.
    until(lambda: levels.append(level_of_loop()) or abs(levels[-1] - levels[-2]) < 0.1)
    level = levels[-1]
    sizes = [16 << k for k in range(9)]
    for before, after in [(a, b) for a in sizes for b in sizes if a != b][::9]:
        for block in (before, after):
            set_block(block)
            until(lambda b=block: session.report()["block"] == b)
        blocks = session.report()["blocks"]
        assert isinstance(blocks, int)
        until(lambda n=blocks: session.report()["blocks"] > n + 3)
    set_block(256)
    until(lambda: abs(level_of_loop() - level) < 0.1)


@pytest.mark.slow
def test_random_changes_of_the_block_under_load_are_survived_and_their_recording_is_replayed(tmp_path: Path) -> None:
    random, take = np.random.default_rng(10), tmp_path / "take"
    changes = (
        "import jack, sys, time\n"
        f"client = jack.Client('setter', servername={OTHER_SERVER!r})\n"
        "for line in sys.stdin:\n"
        "    block, pause = line.split()\n"
        "    client.blocksize = int(block)\n"
        "    time.sleep(float(pause))\n"
    )
    sizes = [int(16 << k) for k in random.integers(0, 9, 40)]
    pauses = random.choice([0.0, 0.01, 0.05, 0.2], 40)
    preset = complete(Preset("plain", (StageSettings("ensemble", "chorus", {}), StageSettings("level", "gain", {}))))
    with jack_server(OTHER_SERVER), ExitStack() as stack:
        for _ in range(2):
            busy = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(busy.kill)
        session = stack.enter_context(Session(SessionSettings(f"jack:{OTHER_SERVER}", recorded=True)))
        recorder = Recorder(take, session.shared)
        session.on_event = recorder.take
        session.start(preset)
        session.wait_until_playing()
        with recorder.writing(session.format):
            asked = "".join(f"{size} {pause}\n" for size, pause in zip(sizes, pauses, strict=True)) + "256 0\n"
            subprocess.run([sys.executable, "-c", changes], input=asked, text=True, check=True, timeout=120)
            until(lambda: session.report()["block"] == 256)
            blocks = int(str(session.report()["blocks"]))
            until(lambda: int(str(session.report()["blocks"])) > blocks + 100 and session.playing)
            session.end()
        assert session.report()["errors"] == 0
        assert session.report()["restarts"] == 0
    assert not recorder.trouble
    output, rate = read(take / OUTPUT)
    assert rate == 48_000
    np.testing.assert_array_equal(np.concatenate(list(replayed(take)), axis=1), output)


@pytest.mark.slow
def test_a_server_that_comes_back_at_another_rate_while_recording_begins_another_segment(
    preset_file: Path, tmp_path: Path
) -> None:
    take = tmp_path / "take"
    command = [*PLAY, "--audio", f"jack:{OTHER_SERVER}", "--preset", str(preset_file), "--json", "--record", str(take)]
    with ExitStack() as stack:
        with jack_server(OTHER_SERVER) as server:
            play = stack.enter_context(subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True))
            stack.callback(play.kill)
            assert play.stdout
            reports = map(json.loads, play.stdout)
            began = next(report for report in reports if report["playing"])
            next(report for report in reports if report["time_s"] > began["time_s"] + 2)
            server.kill()
            server.wait(PATIENCE_S)
            next(report for report in reports if report["rate"] == 0)
        with jack_server(OTHER_SERVER, 44_100):
            back = next(report for report in reports if report["rate"] == 44_100 and report["playing"])
            assert back["restarts"] == 0
            next(report for report in reports if report["time_s"] > back["time_s"] + 2)
            play.terminate()
            assert play.wait(PATIENCE_S) == 0
    segments = segments_of(take)
    assert [read(folder / OUTPUT)[1] for folder in segments] == [48_000, 44_100]
    for folder in segments:
        output, rate = read(folder / OUTPUT)
        assert output.shape[1] > rate
        np.testing.assert_array_equal(np.concatenate(list(replayed(folder)), axis=1), output)


def test_a_server_that_asks_for_nothing_for_long_is_opened_again_and_plays() -> None:
    preset = complete(Preset("plain", (StageSettings("level", "gain", {"gain": -6.0}),)))
    news: list[str] = []
    with jack_server(OTHER_SERVER) as server, Session(SessionSettings(f"jack:{OTHER_SERVER}")) as session:
        session.on_news = news.append
        session.start(preset)
        session.wait_until_playing()
        until(lambda: session.report()["blocks"])
        server.send_signal(signal.SIGSTOP)
        try:
            until(lambda: any("no more blocks" in sentence for sentence in news))
        finally:
            server.send_signal(signal.SIGCONT)
        until(lambda: abs(level_of_loop(OTHER_SERVER) - -6.0) < 0.1)
