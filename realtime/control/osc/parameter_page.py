"""A page of eight parameters, with names, that follows the selected stage: for faders whose addresses never change.

`/param/1/value` to `/param/8/value` are normalised, 0 to 1. `/device/param/1/value` and so on are the same from 0 to
127, and `/project/param/1/value` the macros, as the OSC protocol of DrivenByMoss has them, so that templates made for
it work unchanged: `/refresh` sends all of it for a minute, `/device/+` and `/device/-` select the stage after and
before, `/param/+` and `/param/-` the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from gramophone.models.parameters import Parameter, ParameterError, Value
from gramophone.presets import MACRO
from gramophone.realtime.control.controller import Change, Controller
from gramophone.realtime.control.osc.method import Answer, OscMethod, Ranges
from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.osc.packet import Message

SIZE = 8
REFRESH = "/refresh"
"""What such templates send when they are opened: a subscription to the page alone."""
_TOP = 127
_BEHIND = ("bypass", "mix")
"""Parameters that every stage has: they stand behind its own."""


class PageMethod(OscMethod):
    """A method of the page: values change meaning with the selection, so only those who ask for pages are sent them."""


class ParameterPage:
    """Which stage and which eight of its parameters are selected; `changed` is called when that is another.

    At first it is the stage with the most parameters: the model's, not the effects' around it.
    """

    def __init__(self, controller: Controller, changed: Callable[[], None]) -> None:
        self._controller, self._changed = controller, changed
        self._stage, self._page = "", 0
        self._indexed: Mapping[str, Parameter] | None = None
        self._by_stage: Mapping[str, list[str]] = {}

    @property
    def stage(self) -> str:
        """The name of the selected stage."""
        stages = self._stages()
        return self._stage if self._stage in stages else max(stages, key=lambda name: len(self._addresses(name)))

    def at(self, number: int) -> str:
        """Return the address of the page's parameter `number`, 1 to 8; empty where there is none."""
        addresses = self._addresses(self.stage)
        place = self._page * SIZE + number - 1
        return addresses[place] if place < len(addresses) else ""

    def macro(self, number: int) -> str:
        """Return the address of macro `number`, 1 to 8; empty where the preset has none."""
        address = f"{MACRO}.{number}"
        return address if address in self._controller.parameters else ""

    def select(self, stage: str) -> None:
        """Select a stage by name, and its first page.

        Raises:
            ParameterError: the preset has no such stage.
        """
        if stage not in self._stages():
            raise ParameterError(f"stage {stage!r}: expected one of {', '.join(self._stages())}")
        self._stage, self._page = stage, 0
        self._changed()

    def step_stage(self, by: int) -> None:
        """Select the stage so many behind; at either end it stays."""
        stages = self._stages()
        place = min(max(stages.index(self.stage) + by, 0), len(stages) - 1)
        self.select(stages[place])

    def step_page(self, by: int) -> None:
        """Show the page so many behind; at either end it stays."""
        last = (len(self._addresses(self.stage)) - 1) // SIZE
        self._page = min(max(self._page + by, 0), last)
        self._changed()

    def _stages(self) -> list[str]:
        return [*self._index()]

    def _addresses(self, stage: str) -> list[str]:
        return self._index().get(stage, [])  # empty where the preset has just changed

    def _index(self) -> Mapping[str, list[str]]:
        """Return for each stage the addresses of its parameters that have a normalised value, its own first.

        It is made once for a preset: every place of the page asks for it, and so does every reader of the tree.
        """
        parameters = self._controller.parameters
        if parameters is not self._indexed:
            self._indexed, self._by_stage = parameters, _by_stage(parameters)
        return self._by_stage


def _by_stage(parameters: Mapping[str, Parameter]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for address, knob in parameters.items():
        stage = address.partition(".")[0]
        if stage != MACRO:
            places = found.setdefault(stage, [])
            if knob.choices or not isinstance(knob.default, str):
                places.append(address)
    behind = tuple(f".{name}" for name in _BEHIND)
    return {stage: sorted(places, key=lambda address: address.endswith(behind)) for stage, places in found.items()}


class PageValue(PageMethod):
    """The value of one place of a page, 0 to `top`."""

    clips = True
    together = True

    def __init__(self, path: str, at: Callable[[], str], controller: Controller, top: float) -> None:
        super().__init__(path, path, "value of this place of the page, normalised")
        self._at, self._controller, self._top = at, controller, top
        self.types = "f" if top == 1 else "i"

    @property
    def ranges(self) -> Ranges:
        """0 to the top."""
        return ({"MIN": 0, "MAX": self._top},)

    def check(self, message: Message) -> Change:
        """Return the change of the parameter that stands there."""
        position, address = arguments.number(message) / self._top, self._at()
        if not address:
            raise RefusedError("refused value", f"{message.address}: no parameter stands there")
        try:
            return self._controller.check(address, self._controller.parameters[address].value_at(position))
        except ParameterError as error:
            raise RefusedError("refused value", f"{message.address}: {error}") from None

    def write(self, checked: Change) -> None:
        """Set the parameter."""
        self._controller.apply((checked,))

    def read(self) -> Answer:
        """Return the normalised value, up to the top; 0 where no parameter stands."""
        address = self._at()
        position = self._controller.get_0to1(address) if address else 0.0
        return (position,) if self._top == 1 else (round(position * self._top),)


class PageText(PageMethod):
    """A text or number about a place of the page, or about the selection; read only."""

    writable = False

    def __init__(self, path: str, types: str, description: str, shown: Callable[[], Answer]) -> None:
        super().__init__(path, path, description)
        self.types, self._shown = types, shown

    def check(self, message: Message) -> None:
        """Refuse: it is read only."""
        raise arguments.mistyped(message, "no arguments: it can only be read")

    def write(self, checked: None) -> None:
        """Do nothing: `check` has refused."""

    def read(self) -> Answer:
        """Return what is shown."""
        return self._shown()


class PageButton(PageMethod):
    """A button: pressed without an argument or with one that is not 0."""

    types = "I"
    readable = False

    def __init__(self, path: str, description: str, press: Callable[[], None]) -> None:
        super().__init__(path, path, description)
        self._press = press

    def check(self, message: Message) -> bool | None:
        """Return True where the button is pressed, None where it is released."""
        return True if message.types in ("", "I", "N") or arguments.number(message) else None

    def write(self, checked: bool) -> None:
        """Press it."""
        self._press()


class SelectStage(PageMethod):
    """The selected stage, by name."""

    types = "s"

    def __init__(self, path: str, page: ParameterPage) -> None:
        super().__init__(path, path, "the stage whose parameters are on the page of eight, by name")
        self._page = page

    def check(self, message: Message) -> str:
        """Return the name."""
        return arguments.text(message)

    def write(self, checked: str) -> None:
        """Select it."""
        self._page.select(checked)

    def read(self) -> Answer:
        """Return the name."""
        return (self._page.stage,)


def page_methods(root: str, page: ParameterPage, controller: Controller) -> Iterator[OscMethod]:
    """Yield the methods of the page, of DrivenByMoss's protocol, and of the selection below `root`."""
    yield SelectStage(f"{root}/selected", page)
    for prefix, at, top in (
        ("/param", page.at, 1.0),
        ("/device/param", page.at, float(_TOP)),
        ("/project/param", page.macro, float(_TOP)),
    ):
        for number in range(1, SIZE + 1):
            yield from _place(f"{prefix}/{number}", partial(at, number), controller, top)
    for prefix in ("/param", "/device/param", "/device/page"):
        yield PageButton(f"{prefix}/+", "the next page of parameters", partial(page.step_page, 1))
        yield PageButton(f"{prefix}/-", "the page of parameters before", partial(page.step_page, -1))
    yield PageButton("/device/+", "select the next stage", partial(page.step_stage, 1))
    yield PageButton("/device/-", "select the stage before", partial(page.step_stage, -1))
    yield PageText("/device/name", "s", "the selected stage", lambda: (page.stage,))
    yield PageText("/device/exists", "i", "whether a stage is selected: 1", lambda: (1,))


def _place(path: str, at: Callable[[], str], controller: Controller, top: float) -> Iterator[OscMethod]:
    """Yield the methods of one place."""

    def knob() -> Parameter | None:
        return controller.parameters.get(at())

    def name() -> Answer:
        found = knob()
        return (found.name if found else "",)

    def text() -> Answer:
        found = knob()
        return (_shown(found, controller.get(at())) if found else "",)

    yield PageValue(f"{path}/value", at, controller, top)
    yield PageText(f"{path}/name", "s", "name of the parameter that stands there", name)
    yield PageText(f"{path}/valueStr", "s", "its value, with its unit", text)
    yield PageText(f"{path}/exists", "i", "whether a parameter stands there", lambda: (int(bool(at())),))
    yield PageButton(f"{path}/reset", "set it to its default", partial(_reset, controller, at))


def _reset(controller: Controller, at: Callable[[], str]) -> None:
    if address := at():
        controller.set(address, controller.parameters[address].default)


def _shown(parameter: Parameter, value: Value) -> str:
    """Return a value as a text for a display."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value
    return f"{value:.4g} {parameter.unit}".rstrip()
