"""`gramophone play` on a live device, from the first moment to the last."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from gramophone.presets import Preset
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.live.devices.backend import AudioError
from gramophone.realtime.live.handover import TakenOver, end_orphans, new_files, take_over
from gramophone.realtime.live.session import Session
from gramophone.realtime.live.session_settings import SessionSettings
from gramophone.realtime.live.worker_process import StandbyWorker

if TYPE_CHECKING:
    from gramophone.realtime.live.record import RecordingProcess

_KEEP_S = 0.2

Controls = Callable[[Controller, Session], Iterable[AbstractContextManager[object]]]
"""Makes every control surface (OSC, web page, MIDI), each open while the sound plays."""


class ConsoleView(Protocol):
    """Shows meters, values and news."""

    interval_s: float

    def show(self, report: dict[str, object], controller: Controller) -> None:
        """Show the figures of now, and the values of `controller`."""

    def show_news(self, news: str) -> None:
        """Show a sentence."""


@dataclass(frozen=True)
class LiveRun:
    """On what to play, for how many seconds (None: until Ctrl-C), and into which folder to record (None: none).

    `attach`: take over what plays without a controller; True: or fail; False: end it; None: take it over if it plays on
    the same device, else end it.
    """

    settings: SessionSettings
    duration_s: float | None = None
    record: Path | None = None
    attach: bool | None = None


def no_controls(_controller: Controller, _session: Session) -> Iterable[AbstractContextManager[object]]:
    """Return no control surface."""
    return ()


def run_live(
    live_run: LiveRun,
    find_preset: Callable[[], Preset],
    view: ConsoleView,
    controls: Controls = no_controls,
    standby: StandbyWorker | None = None,
) -> None:
    """Play until the duration is over, or until Ctrl-C or SIGTERM, which is no error.

    `find_preset` returns the complete preset; the processes start meanwhile. `standby` is a worker started before.

    Raises:
        AudioError: there is no device.
        PresetError: the preset cannot be played.
        RecordError, SoundFileError: it cannot be recorded.
    """
    with ExitStack() as stack:
        signals = stack.enter_context(_Signals())
        found = _take_over(live_run, view)
        files = None if found else new_files()
        session = stack.enter_context(Session(live_run.settings, standby, files, found))
        recording, surfaces = stack.enter_context(ExitStack()), stack.enter_context(ExitStack())
        recorder = _recorder(live_run.record, session) if live_run.record else None
        session.on_event = recorder.take if recorder else session.on_event
        session.on_news = view.show_news
        preset = session.preset if found else find_preset()
        assert preset, "one that is taken over has been played"
        if not found:
            session.start(preset)
        controller = Controller(preset, session, switches=session.switches)
        surfaces.callback(controller.listen_parameters(lambda: session.remember(controller.preset)))
        for control in controls(controller, session):
            surfaces.enter_context(control)
        session.wait_until_open()
        if recorder:
            recorder.wait_until_ready()
            recording.callback(_report_recording, recorder, view)
            recording.enter_context(recorder.writing(session.format, live_run.duration_s))
            recording.callback(session.end)  # so that the recorder gets the last events
            if found:
                session.restart()  # a recording begins from silence, or it could not be replayed
        showing = _Showing(session, controller, view, signals.stopped)
        if showing.until(lambda: session.playing):
            session.remember(controller.preset)
            end = time.monotonic() + (math.inf if live_run.duration_s is None else live_run.duration_s)
            showing.until(lambda: time.monotonic() >= end, end)


def _take_over(live_run: LiveRun, view: ConsoleView) -> TakenOver | None:
    """Return what plays without a controller, taken over, if it is wanted and there; end what is not wanted.

    Raises:
        AudioError: there is none, and it was asked for.
    """
    found = None if live_run.attach is False else take_over(live_run.settings.device_text)
    if found:
        playing = found.handover.generations.now.preset
        name = (found.handover.preset or playing).name
        view.show_news(f"took over what plays: preset {name}, as it is now; --no-attach begins anew")
    elif live_run.attach:
        raise AudioError("nothing plays on this device without a controller, so there is nothing to attach to")
    elif end_orphans():
        view.show_news("ended what played on without a controller")
    return found


def _recorder(folder: Path, session: Session) -> RecordingProcess:
    # Imported here: sound files take a fifth of the time that this process needs until the device is opened.
    from gramophone.realtime.live.record import RecordingProcess

    return RecordingProcess(folder, session.shared)


def _report_recording(recorder: RecordingProcess, view: ConsoleView) -> None:
    """Show what a recording lacks, and of which segments it is."""
    if recorder.trouble:
        view.show_news(recorder.trouble)
    if others := recorder.folders[1:]:
        view.show_news(f"the device's rate has changed; the recording goes on in {', '.join(map(str, others))}")


class _Showing:
    """Shows figures, and keeps what another controller needs to know if this one is killed."""

    def __init__(self, session: Session, controller: Controller, view: ConsoleView, stopped: _Stop) -> None:
        self._session, self._controller, self._view, self._stopped = session, controller, view, stopped
        self._show_at = time.monotonic() + view.interval_s
        self._began: float | None = None

    def until(self, reached: Callable[[], bool], end: float = math.inf) -> bool:
        """Go on until something is reached, at `end` by the clock for sure; return False when it was stopped before."""
        while not reached():
            now = time.monotonic()
            if self._stopped.wait(max(min(self._show_at, end, now + _KEEP_S) - now, 0)):
                return False
            self._session.check()
            if self._session.playing:
                self._began = self._began or time.monotonic()
                self._session.remember(self._controller.preset)
            if (now := time.monotonic()) >= self._show_at:
                self._show_at += self._view.interval_s
                time_s = round(now - self._began, 3) if self._began else 0.0
                self._view.show({"time_s": time_s, **self._session.report()}, self._controller)
        return True


class _Signals:
    """Ctrl-C, SIGTERM and SIGHUP (the terminal closes) while the `with` block lasts.

    A start is broken off, what plays comes to an end.

    `stopped` is set by the first signal once a thread waits for it; any other raises KeyboardInterrupt.
    """

    def __init__(self) -> None:
        self.stopped = _Stop()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # there is no SIGHUP on Windows, and nohup ignores it: so be it
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if not self.stopped.awaited or self.stopped.is_set:
            raise KeyboardInterrupt
        self.stopped.set()


class _Stop:
    """Is set by a signal's handler, and waited for by the main thread, within whose waiting the handler runs.

    So nothing here may be locked, as an event of `threading` is: the handler would wait for its own thread for ever.
    `SimpleQueue.put` may interrupt its `get`.
    """

    def __init__(self) -> None:
        self.is_set = self.awaited = False
        self._news: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        self.is_set = True
        self._news.put(None)

    def wait(self, timeout_s: float) -> bool:
        """Wait for so long at most, and return whether it is set."""
        self.awaited = True
        if not self.is_set:
            with suppress(Empty):
                self._news.get(timeout=timeout_s)
        return self.is_set
