"""Sound over OSC on real sockets: exact to the sample at the stated latency; Pure Data and SuperCollider as peers."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.osc import free_port, needs, own_address, peer_of

from gramophone.presets import CLIPS, Preset, StageSettings
from gramophone.realtime.files import read
from gramophone.realtime.live.devices.backend import AudioError, open_backend
from gramophone.realtime.live.devices.osc.backend import OscBackend
from gramophone.realtime.live.devices.osc.packet import (
    FROM_US,
    NUMBERS,
    TO_US,
    OscAudioChoice,
    SoundBlock,
    encode_sound,
    parse_choice,
    reachable,
)
from gramophone.realtime.live.devices.osc.receiver import SILENT_S
from gramophone.realtime.live.session import Session
from gramophone.realtime.live.session_settings import SessionSettings
from gramophone.realtime.osc.packet import Message, decode, encode
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stage import Audio

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[5] / "docs" / "examples"
WIRES = (
    *("0 0 1 0", "0 1 1 1", "1 0 2 0", "1 1 2 1", "0 0 2 2", "0 1 2 3"),  # the sound
    *("3 0 4 0", "3 0 5 0", "3 0 6 0", "5 0 0 0", "6 0 2 0"),  # at the beginning
    *("7 0 8 0", "8 0 11 0", "8 1 10 0", "8 2 9 0", "9 0 2 0", "10 0 0 0"),  # when it is told to start
    *("11 0 12 0", "11 0 13 0", "13 0 2 0", "12 0 14 0"),  # at the end, half a second for the file
)
GRAMOPHONE = [sys.executable, "-m", "gramophone.offline"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
PATIENCE_S = 30.0
HALF_DB = 20 * np.log10(0.5)
HALF = f"""
title = "Half as loud"
description = "A gain and nothing else."

[[stages]]
name = "level"
kind = "gain"
gain = {HALF_DB}
"""


def recording(seconds: float, channels: int = 2) -> tuple[Audio, int]:
    """A real recording; the second channel runs backwards, so that channels cannot be mistaken."""
    sound, rate = read(CLIPS / "voice.flac")
    piece = sound[0, : round(seconds * rate)]
    return np.stack([piece, piece[::-1]][:channels]), rate


class Talker:
    """A program that sends a sound in blocks of `frames`, and keeps what comes back by number."""

    def __init__(self, port: int, sound: Audio, rate: int, frames: int, first: int = 0, stream: int = 7) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.frames, self.rate, self.first, self.stream = frames, rate, first, stream
        self.blocks = sound.shape[1] // frames
        self.sound = sound[:, : self.blocks * frames]
        self.answers: dict[int, Audio] = {}

    def packet(self, place: int) -> bytes:
        block = self.sound[:, place * self.frames : (place + 1) * self.frames]
        return encode_sound(SoundBlock(self.stream, (self.first + place) % NUMBERS, self.rate, block), TO_US)

    def send(self, place: int) -> None:
        self.socket.send(self.packet(place))

    def hear(self, wanted: int) -> None:
        """Take in answers until there are as many as wanted."""
        while len(self.answers) < wanted:
            assert select.select([self.socket], [], [], PATIENCE_S)[0], f"{len(self.answers)} of {wanted} answers came"
            message = decode(self.socket.recv(65_536))
            assert isinstance(message, Message)
            stream, number, rate, channels, blob = message.arguments
            assert (message.address, message.types) == (FROM_US, "iiiib")
            assert (stream, rate, channels) == (self.stream, self.rate, len(self.sound))
            place = (number - self.first) % NUMBERS
            assert place not in self.answers
            self.answers[place] = np.frombuffer(blob, ">f4").astype(np.float32).reshape(channels, self.frames)

    def talk(self, order: list[int], held: int) -> Audio:
        """Send blocks one by one, as a device would: the next when the answer to the one `held` before has come."""
        for place in order:
            self.send(place)
            self.hear(max(place - held + 1, len(self.answers)))
        return self.heard()

    def heard(self) -> Audio:
        """All answers, one behind the other."""
        assert sorted(self.answers) == list(range(len(self.answers)))
        return np.concatenate([self.answers[place] for place in range(len(self.answers))], axis=1)


@contextmanager
def device(process: Callable[[Audio], Audio], choice: str = "0", channels: int = 2) -> Iterator[OscBackend]:
    """The backend alone, which `process` answers for; a thread waits for its first talker."""
    backend = OscBackend(choice, channels, None)

    def begin() -> None:
        while not backend.wait_until_known(0.05):
            if over.is_set():
                return
        backend.start(process)

    over = threading.Event()
    beginning = threading.Thread(target=begin)
    beginning.start()
    try:
        yield backend
    finally:
        over.set()
        beginning.join()
        backend.close()


def lines(news: list[str]) -> str:
    return "\n".join(news)


# the device alone


@pytest.mark.parametrize("frames", [32, 64, 100, 256, 441, 1024, 4096])
@pytest.mark.parametrize("held", [0, 3])
def test_every_block_comes_back_under_its_number_once_so_many_newer_ones_have_come(frames: int, held: int) -> None:
    sound, rate = recording(0.5)
    with device(lambda block: -block, f"0,jitter={held}") as backend:
        talker = Talker(backend.port, sound, rate, frames, first=NUMBERS - 3)
        heard = talker.talk(list(range(talker.blocks)), held)
        assert (backend.rate, backend.block, backend.held) == (rate, frames, held * frames)
    assert heard.shape[1] == (talker.blocks - held) * frames
    np.testing.assert_array_equal(heard, -talker.sound[:, : heard.shape[1]])


def test_a_mono_talker_is_heard_on_both_channels_and_gets_the_first_back() -> None:
    sound, rate = recording(0.3, channels=1)
    shapes = set()

    def process(block: Audio) -> Audio:
        shapes.add(block.shape)
        np.testing.assert_array_equal(block[0], block[1])
        return block * np.array([[1], [0]], np.float32)

    with device(process, "0,jitter=0") as backend:
        heard = (talker := Talker(backend.port, sound, rate, 256)).talk(list(range(20)), 0)
    np.testing.assert_array_equal(heard, talker.sound[:, : 20 * 256])
    assert shapes == {(2, 256)}


def mangled(blocks: int, seed: int) -> tuple[list[int], set[int]]:
    """The order in which blocks arrive when 2 % are lost and 5 % change places with the next, and what is lost."""
    rng = np.random.default_rng(seed)
    order = list(range(blocks))
    for i in np.flatnonzero(rng.random(blocks - 9) < 0.05):
        order[i], order[i + 1] = order[i + 1], order[i]
    lost = {int(i) for i in np.flatnonzero(rng.random(blocks) < 0.02) if 2 < i < blocks - 9}
    return [place for place in order if place not in lost], lost


def test_losses_are_concealed_and_counted_and_latency_stays() -> None:
    sound, rate = recording(6.0)
    with device(lambda block: block, "0,jitter=4") as backend:
        talker = Talker(backend.port, sound, rate, 256)
        order, lost = mangled(talker.blocks, seed=3)
        newest = -1
        for place in order:
            talker.send(place)
            newest = max(newest, place)
            talker.hear(max(newest - 4 + 1, 0))
        figures = backend.figures
    swapped = sum(later < before for before, later in pairwise(order))
    assert len(lost) >= 10
    assert swapped >= 20
    assert figures == {
        "received": len(order),
        "lost": len(lost),
        "concealed": len(lost),
        "late": 0,
        "reordered": swapped,
        "duplicate": 0,
        "refused": 0,
    }
    heard, frames = talker.heard(), 256
    sent = talker.sound[:, : heard.shape[1]]
    touched = lost | {place + 1 for place in lost}
    for place in range(heard.shape[1] // frames):
        if place not in touched:
            at = slice(place * frames, (place + 1) * frames)
            np.testing.assert_array_equal(heard[:, at], sent[:, at])
    steepest, loudest = np.abs(np.diff(sent)).max(), np.abs(sent).max()
    assert np.abs(np.diff(heard)).max() <= steepest + 2 * loudest / frames + loudest / (0.02 * rate)


def test_a_burst_is_handed_on_at_the_pace_of_its_sound() -> None:
    """A worker has its block of time although the talker sends eight blocks at once."""
    times = []

    def process(block: Audio) -> Audio:
        times.append(time.monotonic())
        return block

    with device(process, "0,jitter=0") as backend:
        talker = Talker(backend.port, np.zeros((2, 1024 * 64), np.float32), 48_000, 1024)
        talker.send(0)
        talker.hear(1)
        for start in range(8, 64, 8):
            for place in range(start - 7, start + 1):
                talker.send(place)
            talker.hear(start + 1)
    assert np.quantile(np.diff(times), 0.25) > 0.5 * 1024 / 48_000


def test_bad_packets_never_stop_the_sound() -> None:
    sound, rate = recording(0.5)
    with device(lambda block: block, "0,jitter=0") as backend:
        talker = Talker(backend.port, sound, rate, 256)
        whole = talker.packet(0)
        bad = [
            b"",
            b"/",
            b"\0" * 64,
            whole[:-4],
            whole + b"\0\0\0\0",
            whole.replace(b",iiiib", b",iiiis"),
            b"x" * 60_000,
        ]
        for place in range(40):
            talker.socket.send(bad[place % len(bad)])
            talker.send(place)
            talker.hear(place + 1)
        assert backend.figures["refused"] == 40
        assert len(backend.news()) <= 1 + 2
    np.testing.assert_array_equal(talker.heard(), talker.sound[:, : 40 * 256])


def test_answers_go_where_they_were_asked_to() -> None:
    sound, rate = recording(0.1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind(("127.0.0.1", 0))
        elsewhere.settimeout(PATIENCE_S)
        with device(lambda block: block, f"0,jitter=0,to=127.0.0.1:{elsewhere.getsockname()[1]}") as backend:
            Talker(backend.port, sound, rate, 256).send(0)
            assert elsewhere.recv(65_536).startswith(FROM_US.encode())


def test_another_rate_is_another_device() -> None:
    with device(lambda block: block, "0,jitter=0") as backend:
        silence = np.zeros((2, 2560), np.float32)
        Talker(backend.port, silence, 48_000, 256).talk([0], 0)
        talker = Talker(backend.port, silence, 44_100, 256)
        deadline = time.monotonic() + PATIENCE_S
        while not backend.lost.wait(0.05):  # heard once the first has been silent for long enough
            talker.send(0)
            assert time.monotonic() < deadline
        assert "44100 Hz" in lines(backend.news())


def test_a_sender_elsewhere_on_the_network_is_not_heard() -> None:
    own = own_address()
    with device(lambda block: block, "0,jitter=0,host=0.0.0.0,allow=192.0.2.254") as backend:
        talker = Talker(backend.port, np.zeros((2, 2560), np.float32), 48_000, 256)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
            elsewhere.bind((own, 0))
            elsewhere.sendto(talker.packet(0), (own, backend.port))
        talker.talk([0], 0)
        assert backend.figures["refused"] == 1
        assert "not on the allow-list" in lines(backend.news())


# what follows --audio


def test_a_choice_says_where_to_listen_to_whom_and_how_long() -> None:
    assert parse_choice("") == OscAudioChoice(9002, "127.0.0.1", (), 2, None)
    assert parse_choice("9100,jitter=3,to=[::1]:9003,allow=10.0.0.1,allow=fd00::/8") == OscAudioChoice(
        9100, "127.0.0.1", ("10.0.0.1", "fd00::/8"), 3, ("::1", 9003)
    )
    assert parse_choice(reachable("osc", "0.0.0.0", ["10.0.0.1"])[4:]) == OscAudioChoice(
        9002, "0.0.0.0", ("10.0.0.1",), 2, None
    )


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ("osc:x", "'x'"),
        ("osc:70000", "70000"),
        ("osc:9002,jitter=-1", "-1"),
        ("osc:9002,jitter=65", "65"),
        ("osc:9002,to=9003", "HOST:PORT"),
        ("osc:9002,depth=3", "depth=3"),
        ("osc:0,host=0.0.0.0", "--allow"),
        ("osc:0,host=0.0.0.0,allow=x", "192.168.1.20"),
        ("osc:0,host=203.0.113.1,allow=10.0.0.1", "cannot listen"),
    ],
)
def test_a_choice_that_cannot_be_had_says_what_was_expected(choice: str, found: str) -> None:
    with pytest.raises(AudioError, match=r"OSC|osc") as refused:
        open_backend(choice, 2, None)
    assert found in str(refused.value)


def test_a_taken_port_is_named_with_what_to_do() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(AudioError, match=rf"port {port}: .*--audio osc:PORT"):
            open_backend(f"osc:{port}", 2, None)


def test_a_block_size_cannot_be_asked_for() -> None:
    with pytest.raises(AudioError, match="leave --block out"):
        open_backend("osc:0", 2, 128)


# the whole engine


def test_a_recording_comes_back_at_exactly_the_reported_latency_with_losses_and_after_them() -> None:
    """The talker plays what it hears as a device would: silence until the first answer, then block for block."""
    frames, spare, held = 256, 3, 4
    sound, rate = recording(6.0)
    preset = complete(Preset("half", (StageSettings("level", "gain", {"gain": HALF_DB}),)))
    port = free_port()
    with Session(SessionSettings(f"osc:{port},jitter={held}", spare=spare)) as session:
        session.start(preset)
        starting = threading.Thread(target=session.wait_until_open)
        starting.start()
        first = Talker(port, np.zeros((2, 10 * frames), np.float32), rate, frames, stream=1)
        while starting.is_alive():  # nobody may listen yet
            try_to_send(first)
            starting.join(0.05)
        session.wait_until_playing()
        talker = Talker(port, sound, rate, frames)
        talker.socket = first.socket
        drain(first.socket)
        order, lost = mangled(talker.blocks, seed=5)
        newest = -1
        for place in order:
            talker.send(place)
            newest = max(newest, place)
            hear_stream(talker, newest - held + 1)
        report = wait_for_report(session, len(order))
    assert report["latency_samples"] == (2 + spare + held) * frames
    assert report["packets"]["lost"] == report["packets"]["concealed"] == len(lost)
    assert report["packets"]["late"] == 0
    assert report["errors"] == 0
    played = np.concatenate([np.zeros((2, (1 + held) * frames), np.float32), talker.heard()], axis=1)
    late = np.concatenate([np.zeros((2, report["latency_samples"]), np.float32), 0.5 * sound], axis=1)
    late = late[:, : played.shape[1]]
    same = [
        np.allclose(*(s[:, at : at + frames] for s in (played, late)), atol=1e-6)
        for at in range(0, played.shape[1], frames)
    ]
    start = 2 + spare + held
    touched = {place + start + step for place in lost for step in (0, 1)}
    wrong = {place for place, is_same in enumerate(same) if not is_same} - touched - set(range(start + 2))
    # what is not the chain's sound is the dry one in place of a block that the worker was late with, and the way back
    assert len(wrong) <= 2 * report["underruns"]
    assert all(same[-20:]) or report["underruns"]


def try_to_send(talker: Talker) -> None:
    with suppress(ConnectionRefusedError):
        talker.send(0)


def drain(sock: socket.socket) -> None:
    while select.select([sock], [], [], 0.2)[0]:
        sock.recv(65_536)


def hear_stream(talker: Talker, wanted: int) -> None:
    """Take in answers to this stream; those to the stream before are dropped."""
    while len(talker.answers) < wanted:
        assert select.select([talker.socket], [], [], PATIENCE_S)[0]
        message = decode(talker.socket.recv(65_536))
        assert isinstance(message, Message)
        if message.arguments[0] == talker.stream:
            blob = np.frombuffer(message.arguments[4], ">f4").astype(np.float32)
            talker.answers[message.arguments[1]] = blob.reshape(2, talker.frames)


def wait_for_report(session: Session, received: int) -> dict:
    """The report once it knows of all packets; figures are a tenth of a second old at most."""
    deadline = time.monotonic() + PATIENCE_S
    while session.report().get("packets", {"received": 0})["received"] < received:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return session.report()


@contextmanager
def gramophone(port: int, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """`gramophone play` at half the level, once it listens; ended by SIGTERM, which is a good end."""
    preset = folder / "half.toml"
    preset.write_text(HALF)
    command = [*GRAMOPHONE, "play", "--preset", str(preset), "--audio", f"osc:{port}", "--json", "--osc-port", "0"]
    with subprocess.Popen(
        [*command, "--http-port", "0", "--spare", "2", *options],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as play:
        assert play.stderr
        try:
            # Where there is no MIDI, it says so first.
            assert any("waiting for sound at /gramophone/audio/in" in line for line in play.stderr)
            yield play
        finally:
            if play.poll() is None:
                play.terminate()
            play.wait(PATIENCE_S)


def test_knobs_can_be_turned_before_the_first_sound_comes(tmp_path: Path) -> None:
    sound, rate = recording(6.0)
    port, control = free_port(), free_port()
    with gramophone(port, tmp_path, "--osc-port", str(control)) as play, peer_of(control) as peer:
        answer = None
        while not answer:  # it may not listen yet
            assert play.poll() is None
            with suppress(ConnectionRefusedError):
                peer.send(encode("/gramophone/level/gain", (-20.0,)))
                peer.send(encode("/gramophone/level/gain"))
                answer = peer.receive(0.2)
        assert answer.arguments == (-20.0,)
        talker = Talker(port, sound, rate, 256)
        held = 2
        for place in range(talker.blocks):
            talker.send(place)
            talker.hear(place - held + 1)
        heard = talker.heard()
    loudness = np.sqrt(np.mean(heard[:, -rate:] ** 2) / np.mean(sound[:, -rate:] ** 2))
    assert 0.07 < loudness < 0.3, "a tenth, but for blocks that the worker was late with"


def last_report(play: subprocess.Popen[str]) -> dict:
    """What `play` has printed last, once it has been ended."""
    play.terminate()
    assert play.stdout
    return json.loads(play.stdout.read().splitlines()[-1])


def lag_of(heard: Audio, sent: Audio) -> int:
    """By how many samples `heard` is later than `sent`, found by correlation."""
    size = 1 << (heard.size + sent.size - 1).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.fft.rfft(sent, size).conj()
    return int(np.argmax(np.fft.irfft(spectrum, size)))


def assert_same_where_in_time(heard: Audio, wanted: Audio, underruns: int) -> None:
    """Samples are what they should be, on a machine that keeps up all of them.

    Others are the dry sound in place of a block that the worker was late with, and the way back, or silence where the
    answer itself was late.
    """
    size = min(heard.size, wanted.size)
    apart = np.abs(heard[:size] - wanted[:size]) > 1e-6
    assert np.count_nonzero(apart & (heard[:size] != 0)) <= 2 * 256 * underruns
    assert np.count_nonzero(~apart & (wanted[:size] != 0)) > 20 * 256


def reports(play: subprocess.Popen[str]) -> Iterator[dict]:
    assert play.stdout
    return (json.loads(line) for line in iter(play.stdout.readline, ""))


@needs("pd", "puredata-core")
def test_pure_data_plays_through_the_example_patch_with_a_fixed_latency(tmp_path: Path) -> None:
    """The patch, as it is in docs/examples, between a recording and a file that holds dry and wet side by side."""
    lag, port, control = 12, free_port(), free_port()
    sound, rate = recording(1.5)
    soundfile.write(tmp_path / "in.wav", sound.T, rate, subtype="FLOAT")
    patch = tmp_path / "through.pd"
    patch.write_text(
        "#N canvas 0 0 450 300 12;\n"
        "#X obj 20 20 readsf~ 2;\n"
        f"#X obj 20 60 gramophone-audio {port} {lag};\n"
        "#X obj 20 120 writesf~ 4;\n"
        "#X obj 200 20 loadbang;\n"
        "#X msg 200 50 \\; pd dsp 1;\n"
        "#X msg 260 80 open in.wav;\n"
        "#X msg 260 110 open -bytes 4 out.wav;\n"
        f"#X obj 350 20 netreceive -u {control};\n"
        "#X obj 350 50 t b b b;\n"
        "#X msg 260 140 start;\n"
        "#X msg 300 20 1;\n"
        "#X obj 350 110 delay 2000;\n"
        "#X obj 350 140 delay 500;\n"
        "#X msg 400 170 stop;\n"
        "#X msg 350 200 \\; pd quit;\n" + "".join(f"#X connect {wire};\n" for wire in WIRES)
    )
    command = ["pd", "-nogui", "-noaudio", "-nomidi", "-r", str(rate), "-path", str(EXAMPLES), "-open", str(patch)]
    with gramophone(port, tmp_path) as play:
        pd = subprocess.Popen([*command, "-stderr"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        report = next(report for report in reports(play) if report["playing"] and "packets" in report)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hand:
            hand.sendto(b"start;\n", ("127.0.0.1", control))
        said = pd.communicate(timeout=PATIENCE_S)[1]
        report = last_report(play)
    assert "no such object" not in said
    assert (report["rate"], report["block"]) == (rate, 256)
    assert report["latency_samples"] == (2 + 2 + 2) * 256
    assert report["packets"]["refused"] == report["packets"]["lost"] == 0
    out, _ = soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)
    for channel in range(2):
        wet, dry = out[:, channel], out[:, 2 + channel]
        late = lag_of(wet, dry)
        # by number the answer is (1 + spare) blocks late; the patch waits for LAG, collects one and reblocks from 64
        assert late == (1 + 2 + lag + 1) * 256 + 192
        assert_same_where_in_time(wet[late:], 0.5 * dry, report["underruns"])


@needs("sclang", "supercollider-language")
def test_supercollider_plays_a_file_through_the_example_script(tmp_path: Path) -> None:
    port = free_port()
    sound, rate = recording(1.5)
    soundfile.write(tmp_path / "in.wav", sound.T, rate, subtype="FLOAT")
    environment = {
        **os.environ,
        **dict.fromkeys(("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(tmp_path)),
        "QT_QPA_PLATFORM": "offscreen",
        "QTWEBENGINE_DISABLE_SANDBOX": "1",  # CI runs as root
    }
    command = ["sclang", str(EXAMPLES / "gramophone-audio.scd"), "in.wav", "out.wav", str(port)]
    with gramophone(port, tmp_path) as play:
        silence = Talker(port, np.zeros((2, 2560), np.float32), rate, 256)
        silence.send(0)
        next(report for report in reports(play) if report["playing"])
        silence.talk(list(range(1, 10)), 2)
        time.sleep(SILENT_S)  # only then may another talk
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )
        assert "blocks came back" in done.stdout, done.stdout + done.stderr
        report = last_report(play)
    assert report["packets"]["refused"] == report["packets"]["lost"] == 0
    out, out_rate = soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)
    assert out_rate == rate
    for heard, sent in zip(out.T, sound, strict=True):
        late = lag_of(heard, sent)
        assert late == (1 + 2) * 256  # by number: `spare` blocks and one
        # the first block fades in: it follows on another talker's
        assert_same_where_in_time(heard[late + 256 :], 0.5 * sent[256:], report["underruns"])


def test_ctrl_c_ends_the_wait_for_a_talker(tmp_path: Path) -> None:
    with gramophone(free_port(), tmp_path) as play:
        play.terminate()
        assert play.wait(PATIENCE_S) == 1
