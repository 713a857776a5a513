"""The plug-in in jalv on a real JACK server: live, and while JACK runs as fast as its clients can.

jalv for the console stores no state; what lilv has stored, whose functions all jalvs use, it restores.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support.bridge import noise, rendered
from support.eight_macros import EIGHT, FREE, SET, expected_of
from support.jack_listener import Listener
from support.jack_server import start_server, stop, until

from gramophone.presets import names
from gramophone.realtime.engine import Engine

SERVER = f"gramophone-jalv-{os.getpid()}"
RATE, BLOCK = 48_000, 256
URI = "urn:gramophone:bridge"
OWN = 1 + len(names())
"""The number of a preset of the user's own, the only one."""
PORTS = [[f"jalv:lv2_audio_{way}_{i}" for i in (1, 2)] for way in ("in", "out")]
TESTS = Path(__file__).parents[2]
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


class Console:
    """The commands that jalv takes, and what it prints."""

    def __init__(self, process):
        self._process, self._lines = process, []
        threading.Thread(target=lambda: self._lines.extend(process.stdout), daemon=True).start()

    def write(self, *commands):
        """Send commands."""
        self._process.stdin.writelines(f"{command}\n" for command in commands)

    def value(self, symbol, command="controls"):
        """Return a port's value as jalv printed it last, None before; `command` lets it print it once more."""
        self.write(command)
        found = re.findall(rf"\b{symbol} = (\S+)", "".join(self._lines))
        return float(found[-1]) if found else None

    def wait_until_it_plays(self):
        """Wait for the engine's page."""
        until(lambda: self.value("page", "monitors"), 90)

    def wait_for(self, values):
        """Wait until controls have these values, by symbol."""
        until(lambda: {symbol: self.value(symbol) for symbol in values} == pytest.approx(values, abs=1e-5), 60)


@contextmanager
def jalv(installed, *words) -> Iterator[Console]:
    """Run the plug-in in jalv on a server of its own; `words` say which state or plug-in it is."""
    server = start_server(SERVER)
    process = subprocess.Popen(
        ["stdbuf", "-oL", "jalv", "-p", "-n", "jalv", *words],
        env=installed.environment | {"JACK_DEFAULT_SERVER": SERVER},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    )
    try:
        yield Console(process)
    finally:
        process.stdin.close()  # which ends it
        process.wait(30)
        stop(server)


def latency(preset):
    """Return how late the plug-in is, in samples; jalv 1.6.6 does not report it to JACK: who plays compensates it."""
    return BLOCK + Engine.load(preset, rate=RATE, channels=2).chain.delay


def wait_until_in_line(listener, sound, late):
    """Play live until what comes back is as late as stated; so are the blocks that a busy machine leaves dry."""
    around, frames = range(late + BLOCK - 20, late + BLOCK + 21), sound.shape[1]

    def is_in_line():
        live = listener.play()
        return np.argmax([np.abs(live[0, shift : shift + frames] @ sound[0]) for shift in around]) == 20

    until(is_in_line, 60)


def bounced(listener, late, sound):
    """Return what JACK, running freely, brings back of the listener's sound, the stated latency taken off."""
    listener.run_freely(True)
    played = listener.play()
    listener.run_freely(False)
    return played[:, late + BLOCK : late + BLOCK + sound.shape[1]]  # JACK's own loop is a block


def test_sound_goes_through_live_and_while_jack_runs_freely_in_line(installed, own):
    sound = noise(1.0, rate=RATE)
    preset = own(PRESET)
    expected, late = rendered(preset, sound, rate=RATE), latency(preset)
    with jalv(installed, "-c", f"preset={OWN}", URI) as console:
        console.wait_until_it_plays()
        with Listener(SERVER, sound, *PORTS) as listener:
            wait_until_in_line(listener, sound, late)
            console.write("offline = 1")
            free = bounced(listener, late, sound)
    np.testing.assert_allclose(free, expected, atol=1e-6)


def test_every_parameter_is_set_on_the_console(installed, own):
    """A free parameter stands for nothing until a knob has been moved; bypass is set last."""
    preset = own(EIGHT)
    sound = noise(0.5, rate=RATE)
    values = {"preset": OWN} | SET | {free: position for free, (_, position) in FREE.items()}
    expected, late = expected_of(preset, SET, {}, sound, RATE), latency(preset)
    with jalv(installed, URI) as console:
        console.wait_until_it_plays()
        console.write(*(f"set {symbol} {value}" for symbol, value in values.items()))
        console.wait_for(values)
        with Listener(SERVER, sound, *PORTS) as listener:
            wait_until_in_line(listener, sound, late)
            console.write("set offline 1")
            found = bounced(listener, late, sound)
            console.write("set lv2_enabled 0")
            console.wait_for({"lv2_enabled": 0})
            dry = bounced(listener, late, sound)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(dry, sound, atol=1e-6)


STORE = """
import sys
sys.path.insert(0, sys.argv[1])
from support.eight_macros import FREE, SET
from support.python_hosts import HOSTS, play_silence, take
host, job = HOSTS["lilv"](sys.argv[2], 48000, 256), {"rate": 48000, "block": 256}
for symbol, value in {"preset": float(sys.argv[4]), **SET}.items():
    host.set(symbol, value)
play_silence(host, job)
for symbol, (address, position) in FREE.items():
    take(host, job, symbol, address, position)
host.set("offline", 0)
open(sys.argv[3], "w").write(host.save())
"""


def test_a_stored_state_brings_every_parameter_back(installed, own, tmp_path):
    preset = own(EIGHT)
    sound = noise(0.5, rate=RATE)
    words = (TESTS, installed.folder / "Gramophone.lv2", tmp_path / "state.ttl", OWN)
    installed.run([sys.executable, "-c", STORE, *map(str, words)])
    values = {"preset": OWN} | SET | {free: position for free, (_, position) in FREE.items()}
    expected = expected_of(preset, SET, FREE, sound, RATE)
    with jalv(installed, "-l", str(tmp_path)) as console:
        console.wait_until_it_plays()
        console.wait_for(values)
        console.write("set offline 1")
        with Listener(SERVER, sound, *PORTS) as listener:
            found = bounced(listener, latency(preset), sound)
    np.testing.assert_allclose(found, expected, atol=1e-6)
