"""The address space: every OSC address of what plays, shared by all who speak OSC (UDP, WebSockets)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gramophone.models.parameters import Parameter, Value
from gramophone.realtime.desk import Desk
from gramophone.realtime.osc.commands import MorphCommand, OrderCommand, Panic, PresetCommand, Toggle
from gramophone.realtime.osc.faults import Faults, RefusedError
from gramophone.realtime.osc.knobs import Knob, Position
from gramophone.realtime.osc.meter import MeterMethod, Meters, meter_path
from gramophone.realtime.osc.method import Method
from gramophone.realtime.osc.pattern import PatternError, is_pattern, matcher
from gramophone.realtime.osc.shelf import Shelf

ROOT = "/gramophone"
NORMALISED = f"{ROOT}/n"
_PATTERNS_KEPT = 256


class Built(NamedTuple):
    """The methods by address for one layout of the desk, and what patterns were found to match."""

    parameters: Mapping[str, Parameter]
    methods: Mapping[str, Method]
    matched: dict[str, tuple[Method, ...]]
    number: int


class AddressSpace:
    """The methods of a desk, rebuilt when another preset brings other knobs. Any thread may call.

    `meters` returns levels by name, always the same names; `shelf` holds what may be named over the network (the
    factory's presets and clips, and the preset that plays now, if none is given); `faults` counts what goes wrong.
    """

    def __init__(
        self, desk: Desk, meters: Meters | None = None, shelf: Shelf | None = None, faults: Faults | None = None
    ) -> None:
        self.faults = faults or Faults()
        self.shelf = shelf or Shelf([desk.preset])
        self._desk = desk
        self._meters: Meters = meters or dict
        self._version = 0
        self._fixed = self._commands()
        self._built = self._build(0)
        self._end = desk.listen(self._heard)

    def close(self) -> None:
        """Stop listening to the desk."""
        self._end()

    @property
    def version(self) -> tuple[int, int]:
        """What is another one whenever a value or the layout may have changed."""
        return self._version, self.layout

    @property
    def layout(self) -> int:
        """What is another one whenever addresses may have come or gone."""
        return self._current().number

    @property
    def methods(self) -> Mapping[str, Method]:
        """Every method by its address."""
        return self._current().methods

    def find(self, address: str) -> tuple[Method, ...]:
        """Return the methods that an address or a pattern means; patterns mean knobs and meters only.

        Raises:
            RefusedError: there are none.
        """
        built = self._current()
        method = built.methods.get(address)
        if method:
            return (method,)
        if not is_pattern(address):
            raise RefusedError("unknown address", f"{address}: there is no such address")
        found = built.matched.get(address)
        if found is None:
            found = self._matching(built.methods, address)
            if len(built.matched) >= _PATTERNS_KEPT:
                built.matched.clear()
            built.matched[address] = found
        return found

    def meters(self) -> dict[str, float]:
        """Return the meters' levels by address."""
        return {meter_path(ROOT, name): value for name, value in self._meters().items()}

    def _matching(self, methods: Mapping[str, Method], pattern: str) -> tuple[Method, ...]:
        try:
            matches = matcher(pattern)
        except PatternError as error:
            raise RefusedError("malformed pattern", str(error)) from None
        normalised = pattern.startswith(f"{NORMALISED}/")
        found = tuple(
            method
            for path, method in methods.items()
            if isinstance(method, Position if normalised else Knob | MeterMethod) and matches(path)
        )
        if not found:
            raise RefusedError("unknown address", f"{pattern}: no knob or meter matches")
        return found

    def _current(self) -> Built:
        built = self._built
        if built.parameters is not self._desk.parameters:
            built = self._built = self._build(built.number + 1)
        return built

    def _build(self, number: int) -> Built:
        parameters = self._desk.parameters
        methods: dict[str, Method] = {method.path: method for method in self._meter_methods()} | self._fixed
        order = OrderCommand(f"{ROOT}/order", self._desk)
        methods[order.path] = order
        for address, parameter in parameters.items():
            path = address.replace(".", "/")
            methods[f"{ROOT}/{path}"] = Knob(f"{ROOT}/{path}", address, parameter, self._desk, self.shelf)
            if parameter.choices or not isinstance(parameter.default, str):
                methods[f"{NORMALISED}/{path}"] = Position(f"{NORMALISED}/{path}", address, parameter, self._desk)
        return Built(parameters, methods, {}, number)

    def _meter_methods(self) -> Iterator[Method]:
        try:
            for name in self._meters():
                yield MeterMethod(meter_path(ROOT, name), name, self._meters)
        except Exception as error:  # meters are foreign code; knobs are not to suffer
            self.faults.add("internal", f"meters: {type(error).__name__}: {error}")

    def _commands(self) -> dict[str, Method]:
        methods = (
            PresetCommand(f"{ROOT}/preset", self._desk, self.shelf),
            MorphCommand(f"{ROOT}/morph", self._desk, self.shelf),
            Toggle(f"{ROOT}/bypass", "let the dry sound through", self._desk.bypass, lambda: self._desk.bypassed),
            Toggle(f"{ROOT}/mute", "silence the output", self._desk.mute, lambda: self._desk.muted),
            Panic(f"{ROOT}/panic", self._desk),
        )
        return {method.path: method for method in methods}

    def _heard(self, address: str, value: Value) -> None:
        self._version += 1
