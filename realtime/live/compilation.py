"""Code is compiled for a machine once, in processes beside the one that plays, while the seconds left are counted down.

numba holds the interpreter while it compiles, so that blocks would come too late where it did so beside the sound; and
one process compiles on one core. So some compile parts of what a preset needs, into the cache on disk, as many as there
are cores, and the player's process loads it from there. How long it took is kept in the cache folder for the kinds of
stages that were compiled, so that the next countdown for such, after an update, is right for the machine.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from gramophone.models.parameters import Value
from gramophone.presets import Preset, StageSettings
from gramophone.realtime.dsp.meters import BlockMeter
from gramophone.realtime.kernels.compilations import Compilations, compiling_elsewhere, note_compilation
from gramophone.realtime.live.messages import Compiling
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stage import Format, Parts
from gramophone.realtime.stage_registry import compiles, make_stage, parts_of
from gramophone.realtime.system.cache_folder import alone, cache_folder
from gramophone.realtime.system.child_call import ChildCallError, call_in_child

_USUAL_S = 20.0
"""On one or two cores that others use, too, where this machine has not compiled yet."""
_SHORT_S, _BETWEEN_S = 1.0, 1.0
"""What takes less is not worth a word; so often the time left is reported."""
_PART = 0.3
_LONGEST_NAME = 200
_VOICES = ("latent", "voice")
_MOST_PROCESSES = 4
"""Each takes 300 MB."""
_SILENT_S = 300.0
"""So long one of them may compile one function."""
_BLOCK, _HEARD_S = 256, 0.5
"""In which blocks, and for how long, a stage plays, so that everything it does has been done."""


class CompileCountdown:
    """Watches what is compiled for a preset while the `with` block runs, and calls `report` with the seconds left.

    They are 0 when it takes longer than it did before, and None once at the end, unless the block fails. Nothing is
    reported of what takes less than `short_s`. `report` is called from a thread of its own, and last from the one that
    leaves the block.
    """

    def __init__(self, preset: Preset, report: Callable[[Compiling], None], short_s: float = _SHORT_S) -> None:
        kinds = sorted({stage.kind for stage in preset.stages})
        self._report, self._short_s = report, short_s
        self._what = "the voice" if any(kind in _VOICES for kind in kinds) else "the preset"
        self._record = cache_folder("compile-times", "-".join(kinds)[:_LONGEST_NAME])
        self._compilations = Compilations(self._begin)
        self._lock, self._done = threading.Lock(), threading.Event()
        self._began: float | None = None
        self.compiled = False
        """Whether anything was compiled."""
        self._counting = threading.Thread(target=self._count_down, name="compile-countdown", daemon=True)

    def __enter__(self) -> Self:
        self._compilations.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._compilations.__exit__()
        self._done.set()
        if self._began is None:
            return
        self._counting.join()
        took_s = time.monotonic() - self._began
        if kind is None and took_s >= self._short_s:
            self._report(Compiling(None, self._what))
            self._keep(took_s)

    def _keep(self, took_s: float) -> None:
        """Keep how long it took, unless that was a part of a voice, whose code was cached for the most."""
        if took_s < _PART * _recorded_s(self._record, 0.0):
            return
        with suppress(OSError):  # the next countdown is by what is usual
            self._record.parent.mkdir(parents=True, exist_ok=True)
            self._record.write_text(f"{took_s:.1f}\n", "utf-8")

    def _begin(self, _function: str) -> None:
        with self._lock:
            if self._began is not None:
                return
            self._began, self.compiled = time.monotonic(), True
        self._counting.start()

    def _count_down(self) -> None:
        began, expected_s = time.monotonic(), _recorded_s(self._record)
        wait_s = self._short_s
        while not self._done.wait(wait_s):
            self._report(Compiling(max(round(expected_s - (time.monotonic() - began)), 0), self._what))
            wait_s = _BETWEEN_S


def _recorded_s(record: Path, usual_s: float = _USUAL_S) -> float:
    """Return how long compiling took before, or what is usual."""
    try:
        return min(max(1.0, float(record.read_text("utf-8"))), 600.0)
    except (OSError, ValueError):
        return usual_s


def load_code(preset: Preset, form: Format) -> None:
    """Load the code of a preset's stages by playing noise through others like them, so that no block waits for it.

    What the cache lacks is compiled by other processes first. What fails is left to who makes the chain. Stages like
    those that were loaded before are left out.
    """
    stages = {_identity(stage): stage for stage in complete(preset).stages if compiles(stage.kind)}
    missing = [stage for identity, stage in stages.items() if (form, identity) not in _loaded]
    with compiled_by_others(preset, form):
        for stage in missing:
            with suppress(Exception):
                _play_noise(stage, form)
    note_loaded(preset, form)


def note_loaded(preset: Preset, form: Format) -> None:
    """Note that the code of a preset's stages is loaded, as that of one that plays is."""
    _loaded.update((form, _identity(stage)) for stage in complete(preset).stages if compiles(stage.kind))


def compiled_by_others(preset: Preset, form: Format) -> AbstractContextManager[None]:
    """While the block runs, let other processes compile all of a preset where this thread meets what is not compiled.

    They run behind everything else.
    """
    return compiling_elsewhere(partial(_compile_in_processes, preset, form))


_loaded: set[tuple[Format, tuple[str, Value | None]]] = set()


def _identity(stage: StageSettings) -> tuple[str, Value | None]:
    """Return what decides which kernels a stage has."""
    return stage.kind, stage.values.get("model")


def _compile_in_processes(preset: Preset, form: Format) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1  # Linux alone
    processes = min(len(_parts(complete(preset), form)), cores, _MOST_PROCESSES)
    with tempfile.TemporaryDirectory(prefix="gramophone-") as claims:
        threads = [
            threading.Thread(target=_call_process, args=(preset, form, Path(claims), number == 0), daemon=True)
            for number in range(max(processes, 1))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _call_process(preset: Preset, form: Format, claims: Path, completes: bool) -> None:
    with suppress(ChildCallError, ValueError):  # what is not compiled then is compiled by this process
        arguments = preset, form, claims, completes
        call_in_child(_compile, *arguments, timeout_s=_SILENT_S, most_bytes=None, progress=note_compilation)


def _compile(preset: Preset, form: Format, claims: Path, completes: bool, report: Callable[[str], None]) -> None:
    """Compile parts of a preset that no other process has claimed; with `completes`, the rest once all are done."""
    preset = complete(preset)
    with Compilations(report):
        parts = _parts(preset, form)
        for number, part in enumerate(parts):
            claim = claims / str(number)
            with suppress(Exception), alone(claim, wait=False):
                if not claim.stat().st_size:
                    claim.write_text("claimed")
                    part()
        if completes:
            for number in range(len(parts)):
                with alone(claims / str(number)):
                    pass  # it is done, or its process has ended
            BlockMeter().measure()
            for stage in preset.stages:
                if compiles(stage.kind):
                    with suppress(Exception):  # so will the player's, with a message
                        _play_noise(stage, form)


def _parts(preset: Preset, form: Format) -> Parts:
    """Return what can be compiled at once of a complete preset: of stages that do not say so, all."""
    return tuple(
        part
        for stage in preset.stages
        if compiles(stage.kind)
        for part in (parts_of(stage.kind, form, stage.values) or (partial(_play_noise, stage, form),))
    )


def _play_noise(stage: StageSettings, form: Format) -> None:
    made = make_stage(stage.kind, form, stage.values)
    try:
        noise = np.random.default_rng(0).normal(0, 0.1, (form.channels, _BLOCK)).astype(np.float32)
        for _ in range(round(_HEARD_S * form.rate / _BLOCK)):
            made.process(noise)
    finally:
        made.close()
