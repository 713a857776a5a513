"""The memory that the processes of the live engine share, in one object that can be sent to a process.

A `BlockRing` holds numbered blocks of sound: one process writes, others read, none waits. The writer never finds the
ring full: it overwrites the oldest block. A block is asked for by its number, so one that comes late is not found where
the next is expected, and latency cannot grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

from gramophone.realtime.dsp.channel_matrix import one_to_one, route_matrix
from gramophone.realtime.live.audition import Audition
from gramophone.realtime.live.parameter_memory import ParameterMemory
from gramophone.realtime.live.status import Status
from gramophone.realtime.stage import Audio
from gramophone.realtime.switches import SWITCHES
from gramophone.realtime.system.shared_memory import SharedArrays, SharedPart, remove_orphans

_WITHDRAWN = -1


class Taken(NamedTuple):
    """A block out of the ring, an array of its own `(channels, frames)`, and the latency of what it went through."""

    sound: Audio
    delay: int


class BlockRing(SharedPart):
    """The last `slots` blocks of at most `longest` frames, by number.

    Writing is two-phase: the slot's number is withdrawn, the sound copied, the number published. A reader looks at
    the number before and after its copy, so it never takes a block half overwritten for a whole one. (Number and sound
    arrive in that order at a reader that is woken by a system call or comes a period later, as all here do.)
    """

    def __init__(self, channels: int, slots: int, longest: int) -> None:
        self.slots, self.longest = slots, longest
        self._bind(SharedArrays(self.fields(channels, slots, longest)))
        for name in ("numbers", "newest"):
            self._memory.array(name)[:] = _WITHDRAWN

    @classmethod
    def in_memory(cls, memory: SharedArrays, slots: int, longest: int) -> Self:
        """Return the ring that another program keeps in `memory`, which has the arrays of `fields`."""
        ring = cls.__new__(cls)
        ring.__setstate__((slots, longest, memory))
        return ring

    @staticmethod
    def fields(channels: int, slots: int, longest: int) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Return the arrays that make a ring, in their order."""
        names = ("numbers", "frames", "delays")
        numbers: dict[str, tuple[str, tuple[int, ...]]] = dict.fromkeys(names, ("int64", (slots,)))
        return {"newest": ("int64", (1,)), **numbers, "sound": ("float32", (slots, channels, longest))}

    @property
    def memory(self) -> SharedArrays:
        """The memory."""
        return self._memory

    @property
    def newest(self) -> int:
        """The number of the block written last; -1 before the first."""
        return int(self._newest[0])

    def write(self, number: int, block: Audio, delay: int = 0) -> None:
        """Put in block `number`, `(channels, frames)`, in place of the one `slots` blocks older."""
        slot, frames = number % self.slots, block.shape[1]
        self._numbers[slot] = _WITHDRAWN
        self._sound[slot, :, :frames] = block
        self._frames[slot] = frames
        self._delays[slot] = delay
        self._numbers[slot] = number
        self._newest[0] = number

    def read(self, number: int) -> Taken | None:
        """Return block `number`; None if it is not there yet, or no more."""
        slot = number % self.slots
        if number < 0 or self._numbers[slot] != number:
            return None
        taken = Taken(self._sound[slot, :, : self._frames[slot]].copy(), self._delays[slot])
        return taken if self._numbers[slot] == number else None

    def pass_over(self, number: int) -> None:
        """Let readers know that no block up to `number` comes any more."""
        self._newest[0] = number

    def __getstate__(self) -> tuple[int, int, SharedArrays]:
        return self.slots, self.longest, self._memory

    def __setstate__(self, state: tuple[int, int, SharedArrays]) -> None:
        self.slots, self.longest, memory = state
        self._bind(memory)

    def _bind(self, memory: SharedArrays) -> None:
        self._memory = memory
        self._sound = memory.array("sound")
        self._newest, self._numbers, self._frames, self._delays = (
            memory.numbers(name) for name in ("newest", "numbers", "frames", "delays")
        )


LONGEST_BLOCK = 4096
_SLOTS = 128
_SLOTS_RECORDED = 1024
"""So many that a recorder may pause for a second at a block of 64."""
_PARAMETERS = 4096

SWITCH_PLACES = {name: index - len(SWITCHES) for index, name in enumerate(SWITCHES)}
"""Where the switches are in the memory of parameters; the value of a momentary one counts how often it was set."""

INPUTS, OUTPUTS = range(2)
"""The two sides of the device, as generations in the memory of routes."""


@dataclass(frozen=True)
class SharedState:
    """Sound both ways, parameters and switches, routes, figures, and a clip in place of the input."""

    inputs: BlockRing
    outputs: BlockRing
    parameters: ParameterMemory
    routes: ParameterMemory
    status: Status
    audition: Audition

    @classmethod
    def new(
        cls,
        channels: int,
        sockets: int | None = None,
        *,
        recorded: bool = False,
        rings: tuple[BlockRing, BlockRing] | None = None,
    ) -> SharedState:
        """Return memory for `channels` channels and `sockets` inputs and outputs of a device (None: one a channel).

        `recorded` keeps so many blocks that a recorder may lag behind by a second; `rings` are those of a host, where
        there is one. Memory that killed sessions left behind is given back first.
        """
        remove_orphans()
        slots = _SLOTS_RECORDED if recorded else _SLOTS
        inputs, outputs = rings or (BlockRing(channels, slots, LONGEST_BLOCK) for _ in range(2))
        status = Status()
        status["done"] = -1
        routes = ParameterMemory(channels * (sockets or channels))
        for side in (INPUTS, OUTPUTS):
            routes.add(side, route_matrix(one_to_one(channels), sockets or channels).ravel())
        return cls(
            inputs,
            outputs,
            ParameterMemory(_PARAMETERS, len(SWITCHES)),
            routes,
            status,
            Audition(),
        )

    def open_at(self, rate: int, block: int) -> None:
        """Note the rate in Hz and the block in frames of a device that is about to ask for blocks."""
        self.status["rate_from"], self.status["block"] = self.inputs.newest + 1, block
        self.status["rate"] = rate  # last: from here on a worker made for another rate leaves the blocks alone

    def adopt(self) -> None:
        """Let `close` free everything, in place of the process that made it and has gone."""
        for part in self._parts:
            part.adopt()

    def close(self) -> None:
        """Free everything once no process uses it any more."""
        for part in self._parts:
            part.close()

    @property
    def _parts(self) -> tuple[SharedPart, ...]:
        return self.inputs, self.outputs, self.parameters, self.routes, self.status, self.audition
