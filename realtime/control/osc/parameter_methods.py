"""OSC methods of parameters, read-only values and routes.

A parameter has its unit at `/gramophone/<stage>/<parameter>` and is normalised below `/gramophone/n`. Meters and
notices can be read and not set. Routes say from which inputs of the device the chain receives, and on which outputs it
plays.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from gramophone.models.parameters import Parameter, ParameterError, Value
from gramophone.realtime.control.controller import Change, Controller
from gramophone.realtime.control.osc.library import Library, shown
from gramophone.realtime.control.osc.method import Answer, OscMethod, Ranges
from gramophone.realtime.dsp.channel_matrix import Route, RouteError, check_route, format_route, parse_route
from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.arguments import RefusedError
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


Meters = Callable[[], Mapping[str, float]]
"""Levels by name, such as `input.peak_db`; called often, must not block."""

_NOTICES_KEPT = 20
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


class ReadOnlyMethod(OscMethod):
    """A value that `shown` returns, of the OSC types `types`."""

    writable = False

    def __init__(self, path: str, types: str, description: str, shown: Callable[[], Answer]) -> None:
        super().__init__(path, path, description)
        self.types = types
        self._shown = shown

    def check(self, message: Message) -> None:
        """Refuse: it is read only."""
        raise arguments.mistyped(message, "no arguments: it can only be read")

    def write(self, checked: None) -> None:
        """Do nothing: `check` has refused."""

    def read(self) -> Answer:
        """Return what is shown."""
        return self._shown()


class NoticeMethod(ReadOnlyMethod):
    """The last notice to the performer, a sentence, with its number: 1, 2, and so on."""

    def __init__(self, path: str, changed: Callable[[], None]) -> None:
        super().__init__(path, "is", "the last notice and its number", self._last)
        self._recent: deque[tuple[int, str]] = deque(maxlen=_NOTICES_KEPT)
        self._numbers = itertools.count(1)
        self._changed = changed

    def take_number(self) -> int:
        """Return the next number, for what one peer alone is sent."""
        return next(self._numbers)

    def publish(self, text: str) -> None:
        """Replace the notice; `text` goes over the network, so it must not name folders."""
        self._recent.append((self.take_number(), text))
        self._changed()

    def since(self, number: int) -> list[tuple[int, str]]:
        """Return the notices, of the last few, that have a higher number."""
        return [notice for notice in self._recent.copy() if notice[0] > number]

    def _last(self) -> Answer:
        return self._recent[-1] if self._recent else ()


class MeterMethod(ReadOnlyMethod):
    """One meter."""

    def __init__(self, path: str, name: str, meters: Meters) -> None:
        super().__init__(path, "f", f"meter: {name.replace('.', ' ').replace('_', ' ')}", self._level)
        self._name, self._meters = name, meters
        self.unit = "dB" if name.endswith("_db") else "ms" if name.endswith("_ms") else ""

    def _level(self) -> Answer:
        value = self._meters().get(self._name, math.nan)
        return (value,) if math.isfinite(value) else ()


Spectra = Mapping[str, Callable[[], bytes]]
"""For each side, `input` and `output`, its spectrum of now: see `live.pictures`."""


class SpectrumMethod(ReadOnlyMethod):
    """The spectrum of one side; sent to WebSocket clients that listen to it, and to no subscribers."""

    def __init__(self, path: str, side: str, levels: Callable[[], bytes]) -> None:
        description = f"spectrum of the {side}: a byte for each of 96 bands from 40 Hz to 16 kHz, 255 is 0 dB, 0 -96 dB"
        super().__init__(path, "b", description, self._now)
        self._levels = levels

    def _now(self) -> Answer:
        levels = self._levels()
        return (levels,) if levels else ()


def meter_path(root: str, name: str) -> str:
    """Return the address of a meter: dots of its name part folders, what OSC forbids becomes `-`."""
    return f"{root}/meters/{_NOT_IN_NAMES.sub('-', name).replace('.', '/')}"


class ParameterMethod(OscMethod):
    """A parameter in its unit: numbers as such, choices by name or index, switches true or false, clips by name."""

    together = True

    def __init__(self, path: str, key: str, parameter: Parameter, controller: Controller, library: Library) -> None:
        super().__init__(path, key, parameter.description)
        self._parameter, self._controller, self._library = parameter, controller, library
        self._is_file = isinstance(parameter.default, str) and not parameter.choices
        self.unit = parameter.unit
        self.default = (parameter.default,)
        self.tags = tuple([f"group {parameter.group}"] * bool(parameter.group) + ["advanced"] * parameter.advanced)
        if not parameter.is_number:
            self.types = "T" if isinstance(parameter.default, bool) else "s"

    @property
    def ranges(self) -> Ranges:
        """The parameter's range or choices, or the clips."""
        if self._parameter.is_number:
            low, high = self._parameter.range
            return ({"MIN": low, "MAX": high},)
        if self.types == "T":
            return ()
        return ({"VALS": ["", *self._library.clips] if self._is_file else list(self._parameter.choices)},)

    def surely_takes(self, number: float) -> bool:
        """Return whether the parameter is a number and this one in its range."""
        low, high = self._parameter.range
        return self._parameter.is_number and low <= number <= high

    def check(self, message: Message) -> Change:
        """Return the change that the message asks for, as the controller has checked it."""
        return _checked(self._controller, self.key, self._decoded(message), message)

    def write(self, checked: Change) -> None:
        """Set the parameter."""
        self._controller.apply((checked,))

    def read(self) -> Answer:
        """Return the parameter's value; of a file its name."""
        return self._answer(self._controller.get(self.key))

    def written(self) -> Answer:
        """Return the value that the preset has for it."""
        return self._answer(self._controller.written(self.key))

    def _answer(self, value: Value) -> Answer:
        return (shown(value) if self._is_file and isinstance(value, str) else value,)

    def _decoded(self, message: Message) -> Value:
        parameter = self._parameter
        if isinstance(parameter.default, bool):
            return arguments.switch(message)
        if self._is_file:
            return self._file(arguments.text(message))
        if parameter.choices and message.types not in ("s", "S"):
            return self._choice(message)
        return arguments.number(message) if parameter.is_number else arguments.text(message)

    def _choice(self, message: Message) -> Value:
        index, choices = arguments.number(message), self._parameter.choices
        if index not in range(len(choices)):
            found = f"{message.address}: choice {index:g}"
            raise RefusedError(
                "refused value", f"{found}: expected 0 to {len(choices) - 1}, or {self._parameter.expected}"
            )
        return choices[int(index)]

    def _file(self, name: str) -> Value:
        """Return the bundled clip of this name, or the file that is in place where it is called so."""
        try:
            now = self._controller.get(self.key)
        except ParameterError:
            now = ""
        return now if name and name == shown(str(now)) else self._library.clip(name)


class NormalisedMethod(OscMethod):
    """A parameter as a normalised value, clipped to 0 to 1; switches and choices take the nearest."""

    clips = True
    together = True

    def __init__(self, path: str, key: str, parameter: Parameter, controller: Controller) -> None:
        super().__init__(path, key, parameter.description)
        self._parameter, self._controller = parameter, controller
        self.default = (parameter.position_of(parameter.default),)

    @property
    def ranges(self) -> Ranges:
        """0 to 1."""
        return ({"MIN": 0.0, "MAX": 1.0},)

    def surely_takes(self, number: float) -> bool:
        """Return whether it is a number."""
        return math.isfinite(number)

    def check(self, message: Message) -> Change:
        """Return the change to the value at the normalised value of the message, as the controller has checked it."""
        position = float(arguments.switch(message)) if message.types in ("T", "F") else arguments.number(message)
        return _checked(self._controller, self.key, self._parameter.value_at(position), message)

    def write(self, checked: Change) -> None:
        """Set the parameter."""
        self._controller.apply((checked,))

    def read(self) -> Answer:
        """Return the normalised value."""
        return (self._controller.get_0to1(self.key),)


def _checked(controller: Controller, address: str, value: Value, message: Message) -> Change:
    try:
        return controller.check(address, value)
    except ParameterError as error:
        raise RefusedError("refused value", f"{message.address}: {error}") from None
