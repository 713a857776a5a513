"""The worker process: waits for a block, turns the knobs, plays the block, hands it on.

Everything that may take longer than a block happens in other threads: making chains, talking to the control process,
counting up figures. They give the interpreter back within 0.1 ms.
"""

from __future__ import annotations

import gc
import threading
from collections import deque
from math import ceil
from multiprocessing.connection import Connection
from queue import SimpleQueue

from gramophone.models.parameters import ParameterError, Value
from gramophone.presets import Preset, PresetError
from gramophone.realtime.chain import Chain
from gramophone.realtime.live.messages import Change, Complaint, Event, EventName, Failed, Play, Stop, Text, Warm
from gramophone.realtime.live.places import places, values_at
from gramophone.realtime.live.player import Player
from gramophone.realtime.live.priority import HELPERS, SOUND, belong_to_parent, real_time, settle
from gramophone.realtime.live.shared import BYPASS, MUTE, PANIC, Shared
from gramophone.realtime.stage import StageError

_PATIENCE_S = 0.1
"""How far behind the worker still catches up block by block; further, and it goes on with the newest."""
_REPORT_S = 0.25


def run_worker(shared: Shared, control: Connection) -> None:
    """Be a worker process: load everything, wait for `Play`, play until `Stop` or until the parent is gone."""
    belong_to_parent()
    import torch

    import gramophone.realtime.style  # noqa: F401 - with it comes all that takes time to load

    torch.set_num_threads(1)
    control.send(Warm())
    try:
        order = control.recv()
        if isinstance(order, Play):
            real_time(HELPERS)  # somebody is waiting for the sound already
            player = Player(order.preset, order.form)
            Worker(shared, player, order, control).run()
    except (PresetError, StageError) as error:
        control.send(Failed(str(error)))
    except EOFError:
        pass  # the control process has gone


class _Panic(Change):
    """A chore: the same preset once more, from silence."""


class Worker:
    """A player between the rings. `run` plays in the calling thread, with real-time priority where allowed."""

    def __init__(self, shared: Shared, player: Player, order: Play, control: Connection) -> None:
        self._shared, self._player, self._control = shared, player, control
        self._rate = order.form.rate
        self._lay_out(order.preset, order.generation)
        self._switches = shared.switches.reader(0, (0, 0, shared.switches.get(0, PANIC)))
        self._texts: deque[Text] = deque()
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
            self._shared.wake.wait()
            self._catch_up()
        self._chores.put(None)
        self._said.put(None)
        helpers[2].join()
        self._player.close()

    def _catch_up(self) -> None:
        """Play every block that is there."""
        inputs, outputs = self._shared.inputs, self._shared.outputs
        while not self._stopped.is_set() and self._number <= inputs.newest:
            taken = inputs.read(self._number)
            patience = min(ceil(_PATIENCE_S * self._rate / taken.sound.shape[1]), inputs.slots // 2) if taken else 0
            if taken is None or inputs.newest - self._number > patience:
                self._number = inputs.newest  # nobody waits any more for what lies between
                continue
            self._turn_knobs()
            outputs.write(self._number, self._player.process(taken.sound), self._player.delay)
            self._shared.status["done"] = self._number
            self._shared.status["delay"] = self._player.delay
            self._number += 1

    def _turn_knobs(self) -> None:
        """Take over what has changed since the last block."""
        for place, value in self._knobs.changes():
            address, is_switch = self._places[place]
            self._set(address, bool(value) if is_switch else value)
        while self._texts and self._texts[0].generation <= self._generation:
            text = self._texts.popleft()
            if text.generation == self._generation:
                self._set(text.address, text.value)
        for place, value in self._switches.changes():
            self._switch(place, value)
        if self._fresh:
            self._refresh(*self._fresh.popleft())
        if self._coming and not self._player.changing:
            change, chain = self._coming.popleft()
            self._player.change(chain)
            self._lay_out(change.preset, change.generation)
            self._say("change", value=change.preset)

    def _refresh(self, made_for: Change, chain: Chain) -> None:
        """End a panic. A chain that another preset has overtaken meanwhile is not needed: the new one is fresh."""
        overtaken = made_for.generation != self._generation
        self._player.refresh(None if overtaken else chain)
        if overtaken:
            chain.close()
        else:
            self._lay_out(made_for.preset, self._generation)  # what was turned meanwhile is turned again
        self._say("refresh", value=not overtaken)

    def _set(self, address: str, value: Value) -> None:
        try:
            self._player.set(address, value)
        except (ParameterError, StageError) as error:
            self._said.put(Complaint(str(error)))
        else:
            self._say("set", address, value)

    def _switch(self, place: int, value: float) -> None:
        if place == MUTE:
            self._player.mute(bool(value))
            self._say("mute", value=bool(value))
        elif place == BYPASS:
            self._player.bypass(bool(value))
            self._say("bypass", value=bool(value))
        else:
            self._player.panic()
            self._say("panic")
            self._chores.put(_Panic(self._player.engine.preset, self._generation))

    def _lay_out(self, preset: Preset, generation: int) -> None:
        self._generation = generation
        self._places = places(self._player.parameters)
        self._knobs = self._shared.knobs.reader(generation, values_at(self._places, preset))

    def _say(self, name: EventName, address: str = "", value: Value | Preset = True) -> None:
        self._said.put(Event(self._number, name, address, value))

    def _listen(self) -> None:
        """Take orders from the control process."""
        try:
            while not isinstance(order := self._control.recv(), Stop):
                if isinstance(order, Text):
                    self._texts.append(order)
                elif isinstance(order, Change):
                    self._chores.put(order)
        except EOFError:
            pass
        self._stopped.set()
        self._shared.wake.ring()

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
                    self._said.put(Complaint(str(error)))
                else:
                    (self._fresh if isinstance(chore, _Panic) else self._coming).append((chore, chain))
            gc.collect()

    def _speak(self) -> None:
        """Pass on what was said; sending may take its time here."""
        while (said := self._said.get()) is not None:
            self._control.send(said)

    def _report(self) -> None:
        """Write figures to the status board now and then."""
        ended = False
        while not ended:
            self._write_figures()
            ended = self._stopped.wait(_REPORT_S)

    def _write_figures(self) -> None:
        status, report = self._shared.status, self._player.engine.report()
        status["load"] = report.load
        status["median_ms"], status["p95_ms"] = report.stages["engine"].values()
        status["non_finite"] = report.non_finite
        for name, level in (("in", report.input), ("out", report.output)):
            status[f"{name}_peak_db"], status[f"{name}_rms_db"] = level.peak_db, level.rms_db
