"""The memory that the processes of the live engine share, in one object that can be handed to a process."""

from __future__ import annotations

from dataclasses import dataclass

from gramophone.realtime.dsp.channel_matrix import one_to_one, route_matrix
from gramophone.realtime.live.block_ring import BlockRing
from gramophone.realtime.live.parameter_memory import ParameterMemory
from gramophone.realtime.live.status import Status

LONGEST_BLOCK = 4096
_SLOTS = 128
_SLOTS_RECORDED = 1024
"""So many that a recorder may pause for a second at a block of 64."""
_KNOBS = 4096

MUTE, BYPASS, PANIC = range(-3, 0)
"""The switches' places on the board of knobs; `PANIC` counts up."""

INPUTS, OUTPUTS = range(2)
"""The two sides of the device, as generations on the board of routes."""


@dataclass(frozen=True)
class SharedState:
    """Sound both ways, knobs and switches, routes, figures."""

    inputs: BlockRing
    outputs: BlockRing
    knobs: ParameterMemory
    routes: ParameterMemory
    status: Status

    @classmethod
    def new(cls, channels: int, sockets: int | None = None, *, recorded: bool = False) -> SharedState:
        """Return memory for `channels` channels on as many `sockets` of a device (None: one for each channel).

        With `recorded`, it is enough for a recorder to lag behind.
        """
        slots = _SLOTS_RECORDED if recorded else _SLOTS
        status = Status()
        status["done"] = -1
        routes = ParameterMemory(channels * (sockets or channels))
        for side in (INPUTS, OUTPUTS):
            routes.lay_out(side, route_matrix(one_to_one(channels), sockets or channels).ravel())
        return cls(
            BlockRing(channels, slots, LONGEST_BLOCK),
            BlockRing(channels, slots, LONGEST_BLOCK),
            ParameterMemory(_KNOBS, switches=3),
            routes,
            status,
        )

    def close(self) -> None:
        """Give everything back once no process uses it any more."""
        for part in (self.inputs, self.outputs, self.knobs, self.routes, self.status):
            part.close()
