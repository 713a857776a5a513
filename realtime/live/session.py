"""The session: starts audio and worker, hands them what the desk wants, and brings back whichever dies.

with Session(settings) as session:          # both processes start at once, while the caller finds the preset
    session.start(preset)
    desk = Desk(preset, session)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection
from types import TracebackType
from typing import Self

from gramophone.models.parameters import Value
from gramophone.presets import Preset, PresetError
from gramophone.realtime.live.audio import run_audio
from gramophone.realtime.live.backend import AudioError
from gramophone.realtime.live.child import Child
from gramophone.realtime.live.messages import (
    AudioSettings,
    Change,
    Complaint,
    Event,
    Failed,
    Lost,
    Opened,
    Play,
    Text,
)
from gramophone.realtime.live.places import places, values_at
from gramophone.realtime.live.shared import BYPASS, MUTE, PANIC, Shared
from gramophone.realtime.live.worker import run_worker
from gramophone.realtime.stage import Format
from gramophone.realtime.table import table

_LOOK_S = 0.2
_HANGING_S = 3.0
_SETTLED_S = 2.0
"""When a worker that stands by is started: not while the first one needs the machine to itself."""
_LONG_LIFE_S = 10.0
_MOST_DEATHS = 3
"""How often in a row a worker may die without a long life."""


class WorkerError(RuntimeError):
    """The process that plays the chain cannot start; the message says where to look."""


@dataclass(frozen=True)
class SessionSettings:
    """What to play on: see `open_backend` for `audio`.

    `block` None is the device's own. `spare` blocks are added to the one that the worker has, for machines that stall.
    """

    audio: str = "auto"
    channels: int = 2
    block: int | None = None
    spare: int = 0
    device: str = "auto"
    recorded: bool = False


class Session:
    """A running engine; the desk's `Sink`. Any thread may call it, and no call waits for the sound.

    `on_event` is told what happens to the player and when, `on_news` what people should know; both in a thread of
    the session's own, set before `start`.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self._settings = settings
        self._shared = Shared.new(settings.channels, recorded=settings.recorded)
        self._lock = threading.RLock()
        self._preset: Preset | None = None
        self._values: dict[str, Value] = {}
        self._places: dict[str, int] = {}
        self._generation = 0
        self._format: Format | None = None
        self._failure: Exception | None = None
        self._changed, self._stopping = threading.Event(), threading.Event()
        self.on_event: Callable[[Event], None] = _ignore
        self.on_news: Callable[[str], None] = _ignore
        self.restarts = 0
        self.device_name = ""
        self._audio = self._spawn_audio()
        self._worker: Child | None = self._spawn_worker()
        self._standby: Child | None = None
        self._ordered = False
        self._started_at: float | None = None
        self._has_played = False
        self._deaths = 0
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._supervisor.start()

    @property
    def shared(self) -> Shared:
        """The memory, for whoever records."""
        return self._shared

    @property
    def format(self) -> Format:
        """The rate and channels that are played; known once `start` has returned."""
        assert self._format
        return self._format

    @property
    def preset(self) -> Preset | None:
        """The preset that plays, with every value as it is now."""
        if not self._preset:
            return None
        changes = {(stage, key): v for address, v in self._values.items() for stage, _, key in [address.partition(".")]}
        return self._preset.with_values(changes)

    @property
    def playing(self) -> bool:
        """Whether a worker plays now."""
        return self._started_at is not None

    @property
    def worker_pid(self) -> int | None:
        """The process id of the worker that plays, or is about to."""
        return self._worker.pid if self._worker else None

    def start(self, preset: Preset) -> None:
        """Play a complete preset; returns once the device is open, while the worker makes the chain.

        Raises:
            AudioError: there is no device.
        """
        with self._lock:
            self._take(preset)
            self._order()
        self._wait(lambda: self._format is not None)

    def wait_until_playing(self) -> None:
        """Return once the chain is heard.

        Raises:
            AudioError, PresetError, WorkerError: it never will be.
        """
        self._wait(lambda: self.playing)

    def check(self) -> None:
        """Raise what has ended the session, if anything has.

        Raises:
            AudioError, PresetError, WorkerError: device or chain failed before anything was heard.
        """
        if self._failure:
            raise self._failure

    def set(self, address: str, value: Value) -> None:
        """Turn one knob; heard from the next block on."""
        with self._lock:
            self._values[address] = value
            if not isinstance(value, str):
                self._shared.knobs.set(self._generation, self._places[address], float(value))
            elif self._worker and self._ordered:
                self._worker.send(Text(address, value, self._generation))

    def change(self, preset: Preset) -> None:
        """Fade over to a complete preset."""
        with self._lock:
            self._generation += 1
            self._take(preset)
            if self._worker is None:  # the last one gave up; another preset is another chance
                self._deaths = 0
                self._replace_worker()
            elif self._ordered:
                self._worker.send(Change(preset, self._generation))

    def mute(self, muted: bool) -> None:
        """Silence the output, or let it be heard again."""
        self._shared.switches.set(0, MUTE, muted)

    def bypass(self, bypassed: bool) -> None:
        """Let the dry, aligned sound through, or the chain again."""
        self._shared.switches.set(0, BYPASS, bypassed)

    def panic(self) -> None:
        """Forget all sound under way."""
        with self._lock:
            self._shared.switches.set(0, PANIC, self._shared.switches.get(0, PANIC) + 1)

    def report(self) -> dict[str, object]:
        """Return the figures of now, by name."""
        status = self._shared.status
        block, rate = int(status["block"]), int(status["rate"])
        latency = (1 + self._depth) * block + int(status["delay"])
        return {
            "device": self.device_name,
            "rate": rate,
            "block": block,
            "latency_samples": latency,
            "latency_ms": round(latency / rate * 1000, 2) if rate else None,
            "load": round(status["load"], 4),
            "median_ms": status["median_ms"],
            "p95_ms": status["p95_ms"],
            "blocks": int(status["blocks"]),
            "underruns": int(status["underruns"]),
            "xruns": int(status["xruns"]),
            "errors": int(status["errors"]),
            "non_finite": int(status["non_finite"]),
            "playing": self.playing,
            "real_time": bool(status["real_time"]),
            "restarts": self.restarts,
            "input": {name: round(status[f"in_{name}"], 1) for name in ("peak_db", "rms_db")},
            "output": {name: round(status[f"out_{name}"], 1) for name in ("peak_db", "rms_db")},
        }

    def meters(self) -> dict[str, float]:
        """Return what moves while it plays, by name: levels in dB, load, underruns, latency."""
        status = self._shared.status
        levels = {
            f"{side}.{name}": round(status[f"{short}_{name}"], 1)
            for side, short in (("input", "in"), ("output", "out"))
            for name in ("peak_db", "rms_db")
        }
        latency = (1 + self._depth) * status["block"] + status["delay"]
        return {**levels, "load": status["load"], "underruns": status["underruns"], "latency_samples": latency}

    def end(self) -> None:
        """End all processes; what they shared can still be read."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._supervisor.join()
        for idle in (self._standby, None if self._ordered else self._worker):
            if idle:
                idle.kill()
        for child in filter(None, (self._audio, self._worker, self._standby)):
            for message in child.stop():
                self._hear(child, message)

    def close(self) -> None:
        """End all processes and give everything back."""
        self.end()
        self._shared.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _depth(self) -> int:
        return 1 + self._settings.spare

    def _take(self, preset: Preset) -> None:
        """Make `preset` what plays: on the board, and for a worker that has to start anew."""
        knobs = places(table(preset))
        self._shared.knobs.lay_out(self._generation, values_at(knobs, preset))
        self._places = {address: place for place, (address, _) in enumerate(knobs)}
        self._values = {f"{stage.name}.{key}": value for stage in preset.stages for key, value in stage.values.items()}
        self._preset = preset

    def _order(self) -> None:
        """Tell the worker what to play, once it is known what and on what."""
        if self._worker and self._format and self.preset and not self._ordered:
            self._worker.send(Play(self.preset, self._format, self._generation))
            self._ordered = True

    def _spawn_audio(self) -> Child:
        wanted = self._settings
        settings = AudioSettings(wanted.audio, wanted.channels, wanted.block, self._depth)
        return Child("gramophone audio", run_audio, self._shared, settings)

    def _spawn_worker(self) -> Child:
        return Child("gramophone worker", run_worker, self._shared)

    def _wait(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self.check()
            self._changed.wait(_LOOK_S)
            self._changed.clear()

    def _supervise(self) -> None:
        """Hear what the processes say and replace those that die, until the session is closed."""
        while not self._stopping.is_set():
            children = [child for child in (self._audio, self._worker, self._standby) if child]
            connection.wait([end for child in children for end in (child.connection, child.sentinel)], _LOOK_S)
            with self._lock:
                for child in children:
                    for message in child.heard():
                        self._hear(child, message)
                self._mend()
            self._changed.set()
            if self._failure:
                return

    def _hear(self, child: Child, message: object) -> None:
        match message:
            case Opened(name, rate, _):
                self._open(name, rate)
            case Lost(name):
                self.on_news(f"{name} is gone; looking for it")
            case Failed(why) if child is self._audio:
                self._failure = AudioError(why)
            case Failed(why) if not self._has_played:
                self._failure = PresetError(why)
            case Failed(why) | Complaint(why):
                self.on_news(why)
            case Event(name="start"):
                self._started_at, self._has_played = time.monotonic(), True
        if isinstance(message, Event):
            self.on_event(message)

    def _open(self, name: str, rate: int) -> None:
        """Note that a device is there; at another rate the chain has to be made anew."""
        self.device_name = name
        new = Format(rate, self._settings.channels, self._settings.device)
        if self._format and self._format != new and self._worker:
            self._worker.kill()
        self._format = new
        self._order()

    def _mend(self) -> None:
        """Replace what has died, and end what hangs."""
        if self._failure:
            return
        if not self._audio.alive:
            self.on_news("the audio process has died; starting another")
            self.restarts += 1
            self._audio = self._spawn_audio()
        if self._standby and not self._standby.alive:
            self._standby = None
        if not self._standby and self._played_for(_SETTLED_S):
            self._standby = self._spawn_worker()
        if self._worker and not self._worker.alive:
            self._bury()
        elif self._worker and self._hangs():
            self.on_news("the worker hangs; ending it")
            self._worker.kill()

    def _bury(self) -> None:
        """Take note of a worker's death and start another, unless they keep dying."""
        self._deaths = 1 if self._played_for(_LONG_LIFE_S) else self._deaths + 1
        self._started_at = None
        self.restarts += 1
        if self._deaths > _MOST_DEATHS:
            self._worker = None
            if not self._has_played:
                self._failure = WorkerError("the worker process cannot start; what it said is printed above")
                return
            self.on_news("the worker keeps dying: the sound stays dry until another preset is chosen")
            return
        self.on_news("the worker has died; starting another")
        self._replace_worker()

    def _replace_worker(self) -> None:
        self._worker, self._standby = self._standby or self._spawn_worker(), None
        self._ordered = False
        self._order()

    def _played_for(self, seconds: float) -> bool:
        return self._started_at is not None and time.monotonic() - self._started_at > seconds

    def _hangs(self) -> bool:
        """Whether the worker has not played for seconds what there was to play."""
        if not self._played_for(_HANGING_S):
            return False
        status = self._shared.status
        waiting = self._shared.inputs.newest - status["done"]
        return waiting * status["block"] > _HANGING_S * self.format.rate


def _ignore(_: object) -> None:
    """Do nothing with what is told."""
