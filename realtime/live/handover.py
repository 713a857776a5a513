"""Handing a session over: when the control process has gone, however it went, the next one takes over what plays.

Audio process and worker play on for some minutes without a controller. What another one needs to know of them lies in a
folder that only this user can read: the session's file, written anew whenever it changes, the sockets at which the two
processes wait (`ControlLink`), and a lock that the controller holds, so that there is one at a time. On Linux only;
elsewhere the processes end with their controller.
"""

from __future__ import annotations

import os
import pickle
import secrets
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gramophone.presets import Preset
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.dsp.channel_matrix import Route
from gramophone.realtime.live.messages import AudioSettings
from gramophone.realtime.live.preset_generations import KeptGenerations
from gramophone.realtime.live.shared_state import SharedState
from gramophone.realtime.system.control_link import address_of, adopt
from gramophone.realtime.system.process_handle import AdoptedProcess
from gramophone.realtime.system.shared_memory import start_of
from gramophone.realtime.system.wakeup import Wake, received_wake

_FILE, _LOCK = ".session", ".lock"
_ENDED_WITHIN_S = 4.0
_LOOK_S = 0.05


@dataclass(frozen=True)
class Processes:
    """The audio process and the worker of a session, each by id and start time; None where there is none now."""

    audio: tuple[int, str | None] | None
    worker: tuple[int, str | None] | None

    @classmethod
    def of(cls, audio: int | None, worker: int | None) -> Self:
        """Return the processes of these ids."""
        return cls(*((pid, start_of(pid)) if pid else None for pid in (audio, worker)))

    @property
    def living(self) -> list[int]:
        """The ids of those that still run."""
        return [each[0] for each in (self.audio, self.worker) if each and each[1] and start_of(each[0]) == each[1]]


@dataclass(frozen=True)
class Handover:
    """What another controller needs to know of a session.

    `device` says on what it was to play, for comparison, `audio` on what it plays; `generations` are the presets;
    `preset` is the one that plays as the controller has it by now, with its name, mappings and macros.
    """

    device: str
    audio: AudioSettings
    shared: SharedState
    generations: KeptGenerations
    preset: Preset | None
    routes: Mapping[int, Route]


class SessionFiles:
    """The files of one session, `home` with different endings, and its lock, held until `remove` or the process's end.

    Raises:
        OSError: the files cannot be made.
        BlockingIOError: another process holds the lock.
    """

    def __init__(self, home: Path) -> None:
        import fcntl

        self.home = home
        self._lock = os.open(home.with_name(home.name + _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise
        self._written = b""

    def write(self, processes: Processes, handover: Handover) -> None:
        """Write the session's file, where it has changed; a disk that takes nothing more is no reason to stop."""
        content = pickle.dumps((processes, pickle.dumps(handover)))
        if content != self._written:
            with suppress(OSError), atomic_write(self.home.with_name(self.home.name + _FILE)) as part:
                part.write_bytes(content)
                self._written = content

    def remove(self) -> None:
        """Remove all files and give the lock back."""
        remove_files(self.home)
        os.close(self._lock)


@dataclass(frozen=True)
class TakenOver:
    """A session without a controller, taken over: its files, what was known of it, its processes, and their wake-up."""

    files: SessionFiles
    handover: Handover
    audio: AdoptedProcess | None
    worker: AdoptedProcess | None
    wake: Wake


def new_files() -> SessionFiles | None:
    """Return files for a new session; None where sessions cannot be handed over."""
    with suppress(OSError):
        return SessionFiles(_folder() / secrets.token_hex(4))
    return None


def remove_files(home: Path) -> None:
    """Remove the files of a session."""
    for path in home.parent.glob(f"{home.name}.*"):
        path.unlink(missing_ok=True)


def take_over(device: str) -> TakenOver | None:
    """Take over the newest session without a controller that plays on `device`; None where there is none."""
    for files, processes, content in _orphans():
        handover = _read(content)
        found = _connect(files, processes, handover) if handover and handover.device == device else None
        if found:
            return found
        os.close(files._lock)
    return None


def end_orphans() -> int:
    """End all sessions without a controller, each with a fade; return how many there were."""
    count = 0
    for files, processes, _ in _orphans():
        for pid in processes.living:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + _ENDED_WITHIN_S
        while processes.living and time.monotonic() < until:
            time.sleep(_LOOK_S)
        files.remove()
        count += 1
    return count


def _orphans() -> Iterator[tuple[SessionFiles, Processes, bytes]]:
    """Yield the sessions without a controller, the newest first, and remove the files of those that play no more."""
    try:
        paths = sorted(_folder().glob(f"*{_FILE}"), key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return
    for path in paths:
        try:
            files = SessionFiles(path.with_suffix(""))
            processes, content = pickle.loads(path.read_bytes())
        except (OSError, ValueError, EOFError, pickle.UnpicklingError):
            continue  # another process controls it, or has just removed it
        if processes.living:
            yield files, processes, content
        else:
            files.remove()


def _read(content: bytes) -> Handover | None:
    try:
        read = pickle.loads(content)
    except Exception:  # another version wrote it
        return None
    return read if isinstance(read, Handover) else None


def _connect(files: SessionFiles, processes: Processes, handover: Handover) -> TakenOver | None:
    living, wakes, found = processes.living, [], []
    for name, each in (("gramophone audio", processes.audio), ("gramophone worker", processes.worker)):
        adopted = adopt(name, files.home, each[0]) if each and each[0] in living else None
        if adopted:
            wakes.append(received_wake(adopted[1]))
        elif each and each[0] in living:  # it does not answer: two must not play at once
            os.kill(each[0], signal.SIGKILL)
        found.append(adopted[0] if adopted else None)
    if not wakes:
        return None
    for spare in wakes[1:]:
        spare.close()
    handover.shared.adopt()
    return TakenOver(files, handover, found[0], found[1], wakes[0])


def _folder() -> Path:
    """Return the folder of sessions, which only this user can read (XDG Base Directory, `XDG_RUNTIME_DIR`).

    Raises:
        OSError: there is none.
    """
    if sys.platform != "linux":
        raise OSError("sessions are handed over on Linux only")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime, "gramophone") if runtime else Path(tempfile.gettempdir(), f"gramophone-{os.getuid()}")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    about = folder.stat()
    longest = len(os.fsencode(address_of(folder / "12345678", 4_194_304)))
    if about.st_uid != os.getuid() or stat.S_IMODE(about.st_mode) & 0o077 or longest > 107:
        raise OSError(f"{folder}: expected a folder that only its owner can read, with a short name")
    return folder
