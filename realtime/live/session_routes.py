"""The routes of a session: how the device that is open is connected to the channels of the chain."""

from __future__ import annotations

from collections.abc import Mapping

from gramophone.realtime.dsp.channel_matrix import Route, RouteError, check_route, one_to_one, route_matrix
from gramophone.realtime.live.devices.backend import AudioError
from gramophone.realtime.live.messages import Opened
from gramophone.realtime.live.parameter_memory import ParameterMemory
from gramophone.realtime.live.shared_state import INPUTS, OUTPUTS

_SIDES = {INPUTS: "input", OUTPUTS: "output"}


class SessionRoutes:
    """The routes by side (`INPUTS`, `OUTPUTS`), and how many sockets the device has there."""

    def __init__(self, memory: ParameterMemory, channels: int, opened: int, asked: Mapping[int, Route | None]) -> None:
        self._memory, self._channels, self._opened = memory, channels, opened
        self.now = {side: asked[side] or one_to_one(channels) for side in _SIDES}
        self.sockets = dict.fromkeys(_SIDES, opened)

    def plug(self, side: int, route: Route) -> None:
        """Connect a side in another way.

        Raises:
            RouteError: there are no such sockets, or it is not one entry for each channel.
        """
        check_route(route, self._channels, self.sockets[side], _SIDES[side])
        self.now[side] = route
        self._memory.set(side, dict(enumerate(route_matrix(route, self._opened).flat)))

    def fit(self, device: Opened) -> None:
        """Connect a device that has been opened as it should be.

        Raises:
            AudioError: it has not the sockets that were asked for.
        """
        for side, most in ((INPUTS, device.inputs), (OUTPUTS, device.outputs)):
            # missing ones among the first are made up for: a mono microphone feeds every channel
            self.sockets[side] = min(self._opened, max(most or self._opened, self._channels))
            try:
                self.plug(side, self.now[side])
            except RouteError as error:
                raise AudioError(f"{device.name}: {error}") from None
