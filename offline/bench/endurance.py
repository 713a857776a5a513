"""Bench: minutes on a real JACK server beside a bare pass-through client, and the latency through stalls and xruns."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.wavenet import SIZES, WaveNet
from gramophone.offline.bench.companions import run_bare, run_source
from gramophone.offline.bench.jack_server import jack_server
from gramophone.offline.bench.peer_models import trusted_file
from gramophone.presets import CLIPS, DEFAULT, Preset, StageSettings, load
from gramophone.realtime.files import read
from gramophone.realtime.live.session import Session
from gramophone.realtime.live.session_settings import SessionSettings
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.system.process_handle import ChildProcess

_RATE, _MODEL_RATE = 48_000, 16_000
_STALLS_MS = (1, 5, 50)
_STALLS = 3
_PATIENCE_S = 30.0
_COLD, _TORCHSCRIPT = "cold", "torchscript"
_LONGEST_S, _AFTER_S = 600.0, 1.0
_CACHES = "XDG_CACHE_HOME"
_BETWEEN_S = 0.3
"""From one stall to the next, more than a switch to the dry sound and back takes."""


def measure(minutes: float, blocks: Sequence[int], chains: Sequence[str]) -> dict[str, object]:
    """Return, for each of `CHAINS` named and each block size, underruns beside a bare client's, and latencies.

    The chain `cold` is a voice that is chosen where nothing of it is compiled yet, beside another preset; `torchscript`
    is a TorchScript model that is chosen beside another preset, with which torch is loaded.

    Raises:
        ServerError: there is no JACK server to be had.
    """
    return {f"{chain} at {block}": _case(chain, block, 60 * minutes) for chain in chains for block in blocks}


def _case(chain: str, block: int, seconds: float) -> dict[str, Any]:
    if chain not in (_COLD, _TORCHSCRIPT):
        return endure(CHAINS[chain](), block, seconds)
    with ExitStack() as stack:
        if chain == _COLD:
            stack.enter_context(_empty_cache())
            return choose(default(), block)
        stage = StageSettings("model", "latent", {"model": str(trusted_file(stack))})
        return choose(complete(Preset(chain, (stage,))), block)


def choose(preset: Preset, block: int) -> dict[str, Any]:
    """Play `hall`, choose another preset, and count until it plays.

    Raises:
        ServerError: there is no JACK server to be had.
    """
    server, chosen = f"gramophone-choice-{os.getpid()}", threading.Event()
    with ExitStack() as stack:
        stack.enter_context(jack_server(server, block, _RATE))
        session = stack.enter_context(Session(SessionSettings(f"jack:{server}")))
        session.on_event = lambda event: chosen.set() if event.name == "change" else None
        session.start(complete(load("hall")))
        session.wait_until_playing()
        case = _Case(session, stack, server)
        case.latency()  # the source plays
        before, load_before, began = case.figures(), os.getloadavg()[0], time.monotonic()
        session.change(preset)
        if not chosen.wait(_LONGEST_S):
            raise RuntimeError("the preset that was chosen does not play")
        took_s = time.monotonic() - began
        time.sleep(_AFTER_S)  # its first blocks count, too
        after = case.figures()
        lost = {name: after[name] - before[name] for name in after}
        return {"seconds_until_it_plays": round(took_s, 1), **lost, "machine_load": f"{load_before:.1f}"}


@contextmanager
def _empty_cache() -> Iterator[None]:
    """While the block runs, let every process that starts keep its cache in a folder that is empty at first."""
    before = os.environ.get(_CACHES)
    with tempfile.TemporaryDirectory(prefix="gramophone-bench-") as folder:
        os.environ[_CACHES] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ[_CACHES]
            else:
                os.environ[_CACHES] = before


def default() -> Preset:
    """Return the default preset."""
    return complete(load(DEFAULT))


def light() -> Preset:
    """Return a chain that takes hardly any processor time."""
    stages = (StageSettings("hall", "reverb", {"wet": 0.2}), StageSettings("level", "gain", {"gain": -3.0}))
    return complete(Preset("light", stages))


def wavenet() -> Preset:
    """Return a chain of a WaveNet of size S at 16 kHz that always speaks; of random weights, which take as long."""
    model = Path(tempfile.mkdtemp(prefix="gramophone-bench-")) / "model.safetensors"
    atexit.register(shutil.rmtree, model.parent, ignore_errors=True)
    save(model, WaveNet(SIZES["S"]), Card(_MODEL_RATE))
    return complete(Preset("wavenet", (StageSettings("voice", "wavenet", {"model": str(model), "gate": 0.0}),)))


def anyone() -> Preset:
    """Return the preset of anybody's voice."""
    return complete(load("anyone"))


CHAINS = {"default": default, "light": light, "wavenet": wavenet, "anyone": anyone}


def endure(preset: Preset, block: int, seconds: float) -> dict[str, Any]:
    """Play `preset` for `seconds`, then stall its processes.

    Underruns and missed blocks are those of the `seconds`. Latencies are as measured from a client through
    Gramophone's dry, aligned sound and back, in samples: at the start, at the end, after stalls of the worker, and
    after a stall of the audio process that made the server itself miss its time.

    Raises:
        ServerError: there is no JACK server to be had.
    """
    server = f"gramophone-endurance-{os.getpid()}"
    with ExitStack() as stack:
        stack.enter_context(jack_server(server, block, _RATE))
        session = stack.enter_context(Session(SessionSettings(f"jack:{server}")))
        session.start(preset)
        session.wait_until_playing()
        case = _Case(session, stack, server)
        start = case.latency()
        before, load_before = case.figures(), os.getloadavg()[0]
        time.sleep(seconds)  # it plays: what happens in that time is what is measured
        after, load_after = case.figures(), os.getloadavg()[0]
        lost = {name: after[name] - before[name] for name in after}
        report = session.report()
        worker, audio = session.worker_pid, _pid_of("gramophone audio")
        assert worker
        return {
            "seconds": seconds,
            **lost,
            "underruns_beyond_the_bare_client": max(lost["underruns"] - max(lost["bare_missed"], lost["xruns"]), 0),
            "p95_ms": report["p95_ms"],
            "machine_load": f"{load_before:.1f} to {load_after:.1f}",
            "latency_stated": report["latency_samples"],
            "latency_at_start": start,
            "latency_at_end": case.latency(),
            **{f"latency_after_stalls_of_{ms}_ms": case.latency_after_stalls(worker, ms) for ms in _STALLS_MS},
            "latency_after_xruns": case.latency_after_stalls(audio, max(_STALLS_MS)),
            "xruns_made": case.figures()["xruns"] - after["xruns"],
        }


class _Case:
    """A session with its companions on one server."""

    def __init__(self, session: Session, stack: ExitStack, server: str) -> None:
        self._session = session
        self._bare = ChildProcess("bare client", run_bare, server)
        stack.callback(self._bare.stop)
        _answer(self._bare)
        voice, rate = read(CLIPS / "voice.flac")
        self._source = ChildProcess("source", run_source, server, _at_rate(voice[0], rate))
        stack.callback(self._source.stop)
        _answer(self._source)

    def figures(self) -> dict[str, int]:
        """Return what has been played and missed so far."""
        missed, xruns = _ask(self._bare, "figures")
        report = self._session.report()
        ours = {name: int(str(report[name])) for name in ("blocks", "underruns")}
        return {**ours, "bare_missed": missed, "xruns": xruns}

    def latency(self) -> int:
        """Return the latency of the dry, aligned sound, in samples; -1 where it is not steady."""
        self._session.set_many({"bypass": True})
        found = int(_ask(self._source, "latency"))  # which waits until it is steady, and so until the fade is over
        self._session.set_many({"bypass": False})
        return found

    def latency_after_stalls(self, process: int, ms: int) -> int:
        """Stop a process for `ms`, some times, and return the latency afterwards."""
        for _ in range(_STALLS):
            os.kill(process, signal.SIGSTOP)
            time.sleep(ms / 1000)  # the stall itself
            os.kill(process, signal.SIGCONT)
            time.sleep(_BETWEEN_S)  # sound between the stalls: each is one of its own
        return self.latency()


def _pid_of(name: str) -> int:
    (found,) = [child.pid for child in active_children() if child.name == name]
    assert found
    return found


def _ask(child: ChildProcess, what: str) -> Any:
    child.send(what)
    return _answer(child)


def _answer(child: ChildProcess) -> Any:
    """Return a companion's next message.

    Raises:
        RuntimeError: none comes.
    """
    if not child.connection.poll(_PATIENCE_S):
        raise RuntimeError("a client of the bench does not answer; what it said is printed above")
    return child.connection.recv()


def _at_rate(sound: np.ndarray[Any, np.dtype[np.float32]], rate: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    import soxr

    return np.ascontiguousarray(soxr.resample(sound, rate, _RATE), np.float32)
