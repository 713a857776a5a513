"""The session: the processes that play, as the controller sees them.

with Session(settings) as session:              # both processes start at once, while the caller reads the preset
    session.start(preset)
    controller = Controller(preset, session)    # values can be set from here on
    session.wait_until_open()                   # `format` is known
    session.wait_until_playing()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self

from gramophone.models.parameters import Value
from gramophone.presets import Preset
from gramophone.realtime.dsp.channel_matrix import Route
from gramophone.realtime.live.handover import Handover, Processes, SessionFiles, TakenOver
from gramophone.realtime.live.messages import (
    Ask,
    AudioSettings,
    Compiling,
    Event,
    Held,
    LeftOut,
    Opened,
    Play,
    PresetChange,
    Refused,
    Resumed,
    Text,
)
from gramophone.realtime.live.preset_generations import PresetGenerations, reductions
from gramophone.realtime.live.session_routes import SessionRoutes
from gramophone.realtime.live.session_settings import SessionSettings
from gramophone.realtime.live.shared_state import INPUTS, OUTPUTS, SWITCH_PLACES, SharedState
from gramophone.realtime.live.status import budget_blocks, meters, report
from gramophone.realtime.live.supervisor import ATTACHED, Supervisor
from gramophone.realtime.live.worker_process import StandbyWorker, start_standby_worker
from gramophone.realtime.live.worker_reports import Announcements, HeldQuestions
from gramophone.realtime.stage import Format
from gramophone.realtime.switches import SWITCHES
from gramophone.realtime.system.wakeup import Wake

_NO_GENERATION = -1


class Session:
    """The processes that play; the controller's `Sink`. Any thread may call it, and but for `snapshot` no call waits.

    Its first worker is `standby`, where one was started before. With `files` another control process can take over what
    plays when this one has gone; `found` is what this one takes over, and plays without `start`. Four callbacks, to be
    set before `start`, are called in a thread of the session's own: `on_event` with what happened to the player and
    when, `on_news` with a sentence for people, `on_status` when what is announced has changed, `on_refused` when a
    preset cannot be played and the one before, `preset`, plays on.
    """

    def __init__(
        self,
        settings: SessionSettings,
        standby: StandbyWorker | None = None,
        files: SessionFiles | None = None,
        found: TakenOver | None = None,
    ) -> None:
        first = found or standby or start_standby_worker()
        if found and standby:
            standby.close()  # it waits for another wake-up
        self._settings, self._wake, self._files = settings, first.wake, found.files if found else files
        self._shared = found.handover.shared if found else settings.new_shared()
        self.on_event: Callable[[Event], None] = _ignore
        self.on_news: Callable[[str], None] = _ignore
        self.on_refused: Callable[[Preset], None] = _ignore
        self.on_status: Callable[[], None] = lambda: None
        self.device_name = ""
        self._remembered: Preset | None = None
        self._questions = HeldQuestions()
        self.announcements = Announcements(lambda news: self._processes.later(lambda: self.on_news(news)))
        self._generations = PresetGenerations(self._shared.parameters)
        asked: Mapping[int, Route | None] = {INPUTS: settings.inputs, OUTPUTS: settings.outputs}
        if found:
            self._generations.restore(found.handover.generations, found.handover.preset)
            asked = found.handover.routes
        self._routes = SessionRoutes(self._shared.routes, settings.channels, settings.opened, asked)
        home = self._files.home if self._files else None
        audio = found.handover.audio if found else settings.audio_settings(home)
        self._processes = Supervisor(audio, settings.device, self._shared, first, self)
        self._lock = self._processes.lock
        self._processes.start()

    @property
    def shared(self) -> SharedState:
        """The shared memory, for a recorder."""
        return self._shared

    @property
    def format(self) -> Format:
        """The rate and channels that are played; known once `wait_until_open` has returned."""
        assert self._processes.format
        return self._processes.format

    @property
    def preset(self) -> Preset | None:
        """The preset that plays, with every value as it is now; None before the first."""
        with self._lock:
            return self._generations.preset

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
    def switches(self) -> dict[str, bool]:
        """Which of `SWITCHES` are on."""
        at = self._shared.parameters.switch
        return {name: bool(at(SWITCH_PLACES[name])) for name, switch in SWITCHES.items() if not switch.momentary}

    @property
    def inputs(self) -> Route:
        """The device's inputs that feed each channel of the chain."""
        return self._routes.now[INPUTS]

    @property
    def outputs(self) -> Route:
        """The device's outputs that each channel of the chain feeds."""
        return self._routes.now[OUTPUTS]

    @property
    def sockets(self) -> tuple[int, int]:
        """How many inputs and outputs of the device a route can name."""
        return self._routes.sockets[INPUTS], self._routes.sockets[OUTPUTS]

    def start(self, preset: Preset) -> None:
        """Play a complete preset as soon as the device is open."""
        with self._lock:
            self._generations.add(preset)
            self._processes.order()

    def attach(self, device: Opened) -> None:
        """Play for a host's plug-in, which takes the place of the audio process, where `audio` is `bridge`."""
        self._processes.attach(device)

    def restart(self) -> None:
        """Play the preset from silence, and return once another worker does.

        Raises:
            PresetError, WorkerError: it cannot be played.
        """
        self._processes.renew()
        self.wait_until_playing()

    @property
    def audio(self) -> AudioSettings:
        """What is played on, as it was asked for."""
        return self._processes.audio

    def use(self, choice: str, block: int | None, spare: int | None) -> None:
        """Play on another device, or in other blocks; where that cannot be, the one before plays again."""
        self._processes.use(replace(self.audio, choice=choice, block=block, spare=spare, patient=False))

    @property
    def blocks(self) -> int:
        """How many blocks of time the worker has for a block."""
        return budget_blocks(self._shared.status, self.audio.spare, max(int(self._shared.status["block"]), 1))

    @property
    def chain_delay(self) -> int:
        """The latency of the chain in samples."""
        return int(self._shared.status["delay"])

    @property
    def wake(self) -> Wake:
        """What wakes the worker when a block is there."""
        return self._wake

    def wait_until_open(self) -> None:
        """Return once the device is open, while the worker makes the chain; with `osc`, once a sender is known.

        Raises:
            AudioError: there is no device, or it has not the inputs and outputs that were asked for.
        """
        self._processes.wait(lambda: self._processes.format is not None)

    def wait_until_playing(self) -> None:
        """Return once the chain plays.

        Raises:
            AudioError, PresetError, WorkerError: it never will.
        """
        self._processes.wait(lambda: self.playing)

    def check(self) -> None:
        """Raise what has ended the session, if anything has.

        Raises:
            AudioError, PresetError, WorkerError: device or chain failed before anything was played.
        """
        self._processes.check()

    def set_many(self, changes: Mapping[str, Value]) -> None:
        """Set parameters, and switches by name, to checked values, from the same block on.

        Parameters that the preset does not have are left out.
        """
        with self._lock:
            now = self._generations.now
            index = now.index if now else {}
            numbers = {SWITCH_PLACES[a]: self._switched(a, value) for a, value in changes.items() if a in SWITCHES}
            for address in [address for address in changes if address in index]:
                numbers[index[address]] = self._number(address, changes[address])
            self._shared.parameters.set(now.number if now else _NO_GENERATION, numbers)

    def change(self, preset: Preset) -> None:
        """Fade over to a complete preset."""
        with self._lock:
            now = self._generations.add(preset)
            self.keep()
            if not self._processes.try_again():
                self._processes.send(PresetChange(preset, now.number))

    def snapshot(self) -> Preset:
        """Return the preset that plays, with every value as it is now and with what its stages hold beside them.

        The worker asks its stages between blocks, so this may wait; where it gives no answer within two seconds, or
        has died, the preset is as the session itself knows it.
        """
        held = self._questions.ask(self._ask)
        with self._lock:
            now, preset = self._generations.now, self._generations.preset
            assert now, "a preset plays"
            assert preset
            # another preset may have been chosen meanwhile, whose stages hold what it has itself
            return preset.with_values(held.values) if held and held.generation == now.number else preset

    def route_inputs(self, route: Route) -> None:
        """Feed each channel of the chain from these inputs of the device, or the sum of several; faded.

        Raises:
            RouteError: there are no such inputs, or it is not one entry for each channel.
        """
        with self._lock:
            self._routes.plug(INPUTS, route)
            self.keep()

    def route_outputs(self, route: Route) -> None:
        """Feed these outputs of the device from each channel of the chain; faded.

        Raises:
            RouteError: there are no such outputs, or it is not one entry for each channel.
        """
        with self._lock:
            self._routes.plug(OUTPUTS, route)
            self.keep()

    def remember(self, preset: Preset) -> None:
        """Note the preset as the controller has it now, for another controller: its name, mappings and macros."""
        with self._lock:
            if preset != self._remembered:
                self._remembered = preset
                self.keep()

    def report(self) -> dict[str, object]:
        """Return the figures of now, by name."""
        return {
            "device": self.device_name,
            **report(self._shared.status, self.audio.spare),
            "playing": self.playing,
            "restarts": self.restarts,
            "status": self.announcements.status,
            "left_out": dict(self.announcements.left_out.why),
            "failures": dict(self.announcements.left_out.failures),
        }

    def meters(self) -> dict[str, float]:
        """Return meters by name: levels and reductions in dB, load (1 is all of the time), underruns, latency."""
        now = self._generations.now
        return meters(self._shared.status, self.audio.spare) | (reductions(self._shared.status, now) if now else {})

    def end(self) -> None:
        """End all processes; the shared memory can still be read."""
        self._processes.end()

    def close(self) -> None:
        """End all processes and free everything."""
        self.end()
        self._shared.close()
        self._wake.close()
        if self._files:
            self._files.remove()
            self._files = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # The supervisor calls what follows: see `SupervisorOwner`.

    def order(self, form: Format) -> Play | None:
        """Return what a worker that starts now is to play: the preset as it is now, as a new generation."""
        preset = self._generations.preset
        if not preset:
            return None
        warm_up = self._settings.audio != ATTACHED  # a host's bounce begins with the first sample, as a render does
        home = self._files.home if self._files else None
        number = self._generations.add(preset).number
        return Play(preset, form, number, self._shared, warm_up, home, self._settings.orphaned_s)

    def keep(self) -> None:
        """Write down what another controller needs to know, if this one goes."""
        if self._files and self._generations.now:
            device, kept, routes = self._settings.device_text, self._generations.kept, self._routes.now
            handover = Handover(device, self.audio, self._shared, kept, self._remembered, routes)
            self._files.write(Processes.of(*self._processes.pids), handover)

    def opened(self, device: Opened) -> None:
        """Note which device there is, and connect its inputs and outputs.

        Raises:
            AudioError: it has not those that were asked for.
        """
        self.device_name = device.name
        self._routes.fit(device)

    def received(self, message: object) -> None:
        """Receive a message from the worker."""
        match message:
            case Event():
                self.on_event(message)
            case Held():
                self._questions.answer(message)
            case LeftOut():
                self.announcements.take_left_out(message)
            case Compiling():
                self.announcements.take_compiling(message, self.playing)
                self._processes.later(lambda: self.on_status())
            case Resumed(generation, _):
                self._resume(generation)
            case Refused():
                self.announcements.compiling_s = None
                self._processes.later(lambda: self.on_news(message.why))
                if self._generations.go_back(message) and (playing := self._generations.preset):
                    self.keep()
                    self._processes.later(lambda: self.on_refused(playing))

    def died(self) -> None:
        """Take note that the worker has died: no question will be answered."""
        self.announcements.forget()
        self._processes.later(lambda: self.on_status())
        self._questions.give_up()

    def report_news(self, news: str) -> None:
        """Pass on a sentence for people."""
        self.on_news(news)

    def _ask(self, question: Ask) -> bool:
        with self._lock:
            if self.playing:
                self._processes.send(question)
            return self.playing

    def _resume(self, generation: int) -> None:
        """Send a worker that was taken over what the controller before may not have sent any more."""
        now, preset = self._generations.now, self._generations.preset
        if now and preset and generation != now.number:
            self.change(preset)
        for text in self._generations.texts():
            self._processes.send(text)

    def _number(self, address: str, value: Value) -> float:
        """Return what the memory holds for a value; a text is sent ahead under a number."""
        if not isinstance(value, str):
            return float(value)
        number = self._generations.number_text(address, value)
        self.keep()
        self._processes.send(Text(number, value))
        return float(number)

    def _switched(self, name: str, value: Value) -> float:
        """Return what the memory holds for a switch; a momentary one counts up."""
        return self._shared.parameters.switch(SWITCH_PLACES[name]) + 1 if SWITCHES[name].momentary else float(value)


def _ignore(_: object) -> None:
    """Do nothing."""
