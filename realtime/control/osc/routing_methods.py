"""Routing over OSC: from which inputs of the device the chain receives, and on which outputs it plays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from gramophone.realtime.control.osc.method import Answer, OscMethod
from gramophone.realtime.dsp.channel_matrix import Route, RouteError, check_route, format_route, parse_route
from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.error_log import RefusedError
from gramophone.realtime.osc.packet import Message


class Router(Protocol):
    """What connects the device's sockets to the channels of the chain: the session."""

    @property
    def inputs(self) -> Route:
        """The inputs that each channel receives."""

    @property
    def outputs(self) -> Route:
        """The outputs that each channel plays on."""

    @property
    def sockets(self) -> tuple[int, int]:
        """How many inputs and outputs there are."""

    def route_inputs(self, route: Route) -> None:
        """Let the channels receive other inputs."""

    def route_outputs(self, route: Route) -> None:
        """Let the channels play on other outputs."""


class RoutingMethod(OscMethod):
    """Connect one side of the device, by a text such as `1,1`, `3,4` or `1+2,0`, or a whole number for each channel."""

    types = "s"

    def __init__(
        self, path: str, side: str, now: Callable[[], Route], count: Callable[[], int], connect: Callable[[Route], None]
    ) -> None:
        super().__init__(path, path, f"{side}s of the device, for each channel: 1,2 or 1+2,0")
        self._side, self._now, self._count, self._connect = side, now, count, connect

    def check(self, message: Message) -> Route:
        """Return the route: for each channel its inputs or outputs, counted from 1."""
        is_text = message.types[:1] in ("", "s", "S")
        written = arguments.text(message) if is_text else ",".join(map(str, arguments.whole_numbers(message)))
        try:
            route = parse_route(written)
            check_route(route, len(self._now()), self._count(), self._side)
        except RouteError as error:
            raise RefusedError("refused value", f"{message.address}: {error}") from None
        return route

    def write(self, checked: Route) -> None:
        """Connect it, faded."""
        self._connect(checked)

    def read(self) -> Answer:
        """Return the route as it is written."""
        return (format_route(self._now()),)


def route_commands(root: str, router: Router) -> Iterator[OscMethod]:
    """Yield the commands for both sides of the device."""
    yield RoutingMethod(
        f"{root}/inputs", "input", lambda: router.inputs, lambda: router.sockets[0], router.route_inputs
    )
    yield RoutingMethod(
        f"{root}/outputs", "output", lambda: router.outputs, lambda: router.sockets[1], router.route_outputs
    )
