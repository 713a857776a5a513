"""What stages prepare by torch and keep: a model's arrays for the kernels, the analysis of a clip.

To import torch takes as long as all else that a player loads, and beside the sound it would hold up blocks. So what
plays does without it. What needs it, once, and has the same result every time, is a function called through `prepared`.
The result is kept in the cache folder and read from there at the next start. What is not there yet is made by a process
beside, which stays for the next call; a program's own process, which may be any script, makes it itself.

A file holds pickled data and then the arrays' bytes, each at a cache line, so that they are read into the places where
kernels use them.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing import current_process, get_context, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gramophone.presets.atomic import atomic_write
from gramophone.realtime.kernels.arrays import LINE_BYTES, aligned
from gramophone.realtime.stage import StageError
from gramophone.realtime.system.cache_folder import cache_folder
from gramophone.realtime.system.child_call import give_way
from gramophone.realtime.system.realtime_priority import belong_to_parent

if TYPE_CHECKING:  # it takes time to load
    from gramophone.realtime.files import Remark

_Made = TypeVar("_Made")
_Kept = tuple[Any, "list[Remark]"]
"""What was made, and the remarks on the files that were read for it."""
_MOST_BYTES = 512 << 20
"""What is kept in all; what was not used for longest goes first."""
_NICENESS = 4
"""Less nice than what compiles: where nothing is kept yet, the sound waits for it."""
_PACKAGE = Path(__file__).resolve().parents[2]
_DETERMINING = ("models", "realtime/stages", "realtime/kernels", "realtime/dsp")
"""The folders whose code decides what is made."""


def prepared(make: Callable[..., _Made], *arguments: Any) -> _Made:
    """Return `make(*arguments)`, which may import torch: kept from an earlier call with equal arguments, or made now.

    `make` is a function of a module; it and its arguments and result can be pickled. A `Path` among the arguments
    stands for the file as it is now. Any thread may call; one call at a time is served.

    Raises:
        StageError: as `make` raises it, or its process ended by itself.
    """
    if "torch" in sys.modules and not _loaded_here:
        return make(*arguments)
    place = cache_folder("prepared", _key(make, arguments))
    kept = _read(place)
    if kept is not None:
        return _published(kept)  # type: ignore[no-any-return]
    if parent_process() is None:
        return _made_here(make, arguments, place)
    made = _process().call(make, arguments, place) or _read(place)
    if made is None:
        raise StageError(f"{place}: what was prepared cannot be read")
    return _published(made)  # type: ignore[no-any-return]


def open_torch_library() -> None:
    """Let the system load what is largest of torch (Linux), before a stage imports torch beside the sound.

    `import torch` holds the interpreter meanwhile, for half a second, in which blocks would come too late. Where there
    is no such library, nothing is done.
    """
    found = find_spec("torch")
    if sys.platform != "linux" or "torch" in sys.modules or not (found and found.origin):
        return
    library = Path(found.origin).parent / "lib" / "libtorch_cpu.so"
    # The function is called itself: `ctypes.CDLL(library)`, too, would hold the interpreter.
    ctypes.CDLL(None).dlopen(os.fsencode(library), os.RTLD_NOW)


_loaded_here: list[bool] = []
"""Whether torch is loaded for what is prepared alone: what is kept is of use to it too, and to others."""


def _made_here(make: Callable[..., _Made], arguments: Sequence[Any], place: Path) -> _Made:
    _loaded_here[:] = [True]
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the process beside: what is kept is the same to the bit
    try:
        made = _with_remarks(make, arguments)
    finally:
        torch.set_num_threads(threads)
    with suppress(OSError):
        _keep(place, made)
    return _published(made)  # type: ignore[no-any-return]


def _with_remarks(make: Callable[..., Any], arguments: Sequence[Any]) -> _Kept:
    from gramophone.realtime.files import collected_remarks

    with collected_remarks() as remarks:
        made = make(*arguments)
    return made, remarks


def _published(kept: _Kept) -> Any:
    """Return what was made; what is to be known about the files that it was made of is published each time."""
    made, remarks = kept
    if remarks:
        from gramophone.realtime.files import publish_remarks

        publish_remarks(remarks)
    return made


class _TorchProcess:
    """A process with torch that calls functions and writes what they return to files; it ends with this one."""

    def __init__(self) -> None:
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._alone = threading.Lock()
        if current_process().daemon:
            current_process().daemon = False  # daemons may not have children; ours end when their host does
        self._process = context.Process(target=_serve, args=(theirs,), name="gramophone torch", daemon=True)
        self._process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    def call(self, make: Callable[..., Any], arguments: Sequence[Any], place: Path) -> _Kept | None:
        """Let it write what `make(*arguments)` returns to a file; return it where that cannot be written.

        Raises:
            StageError: as `make` raises it, or the process ended by itself.
        """
        with self._alone:
            try:
                self._connection.send((make, tuple(arguments), place))
                answer: StageError | _Kept | None = self._connection.recv()
            except (EOFError, OSError):
                self._process.join(1)
                code = self._process.exitcode
                raise StageError(f"the process that analyses clips and models ended by itself ({code})") from None
        if isinstance(answer, StageError):
            raise answer
        return answer


_lock = threading.Lock()
_running: list[_TorchProcess] = []


def _process() -> _TorchProcess:
    with _lock:
        if not _running or not _running[0].alive:
            _running[:] = [_TorchProcess()]
        return _running[0]


def _serve(line: Connection) -> None:
    """Call what is asked for, one after the other, until there is no one who asks."""
    belong_to_parent()
    give_way(_NICENESS)
    import torch

    torch.set_num_threads(1)
    with suppress(EOFError, OSError):
        while True:
            make, arguments, place = line.recv()
            line.send(_made(make, arguments, place))


def _made(make: Callable[..., Any], arguments: Sequence[Any], place: Path) -> StageError | _Kept | None:
    """Write what a call returns; return it where that cannot be written, or the error that the call raised."""
    try:
        made = _with_remarks(make, arguments)
    except Exception as error:
        return error if isinstance(error, StageError) else StageError(f"{type(error).__name__}: {error}")
    try:
        _keep(place, made)
    except OSError:
        return made
    return None


def _keep(place: Path, made: _Kept) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    _write(place, made)
    with suppress(OSError):
        _make_room(place.parent)


def _key(make: Callable[..., Any], arguments: Sequence[Any]) -> str:
    """Return the name under which a call's result is kept."""
    known = [_stamp(argument) if isinstance(argument, Path) else argument for argument in arguments]
    called = pickle.dumps((make.__module__, make.__qualname__, known), 5)
    return hashlib.sha256(called + _code_stamp()).hexdigest()


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), found.st_mtime_ns, found.st_size


@cache
def _code_stamp() -> bytes:
    """Return what changes with the code that prepares."""
    files = sorted(file for folder in _DETERMINING for file in _sources(_PACKAGE / folder))
    return repr((files, version("torch"), np.__version__)).encode()


def _sources(folder: str | Path) -> Iterator[tuple[str, int, int]]:
    """Yield path, time and size of the sources below a folder, in a third of the time of `Path.rglob`."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _sources(entry.path)
            elif entry.name.endswith(".py"):
                found = entry.stat()
                yield entry.path, found.st_mtime_ns, found.st_size


def _write(place: Path, made: _Kept) -> None:
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(made, 5, buffer_callback=buffers.append)
    parts: list[bytes | memoryview] = [data, *(buffer.raw() for buffer in buffers)]
    sizes = np.array([len(parts), *(len(part) for part in parts)], np.int64).tobytes()
    with atomic_write(place) as part, part.open("wb") as file:
        for piece in (sizes, *parts):
            file.write(piece)
            file.write(bytes(-len(piece) % LINE_BYTES))


def _read(place: Path) -> _Kept | None:
    """Return what is kept in a file, or None where there is none that can be read."""
    try:
        with place.open("rb") as file:
            held = aligned((os.fstat(file.fileno()).st_size,), np.dtype(np.uint8))
            if file.readinto(held) != len(held):
                return None
        count = int(held[:8].view(np.int64)[0])
        sizes = held[: 8 * (count + 1)].view(np.int64)
        lined = (sizes[1:] + LINE_BYTES - 1) // LINE_BYTES * LINE_BYTES
        first = -(-8 * (count + 1) // LINE_BYTES) * LINE_BYTES
        starts = first + np.concatenate(([0], np.cumsum(lined)))
        parts = [held[start : start + size] for start, size in zip(starts, sizes[1:], strict=False)]
        kept: _Kept = pickle.loads(parts[0], buffers=parts[1:])
    except Exception:  # unpickling raises whatever the bytes lead to
        return None
    with suppress(OSError):
        os.utime(place)
    return kept


def _make_room(folder: Path) -> None:
    """Remove what was not used for longest, until the rest is small enough."""
    files = sorted(((path.stat().st_mtime, path) for path in folder.iterdir()), reverse=True)
    total = 0
    for _, path in files:
        total += path.stat().st_size
        if total > _MOST_BYTES:
            path.unlink(missing_ok=True)
