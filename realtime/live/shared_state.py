"""The memory that the processes of the live engine share, in one object that can be sent to a process."""

from __future__ import annotations

from dataclasses import dataclass

from gramophone.realtime.dsp.channel_matrix import one_to_one, route_matrix
from gramophone.realtime.live.block_ring import BlockRing
from gramophone.realtime.live.parameter_memory import ParameterMemory
from gramophone.realtime.live.status import Status
from gramophone.realtime.switches import SWITCHES
from gramophone.realtime.system.shared_memory import remove_orphans

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
    """Sound both ways, parameters and switches, routes, figures."""

    inputs: BlockRing
    outputs: BlockRing
    parameters: ParameterMemory
    routes: ParameterMemory
    status: Status

    @classmethod
    def new(cls, channels: int, sockets: int | None = None, *, recorded: bool = False) -> SharedState:
        """Return memory for `channels` channels and `sockets` inputs and outputs of a device (None: one a channel).

        `recorded` keeps so many blocks that a recorder may lag behind by a second. Memory that killed sessions left
        behind is given back first.
        """
        remove_orphans()
        slots = _SLOTS_RECORDED if recorded else _SLOTS
        status = Status()
        status["done"] = -1
        routes = ParameterMemory(channels * (sockets or channels))
        for side in (INPUTS, OUTPUTS):
            routes.add(side, route_matrix(one_to_one(channels), sockets or channels).ravel())
        return cls(
            BlockRing(channels, slots, LONGEST_BLOCK),
            BlockRing(channels, slots, LONGEST_BLOCK),
            ParameterMemory(_PARAMETERS, len(SWITCHES)),
            routes,
            status,
        )

    def close(self) -> None:
        """Free everything once no process uses it any more."""
        for part in (self.inputs, self.outputs, self.parameters, self.routes, self.status):
            part.close()
