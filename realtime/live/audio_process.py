"""The audio process: opens the device, runs its callback, and opens it again when it comes back after going away."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import Connection

from gramophone.realtime.live.audio_callback import AudioCallback
from gramophone.realtime.live.devices.backend import AudioError, Backend, open_backend
from gramophone.realtime.live.handover import remove_files
from gramophone.realtime.live.messages import AudioSettings, Complaint, Failed, Lost, Opened
from gramophone.realtime.live.shared_state import LONGEST_BLOCK, SharedState
from gramophone.realtime.live.status import ENDED, ENDING, Status, budget_blocks
from gramophone.realtime.system.control_link import ControlLink, end_on_sigterm, send_descriptor
from gramophone.realtime.system.realtime_priority import HELPERS, belong_to_parent, real_time, settle
from gramophone.realtime.system.wakeup import Wake

_LOOK_S = 0.1
_RETRY_S = 0.5
_FAREWELL_S = 1.0
"""How long the sound that no controller has come for takes to fade out."""
_STALLED_S = 3.0
"""Longer than a server needs to change its block, or to start again after a laptop has slept."""


def run_audio(shared: SharedState, wake: Wake, settings: AudioSettings, control: Connection) -> None:
    """Play on the device until anything is sent over `control`, or the parent process has gone and no other came."""
    belong_to_parent(outlives=lambda: settings.home is not None)
    link = _link(shared, wake, settings, control)
    try:
        _run(shared, wake, settings, link)
    finally:
        if link.orphaned and settings.home:
            shared.status["ending"] = ENDED
            shared.adopt()
            shared.close()
            remove_files(settings.home)


def _link(shared: SharedState, wake: Wake, settings: AudioSettings, control: Connection) -> ControlLink:
    """Return what is left of the pipe: the controller, or another one, which is sent the wake-up's descriptor."""
    status = shared.status
    link = ControlLink(
        control,
        settings.home,
        settings.patience_s,
        lambda connection: send_descriptor(connection, wake.fileno()),
        lambda: status["ending"] > 0,
    )
    if settings.home:
        end_on_sigterm(link, lambda: status.__setitem__("ending", ENDING))
    return link


def _run(shared: SharedState, wake: Wake, settings: AudioSettings, control: ControlLink) -> None:
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


def _play(backend: Backend, shared: SharedState, wake: Wake, settings: AudioSettings, control: ControlLink) -> None:
    """Run the callback until the device is lost or the end is asked for."""
    if not _wait_until_known(backend, control):
        backend.close()
        return
    status = shared.status
    shared.open_at(backend.rate, backend.block)
    before = {name: status[name] for name in ("xruns", *backend.figures)}
    try:
        callback = AudioCallback(shared, wake, settings.channels, settings.spare)
        opened = Opened(backend.name, backend.rate, backend.block, backend.inputs, backend.outputs)
        controllers = control.controllers
        control.send(opened)
        backend.start(callback.process)
        stall = _Stall()
        while not control.poll(_LOOK_S) and not backend.lost.is_set():
            if control.controllers != controllers:
                controllers = control.controllers
                control.send(replace(opened, block=backend.block))
            _write_figures(backend, status, before)
            _send_news(backend, control)
            if backend.asks_always and stall.has_lasted(status["blocks"]):
                control.send(Complaint(f"{backend.name} asks for no more blocks; opening it again"))
                backend.lost.set()
            backend.announce_latency(
                budget_blocks(status, settings.spare, backend.block) * backend.block + int(status["delay"])
            )
        _send_news(backend, control)
        if control.orphaned and not backend.lost.is_set():
            callback.leave(round(_FAREWELL_S * backend.rate))
            backend.lost.wait(_FAREWELL_S + _LOOK_S)
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


def _wait_until_known(backend: Backend, control: ControlLink) -> bool:
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


def _send_news(backend: Backend, control: ControlLink) -> None:
    for news in backend.news():
        control.send(Complaint(news))


def _wait_for_device(settings: AudioSettings, control: ControlLink) -> Backend | None:
    """Return the device when it is back; None when the end is asked for before."""
    while not control.poll(_RETRY_S):
        try:
            return _open(settings)
        except AudioError:
            continue
    return None
