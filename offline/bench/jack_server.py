"""A JACK server without a sound card, for benches: a process of its own, ended with the `with` block."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from gramophone.realtime.system.interrupts import interrupts

_PATIENCE_S = 20.0
_LOOK_S = 0.05


class ServerError(RuntimeError):
    """No JACK server runs for the bench; the message says what is missing."""


@contextmanager
def jack_server(name: str, block: int, rate: int = 48_000) -> Iterator[None]:
    """Run a server called `name`, with real-time priority where that is allowed.

    Raises:
        ServerError: jackd is not installed, or does not start.
    """
    if not shutil.which("jackd"):
        raise ServerError("jackd is not installed (Debian: apt install jackd2)")
    for priority in (["-R", "-P", "70"], ["-r"]):
        command = ["jackd", *priority, "-n", name, "-d", "dummy", "-r", str(rate), "-p", str(block)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if _answers(server, name):
                yield
                return
        finally:
            server.terminate()
            try:
                server.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    raise ServerError(f"jackd does not start: {' '.join(command)}")


def _answers(server: subprocess.Popen[bytes], name: str) -> bool:
    """Wait until the server takes clients; return False once it has ended instead."""
    from gramophone.realtime.live.devices.jack import load_jack

    jack = load_jack()
    deadline = time.monotonic() + _PATIENCE_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with interrupts:  # JACK calls Python to print what it says
                jack.Client(f"looking-{os.getpid()}", no_start_server=True, servername=name).close()
        except jack.JackOpenError:
            with suppress(subprocess.TimeoutExpired):  # JACK does not announce that it takes clients
                server.wait(_LOOK_S)
        else:
            return True
    return False
