"""The audio process: opens the device, runs its callback, and opens it again when it comes back after going away."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import Connection

from gramophone.realtime.live.audio_callback import AudioCallback
from gramophone.realtime.live.devices.backend import AudioError, Backend, open_backend
from gramophone.realtime.live.messages import AudioSettings, Complaint, Failed, Lost, Opened
from gramophone.realtime.live.shared_state import LONGEST_BLOCK, SharedState
from gramophone.realtime.live.status import Status, budget_blocks
from gramophone.realtime.system.realtime_priority import HELPERS, belong_to_parent, real_time, settle
from gramophone.realtime.system.wakeup import Wake

_LOOK_S = 0.1
_RETRY_S = 0.5
_STALLED_S = 3.0
"""Longer than a server needs to change its block, or to start again after a laptop has slept."""


def run_audio(shared: SharedState, wake: Wake, settings: AudioSettings, control: Connection) -> None:
    """Play on the device until anything is sent over `control` or the parent process has gone."""
    belong_to_parent()
    backend: Backend | None
    try:
        backend = _open(settings)
    except AudioError as error:
        control.send(Complaint(f"{error}; waiting for it") if settings.patient else Failed(str(error)))
        backend = _wait_for_device(settings, control) if settings.patient else None
    settle()
    real_time(HELPERS)
    while backend is not None:
        _play(backend, shared, wake, settings, control)
        if not backend.lost.is_set():
            return
        shared.status["rate"] = 0
        control.send(Lost(backend.name))
        same = replace(settings, choice=f"{backend.kind}:{settings.choice.partition(':')[2]}")
        backend = _wait_for_device(same, control)


def _open(settings: AudioSettings) -> Backend:
    backend = open_backend(settings.choice, settings.sockets, settings.block)
    if backend.block > LONGEST_BLOCK:
        backend.close()
        raise AudioError(f"{backend.name}: block of {backend.block} frames: expected at most {LONGEST_BLOCK}")
    return backend


def _play(backend: Backend, shared: SharedState, wake: Wake, settings: AudioSettings, control: Connection) -> None:
    """Run the callback until the device is lost or the end is asked for."""
    if not _wait_until_known(backend, control):
        backend.close()
        return
    status = shared.status
    shared.open_at(backend.rate, backend.block)
    control.send(Opened(backend.name, backend.rate, backend.block, backend.inputs, backend.outputs))
    before = {name: status[name] for name in ("xruns", *backend.figures)}
    try:
        backend.start(AudioCallback(shared, wake, settings.channels, settings.spare).process)
        stall = _Stall()
        while not control.poll(_LOOK_S) and not backend.lost.is_set():
            _write_figures(backend, status, before)
            _send_news(backend, control)
            if backend.asks_always and stall.has_lasted(status["blocks"]):
                control.send(Complaint(f"{backend.name} asks for no more blocks; opening it again"))
                backend.lost.set()
            backend.announce_latency(
                budget_blocks(status, settings.spare, backend.block) * backend.block + int(status["delay"])
            )
        _send_news(backend, control)
    except AudioError as error:
        control.send(Failed(str(error)))
    finally:
        backend.close()


class _Stall:
    """How long a device has asked for no block."""

    def __init__(self) -> None:
        self._blocks, self._since = -1.0, time.monotonic()

    def has_lasted(self, blocks: float) -> bool:
        """Return whether the count of `blocks` asked for has been the same for `_STALLED_S`."""
        if blocks != self._blocks:
            self._blocks, self._since = blocks, time.monotonic()
        return time.monotonic() - self._since > _STALLED_S


def _wait_until_known(backend: Backend, control: Connection) -> bool:
    """Wait until the device knows rate and block; return False when the end is asked for before."""
    while not control.poll():
        _send_news(backend, control)
        if backend.wait_until_known(_LOOK_S):
            return True
    return False


def _write_figures(backend: Backend, status: Status, before: Mapping[str, float]) -> None:
    """Bring the status up to date; the backend counts from nothing, the status from `before`."""
    status["block"], status["held"] = backend.block, backend.held
    for name, count in {"xruns": backend.xruns, **backend.figures}.items():
        status[name] = before[name] + count


def _send_news(backend: Backend, control: Connection) -> None:
    for news in backend.news():
        control.send(Complaint(news))


def _wait_for_device(settings: AudioSettings, control: Connection) -> Backend | None:
    """Return the device when it is back; None when the end is asked for before."""
    while not control.poll(_RETRY_S):
        try:
            return _open(settings)
        except AudioError:
            continue
    return None
