"""The control process is killed, on a real JACK server: the sound goes on, and the next one takes over or ends it."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest
from support.jack_server import start_server, stop
from support.osc import free_port, peer_of

from gramophone.presets import Preset
from gramophone.realtime.live.handover import SessionFiles
from gramophone.realtime.osc.packet import encode

pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux" or not shutil.which("jackd"), reason="needs Linux and jackd2"),
]

SERVER = f"gramophone-handover-{os.getpid()}"
PATIENCE_S = 60.0
OSC_PORT, HTTP_PORT = free_port(), free_port()
PRESET = """
title = "Half as loud"

[[stages]]
name = "level"
kind = "gain"
gain = -6.0

[[midi]]
knob = "level.gain"
control = "cc"
number = 21

[[macros]]
name = "Loud"
targets = [{ parameter = "level.gain", low = -24.0, high = 0.0 }]
"""
CLIENT = """
import jack, numpy as np, sys
client = jack.Client("loop", servername=sys.argv[1])
source, target = client.inports.register("in"), client.outports.register("out")
table = np.random.default_rng(3).normal(0, 0.05, (1000, 256)).astype(np.float32)
played, missed = [], []
def play(frames):
    played.append(source.get_array().copy())
    target.get_array()[:] = table[(len(played) - 1) % 1000]
client.set_process_callback(play)
client.set_xrun_callback(missed.append)
with client:
    client.connect("loop:out", "gramophone:in_1")
    client.connect("gramophone:out_1", "loop:in")
    print("plays", flush=True)
    sys.stdin.readline()
np.save(sys.argv[2], np.array(played))
print(len(missed))
"""
"""Plays noise into gramophone, and keeps what comes out."""


BOX = """
import mido, sys
with mido.Backend("mido.backends.rtmidi/UNIX_JACK").open_output("knobs", virtual=True, client_name="box") as port:
    print("there", flush=True)
    for line in sys.stdin:
        port.send(mido.Message("control_change", control=21, value=int(line)))
"""
"""A MIDI controller with one knob, which is turned by a line with its position."""


def until(reached: Callable[[], object]) -> None:
    """Wait for what other processes will do; fail if they never do."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


IMPATIENT = """
import sys
from gramophone.presets import load
from gramophone.realtime.live.console_view import JsonView
from gramophone.realtime.live.run import LiveRun, run_live
from gramophone.realtime.live.session_settings import SessionSettings
from gramophone.realtime.parameter_table import complete
if __name__ == "__main__":
    settings = SessionSettings(f"jack:{sys.argv[1]}", orphaned_s=1.0)
    run_live(LiveRun(settings), lambda: complete(load(sys.argv[2])), JsonView())
"""
"""Plays as `gramophone play` does, and its sound waits for a controller for a second only."""


class Play:
    """A `gramophone play` on the test's server."""

    def __init__(self, folder: Path, *options: str) -> None:
        preset, code = folder / "half.toml", folder / "impatient.py"
        preset.write_text(PRESET)
        code.write_text(IMPATIENT)
        command = [sys.executable, "-m", "gramophone.offline", "play", "--audio", f"jack:{SERVER}", "--json", *options]
        surfaces = ["--osc-port", str(OSC_PORT), "--http-port", str(HTTP_PORT), "--preset", str(preset)]
        surfaces += [] if "--midi" in options else ["--midi", "none"]
        self.process = subprocess.Popen(
            [sys.executable, str(code), SERVER, str(preset)] if "impatient" in options else [*command, *surfaces],
            env={**os.environ, "JACK_DEFAULT_SERVER": SERVER, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.reports = map(json.loads, iter(self.process.stdout.readline, "") if self.process.stdout else ())

    def wait(self) -> dict[str, object]:
        """Return the first report of a sound that plays."""
        for report in self.reports:
            if report["playing"] and report["rate"]:
                return report
        raise AssertionError(self.process.communicate()[1])

    def kill(self) -> None:
        """Kill the control process, and no other."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def end(self) -> str:
        """End it in order; return what it said."""
        self.process.terminate()
        said = self.process.communicate(timeout=PATIENCE_S)[1]
        assert self.process.returncode == 0, said
        return said


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A JACK server, and a folder of sessions that only this test has."""
    with tempfile.TemporaryDirectory(prefix="gr") as short, ExitStack() as stack:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        stack.callback(stop, start_server(SERVER, real_time=True))
        yield Path(short) / "gramophone"


def ids(folder: Path) -> list[int]:
    """The processes that wait for a controller."""
    return [int(path.suffix[1:]) for path in folder.glob("*.[0-9]*")]


def kept(folder: Path) -> Preset:
    """The preset as the next controller will have it."""
    handover = pickle.loads(pickle.loads(next(folder.glob("*.session")).read_bytes())[1])
    return handover.preset


def pieces(play: Play) -> set[str]:
    """The shared memory that a `play` made: others may play on this machine at the same time."""
    return {path.name for path in Path("/dev/shm").glob(f"gramophone.shared-*-{play.process.pid}-*")}


def test_no_block_is_lost_when_the_controller_is_killed_and_another_has_all_values(place: Path, tmp_path: Path) -> None:
    first = Play(tmp_path)
    late_before = first.wait()["underruns"]
    loop = subprocess.Popen(
        [sys.executable, "-c", CLIENT, SERVER, str(tmp_path / "heard.npy")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert loop.stdout
    assert loop.stdout.readline() == "plays\n"
    with peer_of(OSC_PORT) as peer:
        peer.send(encode("/gramophone/macro/1", (0.5,)))
        peer.send(encode("/gramophone/macro/1"))
        assert peer.receive().arguments == (0.5,)
    until(lambda: kept(place).macros[0].value == 0.5)
    for _ in range(2):  # the one that took over can be killed, too
        first.kill()
        until(lambda: len(ids(place)) == 2)
        first = Play(tmp_path, "--attach")
        report = first.wait()
        assert report["restarts"] == 0
        assert not ids(place)
    with peer_of(OSC_PORT) as peer:
        for address, value in (("/gramophone/macro/1", 0.5), ("/gramophone/level/gain", -12.0)):
            peer.send(encode(address))
            assert peer.receive().arguments == (value,)
        page = httpx.get(f"http://127.0.0.1:{HTTP_PORT}/gramophone/preset?VALUE", trust_env=False).json()
        assert page == {"VALUE": ["half"]}
        missed = int(loop.communicate("end\n", timeout=PATIENCE_S)[0])
        report = first.wait()
        before = report["blocks"]
        peer.send(encode("/gramophone/mute", (True,)))
        peer.send(encode("/gramophone/mute"))
        assert peer.receive().arguments == (True,)
    assert first.wait()["blocks"] > before
    assert "took over what plays" in first.end()
    assert not list(place.iterdir())

    heard = np.load(tmp_path / "heard.npy")
    table = np.random.default_rng(3).normal(0, 0.05, (1000, 256)).astype(np.float32)
    late = next(
        k for k in range(20) if np.allclose(heard[-100], table[(len(heard) - 100 - k) % 1000] / 10**0.6, atol=1e-6)
    )
    numbers = np.arange(late, len(heard)) - late
    wrong = np.abs(heard[late:] - table[numbers % 1000] * np.float32(10**-0.6)).max(axis=1) > 1e-6
    settled = wrong[np.flatnonzero(~wrong)[0] :]
    # On a busy machine blocks come late, and the server skips some: those are counted, and nothing else is lost. A late
    # one fades to the dry sound, and the next back.
    late_ones = report["underruns"] - late_before
    assert settled.sum() <= 3 * late_ones + 4 * missed + len(settled) // 100


def test_a_midi_controller_turns_the_knobs_of_what_was_taken_over(place: Path, tmp_path: Path) -> None:
    pytest.importorskip("rtmidi", reason="needs python-rtmidi: pip install python-rtmidi")
    with ExitStack() as stack:
        box = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", BOX],
                env={**os.environ, "JACK_DEFAULT_SERVER": SERVER},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        stack.callback(box.kill)
        assert box.stdin
        assert box.stdout
        assert box.stdout.readline() == "there\n"
        play = Play(tmp_path, "--midi", "box")
        for position, is_killed in ((127, False), (0, True), (127, True)):
            play.wait()
            if is_killed:
                play.kill()
                until(lambda: len(ids(place)) == 2)
                play = Play(tmp_path, "--attach", "--midi", "box")
                play.wait()

            def is_turned(position: int = position) -> bool:
                """Turn the knob, which the controller may have connected to by now, and ask for the parameter."""
                print(position, file=box.stdin, flush=True)
                peer.send(encode("/gramophone/n/level/gain"))
                return bool(peer.receive().arguments == (position / 127,))

            with peer_of(OSC_PORT) as peer:
                until(is_turned)
        until(lambda: kept(place).stage("level").values["gain"] > 20.0)
        play.end()


def test_a_recording_of_what_was_taken_over_can_be_replayed(place: Path, tmp_path: Path) -> None:
    from gramophone.realtime.files import read
    from gramophone.realtime.live.record import OUTPUT
    from gramophone.realtime.live.replay import replayed

    first = Play(tmp_path)
    first.wait()
    first.kill()
    second = Play(tmp_path, "--record", str(tmp_path / "take"))
    report = second.wait()
    next(each for each in second.reports if each["time_s"] > report["time_s"] + 1)
    second.end()
    output = read(tmp_path / "take" / OUTPUT)[0]
    assert output.shape[1] > 24_000
    np.testing.assert_array_equal(np.concatenate(list(replayed(tmp_path / "take")), axis=1), output)


def test_a_recording_in_progress_is_whole_when_the_controller_is_killed(place: Path, tmp_path: Path) -> None:
    """No one takes over: the process that records finishes the files, and what is in them can be replayed."""
    from gramophone.realtime.files import read
    from gramophone.realtime.live.record import EVENTS, INPUT, OUTPUT
    from gramophone.realtime.live.replay import replayed

    take = tmp_path / "take"
    first = Play(tmp_path, "--record", str(take))
    since = first.wait()
    with peer_of(OSC_PORT) as peer:
        peer.send(encode("/gramophone/level/gain", (-12.0,)))
    next(report for report in first.reports if report["time_s"] > since["time_s"] + 1)
    assert not (take / OUTPUT).exists()
    first.kill()
    until((take / OUTPUT).exists)
    until((take / INPUT).exists)
    output, rate = read(take / OUTPUT)
    assert output.shape[1] > rate
    np.testing.assert_array_equal(np.concatenate(list(replayed(take)), axis=1), output)
    assert '"level.gain", "value": -12.0' in (take / EVENTS).read_text()
    assert not list(take.glob(".*"))
    second = Play(tmp_path, "--attach")
    second.wait()
    second.end()


def test_a_take_in_progress_is_listed_after_the_controller_was_killed(place: Path, tmp_path: Path) -> None:
    first = Play(tmp_path)
    first.wait()
    takes = tmp_path / "data" / "gramophone" / "takes"
    with peer_of(OSC_PORT) as peer:
        peer.send(encode("/gramophone/record", (True,)))
        since = first.wait()["time_s"]
        until(lambda: list(takes.glob("*/.*.part")))
        next(report for report in first.reports if report["time_s"] > since + 1)
    first.kill()
    until(lambda: list(takes.glob("*/output.wav")) and list(takes.glob("*/input.wav")))
    second = Play(tmp_path, "--attach")
    second.wait()
    listed = httpx.get(f"http://127.0.0.1:{HTTP_PORT}/gramophone/takes/remove?RANGE", trust_env=False).json()
    name = next(takes.iterdir()).name
    assert listed["RANGE"][0]["VALS"] == [name]
    assert sorted(path.name for path in (takes / name).iterdir()) == ["input.wav", "output.wav", "preset.toml"]
    second.end()


@pytest.mark.parametrize("way", ["signal", "another", "late"])
def test_what_no_controller_comes_for_fades_out_and_leaves_nothing(place: Path, tmp_path: Path, way: str) -> None:
    first = Play(tmp_path, *["impatient"] * (way == "late"))
    first.wait()
    of_first = pieces(first)
    first.kill()
    if way != "late":
        until(lambda: len(ids(place)) == 2)
        assert of_first == pieces(first)
    if way == "signal":
        os.kill(ids(place)[0], signal.SIGTERM)
    if way == "another":
        second = Play(tmp_path, "--no-attach")
        second.wait()
        assert "ended what played on" in second.end()
    until(lambda: not list(place.iterdir()))
    until(lambda: not pieces(first))


def test_there_is_one_controller_at_a_time_and_nothing_to_attach_to_is_said(place: Path, tmp_path: Path) -> None:
    first = Play(tmp_path)
    first.wait()
    with pytest.raises(BlockingIOError):
        SessionFiles(next(place.glob("*.session")).with_suffix(""))
    second = Play(tmp_path, "--attach")
    said = second.process.communicate(timeout=PATIENCE_S)[1]
    assert second.process.returncode == 1
    assert "nothing to attach to" in said
    first.end()
