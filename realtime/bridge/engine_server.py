"""The server that forks engine processes: it has all libraries loaded, so that a plug-in plays within a second.

One serves all plug-ins of a user. It ends by itself some minutes after the last engine, when its socket is taken away,
and when the program's files have changed since it started: then the next plug-in starts another.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

from gramophone.realtime.live.worker_process import load_libraries
from gramophone.realtime.system.shared_memory import remove_orphans

_IDLE_S = 300.0
_LOOK_S = 0.5
_LARGEST_REQUEST = 1 << 20
_PROGRAM = Path(__file__).parents[2]


def serve(listener: socket.socket, path: Path) -> None:
    """Fork an engine for every plug-in that comes, until no one needs this server any more."""
    started, idle_since = time.time(), time.monotonic()
    own = path.stat().st_ino
    _load()
    children: set[int] = set()
    tidies = False
    listener.settimeout(_LOOK_S)
    while _is_own(path, own) and (children or time.monotonic() - idle_since < _IDLE_S):
        if tidies:
            remove_orphans()  # of those that ended before: by now nothing of theirs runs
        ended = {child for child in children if _has_ended(child, os.WNOHANG)}
        children, tidies = children - ended, bool(ended)
        if children:
            idle_since = time.monotonic()
        with suppress(TimeoutError):
            connection, _ = listener.accept()
            with closing(connection):
                if _changed_since(started):
                    path.unlink(missing_ok=True)
                    break  # who asked finds no server and starts another
                children.add(_fork(connection, listener))
    for child in children:
        _has_ended(child, 0)


def _has_ended(child: int, how: int) -> bool:
    """Return whether an engine has ended (`how`: `os.WNOHANG`, or 0 to wait for that); end what it left running."""
    if os.waitpid(child, how)[0] == 0:
        return False
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return True


def _load() -> None:
    """Load what engine and worker need, and keep the collector from looking at it, which would unshare its memory."""
    gc.disable()
    import gramophone.realtime.bridge.host_session
    import gramophone.realtime.control.oscquery  # noqa: F401

    load_libraries()
    gc.collect()
    gc.freeze()
    gc.enable()


def _is_own(path: Path, inode: int) -> bool:
    with suppress(OSError):
        return path.stat().st_ino == inode
    return False


def _changed_since(time_s: float) -> bool:
    """Whether any loaded file of the program is newer than the server."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    own = {file for file in files if file and Path(file).is_relative_to(_PROGRAM)}
    return any(Path(file).stat().st_mtime > time_s for file in own if Path(file).exists())


def _fork(connection: socket.socket, listener: socket.socket) -> int:
    """Fork an engine for the plug-in whose socket comes by `connection`; return its process id."""
    child = os.fork()
    if child:
        return child
    os.setpgrp()
    status = 1
    try:
        listener.close()
        _play(*_request(connection))
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def _request(connection: socket.socket) -> tuple[dict[str, object], list[int]]:
    """Return what the plug-in's launcher sends, with its socket, output and error output, and the rings."""
    size, descriptors, _, _ = socket.recv_fds(connection, 4, 5)
    wanted, request = int.from_bytes(size, "little"), b""
    while len(request) < min(wanted, _LARGEST_REQUEST):
        part = connection.recv(wanted - len(request))
        if not part:
            raise EOFError("the launcher of an engine has gone")
        request += part
    connection.sendall(b"k")
    return json.loads(request), descriptors


def _play(request: dict[str, object], descriptors: list[int]) -> None:
    """Become the engine of a plug-in."""
    plugin, out, errors, *rings = descriptors
    os.dup2(out, 1)
    os.dup2(errors, 2)
    os.close(out)
    os.close(errors)
    os.environ.clear()
    os.environ.update({str(name): str(value) for name, value in dict(request["environment"]).items()})  # type: ignore[call-overload]
    with suppress(OSError):
        os.chdir(str(request["folder"]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the host, which takes the engine with it
    from gramophone.realtime.bridge.host_session import play

    play(socket.socket(fileno=plugin), rings)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as _listener:
        serve(_listener, Path(sys.argv[2]))
