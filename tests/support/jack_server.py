"""A JACK server for tests of MIDI and sound, started and stopped."""

import os
import shutil
import subprocess
import time

import pytest

from gramophone.realtime.control.midi import backends

SERVER = f"gramophone-test-{os.getpid()}"


BACKEND = "UNIX_JACK"


def start_server(name, real_time=False):
    if real_time:
        command = ["jackd", "-R", "-P", "70", "-n", name, "-d", "dummy", "-r", "48000", "-p", "256"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        waiting = ["jack_wait", "-s", name, "-w", "-t", "5"]
        if subprocess.run(waiting, stdout=subprocess.DEVNULL, check=False).returncode == 0 and server.poll() is None:
            return server
        server.kill()
    waiting = ["-S", "-t", "5000"]  # for clients that are late on a busy machine: otherwise JACK drops what they sent
    command = ["jackd", "-r", *waiting, "-n", name, "-d", "dummy", "-r", "48000", "-p", "256"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run(["jack_wait", "-s", name, "-w", "-t", "20"], check=True, stdout=subprocess.DEVNULL)
    return server


def stop(server):
    server.terminate()
    server.wait(20)


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
