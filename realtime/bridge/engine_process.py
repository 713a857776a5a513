"""What the plug-in starts: `python -m gramophone.realtime.bridge.engine_process`.

Descriptor 3 is its socket, 4 and 5 are the rings of blocks to the engine and from there. Loading libraries takes
seconds. So a server (`engine_server`) has them loaded already and forks the engine itself: this process starts one if
there is none, hands them over, and ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from gramophone.realtime.system.cache_folder import alone, cache_folder

SOCKET, *RINGS = 3, 4, 5
"""The descriptors of the plug-in's socket and of its rings."""
_PATIENCE_S = 60.0
"""So long the server may take to load what engines need."""
_SERVER = "gramophone.realtime.bridge.engine_server"
_PROGRAM = Path(__file__).parents[2]


def hand_over(descriptor: int) -> int:
    """Let the server play for the plug-in at the other end of a socket; return the exit status.

    The engine gets this process's environment, output and folder.
    """
    rings = [ring for ring in RINGS if _is_open(ring)]  # an older plug-in sends them otherwise: the engine refuses it
    _leave_host()
    request = json.dumps({"environment": dict(os.environ), "folder": str(Path.cwd())}).encode(
        "utf-8", "surrogateescape"
    )
    for _ in range(3):  # one that is about to end may close the socket in between
        with closing(_connected()) as connection, suppress(OSError):
            socket.send_fds(connection, [len(request).to_bytes(4, "little")], [descriptor, 1, 2, *rings])
            connection.sendall(request)
            if not _comes(connection, descriptor) or connection.recv(1):
                return 0
    print("gramophone: the engine server does not answer", file=sys.stderr)
    return 1


def _leave_host() -> None:
    """Give up what this process has from the host that no engine needs: signals that are held back, open files."""
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.closerange(RINGS[-1] + 1, os.sysconf("SC_OPEN_MAX"))


def _is_open(descriptor: int) -> bool:
    with suppress(OSError):
        return os.fstat(descriptor).st_ino > 0
    return False


def _comes(connection: socket.socket, plugin: int) -> bool:
    """Wait for the server's answer; return False if the plug-in goes before.

    Raises:
        TimeoutError: the server does not answer.
    """
    either = select.poll()
    either.register(connection, select.POLLIN)
    either.register(plugin, select.POLLRDHUP)
    ready = [descriptor for descriptor, _ in either.poll(1000 * _PATIENCE_S)]
    if not ready:
        raise TimeoutError("the engine server does not answer")
    return plugin not in ready


def _connected() -> socket.socket:
    """Return a connection to the server, which is started if there is none."""
    path = _socket_path()
    with alone(path.with_suffix(".lock")):  # two plug-ins must not start two
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except OSError:
            _start(path)
            connection.connect(str(path))
    return connection


def _socket_path() -> Path:
    """Return where the server of this installation listens; only its user may enter the folder.

    Raises:
        OSError: there is no place for it.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    identity = f"{sys.executable} {_PROGRAM} {sys.version}"
    name = f"engines-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.sock"
    usual = Path(runtime) / "gramophone" if runtime else cache_folder("bridge")
    for folder in (usual, Path(tempfile.gettempdir()) / f"gramophone-{os.getuid()}"):  # a home may be read-only
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK):  # in a shared folder: not another's
                return folder / name
    raise PermissionError(f"{usual}: cannot be written, where engines are found: set XDG_RUNTIME_DIR")


def _start(path: Path) -> None:
    """Start a server that listens at `path`; it can be connected to at once, and answers when all is loaded."""
    path.unlink(missing_ok=True)
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        before = os.umask(0o077)
        listener.bind(str(path))
        os.umask(before)
        listener.listen(64)
        number = listener.fileno()
        with path.with_suffix(".log").open("wb") as log:  # it outlives the host, whose output it must not hold open
            subprocess.Popen(
                [sys.executable, "-m", _SERVER, str(number), str(path)],
                pass_fds=[number],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},  # threads do not survive forks
            )


if __name__ == "__main__":
    try:
        sys.exit(hand_over(SOCKET))
    except OSError as error:
        sys.exit(f"gramophone: no engine can be started: {error}")
