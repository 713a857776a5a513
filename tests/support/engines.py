"""The processes that were started for plug-ins, and their shared memory, found by the folder that is theirs."""

import os
from pathlib import Path


def _marked(runtime_folder):
    """Yield id, parent and words of every process in whose environment this is the runtime folder."""
    mark = f"XDG_RUNTIME_DIR={runtime_folder}".encode()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            marked = mark in (path / "environ").read_bytes().split(b"\0")
            parent = int((path / "stat").read_text("latin-1").rpartition(")")[2].split()[1])
            words = (path / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended
        if marked and int(path.name) != os.getpid():
            yield int(path.name), parent, words


def _serves(parent, words):
    return b"gramophone.realtime.bridge.engine_server" in words and parent == 1


def engines(runtime_folder):
    """Return the processes that were started for plug-ins, but for the server that all engines are forked from."""
    return [(process, words) for process, parent, words in _marked(runtime_folder) if not _serves(parent, words)]


def server(runtime_folder):
    """Return the process of the server that all engines are forked from; None before the first has started."""
    return next((process for process, parent, words in _marked(runtime_folder) if _serves(parent, words)), None)


def memory_of(processes):
    """Return the shared memory that was made by any of these processes."""
    names = [path.name for path in Path("/dev/shm").iterdir()]
    return [name for name in names if any(f"-{process}-" in name for process in processes)]


def used(process="self"):
    """Return a process's memory in KiB, its descriptors and its threads, as numbers."""
    folder = Path(f"/proc/{process}")
    pages = int((folder / "statm").read_text().split()[1])
    descriptors, threads = (len([*(folder / each).iterdir()]) for each in ("fd", "task"))
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024, descriptors, threads
