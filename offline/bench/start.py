"""Bench: from the command `gramophone play` to the first dry and the first processed sound, beside a bare import."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.bench.jack_server import jack_server
from gramophone.presets import DEFAULT
from gramophone.realtime.live.devices.jack import load_jack

_RUNS = 7
_BLOCK, _RATE = 256, 48_000
_PATIENCE_S = 300.0
_LOOK_S = 0.002
_TABLE = 1 << 15
"""Samples of noise that the probe repeats; no two are alike, so a block of them that comes back is dry."""


def measure() -> dict[str, object]:
    """Return seconds to the first dry and processed sound, on JACK and to a file, and to the end of `--help`.

    Medians of some runs that take turns with a bare `import torch`, files in the system's cache; the first run's time
    is given apart.
    """
    server = f"gramophone-start-{os.getpid()}"
    runs = []
    with jack_server(server, _BLOCK, _RATE):
        for _ in range(_RUNS):
            dry, processed = _time_to_sound(server)
            others = {"file": _time_to_file(), "import_torch": _time_to_torch(), "help": _time_to_help()}
            runs.append({"dry": dry, "processed": processed, **others})
    medians = {name: float(np.median([run[name] for run in runs])) for name in runs[0]}
    return {
        "first_dry_s": _spread([run["dry"] for run in runs]),
        "first_processed_s": _spread([run["processed"] for run in runs]),
        "file_first_second_s": _spread([run["file"] for run in runs]),
        "bare_import_torch_s": _spread([run["import_torch"] for run in runs]),
        "help_s": _spread([run["help"] for run in runs]),
        "processed_over_import_torch": round(medians["processed"] / medians["import_torch"], 2),
    }


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    return {
        "first": round(seconds[0], 2),
        "median": round(float(np.median(seconds)), 2),
        "worst": round(max(seconds), 2),
    }


def _installed() -> dict[str, str]:
    """Return the environment with Python's own code kept, as in an installation, whatever this one says."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gramophone.offline", "play", "--preset", DEFAULT, *arguments]


def _time_to_sound(server: str) -> tuple[float, float]:
    """Return seconds from the command to the first dry and the first processed block."""
    with _Probe(server) as probe:
        began = time.monotonic()
        ports = ["--osc-port", "0", "--http-port", "0"]
        environment = {**_installed(), "JACK_DEFAULT_SERVER": server}
        with subprocess.Popen(_command("--audio", "jack", "--quiet", *ports), env=environment) as play:
            try:
                probe.connect(play)
                dry, processed = probe.first_dry_and_processed(play)
            finally:
                play.terminate()
    return dry - began, processed - began


def _time_to_file() -> float:
    """Return seconds from the command to the end of the first second of sound, played to nowhere."""
    began = time.monotonic()
    subprocess.run(_command("--audio", "file", "--quiet", "--duration", "1"), env=_installed(), check=True)
    return time.monotonic() - began


def _time_to_torch() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch, os; os._exit(0)"], env=_installed(), check=True)
    return time.monotonic() - began


def _time_to_help() -> float:
    began = time.monotonic()
    command = [sys.executable, "-m", "gramophone.offline", "--help"]
    subprocess.run(command, stdout=subprocess.DEVNULL, env=_installed(), check=True)
    return time.monotonic() - began


class _Probe:
    """A JACK client that sends noise through Gramophone and recognises it when it comes back."""

    def __init__(self, server: str) -> None:
        jack = load_jack()
        self._client: Any = jack.Client("probe", no_start_server=True, servername=server)
        self._noise = np.random.default_rng(0).normal(0, 0.1, _TABLE).astype(np.float32)
        self._heard: list[tuple[float, NDArray[np.float32]]] = []
        self._looked_at = 0
        self._at = 0
        self._source = self._client.outports.register("out")
        self._target = self._client.inports.register("in")
        self._client.set_process_callback(self._pass_through)

    def __enter__(self) -> _Probe:
        self._client.activate()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.deactivate()
        self._client.close()

    def connect(self, play: subprocess.Popen[bytes]) -> None:
        """Connect to Gramophone's first channel as soon as it is there."""
        wanted = "gramophone:in_1", "gramophone:out_1"
        while not all(port in [found.name for found in self._client.get_ports("gramophone:.*")] for port in wanted):
            _still_runs(play)
        self._patiently(play, self._source, wanted[0])
        self._patiently(play, wanted[1], self._target)

    def first_dry_and_processed(self, play: subprocess.Popen[bytes]) -> tuple[float, float]:
        """Return when the first block came back dry, and when the first came back changed.

        Raises:
            RuntimeError: not within `_PATIENCE_S`, or the program has ended.
        """
        dry = processed = 0.0
        deadline = time.monotonic() + _PATIENCE_S
        while not (dry and processed):
            _still_runs(play)
            if time.monotonic() > deadline:
                raise RuntimeError(f"no processed sound within {_PATIENCE_S:.0f} s")
            for when, block in self._news():
                known = np.isin(block, self._noise).mean()
                if known == 1 and not dry:
                    dry = when
                elif dry and known < 0.5 and np.abs(block).max() > 1e-4 and not processed:
                    processed = when
        return dry, processed

    def _news(self) -> list[tuple[float, NDArray[np.float32]]]:
        news = self._heard[self._looked_at :]
        self._looked_at += len(news)
        return news

    def _patiently(self, play: subprocess.Popen[bytes], source: Any, target: Any) -> None:
        """Connect two ports once Gramophone takes connections: it registers its ports before it goes live."""
        jack = load_jack()
        while True:
            try:
                self._client.connect(source, target)
            except jack.JackError:
                _still_runs(play)
            else:
                return

    def _pass_through(self, frames: int) -> None:
        places = (self._at + np.arange(frames)) % _TABLE
        self._source.get_array()[:] = self._noise[places]
        self._at += frames
        self._heard.append((time.monotonic(), self._target.get_array().copy()))


def _still_runs(play: subprocess.Popen[bytes]) -> None:
    """Wait a moment, in which blocks come: JACK has no message for ports of others that Python could wait for.

    Raises:
        RuntimeError: the program has ended.
    """
    with suppress(subprocess.TimeoutExpired):
        raise RuntimeError(f"gramophone play ended with exit code {play.wait(_LOOK_S)}")
