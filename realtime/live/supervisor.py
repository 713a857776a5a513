"""The supervisor: starts the audio process and the worker, receives their messages, and replaces whichever dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from multiprocessing import connection
from typing import Protocol

from gramophone.presets import PresetError
from gramophone.realtime.live.audio_process import run_audio
from gramophone.realtime.live.device_switch import DeviceSwitch
from gramophone.realtime.live.devices.backend import AudioError
from gramophone.realtime.live.handover import TakenOver
from gramophone.realtime.live.messages import AudioSettings, Complaint, Event, Failed, Lost, Opened, Play, Resumed
from gramophone.realtime.live.shared_state import SharedState
from gramophone.realtime.live.worker_process import StandbyWorker, spawn_worker
from gramophone.realtime.stage import Format
from gramophone.realtime.system.process_handle import ChildProcess, ProcessHandle, Stop

ATTACHED = "bridge"
"""The choice of audio for which there is no audio process: a plug-in in a host takes its place."""
_LOOK_S = 0.2
HANGING_S = 6.0
"""So long a worker may play nothing: longer than a stage waits for a plug-in before it names it."""
_SETTLED_S, _SETTLED_ATTACHED_S = 2.0, 20.0
"""When a standby worker is started: not while the first one needs the machine to itself. A plug-in must have had sound
for so long before: a host may insert many at once, and remove them again."""
_LONG_LIFE_S = 10.0
_RETIREMENT_S = 1.0
"""How long a worker that is no longer needed may take to end."""
_MOST_DEATHS = 3
"""How often in a row a worker may die without a long life."""


class WorkerError(RuntimeError):
    """The process that plays the chain cannot start; the message says where to look."""


class SupervisorOwner(Protocol):
    """What the supervisor reports to. All but `report_news` is called with the supervisor's lock held."""

    def order(self, form: Format) -> Play | None:
        """Return what a worker that starts now is to play; None if that is not known yet."""

    def opened(self, device: Opened) -> None:
        """Note which device there is.

        Raises:
            AudioError: it does not do.
        """

    def received(self, message: object) -> None:
        """Take a message from the worker."""

    def died(self) -> None:
        """Take note that the worker has died, whatever it was asked."""

    def keep(self) -> None:
        """Take note that other processes play from now on."""

    def report_news(self, news: str) -> None:
        """Pass on a sentence for people."""


class Supervisor:
    """The processes of a session: new ones, with `standby` as the first worker, or those of a session taken over.

    What is sent under `lock` arrives in order.
    """

    def __init__(
        self,
        audio: AudioSettings,
        device: str,
        shared: SharedState,
        first: StandbyWorker | TakenOver,
        owner: SupervisorOwner,
    ) -> None:
        self.lock = threading.RLock()
        self.format: Format | None = None
        self.restarts = 0
        self._device, self._shared, self._owner = device, shared, owner
        self._switch = DeviceSwitch(audio)
        self._failure: Exception | None = None
        self._changed, self._stopping = threading.Event(), threading.Event()
        self._later: list[Callable[[], None]] = []
        self._wake = first.wake
        taken = first if isinstance(first, TakenOver) else None
        self._audio: ProcessHandle | None = taken.audio if taken else None
        if not self._audio and audio.choice != ATTACHED:
            self._audio = self._spawn_audio()
        self._worker: ProcessHandle | None = first.worker or spawn_worker(self._wake)
        self._standby: ProcessHandle | None = None
        self._ordered = bool(taken and taken.worker)
        self._started_at: float | None = None
        self._has_played = taken is not None
        self._deaths = 0
        self._retired_by = 0.0
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)

    def start(self) -> None:
        """Begin to supervise."""
        self._thread.start()

    @property
    def playing(self) -> bool:
        """Whether a worker plays now."""
        return self._started_at is not None

    @property
    def worker_pid(self) -> int | None:
        """The process id of the worker that plays, or is about to."""
        return self._worker.pid if self._worker else None

    def order(self) -> None:
        """Send the worker what to play, once preset and device are known."""
        if self._worker and self.format and not self._ordered and (order := self._owner.order(self.format)):
            self._worker.send(order)
            self._ordered = True
            self._owner.keep()

    @property
    def pids(self) -> tuple[int | None, int | None]:
        """The process ids of the audio process, and of a worker that has its order."""
        return self._audio.pid if self._audio else None, self.worker_pid if self._ordered else None

    def send(self, message: object) -> None:
        """Send a message to a worker that has its order; one that has not will be sent the state of then."""
        if self._worker and self._ordered:
            self._worker.send(message)

    def try_again(self) -> bool:
        """Start a worker if the last one was given up; return whether that was so."""
        if self._worker:
            return False
        self._deaths = 0
        self._replace_worker()
        return True

    @property
    def audio(self) -> AudioSettings:
        """What is played on: of a device that is open, or is being opened."""
        return self._switch.settings

    def use(self, audio: AudioSettings) -> None:
        """Leave the device for another; where that cannot be opened, the one before plays again."""
        with self.lock:
            if self._audio:
                self._switch.ask(audio)
                self._audio.send(Stop())

    def attach(self, device: Opened) -> None:
        """Note that a host's plug-in plays the part of the audio process."""
        with self.lock:
            self._shared.open_at(device.rate, device.block)
            self._open(device)

    def renew(self) -> None:
        """Let the worker begin anew with the preset as it is now; one that does not play yet gives way to another."""
        with self.lock:
            if self._worker and self.playing:
                self._owner.died()
                self._started_at, self._ordered = None, False
                self.order()
                return
            if self._worker:
                self._worker.kill()
            self._started_at = None
            self._replace_worker()

    def later(self, call: Callable[[], None]) -> None:
        """Call something once no lock is held: a callback may set a value, which takes locks of its own."""
        self._later.append(call)

    def check(self) -> None:
        """Raise what has ended the session, if anything has.

        Raises:
            AudioError, PresetError, WorkerError: device or chain failed before anything was played.
        """
        if self._failure:
            raise self._failure

    def wait(self, reached: Callable[[], bool]) -> None:
        """Return once something is reached; asked whenever a process has sent a message.

        Raises:
            As `check`.
        """
        while not reached():
            self.check()
            self._changed.wait(_LOOK_S)
            self._changed.clear()

    def end(self) -> None:
        """End all processes."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._thread.join()
        for idle in (self._standby, None if self._ordered else self._worker):
            if idle:
                idle.kill()
        for child in filter(None, (self._audio, self._worker, self._standby)):
            for message in child.stop():
                self._receive(child, message)
        self._owner.died()
        self._call_later()

    def _spawn_audio(self) -> ChildProcess:
        return ChildProcess("gramophone audio", run_audio, self._shared, self._wake, self.audio)

    def _go_back(self, why: str) -> bool:
        """Play on the device before, where another was asked for that does not do; return whether that is so."""
        if not self._audio or not self._switch.go_back():
            return False
        self._report_news(f"{why}; going back to the device before")
        self._audio.kill()
        self._audio = self._spawn_audio()
        self._owner.keep()
        return True

    def _mend_audio(self) -> None:
        """Replace the audio process where it has died, is to go over to another device, or hangs on the way."""
        if not self._audio:
            return
        if self._switch.overdue and not self._switch.leaving:
            self._go_back("the device does not open")
        elif self._switch.overdue:
            self._audio.kill()
        if self._audio.alive:
            return
        if self._switch.leaving:
            self._switch.left()
        else:
            self._report_news("the audio process has died; starting another")
            self.restarts += 1
        self._audio = self._spawn_audio()
        self._owner.keep()

    def _supervise(self) -> None:
        """Receive what the processes send and replace those that die, until the session is closed."""
        while not self._stopping.is_set():
            children = [child for child in (self._audio, self._worker, self._standby) if child]
            connection.wait([end for child in children for end in (child.connection, child.sentinel)], _LOOK_S)
            with self.lock:
                for child in children:
                    for message in child.received():
                        self._receive(child, message)
                self._mend()
            self._changed.set()
            self._call_later()
            if self._failure:
                return

    def _report_news(self, news: str) -> None:
        self.later(lambda: self._owner.report_news(news))

    def _call_later(self) -> None:
        later, self._later = self._later, []
        for call in later:
            call()

    def _receive(self, child: ProcessHandle, message: object) -> None:
        match message:
            case Opened():
                self._open(message)
            case Lost(name):
                self._report_news(f"{name} is gone; looking for it")
            case Failed(why) if child is self._audio:
                if not self._go_back(why):
                    self._failure = AudioError(why)
            case Failed(why) if not self._has_played:
                self._failure = PresetError(why)
            case Failed(why) | Complaint(why):
                self._report_news(why)
            case Event(name="start"):
                self._started_at, self._has_played = time.monotonic(), True
            case Resumed(_, rate):
                self._started_at = time.monotonic()
                made_for = Format(rate, self.audio.channels, self._device)
                if self.format and self.format != made_for:  # the device came back at another rate meanwhile
                    self._retire()
                self.format = self.format or made_for
        if child is self._worker:
            self._owner.received(message)

    def _open(self, device: Opened) -> None:
        """Note that a device is there; at another rate the chain has to be made anew."""
        try:
            self._owner.opened(device)
        except AudioError as error:
            if not self._go_back(str(error)):
                self._failure = error
            return
        if self._switch.opened():
            self._report_news(f"playing on {device.name} at {device.rate} Hz, block {device.block}")
        new = Format(device.rate, self.audio.channels, self._device)
        changed, self.format = self.format and self.format != new, new
        if changed and self.audio.choice == ATTACHED:
            self.renew()
        elif changed:
            self._retire()
        self.order()

    def _retire(self) -> None:
        """Let a worker end that cannot go on: by itself, as a recording needs its last events, and by force if late."""
        if self._worker and self._ordered:
            self._retired_by = time.monotonic() + _RETIREMENT_S * self.playing
            self._worker.send(Stop())
            self._started_at = None

    def _mend(self) -> None:
        """Replace what has died, and end what hangs."""
        if self._failure:
            return
        self._mend_audio()
        if self._standby and not self._standby.alive:
            self._standby = None
        if not self._standby and self._settled():
            self._standby = spawn_worker(self._wake)
        if self._worker and not self._worker.alive:
            self._replace_dead_worker()
        elif self._worker and self._retired_by and time.monotonic() > self._retired_by:
            self._worker.kill()
        elif self._worker and self._hangs():
            self._report_news("the worker hangs; ending it")
            self._worker.kill()

    def _replace_dead_worker(self) -> None:
        """Receive a dead worker's last messages and start another, unless they keep dying."""
        if self._worker:
            for message in self._worker.received():
                self._receive(self._worker, message)
        retired, self._retired_by = bool(self._retired_by), 0.0
        if retired:
            self._started_at = None
            self._owner.died()
            self._report_news(
                f"the device plays at {self.format.rate if self.format else 0} Hz now; making the chain for it"
            )
            self._replace_worker()
            return
        self._deaths = 1 if self._played_for(_LONG_LIFE_S) else self._deaths + 1
        self._started_at = None
        self.restarts += 1
        self._owner.died()
        if self._deaths > _MOST_DEATHS:
            self._worker = None
            if not self._has_played:
                self._failure = WorkerError("the worker process cannot start; its messages are printed above")
                return
            self._report_news("the worker keeps dying: the sound stays dry until another preset is chosen")
            return
        self._report_news("the worker has died; starting another")
        self._replace_worker()

    def _replace_worker(self) -> None:
        self._worker, self._standby = self._standby or spawn_worker(self._wake), None
        self._ordered = False
        self.order()

    def _played_for(self, seconds: float) -> bool:
        return self._started_at is not None and time.monotonic() - self._started_at > seconds

    def _settled(self) -> bool:
        if self.audio.choice != ATTACHED:
            return self._played_for(_SETTLED_S)
        status = self._shared.status
        had = self._shared.inputs.newest * status["block"]
        return self.format is not None and had > _SETTLED_ATTACHED_S * self.format.rate and self.playing

    def _hangs(self) -> bool:
        """Whether the worker has not played for seconds what there was to play."""
        if not self._played_for(HANGING_S) or not self.format:
            return False
        status = self._shared.status
        waiting = self._shared.inputs.newest - status["done"]
        return waiting * status["block"] > HANGING_S * self.format.rate
