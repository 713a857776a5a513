"""The address space: every OSC address of what plays, shared by all transports (UDP, WebSockets)."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from gramophone.models.parameters import Parameter
from gramophone.realtime.control.controller import Change, Controller
from gramophone.realtime.control.midi.controller_map import ControllerMap
from gramophone.realtime.control.morph import Morpher
from gramophone.realtime.control.osc.chain_editing import chain_commands
from gramophone.realtime.control.osc.commands import (
    ActionMethod,
    LearnMethod,
    MorphMethod,
    OrderMethod,
    PresetMethod,
    SaveMethod,
    SwitchMethod,
    TempoMethod,
    UnlearnMethod,
)
from gramophone.realtime.control.osc.library import Library
from gramophone.realtime.control.osc.lists import list_methods
from gramophone.realtime.control.osc.method import OscMethod
from gramophone.realtime.control.osc.parameter_methods import (
    MeterMethod,
    Meters,
    NormalisedMethod,
    NoticeMethod,
    ParameterMethod,
    ReadOnlyMethod,
    Router,
    Spectra,
    SpectrumMethod,
    meter_path,
    route_commands,
)
from gramophone.realtime.control.osc.parameter_page import ParameterPage, page_methods
from gramophone.realtime.control.preset_saver import PresetSaver
from gramophone.realtime.osc.address_pattern import PatternError, is_pattern, matcher
from gramophone.realtime.osc.arguments import ErrorLog, RefusedError
from gramophone.realtime.switches import SWITCHES

ROOT = "/gramophone"
NORMALISED = f"{ROOT}/n"
_PATTERNS_KEPT = 256


class Built(NamedTuple):
    """The methods by address for one layout of the controller, and the matches of patterns that were looked up."""

    layout: int
    methods: Mapping[str, OscMethod]
    matched: dict[str, tuple[OscMethod, ...]]


class AddressSpace:
    """The methods of a controller, rebuilt when another preset has other parameters. Any thread may call.

    `meters` returns levels by name, always the same names; `library` holds what may be named over the network (the
    library's presets and clips, and the preset that plays now, if none is given); `errors` counts what goes wrong.
    With a `controller_map` controls are learned, with a `saver` presets
    saved, with a `router` inputs and outputs connected, and `spectra` can be listened to.
    """

    def __init__(
        self,
        controller: Controller,
        meters: Meters | None = None,
        library: Library | None = None,
        errors: ErrorLog | None = None,
        controller_map: ControllerMap | None = None,
        saver: PresetSaver | None = None,
        router: Router | None = None,
        spectra: Spectra | None = None,
    ) -> None:
        self.errors = errors or ErrorLog()
        self.library = library or Library([controller.preset])
        self.notices = NoticeMethod(f"{ROOT}/news", self._changed)
        self.library.report = self.notices.publish
        self._controller, self._controller_map, self._saver, self._router = controller, controller_map, saver, router
        self._meters: Meters = meters or dict
        self._spectra: Spectra = spectra or {}
        self._version = self._revision = 0
        self.morpher = Morpher(controller, self.library.preset)
        self._fixed = self._commands()
        self._built = self._build()
        self._end = controller.listen(lambda _address, _value: self._changed())
        if controller_map:
            controller_map.listen(self._changed)

    def add(self, methods: Iterable[OscMethod]) -> None:
        """Add methods that stay whatever preset plays."""
        self._fixed |= {method.path: method for method in methods}
        self._built = self._build()

    def changed(self) -> None:
        """Take note that what a method returns may have changed."""
        self._changed()

    def choices_changed(self) -> None:
        """Take note that there are other choices, such as clips: clients ask for the tree again."""
        self._revision += 1

    def close(self) -> None:
        """Stop following the controller, and finish writing."""
        self._end()
        self.library.close()

    @property
    def version(self) -> tuple[int, int]:
        """A pair that differs whenever a value or the set of addresses may have changed."""
        return self._version, self.layout

    @property
    def layout(self) -> int:
        """A number that differs whenever addresses may have come or gone."""
        return self._current().layout

    @property
    def methods(self) -> Mapping[str, OscMethod]:
        """Every method by its address."""
        return self._current().methods

    def find(self, address: str) -> tuple[OscMethod, ...]:
        """Return the methods that an address or a pattern matches; patterns match parameters and meters only.

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

    @property
    def changing(self) -> bool:
        """Whether another preset has been asked for whose addresses are not there yet."""
        return self._controller.changing

    def apply(self, changes: Iterable[Change]) -> None:
        """Set several parameters and switches at once, as their methods have checked them.

        Raises:
            ParameterError: there is no such parameter any more; none is set.
        """
        self._controller.apply(changes)

    def _matching(self, methods: Mapping[str, OscMethod], pattern: str) -> tuple[OscMethod, ...]:
        try:
            matches = matcher(pattern)
        except PatternError as error:
            raise RefusedError("malformed pattern", str(error)) from None
        normalised = pattern.startswith(f"{NORMALISED}/")
        found = tuple(
            method
            for path, method in methods.items()
            if isinstance(method, NormalisedMethod if normalised else ParameterMethod | MeterMethod) and matches(path)
        )
        if not found:
            raise RefusedError("unknown address", f"{pattern}: no parameter or meter matches")
        return found

    def _current(self) -> Built:
        built = self._built
        if built.layout != self._controller.generation + self._revision:
            built = self._built = self._build()
        return built

    def _build(self) -> Built:
        layout, parameters = self._controller.generation + self._revision, self._controller.parameters
        methods: dict[str, OscMethod] = {method.path: method for method in self._meter_methods()} | self._fixed
        order = OrderMethod(f"{ROOT}/order", self._controller)
        methods[order.path] = order
        for name, action in self._controller.actions.items():
            if action.kind != "fader":  # the one fader, the morph, has a method of its own
                methods[f"{ROOT}/{name}"] = ActionMethod(f"{ROOT}/{name}", action, self._controller)
        for address, parameter in parameters.items():
            path = address.replace(".", "/")
            methods[f"{ROOT}/{path}"] = ParameterMethod(
                f"{ROOT}/{path}", address, parameter, self._controller, self.library
            )
            if parameter.choices or not isinstance(parameter.default, str):
                methods[f"{NORMALISED}/{path}"] = NormalisedMethod(
                    f"{NORMALISED}/{path}", address, parameter, self._controller
                )
        methods |= {method.path: method for method in self._mapped(parameters)}
        return Built(layout, methods, {})

    def _mapped(self, parameters: Mapping[str, Parameter]) -> Iterator[OscMethod]:
        """Yield, for every parameter that a control can set, the method that shows its control."""
        controller_map = self._controller_map
        if not controller_map:
            return
        for address in (*SWITCHES, *self._controller.actions, *parameters):
            knob = parameters.get(address)
            if not knob or knob.choices or not isinstance(knob.default, str):
                path = f"{ROOT}/midi/control/{address.replace('.', '/')}"
                shown = functools.partial(lambda of: (controller_map.controls.get(of, ""),), address)
                yield ReadOnlyMethod(path, "s", "the control that is mapped to it", shown)

    def _meter_methods(self) -> Iterator[OscMethod]:
        try:
            for name in self._meters():
                yield MeterMethod(meter_path(ROOT, name), name, self._meters)
        except Exception as error:  # meters are other people's code; parameters must work without them
            self.errors.add("internal", f"meters: {type(error).__name__}: {error}")

    def _commands(self) -> dict[str, OscMethod]:
        methods: list[OscMethod] = [
            PresetMethod(f"{ROOT}/preset", self._controller, self.library),
            MorphMethod(f"{ROOT}/morph", self.morpher, self.library),
            *(SwitchMethod(f"{ROOT}/{name}", switch, self._controller) for name, switch in SWITCHES.items()),
            *list_methods(ROOT, self.library.lists, lambda: self.library.presets, self._changed),
            *chain_commands(f"{ROOT}/chain", self._controller, self.library),
            self.notices,
        ]
        methods += [SpectrumMethod(f"{ROOT}/spectrum/{side}", side, now) for side, now in self._spectra.items()]
        methods += page_methods(ROOT, ParameterPage(self._controller, self._changed), self._controller)
        if self._controller_map:
            methods += self._learning(self._controller_map)
        if self._saver:
            methods.append(SaveMethod(f"{ROOT}/save", self._saver))
        if self._router:
            methods += route_commands(ROOT, self._router)
        return {method.path: method for method in methods}

    def _learning(self, controller_map: ControllerMap) -> Iterator[OscMethod]:
        yield LearnMethod(f"{ROOT}/midi/learn", controller_map, self._learned)
        yield UnlearnMethod(f"{ROOT}/midi/unlearn", controller_map, self._learned)
        yield ReadOnlyMethod(
            f"{ROOT}/midi/hint", "s", "what to do so that a control is learned", lambda: (controller_map.hint or "",)
        )
        yield TempoMethod(f"{ROOT}/tempo", controller_map)

    def _learned(self, address: str, words: str) -> None:
        self.notices.publish(f"{address}: {words}" if words else f"{address}: no control any more")
        if self._saver:
            self._saver.keep_mappings()

    def _changed(self) -> None:
        self._version += 1
