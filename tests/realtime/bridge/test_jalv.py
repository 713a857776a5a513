"""The plug-in in jalv on a real JACK server: live, and while JACK runs as fast as its clients can."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jack
import numpy as np
import pytest
from support.bridge import noise, rendered
from support.jack_server import start_server, stop, until

from gramophone.presets import names
from gramophone.realtime.engine import Engine

SERVER = f"gramophone-jalv-{os.getpid()}"
RATE, BLOCK = 48_000, 256
PRESET = """
title = "Of no memory"
description = "Forgets silence: jalv plays some before the sound."

[[stages]]
name = "echo"
kind = "delay"
time = 125
wet = 0.5
feedback = 0.3

[[stages]]
name = "ceiling"
kind = "brickwall"
"""
pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        not (shutil.which("jalv") and shutil.which("jackd")), reason="needs jalv and jackd (apt install jalv jackd2)"
    ),
]


class Listener:
    """A JACK client that plays a sound into the plug-in once, and keeps what comes back."""

    def __init__(self, sound):
        self._client = jack.Client("listener", no_start_server=True, servername=SERVER)
        self._outputs = [self._client.outports.register(f"out_{i}") for i in (1, 2)]
        self._inputs = [self._client.inports.register(f"in_{i}") for i in (1, 2)]
        self._sound, self._at, self._heard = sound, None, []
        self._done = threading.Event()
        self._client.set_process_callback(self._process)

    def __enter__(self):
        self._client.activate()
        for i in (1, 2):
            self._client.connect(f"listener:out_{i}", f"jalv:lv2_audio_in_{i}")
            self._client.connect(f"jalv:lv2_audio_out_{i}", f"listener:in_{i}")
        return self

    def __exit__(self, *_):
        self._client.deactivate()
        self._client.close()

    def run_freely(self, on):
        """Let JACK run without regard to time, or with."""
        self._client.set_freewheel(on)

    def play(self):
        """Return what came back while the sound and a second of silence were played."""
        self._heard, self._at = [], 0
        self._done.clear()
        assert self._done.wait(60)
        return np.concatenate(self._heard, axis=1)

    def _process(self, frames):
        part = np.zeros((2, frames), np.float32)
        if self._at is not None and not self._done.is_set():
            given = self._sound[:, self._at : self._at + frames]
            part[:, : given.shape[1]] = given
            self._heard.append(np.stack([port.get_array().copy() for port in self._inputs]))
            self._at += frames
            if self._at > self._sound.shape[1] + RATE:
                self._done.set()
        for port, row in zip(self._outputs, part, strict=True):
            port.get_array()[:] = row


@contextmanager
def jalv(installed) -> Iterator[subprocess.Popen[str]]:
    """Run the plug-in in jalv on a server of its own."""
    server = start_server(SERVER)
    host = subprocess.Popen(
        [
            "stdbuf",
            "-oL",
            "jalv",
            "-p",
            "-n",
            "jalv",
            "-c",
            f"preset={1 + len(names())}",
            "urn:gramophone:bridge",
        ],
        env=installed.environment | {"JACK_DEFAULT_SERVER": SERVER},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    )
    try:
        yield host
    finally:
        host.stdin.close()  # which ends it
        host.wait(30)
        stop(server)


def test_sound_goes_through_live_and_while_jack_runs_freely_in_line(installed):
    """Live a busy machine may leave blocks dry, as late as is stated; freely all are what `render` gives."""
    sound = noise(1.0, rate=RATE)
    own = Path(installed.environment["XDG_CONFIG_HOME"]) / "gramophone" / "presets" / "forgets.toml"
    own.parent.mkdir()
    own.write_text(PRESET)
    expected = rendered(str(own), sound, rate=RATE)
    chain = Engine.load(str(own), rate=RATE, channels=2).chain
    late = BLOCK + chain.delay + BLOCK  # JACK's own loop is a block
    with jalv(installed) as host:
        lines = []
        threading.Thread(target=lambda: lines.extend(host.stdout), daemon=True).start()

        def plays():
            host.stdin.write("monitors\n")  # else jalv prints nothing
            return any("page" in line and "page = 0" not in line for line in lines)

        until(plays, 90)
        with Listener(sound) as listener:
            live = listener.play()
            likeness = [np.abs(live[0, shift : shift + RATE] @ sound[0]) for shift in range(late - 20, late + 21)]
            assert np.argmax(likeness) == 20, likeness
            host.stdin.write("offline = 1\n")
            listener.run_freely(True)
            free = listener.play()
            listener.run_freely(False)
    np.testing.assert_allclose(free[:, late : late + RATE], expected, atol=1e-6)
