"""A JACK server for tests of MIDI and sound, started and stopped."""

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from gramophone.realtime.control.midi import backends

SERVER = f"gramophone-test-{os.getpid()}"


BACKEND = "UNIX_JACK"
METADATA = Path(f"/dev/shm/jack_db-{os.getuid()}")


def start_server(name, real_time=False):
    if any(file.stat().st_size == 0 for file in METADATA.glob("__db.*")):
        clear_metadata()  # a server starts with half of it, and dies when the first client comes
    if real_time:
        command = ["jackd", "-R", "-P", "70", "-n", name, "-d", "dummy", "-r", "48000", "-p", "256"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        waiting = ["jack_wait", "-s", name, "-w", "-t", "5"]
        if subprocess.run(waiting, stdout=subprocess.DEVNULL, check=False).returncode == 0 and server.poll() is None:
            return server
        server.kill()
    patience = ["-S", "-t", "5000"]  # for clients that are late on a busy machine: otherwise JACK drops what they sent
    command = ["jackd", "-r", *patience, "-n", name, "-d", "dummy", "-r", "48000", "-p", "256"]
    waiting = ["jack_wait", "-s", name, "-w", "-t", "20"]
    for _ in range(2):
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if subprocess.run(waiting, stdout=subprocess.DEVNULL, check=False).returncode == 0 and server.poll() is None:
            return server
        server.kill()
        server.wait()
        clear_metadata()
    raise AssertionError("jackd does not start: " + " ".join(command))


def clear_metadata():
    """Remove what JACK knows of ports and clients, after a server has died.

    All servers of a user share this database. One that ends removes it, even while another makes it, and upon a half
    of it every server dies of a bus error, until somebody removes that.
    """
    shutil.rmtree(METADATA, ignore_errors=True)


def stop(server):
    server.terminate()
    server.wait(20)


@contextmanager
def own_server(name, data):
    """A server that JACK clients of the `with` block use by default, with a folder for the user's data."""
    if not shutil.which("jackd") or not shutil.which("jack_wait"):
        pytest.skip("needs jackd: apt install jackd2")
    pytest.importorskip("jack", reason="needs JACK-Client: pip install JACK-Client")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("JACK_DEFAULT_SERVER", name)
        environment.setenv("JACK_NO_START_SERVER", "1")
        environment.setenv("XDG_DATA_HOME", str(data))
        running = start_server(name)
        try:
            yield running
        finally:
            stop(running)


@pytest.fixture(scope="module")
def server():
    if not shutil.which("jackd") or not shutil.which("jack_wait"):
        pytest.skip("needs jackd: apt install jackd2")
    if BACKEND not in backends():
        pytest.skip("this python-rtmidi was built without JACK")
    server = start_server(SERVER)
    yield server
    stop(server)


def until(is_so, seconds=15.0):
    """Wait for something to come true; fail when it does not."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)
