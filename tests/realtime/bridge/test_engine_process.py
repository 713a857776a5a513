"""The engine of a plug-in ends with its host, however that went, and is no part of the host's audio graph."""

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import jack
import pytest
from support.engines import engines, memory_of, server
from support.jack_server import start_server, stop, until

from gramophone.realtime.bridge import engine_process

pytestmark = pytest.mark.peer
HOSTS, AT_ONCE = 30, 5
LATEST_S = 2.5
ENDED_S = 120.0


def _host(core_driver, installed, **more):
    """Start a host with the plug-in's core, which plays for a minute; its first line tells that an engine does."""
    words = [str(core_driver), "30000", "tell"]
    return subprocess.Popen(words, env=installed.environment | more, stdout=subprocess.PIPE)


@pytest.mark.slow
def test_hosts_that_are_killed_at_any_moment_leave_no_process_and_no_memory(core_driver, installed):
    chance, started = random.Random(1), set()
    folder = installed.environment["XDG_RUNTIME_DIR"]
    for _ in range(HOSTS // AT_ONCE):
        hosts = [_host(core_driver, installed) for _ in range(AT_ONCE)]
        for host in hosts:
            with pytest.raises(subprocess.TimeoutExpired):
                host.wait(chance.uniform(0.0, 2 * LATEST_S / AT_ONCE))
            started |= {process for process, _ in engines(folder)}
            host.kill()
            host.wait()
            host.stdout.close()
    until(lambda: not engines(folder), ENDED_S)
    until(lambda: not memory_of(started), ENDED_S)


def test_whatever_an_engine_waits_for_it_ends_when_its_plug_in_has_gone():
    program = """
import socket, threading
from gramophone.realtime.bridge.link import BridgeLink
BridgeLink(socket.socket(fileno=0)).end_process_after_hangup(1)
print("waits", flush=True)
threading.Event().wait()
"""
    near, far = socket.socketpair()
    with near, far:
        engine = subprocess.Popen([sys.executable, "-c", program], stdin=far, stdout=subprocess.PIPE, text=True)
    try:
        with engine.stdout as told:
            assert told.readline() == "waits\n"
        assert engine.wait(60) == -signal.SIGALRM
    finally:
        engine.kill()


def test_an_engine_is_no_client_of_the_hosts_audio_server(core_driver, installed):
    name = f"gramophone-graph-{os.getpid()}"
    server = start_server(name)
    host = _host(core_driver, installed, JACK_DEFAULT_SERVER=name)
    try:
        watch = jack.Client("watch", no_start_server=True, servername=name)
        assert host.stdout.readline() == b"plays\n"
        assert not [port.name for port in watch.get_ports() if not port.name.startswith("system:")]
        watch.close()
    finally:
        host.kill()
        host.wait()
        host.stdout.close()
        stop(server)


def test_the_server_has_loaded_what_a_worker_does_which_is_without_torch(core_driver, installed):
    host = _host(core_driver, installed)
    try:
        assert host.stdout.readline() == b"plays\n"
        loaded = Path(f"/proc/{server(installed.environment['XDG_RUNTIME_DIR'])}/maps").read_text()
        assert "numba" in loaded
        assert "torch" not in loaded
    finally:
        host.kill()
        host.wait()
        host.stdout.close()


def test_where_no_usual_folder_can_be_written_engines_are_found_in_one_of_the_users_own(tmp_path, monkeypatch):
    for name in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, "/proc/nowhere")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = engine_process._socket_path().parent
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    (tmp_path / f"gramophone-{os.getuid()}").mkdir()
    with pytest.raises(PermissionError, match="XDG_RUNTIME_DIR"):  # another user has made it
        engine_process._socket_path()
