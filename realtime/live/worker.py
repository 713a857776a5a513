"""The worker: waits for a block, sets what has changed, plays the block and writes the result.

Everything that may take longer than a block happens in other threads: making chains, messages to and from the control
process, figures. They give the interpreter back within 0.1 ms.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from math import ceil
from queue import SimpleQueue
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gramophone.models.parameters import Value
from gramophone.presets import Preset, PresetError
from gramophone.realtime.chain import Chain
from gramophone.realtime.engine import EngineReport
from gramophone.realtime.live.compilation import CompileCountdown, load_code
from gramophone.realtime.live.messages import (
    Ask,
    Complaint,
    Event,
    Held,
    LeftOut,
    Play,
    PresetChange,
    Refused,
    Text,
)
from gramophone.realtime.live.player import Player
from gramophone.realtime.live.preset_generations import ParameterReader, numbers_of, places_of
from gramophone.realtime.live.shared_state import LONGEST_BLOCK
from gramophone.realtime.live.status import MOVE_SAMPLES, REDUCTIONS, write_hops
from gramophone.realtime.parameter_table import hops_s
from gramophone.realtime.stage import Audio, StageError
from gramophone.realtime.switches import SWITCHES
from gramophone.realtime.system.control_link import ControlLink
from gramophone.realtime.system.process_handle import Stop
from gramophone.realtime.system.realtime_priority import SOUND, real_time, settle
from gramophone.realtime.system.wakeup import Wake

_PATIENCE_S = 0.1
"""So far behind the worker still catches up block by block; further, and it goes on with the newest."""
_REPORT_S, _REDUCTIONS_S = 0.25, 0.05


@dataclass(frozen=True)
class _Refresh(PresetChange):
    """The same preset once more, from silence, where the parameter memory holds `known`."""

    known: NDArray[np.float64]


class LogSender(logging.Handler):
    """Sends what stages log, such as what is wrong with a clip, to the control process, which shows it.

    In the `with` block, by `send`.
    """

    def __init__(self, send: Callable[[Complaint], None]) -> None:
        super().__init__(logging.WARNING)
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send a warning."""
        self._send(Complaint(record.getMessage()))

    def __enter__(self) -> Self:
        logging.getLogger("gramophone").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("gramophone").removeHandler(self)


class Worker:
    """A player between two block rings. `run` plays in the calling thread, with real-time priority where allowed."""

    def __init__(self, wake: Wake, player: Player, order: Play, control: ControlLink) -> None:
        self._shared = shared = order.shared
        self._wake, self._player, self._control = wake, player, control
        self._form, self._rate = order.form, order.form.rate
        self._parameters = ParameterReader(shared.parameters)
        self._follow(order)
        self._questions: deque[Iterator[None]] = deque()
        self._entering: deque[tuple[PresetChange, Chain]] = deque()
        self._fresh: deque[tuple[PresetChange, Chain]] = deque()
        self._orders: SimpleQueue[PresetChange | None] = SimpleQueue()
        self._messages: SimpleQueue[object] = SimpleQueue()
        self._stopped = threading.Event()
        self._next: Play | None = None
        self._number = shared.inputs.newest + 1
        self._ready_at = 0
        self._hops_s: frozenset[float] = frozenset()
        self._watched: Chain | None = None
        self._taken: dict[str, int] = {}
        self._making_hops_s: frozenset[float] = frozenset()
        self._preset = order.preset
        self.left_out = LeftOut({}, {})
        """Which stages are left out, as the controller was sent it last."""

    @property
    def generation(self) -> int:
        """The preset that plays, or that waits to."""
        return self._entering[-1][0].generation if self._entering else self._generation

    def run(self) -> Play | None:
        """Play until `Stop`, or until the next `Play`, which is returned."""
        helpers = [
            threading.Thread(target=work, name=work.__name__, daemon=True)
            for work in (self._receive, self._make_chains, self._send, self._report)
        ]
        settle()
        for helper in helpers:
            helper.start()
        self._shared.status["real_time"] = real_time(SOUND)
        self._hops_s = self._player.engine.chain.hops_s
        write_hops(self._shared.status, self._hops_s)
        self._number = self._first()
        self._shared.outputs.pass_over(self._number - 1)  # what a worker before left unplayed
        self._shared.status["done"] = self._number - 1
        self._shared.status["delay"] = self._player.delay
        self._send_event("start", value=self._preset)
        with LogSender(self._messages.put):
            while not self._stopped.is_set():
                self._wake.wait()
                played = self._catch_up()
                if self._questions and (played or not self._shared.status["rate"]):
                    self._answer()
        self._orders.put(None)
        self._messages.put(None)
        for helper in helpers if self._next else helpers[2:3]:
            helper.join()
        self._player.close()
        return self._next

    def _first(self) -> int:
        """Return the number of the first block to play: the next, in a bounce the first that a dead worker has left."""
        inputs, outputs = self._shared.inputs, self._shared.outputs
        waiting = inputs.newest - outputs.newest
        waits = self._shared.status["bounces"] and 0 < waiting <= inputs.slots // 2
        return (outputs.newest if waits else inputs.newest) + 1

    def _catch_up(self) -> bool:
        """Play every block that is there; return whether there was one."""
        inputs, outputs = self._shared.inputs, self._shared.outputs
        played = False
        while not self._stopped.is_set() and self._number <= inputs.newest:
            if self._shared.status["rate"] not in (self._rate, 0):
                return played  # the device has come back at another rate: another worker will be made for it
            blocks = self._waiting()
            if not blocks:
                self._number = inputs.newest
                continue
            self._apply_changes()
            sound, delay = self._play(np.concatenate(blocks, 1) if len(blocks) > 1 else blocks[0]), self._player.delay
            start = 0
            for block in blocks:
                end = start + block.shape[1]
                outputs.write(self._number, sound[:, start:end], delay)
                self._number, start = self._number + 1, end
            self._shared.status["done"] = self._number - 1
            self._shared.status["delay"] = delay
            played = True
        return played

    def _waiting(self) -> list[Audio]:
        """Return the block that is to be played next, none where that, and what follows, would come too late.

        In a bounce no block is too late, and as many as are there may be played as one, as `render` plays long ones.
        """
        inputs, status = self._shared.inputs, self._shared.status
        taken = inputs.read(self._number)
        if taken is None:
            return []
        if not status["bounces"]:
            behind = inputs.newest - self._number
            return [] if behind and behind > self._most_behind(taken.sound.shape[1]) else [taken.sound]
        blocks, room = [taken.sound], 0 if status["awaits_sound"] else LONGEST_BLOCK - taken.sound.shape[1]
        while room > 0 and (taken := inputs.read(self._number + len(blocks))) and taken.sound.shape[1] <= room:
            blocks.append(taken.sound)
            room -= taken.sound.shape[1]
        return blocks

    def _play(self, block: Audio) -> Audio:
        """Return the player's sound; send as events what its stages took over from the background to make it.

        Silence that a bounce has before its first sound is left out.
        """
        status = self._shared.status
        if status["awaits_sound"]:
            if not block.any():
                return np.zeros_like(block)
            status["awaits_sound"] = 0.0
        chain = self._player.engine.chain
        if chain is not self._watched:
            self._watched, self._taken = chain, chain.taken
        sound = self._player.process(block)
        taken = chain.taken
        if taken != self._taken:
            for name, number in taken.items():
                if number != self._taken[name]:
                    self._send_event("take", name, number)
            self._taken = taken
        return sound

    def _most_behind(self, frames: int) -> int:
        """Return how many blocks of `frames` the worker may be behind and still catch up."""
        return min(ceil(_PATIENCE_S * self._rate / frames), self._shared.inputs.slots // 2)

    def _apply_changes(self) -> None:
        """Set what has changed since the last block, and go over to a chain that has been made."""
        for address, value in self._parameters.changes():
            if address in SWITCHES:
                self._switch(address, bool(value))
            else:
                self._set(address, value)
        if self._fresh:
            self._refresh(*self._fresh.popleft())
        self._ask_for_time()
        if self._entering and self._number >= self._ready_at and not self._player.changing:
            change, chain = self._entering.popleft()
            self._player.change(chain)
            self._follow(change)
            self._send_event("change", value=change.preset)

    def _ask_for_time(self) -> None:
        """Set the latency budget by the hops of the chain that plays, and of one that is made or waits to play.

        Making a chain takes time from the one that plays. `_ready_at` is when the callback surely leaves the new time:
        two blocks until it has read the status, and its fade.
        """
        hops = self._player.engine.chain.hops_s
        if self._making_hops_s:
            hops |= self._making_hops_s
        if self._player.changing:
            hops |= self._hops_s
        if self._entering:
            hops |= self._entering[0][1].hops_s
        if hops == self._hops_s:
            return
        status = self._shared.status
        if hops - self._hops_s:
            self._ready_at = self._shared.inputs.newest + 2 + ceil(MOVE_SAMPLES / max(status["block"], 1))
        self._hops_s = hops
        write_hops(status, hops)

    def _answer(self) -> None:
        """Ask one more stage now that no block waits; where no device asks for blocks, the next follows at once."""
        if next(self._questions[0], self) is self:
            self._questions.popleft()
        self._wake.set()

    def _collect_held(self, number: int) -> Iterator[None]:
        """Ask stage after stage what it holds, with a pause between two; begin again if the chain changes."""
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
        self._messages.put(Held(number, self._generation, held))

    def _refresh(self, made_for: PresetChange, chain: Chain) -> None:
        """End a momentary switch. A chain that another preset has overtaken is not needed: the new one is fresh."""
        overtaken = made_for.generation != self._generation
        self._player.refresh(None if overtaken else chain)
        if overtaken:
            chain.close()
        else:
            self._follow(made_for)  # what was set meanwhile is set again
        self._send_event("refresh", value=not overtaken)

    def _set(self, address: str, value: Value) -> None:
        try:
            self._player.set(address, value)
        except StageError as error:
            self._messages.put(Complaint(str(error)))
        else:
            self._send_event("set", address, value)

    def _switch(self, name: str, on: bool) -> None:
        self._player.switch(name, on)
        self._send_event(name, value=on)
        if SWITCHES[name].momentary:
            self._orders.put(_Refresh(self._player.engine.preset, self._generation, self._parameters.known))

    def _follow(self, order: Play | PresetChange) -> None:
        self._generation = order.generation
        parameters = self._player.parameters
        known = order.known if isinstance(order, _Refresh) else numbers_of(places_of(parameters), order.preset)
        self._parameters.follow(parameters, order.generation, known)

    def _send_event(self, name: str, address: str = "", value: Value | Preset = True) -> None:
        self._messages.put(Event(self._number, name, address, value))

    def _receive(self) -> None:
        """Receive what the control process sends."""
        while not isinstance(order := self._control.recv(), Stop):
            match order:
                case Text():
                    self._parameters.receive(order)
                case Ask(number):
                    self._questions.append(self._collect_held(number))
                    self._wake.set()
                case PresetChange():
                    self._orders.put(order)
                case Play():
                    self._next = order
                    break
        self._stopped.set()
        self._wake.set()

    def _make_chains(self) -> None:
        """Make the chains that are asked for; of several that wait, the last of each kind."""
        while True:
            orders = [self._orders.get()]
            while not self._orders.empty():
                orders.append(self._orders.get())
            if None in orders:
                return
            newest = {type(order): order for order in orders if order}
            for order in newest.values():
                try:
                    self._making_hops_s = hops_s(order.preset)
                    with CompileCountdown(order.preset, self._messages.put) as countdown:
                        load_code(order.preset, self._form)
                        chain = self._player.prepare(order.preset)
                except PresetError as error:
                    playing = self._entering[-1][0].generation if self._entering else self._generation
                    self._messages.put(Refused(str(error), order.generation, playing))
                else:
                    (self._fresh if isinstance(order, _Refresh) else self._entering).append((order, chain))
                self._making_hops_s = frozenset()  # one that waits is asked itself
                if countdown.compiled:
                    gc.freeze()  # to look through what the compiler leaves would hold up the sound for a second
            gc.collect()

    def _send(self) -> None:
        """Send messages to the control process; that may take its time here."""
        while (message := self._messages.get()) is not None:
            self._control.send(message)

    def _report(self) -> None:
        """Write figures to the status now and then, and send word when stages are left out or made again."""
        for tick in count():
            self._write_reductions()
            if tick % round(_REPORT_S / _REDUCTIONS_S) == 0:
                report = self._player.engine.report()
                self._write_figures(report)
                now = LeftOut(report.left_out, report.failures)
                if now != self.left_out:
                    self.left_out = now
                    self._messages.put(now)
            if self._stopped.wait(_REDUCTIONS_S):
                return

    def _write_reductions(self) -> None:
        status, generation = self._shared.status, self._generation
        for name, reduction_db in zip(REDUCTIONS, self._player.engine.chain.read_reductions_db(), strict=False):
            status[name] = reduction_db
        status["reduced_generation"] = generation

    def _write_figures(self, report: EngineReport) -> None:
        status = self._shared.status
        status["load"] = report.load
        status["median_ms"], status["p95_ms"] = report.stages["engine"].values()
        for name, level in (("in", report.input), ("out", report.output)):
            status[f"{name}_peak_db"], status[f"{name}_rms_db"] = level.peak_db, level.rms_db
