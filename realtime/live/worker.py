"""The worker at work: waits for a block, turns the knobs, plays the block, hands it on.

Everything that may take longer than a block happens in other threads: making chains, talking to the control process,
counting up figures. They give the interpreter back within 0.1 ms.
"""

from __future__ import annotations

import gc
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from multiprocessing.connection import Connection
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from gramophone.models.parameters import Value
from gramophone.presets import Preset, PresetError
from gramophone.realtime.chain import Chain
from gramophone.realtime.engine import EngineReport
from gramophone.realtime.live.messages import (
    Ask,
    Change,
    Complaint,
    Event,
    EventName,
    Held,
    LeftOut,
    Play,
    Refused,
    Text,
)
from gramophone.realtime.live.parameter_reader import ParameterReader
from gramophone.realtime.live.places import SWITCHES, slots, values_at
from gramophone.realtime.live.player import Player
from gramophone.realtime.stage import Audio, StageError
from gramophone.realtime.system.process_handle import Stop
from gramophone.realtime.system.realtime_priority import SOUND, real_time, settle
from gramophone.realtime.system.wakeup import Wake

_PATIENCE_S = 0.1
"""How far behind the worker still catches up block by block; further, and it goes on with the newest."""
_REPORT_S = 0.25


@dataclass(frozen=True)
class _Panic(Change):
    """A chore: the same preset once more, from silence, when the knobs on the board are as `known`."""

    known: NDArray[np.float64]


class Worker:
    """A player between the rings. `run` plays in the calling thread, with real-time priority where allowed."""

    def __init__(self, wake: Wake, player: Player, order: Play, control: Connection) -> None:
        self._shared = shared = order.shared
        self._wake, self._player, self._control = wake, player, control
        self._rate = order.form.rate
        self._knobs = ParameterReader(shared.knobs)
        self._lay_out(order)
        self._inquiries: deque[Iterator[None]] = deque()
        self._coming: deque[tuple[Change, Chain]] = deque()
        self._fresh: deque[tuple[Change, Chain]] = deque()
        self._chores: SimpleQueue[Change | None] = SimpleQueue()
        self._said: SimpleQueue[object] = SimpleQueue()
        self._stopped = threading.Event()
        self._number = shared.inputs.newest + 1
        self._preset = order.preset

    def run(self) -> None:
        """Play until `Stop`."""
        helpers = [
            threading.Thread(target=work, name=work.__name__, daemon=True)
            for work in (self._listen, self._make, self._speak, self._report)
        ]
        settle()
        for helper in helpers:
            helper.start()
        self._shared.status["real_time"] = real_time(SOUND)
        self._number = self._shared.inputs.newest + 1
        self._say("start", value=self._preset)
        while not self._stopped.is_set():
            self._wake.wait()
            played = self._catch_up()
            if self._inquiries and (played or not self._shared.status["rate"]):
                self._inquire()
        self._chores.put(None)
        self._said.put(None)
        helpers[2].join()
        self._player.close()

    def _catch_up(self) -> bool:
        """Play every block that is there; return whether there was one."""
        inputs, outputs = self._shared.inputs, self._shared.outputs
        played = False
        while not self._stopped.is_set() and self._number <= inputs.newest:
            taken = inputs.read(self._number)
            patience = min(ceil(_PATIENCE_S * self._rate / taken.sound.shape[1]), inputs.slots // 2) if taken else 0
            if taken is None or inputs.newest - self._number > patience:
                self._number = inputs.newest  # nobody waits any more for what lies between
                continue
            self._turn_knobs()
            outputs.write(self._number, self._play(taken.sound), self._player.delay)
            self._shared.status["done"] = self._number
            self._shared.status["delay"] = self._player.delay
            self._number += 1
            played = True
        return played

    def _play(self, block: Audio) -> Audio:
        """Return the player's sound, and tell what its stages took over from the background to make it."""
        chain = self._player.engine.chain
        before = chain.taken
        sound = self._player.process(block)
        for name, number in chain.taken.items():
            if number != before[name]:
                self._say("take", name, number)
        return sound

    def _turn_knobs(self) -> None:
        """Take over what has changed since the last block."""
        for address, value in self._knobs.changes():
            if address in SWITCHES:
                self._switch(address, bool(value))
            else:
                self._set(address, value)
        if self._fresh:
            self._refresh(*self._fresh.popleft())
        if self._coming and not self._player.changing:
            change, chain = self._coming.popleft()
            self._player.change(chain)
            self._lay_out(change)
            self._say("change", value=change.preset)

    def _inquire(self) -> None:
        """Go on with an inquiry now that no block waits; where no device asks for blocks, the next step follows."""
        if next(self._inquiries[0], self) is self:
            self._inquiries.popleft()
        self._wake.ring()

    def _inquiry(self, number: int) -> Iterator[None]:
        """Ask stage after stage what it holds, with a pause between two, and tell; begin again if the chain changes."""
        chain: Chain | None = None
        held: dict[tuple[str, str], Value] = {}
        while chain is not self._player.engine.chain:
            chain = self._player.engine.chain
            held.clear()
            for slot in chain:
                held |= slot.held()
                yield
                if chain is not self._player.engine.chain:
                    break
        self._said.put(Held(number, self._generation, held))

    def _refresh(self, made_for: Change, chain: Chain) -> None:
        """End a panic. A chain that another preset has overtaken meanwhile is not needed: the new one is fresh."""
        overtaken = made_for.generation != self._generation
        self._player.refresh(None if overtaken else chain)
        if overtaken:
            chain.close()
        else:
            self._lay_out(made_for)  # what was turned meanwhile is turned again
        self._say("refresh", value=not overtaken)

    def _set(self, address: str, value: Value) -> None:
        try:
            self._player.set(address, value)
        except StageError as error:
            self._said.put(Complaint(str(error)))
        else:
            self._say("set", address, value)

    def _switch(self, name: str, on: bool) -> None:
        if name == "mute":
            self._player.mute(on)
            self._say("mute", value=on)
        elif name == "bypass":
            self._player.bypass(on)
            self._say("bypass", value=on)
        else:
            self._player.panic()
            self._say("panic")
            self._chores.put(_Panic(self._player.engine.preset, self._generation, self._knobs.known))

    def _lay_out(self, order: Play | Change) -> None:
        self._generation = order.generation
        parameters = self._player.parameters
        known = order.known if isinstance(order, _Panic) else values_at(slots(parameters), order.preset)
        self._knobs.lay_out(parameters, order.generation, known)

    def _say(self, name: EventName, address: str = "", value: Value | Preset = True) -> None:
        self._said.put(Event(self._number, name, address, value))

    def _listen(self) -> None:
        """Take orders from the control process."""
        try:
            while not isinstance(order := self._control.recv(), Stop):
                match order:
                    case Text():
                        self._knobs.hear(order)
                    case Ask(number):
                        self._inquiries.append(self._inquiry(number))
                        self._wake.ring()
                    case Change():
                        self._chores.put(order)
        except EOFError:
            pass
        self._stopped.set()
        self._wake.ring()

    def _make(self) -> None:
        """Make the chains that are asked for; of several waiting ones of a kind only the last."""
        while True:
            chores = [self._chores.get()]
            while not self._chores.empty():
                chores.append(self._chores.get())
            if None in chores:
                return
            newest = {type(chore): chore for chore in chores if chore}
            for chore in newest.values():
                try:
                    chain = self._player.prepare(chore.preset)
                except PresetError as error:
                    playing = self._coming[-1][0].generation if self._coming else self._generation
                    self._said.put(Refused(str(error), chore.generation, playing))
                else:
                    (self._fresh if isinstance(chore, _Panic) else self._coming).append((chore, chain))
            gc.collect()

    def _speak(self) -> None:
        """Pass on what was said; sending may take its time here."""
        while (said := self._said.get()) is not None:
            self._control.send(said)

    def _report(self) -> None:
        """Write figures to the status board now and then, and tell when stages are left out."""
        ended = False
        left_out: dict[str, str] = {}
        while not ended:
            report = self._player.engine.report()
            self._write_figures(report)
            if report.left_out != left_out:
                left_out = report.left_out
                self._said.put(LeftOut(left_out))
            ended = self._stopped.wait(_REPORT_S)

    def _write_figures(self, report: EngineReport) -> None:
        status = self._shared.status
        status["load"] = report.load
        status["median_ms"], status["p95_ms"] = report.stages["engine"].values()
        status["non_finite"] = report.non_finite
        for name, level in (("in", report.input), ("out", report.output)):
            status[f"{name}_peak_db"], status[f"{name}_rms_db"] = level.peak_db, level.rms_db
