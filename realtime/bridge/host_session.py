"""A session whose device is a plug-in in a host: it takes the host's requests and sends it the state to store.

The plug-in takes the place of the audio process: it writes and reads the rings itself. All else is as in
`gramophone play`: a worker computes, a supervisor brings it back, the controller takes what the host, the page, OSC and
MIDI set.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection

from gramophone.models.parameters import ParameterError, Value
from gramophone.presets import DEFAULT, Preset, PresetError, load
from gramophone.realtime.bridge.host_parameters import PRESET, HostParameters
from gramophone.realtime.bridge.link import BridgeLink, HostChanges
from gramophone.realtime.bridge.preset_numbers import preset_of
from gramophone.realtime.bridge.project_state import ProjectState, from_text, to_text
from gramophone.realtime.bridge.protocol import LONGEST, SLOTS, FrameType, HostFormat, ProtocolError, receive_hello
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.midi import system_backend
from gramophone.realtime.control.midi.controller_map import ControllerMap
from gramophone.realtime.control.oscquery.server import OscQueryServer
from gramophone.realtime.live.messages import Opened
from gramophone.realtime.live.session import Session
from gramophone.realtime.live.session_settings import SessionSettings
from gramophone.realtime.live.shared_state import BlockRing
from gramophone.realtime.live.status import blocks_of_time
from gramophone.realtime.live.supervisor import ATTACHED
from gramophone.realtime.live.surfaces import Surfaces
from gramophone.realtime.live.worker_process import StandbyWorker, run_worker
from gramophone.realtime.parameter_table import complete, hops_s
from gramophone.realtime.system.process_handle import ChildProcess
from gramophone.realtime.system.shared_memory import SharedArrays
from gramophone.realtime.system.wakeup import MemoryWake, Wake

_SAVE_AFTER_S = 0.2
"""The host is given the state so long after a change: moving a knob is one change."""
_PATIENCE_S, _BUSY_S, _LOOK_S = 30.0, 1e-3, 5e-5
"""So long it is waited for the blocks of a bounce, without sleep, and between two looks."""
_WITH_SOUND = 2
"""A bounce that begins with the first sound (`HostChanges.bounce`)."""
_DRY = Preset("dry", (), "Dry", "What plays in place of a state that cannot be read.")
_SLOWEST_BPM, _FASTEST_BPM = 1.0, 1000.0
_ENDS_S = 5
"""So long the engine may take to end once the plug-in has gone, whatever it waits for."""


def play(plugin: socket.socket, rings: Sequence[int]) -> None:
    """Serve the plug-in at the other end of a socket until it goes away; `rings` are descriptors, to it and from it.

    To be called before this process has any threads: its first worker is forked, so that all libraries are there.
    """

    def work(wake: Wake, control: Connection) -> None:
        plugin.close()  # else the plug-in would not see that the engine is gone
        run_worker(wake, control)

    link = BridgeLink(plugin)
    try:
        channels = receive_hello(plugin)
        if channels is None:
            return
        inputs, outputs = (_ring(descriptor, channels) for descriptor in rings)
        resource_tracker.ensure_running()  # one for this process and the worker: both use the same shared memory
        wake = MemoryWake(inputs.memory)
        standby = StandbyWorker(ChildProcess("gramophone worker", work, wake, method="fork"), wake)
        link.end_process_after_hangup(_ENDS_S)
        HostSession(link, standby, channels, (inputs, outputs)).run()
    except (OSError, RuntimeError, ValueError) as error:
        link.notify(str(error))
    finally:
        link.close()


def _ring(descriptor: int, channels: int) -> BlockRing:
    """Return the ring in the plug-in's memory."""
    fields = {"woken": ("uint32", (1,)), "sleeps": ("uint32", (1,)), **BlockRing.fields(channels, SLOTS, LONGEST)}
    return BlockRing.in_memory(SharedArrays.of_descriptor(descriptor, fields), SLOTS, LONGEST)


class HostSession:
    """Plays for the plug-in at the other end of `link`, in the calling thread, until that goes away."""

    def __init__(
        self, link: BridgeLink, standby: StandbyWorker, channels: int, rings: tuple[BlockRing, BlockRing]
    ) -> None:
        self._link, self._standby, self._channels, self._rings = link, standby, channels, rings
        self._number = 0
        """Which preset the host's parameter calls."""
        self._newest = -1
        """The block before the first one that the worker plays."""
        self._untouched = True
        """Whether the chain has the values that it began with: a bounce begins with no smoothed way to others."""
        self._unread = ""
        """A project's state that could not be read, which is kept until another preset plays."""
        self._hops: frozenset[float] = frozenset()
        self._announced: tuple[int, int] | None = None
        self._announcing, self._saving = threading.Lock(), threading.Lock()
        self._changed, self._ended = threading.Event(), threading.Event()

    def run(self) -> None:
        """Play until the plug-in hangs up.

        Raises:
            AudioError, PresetError, WorkerError: it cannot be played.
            ProtocolError: the plug-in does not keep to the protocol.
        """
        batches = self._link.changes()
        first = next(batches, None)
        if first is None:
            return
        if first.format is None:
            raise ProtocolError("a plug-in without a format: expected one before all else")
        with ExitStack() as stack:
            self._open(stack, first, first.format)
            self._link.confirm()
            self._open_surfaces(stack)  # which takes longer than all else, and sounds like nothing
            stack.callback(self._end_keeper, self._start_keeper())
            for changes in batches:
                self._await_played()
                try:
                    with self._parameters.all_at_once():
                        self._follow(changes)
                except (ParameterError, PresetError) as error:
                    self._link.notify(str(error))
                if changes.saves:
                    self._save()
                self._link.confirm()

    def _open(self, stack: ExitStack, changes: HostChanges, host: HostFormat) -> None:
        """Start the session with all that the host has set, as `gramophone render` begins with its options."""
        self._host = host
        settings = SessionSettings(ATTACHED, channels=self._channels, block=host.block, rings=self._rings)
        self._session = session = stack.enter_context(Session(settings, self._standby))
        session.on_news = self._link.notify
        state = self._chosen(changes)
        self._begin_bounce(changes.bounce or 0)
        self._newest = self._rings[1].newest  # what came after the last answer is played in a bounce
        session.start(state.preset)
        self._controller = controller = Controller(state.preset, session)
        self._parameters = HostParameters(controller, self._link, state.free)
        self._controller_map = ControllerMap(controller)
        stack.callback(self._controller_map.close)
        self._set_values(changes)
        session.attach(self._device(host))
        session.wait_until_playing()
        controller.listen(self._note)
        controller.listen_parameters(self._expect_time)
        self._expect_time()
        self._parameters.report()

    def _open_surfaces(self, stack: ExitStack) -> None:
        """Open the control page and OSC on ports of their own, and the system's MIDI.

        Not that of JACK: its graph would wait in every cycle for this process, which is no part of the host's sound.
        """
        backend = system_backend()
        surfaces = Surfaces(osc_port=0, http_port=0, midi=() if backend else None, midi_backend=backend)
        for surface in surfaces.on(self._controller, self._session, self._link.notify, self._controller_map):
            opened = stack.enter_context(surface)
            if isinstance(opened, OscQueryServer):
                self._link.show_page(opened.url)
                self._link.set_parameter(FrameType.PAGE, opened.port)

    def _device(self, host: HostFormat) -> Opened:
        return Opened("host", round(host.rate), host.block, self._channels, self._channels)

    def _chosen(self, changes: HostChanges) -> ProjectState:
        """Return what to play: the project's state, unless the host has called another preset since it was stored.

        Of a state that cannot be read nothing is lost: the sound is dry, and the project keeps it.
        """
        number = round(changes.values.get(PRESET, self._number))
        try:
            state = from_text(changes.state) if changes.state else None
        except PresetError as error:
            self._link.notify(f"{error}; the sound is dry, and the project keeps what it has")
            self._number, self._unread = number, changes.state
            return ProjectState(_DRY, number)
        if state:
            self._unread = ""
            for name in state.missing:
                self._link.notify(f"missing: {name}, which the project's preset names; it plays without")
            if changes.values.get(PRESET, state.number) == state.number:
                self._number = state.number
                return state
        self._number = number
        try:
            return ProjectState(complete(load(preset_of(number))), number)
        except PresetError as error:
            self._link.notify(str(error))
            return ProjectState(complete(load(DEFAULT)), number)

    def _follow(self, changes: HostChanges) -> None:
        """Do what the host has set since the last time."""
        called = round(changes.values.get(PRESET, self._number)) != self._number
        if changes.state or called:
            self._play(self._chosen(changes), stored=bool(changes.state))
        if changes.format:
            self._attach(changes.format)
        self._set_values(changes)
        if changes.bounce is not None:
            self._begin_bounce(changes.bounce)
        begins = changes.bounce and not self._idle
        if begins or ((changes.bounce or self._session.shared.status["awaits_sound"]) and not self._untouched):
            self._restart()

    def _begin_bounce(self, bounce: int) -> None:
        """Begin or end a bounce; with the first sound where that is asked for: the worker leaves out what is before."""
        status = self._session.shared.status
        status["bounces"], status["awaits_sound"] = bounce != 0, bounce == _WITH_SOUND

    def _await_played(self) -> None:
        """Wait in a bounce until what came before is played: it is not to have what is set now."""
        status, newest, began = self._session.shared.status, self._session.shared.inputs.newest, time.monotonic()
        while status["bounces"] and status["done"] < newest and (waited := time.monotonic() - began) < _PATIENCE_S:
            time.sleep(0.0 if waited < _BUSY_S else _LOOK_S)

    def _attach(self, host: HostFormat) -> None:
        """Play at another rate or block length; the worker makes the chain anew where that is needed."""
        session = self._session
        another_rate = round(host.rate) != session.format.rate
        self._host = host
        self._changed.set()  # the project's state has it
        session.attach(self._device(host))
        if another_rate:
            self._begin_anew()
        else:
            self._announce()

    def _set_values(self, changes: HostChanges) -> None:
        if _SLOWEST_BPM <= changes.tempo <= _FASTEST_BPM:
            self._controller_map.set_tempo(changes.tempo)
        for index, value in changes.values.items():
            self._parameters.set(index, value)

    @property
    def _idle(self) -> bool:
        """Whether nothing has been played since the worker began."""
        return self._session.shared.inputs.newest == self._newest

    def _restart(self) -> None:
        """Play the preset from silence."""
        self._session.restart()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._session.wait_until_playing()
        self._newest = self._session.shared.inputs.newest
        self._untouched = True
        self._announce()

    def _play(self, state: ProjectState, *, stored: bool) -> None:
        """Fade over to a preset; begin with it while no blocks come, and with what the project has `stored`.

        The host has the latency of that already: to fade over would be to report the old chain's once more until the
        new one has entered, and an export that begins meanwhile would be late by the difference.
        """
        self._controller.enter(state.preset)
        if stored:
            self._parameters.free = state.free
        if stored or self._idle:
            self._restart()
        self._changed.set()

    def _expect_time(self) -> None:
        """Report the blocks of time that the preset which enters will need, before the worker takes them."""
        self._hops = hops_s(self._controller.preset)
        self._announce()

    def _blocks(self) -> int:
        """Return how many blocks of time the worker needs: as long as presets change, what both need."""
        status = self._session.shared.status
        now = blocks_of_time((hop_s * status["rate"] for hop_s in self._hops), int(status["block"]))
        return max(now, self._session.blocks)

    def _announce(self) -> None:
        """Report the chain's latency and the worker's time in blocks, if either has changed."""
        with self._announcing:
            now = self._session.chain_delay, self._blocks()
            if now != self._announced:
                self._announced = now
                self._changed.set()  # the project's state has it
                self._link.announce(*now)

    def _note(self, _address: str, _value: Value) -> None:
        self._untouched = False
        self._changed.set()

    def _start_keeper(self) -> threading.Thread:
        self._changed.set()
        keeper = threading.Thread(target=self._keep, name="state for the host", daemon=True)
        keeper.start()
        return keeper

    def _end_keeper(self, keeper: threading.Thread) -> None:
        self._ended.set()
        keeper.join()

    def _keep(self) -> None:
        """Give the host the state as it is now, some time after each change, and the latency."""
        while not self._ended.wait(_SAVE_AFTER_S):
            if self._session.playing:
                self._announce()
            if self._changed.is_set():
                self._save()

    def _save(self) -> None:
        """Give the host the state as it is now."""
        with self._saving:  # an older state never comes behind a newer one
            self._changed.clear()
            self._link.keep(self._state())

    def _state(self) -> str:
        """Return what the project is to store."""
        if self._unread and not self._controller.preset.stages:
            return self._unread
        host, announced = self._host, self._announced
        assert announced is not None
        state = ProjectState(self._controller.preset, self._number, self._parameters.free)
        return to_text(state, (round(host.rate), host.block, *announced))
