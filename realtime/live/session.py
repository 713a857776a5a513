"""The session: a running engine as the desk sees it.

with Session(settings) as session:          # both processes start at once, while the caller finds the preset
    session.start(preset)
    desk = Desk(preset, session)            # knobs can be turned from here on
    session.wait_until_open()               # `format` is known
    session.wait_until_playing()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Self

from gramophone.models.parameters import Value
from gramophone.presets import Preset
from gramophone.realtime.dsp.channel_matrix import Route
from gramophone.realtime.live.ahead import StandbyWorker, start_ahead
from gramophone.realtime.live.messages import (
    Ask,
    AudioSettings,
    Change,
    Event,
    Held,
    LeftOut,
    Opened,
    Play,
    Refused,
    Text,
)
from gramophone.realtime.live.places import SWITCHES
from gramophone.realtime.live.preset_generations import PresetGenerations
from gramophone.realtime.live.session_routes import SessionRoutes
from gramophone.realtime.live.shared_state import INPUTS, OUTPUTS, PANIC, SharedState
from gramophone.realtime.live.status_report import meters, report
from gramophone.realtime.live.supervisor import Supervisor
from gramophone.realtime.stage import Format
from gramophone.realtime.stage_registry import keys_of

_PATIENCE_S = 2.0
_NOT_LAID_OUT = -1


@dataclass(frozen=True)
class SessionSettings:
    """What to play on: see `open_backend` for `audio`.

    `block` None is the device's own. `spare` blocks are added to the one that the worker has, for machines that stall;
    None: as many as the hops need of the chain that the session is started with.
    `inputs` and `outputs` None connect each channel to the device's input and output of its number. `sockets`: how many
    inputs and outputs of the device can be had; None: as many as channels and routes need at the start.
    """

    audio: str = "auto"
    channels: int = 2
    block: int | None = None
    spare: int | None = None
    device: str = "auto"
    recorded: bool = False
    inputs: Route | None = None
    outputs: Route | None = None
    sockets: int | None = None

    @property
    def opened(self) -> int:
        """How many inputs and outputs of the device are opened."""
        named = [socket for route in (self.inputs, self.outputs) for channel in route or () for socket in channel]
        return max(self.channels, self.sockets or 0, *named)


class Session:
    """A running engine; the desk's `Sink`. Any thread may call it, and but for `snapshot` no call waits.

    Its first worker is `ahead`, where one was started before.

    Told in a thread of the session's own, and set before `start`: `on_event` is told what happens to the player and
    when, `on_news` what people should know, `on_refused` the preset that plays on where another could not be played.
    """

    def __init__(self, settings: SessionSettings, ahead: StandbyWorker | None = None) -> None:
        ahead = ahead or start_ahead()
        self._settings, self._wake = settings, ahead.wake
        self._shared = SharedState.new(settings.channels, settings.opened, recorded=settings.recorded)
        self.on_event: Callable[[Event], None] = _ignore
        self.on_news: Callable[[str], None] = _ignore
        self.on_refused: Callable[[Preset], None] = _ignore
        self.device_name = ""
        self._numbers = count(1)
        self._questions: dict[int, Future[Held | None]] = {}
        self._left_out: Mapping[str, str] = {}
        self._generations = PresetGenerations(self._shared.knobs)
        asked = {INPUTS: settings.inputs, OUTPUTS: settings.outputs}
        self._routes = SessionRoutes(self._shared.routes, settings.channels, settings.opened, asked)
        audio = AudioSettings(settings.audio, settings.opened, settings.channels, settings.block, settings.spare)
        self._processes = Supervisor(audio, settings.device, self._shared, ahead, self)
        self._lock = self._processes.lock
        self._processes.start()

    @property
    def shared(self) -> SharedState:
        """The memory, for whoever records."""
        return self._shared

    @property
    def format(self) -> Format:
        """The rate and channels that are played; known once `wait_until_open` has returned."""
        assert self._processes.format
        return self._processes.format

    @property
    def preset(self) -> Preset | None:
        """The preset that plays, with every value as it is now."""
        return self._generations.now.preset if self._generations.now else None

    @property
    def playing(self) -> bool:
        """Whether a worker plays now."""
        return self._processes.playing

    @property
    def restarts(self) -> int:
        """How often a process had to be started again."""
        return self._processes.restarts

    @property
    def worker_pid(self) -> int | None:
        """The process id of the worker that plays, or is about to."""
        return self._processes.worker_pid

    @property
    def inputs(self) -> Route:
        """The device's inputs that each channel of the chain hears."""
        return self._routes.now[INPUTS]

    @property
    def outputs(self) -> Route:
        """The device's outputs that each channel of the chain plays on."""
        return self._routes.now[OUTPUTS]

    @property
    def sockets(self) -> tuple[int, int]:
        """How many inputs and outputs of the device can be named."""
        return self._routes.sockets[INPUTS], self._routes.sockets[OUTPUTS]

    def start(self, preset: Preset) -> None:
        """Play a complete preset as soon as the device is open."""
        with self._lock:
            self._generations.lay_out(preset)
            hops = (keys_of(stage.kind, stage.values, None).hop_s for stage in preset.stages)
            self._shared.status["hop_s"] = max(hops, default=0.0)
            self._processes.order()

    def wait_until_open(self) -> None:
        """Return once the device is open, while the worker makes the chain; with `osc`, once somebody has talked.

        Raises:
            AudioError: there is no device, or it has not the inputs and outputs that were asked for.
        """
        self._processes.wait(lambda: self._processes.format is not None)

    def wait_until_playing(self) -> None:
        """Return once the chain is heard.

        Raises:
            AudioError, PresetError, WorkerError: it never will be.
        """
        self._processes.wait(lambda: self.playing)

    def check(self) -> None:
        """Raise what has ended the session, if anything has.

        Raises:
            AudioError, PresetError, WorkerError: device or chain failed before anything was heard.
        """
        self._processes.check()

    def set(self, address: str, value: Value) -> None:
        """Turn one knob; heard from the next block on."""
        self.set_many({address: value})

    def set_many(self, changes: Mapping[str, Value]) -> None:
        """Turn several knobs, and switches by name; heard from the same block on.

        Knobs that the preset has not are left alone.
        """
        with self._lock:
            switches = {name: value for name, value in changes.items() if name in SWITCHES}
            turned = {SWITCHES[name]: self._switched(name, value) for name, value in switches.items()}
            if now := self._generations.now:
                known = {address: value for address, value in changes.items() if address in now.slots}
                now.values.update(known)
                turned |= {now.slots[address]: self._on_board(value) for address, value in known.items()}
            self._shared.knobs.set(now.generation if now else _NOT_LAID_OUT, turned)

    def change(self, preset: Preset) -> None:
        """Fade over to a complete preset."""
        with self._lock:
            now = self._generations.lay_out(preset)
            if not self._processes.try_again():
                self._processes.send(Change(preset, now.generation))

    def snapshot(self) -> Preset:
        """Return the preset that plays, with every value as it is now and with what its stages hold beside knobs.

        The worker asks its stages between blocks, so this may wait; where it gives no answer within two seconds, or
        has died, the preset is as the session itself knows it.
        """
        number, answer = next(self._numbers), Future[Held | None]()
        with self._lock:
            if self.playing:
                self._questions[number] = answer
                self._processes.send(Ask(number))
            else:
                answer.set_result(None)
        try:
            held = answer.result(_PATIENCE_S)
        except TimeoutError:
            held = None
        with self._lock:
            self._questions.pop(number, None)
            now = self._generations.now
            assert now, "a preset plays"
            # another preset may have been chosen meanwhile, whose stages hold what it says
            fits = held is not None and held.generation == now.generation
            return now.preset.with_values(held.values) if held and fits else now.preset

    def mute(self, muted: bool) -> None:
        """Silence the output, or let it be heard again."""
        self.set_many({"mute": muted})

    def bypass(self, bypassed: bool) -> None:
        """Let the dry, aligned sound through, or the chain again."""
        self.set_many({"bypass": bypassed})

    def panic(self) -> None:
        """Forget all sound under way."""
        self.set_many({"panic": True})

    def route_inputs(self, route: Route) -> None:
        """Let each channel of the chain hear these inputs of the device, or the sum of several; faded.

        Raises:
            RouteError: there are no such inputs, or it is not one entry for each channel.
        """
        with self._lock:
            self._routes.plug(INPUTS, route)

    def route_outputs(self, route: Route) -> None:
        """Let each channel of the chain be heard on these outputs of the device; faded.

        Raises:
            RouteError: there are no such outputs, or it is not one entry for each channel.
        """
        with self._lock:
            self._routes.plug(OUTPUTS, route)

    def report(self) -> dict[str, object]:
        """Return the figures of now, by name."""
        return {
            "device": self.device_name,
            **report(self._shared.status, self._settings.spare),
            "playing": self.playing,
            "restarts": self.restarts,
            "left_out": dict(self._left_out),
        }

    def meters(self) -> dict[str, float]:
        """Return what moves while it plays, by name: levels in dB, load, underruns, latency."""
        return meters(self._shared.status, self._settings.spare)

    def end(self) -> None:
        """End all processes; what they shared can still be read."""
        self._processes.end()

    def close(self) -> None:
        """End all processes and give everything back."""
        self.end()
        self._shared.close()
        self._wake.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What the supervisor asks and tells: see `Charge`.

    def order(self, form: Format) -> Play | None:
        """Return the preset as it is now, laid out anew: what a worker that starts now is to play."""
        if not self._generations.now:
            return None
        now = self._generations.lay_out(self._generations.now.preset)
        return Play(now.preset, form, now.generation, self._shared)

    def opened(self, device: Opened) -> None:
        """Note which device there is, and connect its inputs and outputs.

        Raises:
            AudioError: it has not those that were asked for.
        """
        self.device_name = device.name
        self._routes.fit(device)

    def heard(self, message: object) -> None:
        """Take in what the worker says."""
        match message:
            case Event():
                self.on_event(message)
            case Held(number):
                if question := self._questions.pop(number, None):
                    question.set_result(message)
            case LeftOut(why):
                self._left_out = why
            case Refused():
                self._processes.later(lambda: self.on_news(message.why))
                if playing := self._generations.go_back(message):
                    self._processes.later(lambda: self.on_refused(playing.preset))

    def buried(self) -> None:
        """Take note that the worker has died: nobody answers."""
        self._left_out = {}
        for question in self._questions.values():
            question.set_result(None)
        self._questions.clear()

    def tell(self, news: str) -> None:
        """Say a sentence to people."""
        self.on_news(news)

    def _on_board(self, value: Value) -> float:
        """Return what stands on the board for a value; a text goes ahead under a number."""
        if not isinstance(value, str):
            return float(value)
        number = next(self._numbers)
        self._processes.send(Text(number, value))
        return float(number)

    def _switched(self, name: str, value: Value) -> float:
        """Return what stands on the board for a switch; panics are counted."""
        return self._shared.knobs.switch(PANIC) + 1 if name == "panic" else float(value)


def _ignore(_: object) -> None:
    """Do nothing with what is told."""
