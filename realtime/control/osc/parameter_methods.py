"""Parameters over OSC: in their unit at `/gramophone/<stage>/<parameter>`, normalised below `/gramophone/n`."""

from __future__ import annotations

import math

from gramophone.models.parameters import Parameter, ParameterError, Value
from gramophone.realtime.control.controller import Change, Controller
from gramophone.realtime.control.osc.library import Library, shown
from gramophone.realtime.control.osc.method import Answer, OscMethod, Ranges
from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.error_log import RefusedError
from gramophone.realtime.osc.packet import Message


class ParameterMethod(OscMethod):
    """A parameter in its unit: numbers as such, choices by name or index, switches true or false, clips by name."""

    together = True

    def __init__(self, path: str, key: str, parameter: Parameter, controller: Controller, library: Library) -> None:
        super().__init__(path, key, parameter.description)
        self._parameter, self._controller, self._library = parameter, controller, library
        self._is_file = isinstance(parameter.default, str) and not parameter.choices
        self.unit = parameter.unit
        self.default = (parameter.default,)
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
        value = self._controller.get(self.key)
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
