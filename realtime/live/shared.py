"""What the processes of the live engine share, in one object that can be handed to a process while it is spawned."""

from __future__ import annotations

from dataclasses import dataclass

from gramophone.realtime.live.board import Board
from gramophone.realtime.live.ring import BlockRing
from gramophone.realtime.live.routing import matrix_of, straight
from gramophone.realtime.live.status import Status
from gramophone.realtime.live.wake import Wake, make_wake

LONGEST_BLOCK = 4096
_SLOTS = 128
_SLOTS_RECORDED = 1024
"""So many that a recorder may pause for a second at a block of 64."""
_KNOBS = 4096

MUTE, BYPASS, PANIC = range(3)
"""Places on the board of switches; `PANIC` counts up."""

INPUTS, OUTPUTS = range(2)
"""The two sides of the device, as generations on the board of routes."""


@dataclass(frozen=True)
class Shared:
    """Sound both ways, knobs, switches, routes, figures, and the bell that wakes the worker."""

    inputs: BlockRing
    outputs: BlockRing
    knobs: Board
    switches: Board
    routes: Board
    status: Status
    wake: Wake

    @classmethod
    def new(cls, channels: int, sockets: int | None = None, *, recorded: bool = False) -> Shared:
        """Return memory for `channels` channels on as many `sockets` of a device (None: one for each channel).

        With `recorded`, it is enough for a recorder to lag behind.
        """
        slots = _SLOTS_RECORDED if recorded else _SLOTS
        status = Status()
        status["done"] = -1
        switches = Board(3)
        switches.lay_out(0, (0, 0, 0))
        routes = Board(channels * (sockets or channels))
        for side in (INPUTS, OUTPUTS):
            routes.lay_out(side, matrix_of(straight(channels), sockets or channels).ravel())
        return cls(
            BlockRing(channels, slots, LONGEST_BLOCK),
            BlockRing(channels, slots, LONGEST_BLOCK),
            Board(_KNOBS),
            switches,
            routes,
            status,
            make_wake(),
        )

    def close(self) -> None:
        """Give everything back once no process uses it any more."""
        for part in (self.inputs, self.outputs, self.knobs, self.switches, self.routes, self.status, self.wake):
            part.close()
