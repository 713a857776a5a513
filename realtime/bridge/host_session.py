"""A session whose device is a plug-in in a host: it takes the host's requests and sends it the state to store."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from gramophone.models.parameters import ParameterError, Value
from gramophone.presets import DEFAULT, Preset, PresetError, load, names, parse, save
from gramophone.realtime.bridge.link import BridgeLink, Order
from gramophone.realtime.bridge.protocol import Begin, HostFormat, ParameterChange, RingPlace, Sync
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.live.messages import Opened
from gramophone.realtime.live.session import Session, SessionSettings
from gramophone.realtime.live.shared_state import BlockRing
from gramophone.realtime.live.supervisor import ATTACHED
from gramophone.realtime.live.surfaces import Surfaces
from gramophone.realtime.live.worker_process import StandbyWorker
from gramophone.realtime.macros import macros_of
from gramophone.realtime.parameter_table import COMMON, chain_parameters, complete
from gramophone.realtime.system.wakeup import SocketWake

PRESET, FIRST_MACRO, MACROS = 2, 3, 8
"""Parameters of the plug-in by index, and how many macros there are; bypass (0) and mix (1) it does itself."""
_SAVE_AFTER_S = 0.2
"""The host is given the state so long after a change: moving a knob is one change."""


class HostSession:
    """Plays for the plug-in at the other end of `link`, in the calling thread, until that goes away."""

    def __init__(self, link: BridgeLink, standby: StandbyWorker) -> None:
        self._link, self._standby = link, standby
        self._format: HostFormat | None = None
        self._values: dict[int, float] = {}
        self._macros: list[str] = []
        self._newest = -1
        """The block before the first one that the worker plays."""
        self._changed = threading.Event()
        self._ended = threading.Event()

    def run(self) -> None:
        """Play until the plug-in hangs up.

        Raises:
            AudioError, PresetError, WorkerError: it cannot be played.
            ProtocolError: the plug-in does not keep to the protocol.
        """
        orders = self._link.orders()
        preset, sequence = self._first_orders(orders)
        if self._format is None:
            return
        host = self._format
        settings = SessionSettings(ATTACHED, channels=host.channels, block=host.block, recorded=True)
        with ExitStack() as stack:
            self._session = session = stack.enter_context(Session(settings, self._standby))
            session.on_news = self._link.notify
            session.start(preset)
            self._controller = controller = Controller(preset, session)
            closed = Surfaces(osc_port=None, http_port=None, midi=None)
            for surface in closed.on(controller, session, self._link.notify):
                stack.enter_context(surface)
            session.attach(Opened("host", round(host.rate), host.block, host.channels, host.channels))
            session.wait_until_playing()
            self._greet(session)
            controller.listen(self._note)
            self._link.confirm(sequence)
            self._link.announce(session.chain_delay, session.blocks)
            keeper = threading.Thread(target=self._keep, name="state for the host", daemon=True)
            keeper.start()
            self._changed.set()
            for order in orders:
                self._handle(order)
            self._ended.set()
            self._changed.set()
            keeper.join()

    def _greet(self, session: Session) -> None:
        """Offer the plug-in the session's rings and what wakes its worker."""
        assert isinstance(session.wake, SocketWake)
        shared, channels = session.shared, session.format.channels
        inputs, outputs = ((place_of(ring, channels), ring.memory.fileno()) for ring in (shared.inputs, shared.outputs))
        self._link.greet(inputs, outputs, session.wake.fileno())

    def _first_orders(self, orders: Iterator[Order]) -> tuple[Preset, int]:
        """Return what the host wants to begin with: all that it sets at once."""
        text = ""
        for order in orders:
            match order:
                case HostFormat():
                    self._format = order
                case ParameterChange(index, value):
                    self._values[index] = value
                case str():
                    text = order
                case Sync(sequence):
                    return self._chosen(text), sequence
        return load(DEFAULT), 0

    def _chosen(self, text: str) -> Preset:
        """Return the preset that a state holds, or that the parameter names; the default where it has faults."""
        try:
            preset = complete(parse(text, Path("project.toml")) if text else load(self._name()))
        except PresetError as error:
            self._link.notify(str(error))
            preset = complete(load(DEFAULT))
        self._macros = turned_by_macros(preset)
        return preset

    def _name(self) -> str:
        """Return the name that the parameter `preset` stands for: 0 the default, then all there are in order."""
        number = round(self._values.get(PRESET, 0.0))
        there = names()
        return there[number - 1] if 1 <= number <= len(there) else DEFAULT

    def _handle(self, order: Order) -> None:
        try:
            match order:
                case HostFormat():
                    self._format = order
                case str():
                    self._play(self._chosen(order))
                case ParameterChange(index, value):
                    self._set(index, value)
                case Begin() if not self._idle:
                    self._restart()
                case Sync(sequence):
                    self._link.confirm(sequence)
        except (ParameterError, PresetError) as error:
            self._link.notify(str(error))

    def _set(self, index: int, value: float) -> None:
        before = self._values.get(index)
        self._values[index] = value
        if before == value:
            return
        if index == PRESET:
            self._play(self._chosen(""))
        elif FIRST_MACRO <= index < FIRST_MACRO + len(self._macros):
            self._controller.set_0to1(self._macros[index - FIRST_MACRO], value)

    @property
    def _idle(self) -> bool:
        """Whether nothing has been played since the worker began."""
        return self._session.shared.inputs.newest == self._newest

    def _restart(self) -> None:
        """Play the preset from silence, and report its latency."""
        self._session.restart()
        self._newest = self._session.shared.inputs.newest
        self._link.announce(self._session.chain_delay, self._session.blocks)

    def _play(self, preset: Preset) -> None:
        """Fade over to a preset; while no blocks come, begin with it."""
        self._controller.change(preset)
        if self._idle:
            self._restart()
        self._changed.set()

    def _note(self, _address: str, _value: Value) -> None:
        self._changed.set()

    def _keep(self) -> None:
        """Give the host the preset as it is now, some time after each change."""
        while not self._ended.is_set():
            self._changed.wait()
            self._ended.wait(_SAVE_AFTER_S)
            self._changed.clear()
            if not self._ended.is_set():
                self._link.keep(state_of(self._controller.preset))


def place_of(ring: BlockRing, channels: int) -> RingPlace:
    """Return where a ring of `channels` channels lies in its memory."""
    memory = ring.memory
    places = {name: memory.offset(name) for name in ("newest", "numbers", "frames", "delays", "sound")}
    return RingPlace(size=memory.size, **places, slots=ring.slots, channels=channels, longest=ring.longest)


def turned_by_macros(preset: Preset) -> list[str]:
    """Return what the host's macros set: the preset's macros, or the first numbers of a chain that has none."""
    common = {knob.name for knob in COMMON}
    numbers = [
        address
        for address, knob in chain_parameters(preset).items()
        if knob.is_number and address.partition(".")[2] not in common
    ]
    return [*macros_of(preset)] or numbers[:MACROS]


def state_of(preset: Preset) -> str:
    """Return a preset as the text that a project keeps."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.toml"
        save(preset, path)
        return path.read_text("utf-8")
