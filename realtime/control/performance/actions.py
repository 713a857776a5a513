"""What the actions of `switches.ACTIONS` do: presets and clips one after the other, snapshots, A and B, tempo."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from gramophone.models.parameters import Parameter, ParameterError, Value
from gramophone.presets import Preset
from gramophone.realtime.control.controller import Controller, Perform
from gramophone.realtime.control.midi.controller_map import ControllerMap
from gramophone.realtime.control.morph import Morpher, play
from gramophone.realtime.control.osc.library import FIRST_WAY, Library, shown
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.switches import SNAPSHOTS

_MOST_TAPS = 8
_SLOWEST_S, _FASTEST_S = 3.0, 0.06
"""Taps further apart begin anew; closer ones, at 1,000 a minute, are a button that bounces."""


def clip_addresses(parameters: Mapping[str, Parameter]) -> list[str]:
    """Return the addresses of the parameters that take a clip, in the order of the chain."""
    return [address for address, knob in parameters.items() if isinstance(knob.default, str) and not knob.choices]


@dataclass
class TapTempo:
    """The tempo of presses, each a quarter note."""

    _times: list[float] = field(default_factory=list)

    def tap(self, time_s: float) -> float | None:
        """Take a press at `time_s`, on a clock that runs evenly; return the tempo in quarter notes a minute, if known.

        It is that of the median interval of the last eight presses.
        """
        gap = time_s - self._times[-1] if self._times else 0.0
        if self._times and gap < _FASTEST_S:
            return None
        self._times = [*(self._times if gap <= _SLOWEST_S else []), time_s][-_MOST_TAPS:]
        gaps = [later - earlier for earlier, later in zip(self._times, self._times[1:], strict=False)]
        return 60.0 / median(gaps) if gaps else None


class Performance:
    """Does the actions of a controller: presets, snapshots and clips are those of `library`.

    `morpher` is shared with whoever else moves along the same way. Without a `controller_map` there is no tempo to tap.
    """

    def __init__(
        self,
        controller: Controller,
        library: Library,
        morpher: Morpher,
        controller_map: ControllerMap | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._controller, self._library, self._clock = controller, library, clock
        self._map, self._taps = controller_map, TapTempo()
        self._asked = ""
        self._other: Preset | None = None
        performers: dict[str, Perform] = {
            "next-preset": lambda _: self._step_preset(1),
            "previous-preset": lambda _: self._step_preset(-1),
            "next-clip": lambda _: self._step_clip(1),
            "previous-clip": lambda _: self._step_clip(-1),
            "ab": self._swap,
            "morph": lambda position: morpher.move(float(position), morpher.names or FIRST_WAY),
        }
        for number in range(1, SNAPSHOTS + 1):
            performers[f"snapshot-{number}"] = partial(self._recall, f"snapshot-{number}")
            performers[f"store-{number}"] = partial(self._store, f"snapshot-{number}")
        if controller_map:
            performers["tap"] = lambda _: self._tap()
        controller.perform(performers)

    def _step_preset(self, step: int) -> None:
        names, controller = self._library.steps, self._controller
        # several presses in a row count from what was asked for, not from what still plays
        now = self._asked if controller.changing and self._asked in names else controller.name
        place = names.index(now) + step if now in names else (0 if step > 0 else -1)
        self._asked = names[place % len(names)]
        controller.change(self._library.preset(self._asked))

    def _step_clip(self, step: int) -> None:
        controller, clips = self._controller, self._library.clips
        addresses = clip_addresses(controller.parameters)
        if not addresses:
            raise ParameterError(f"{controller.name}: no stage of it takes a clip")
        address = next((each for each in addresses if controller.get(each)), addresses[0])
        now = shown(str(controller.get(address)))
        place = clips.index(now) + step if now in clips else (0 if step > 0 else -1)
        controller.set(address, self._library.clip(clips[place % len(clips)]))

    def _store(self, name: str, _: Value) -> None:
        self._library.snapshots[name] = self._controller.preset

    def _recall(self, name: str, _: Value) -> None:
        if name not in self._library.snapshots:
            raise RefusedError("refused value", f"{name}: nothing is stored there yet")
        snapshot = self._library.snapshots[name]
        self._controller.prepare(lambda: complete(snapshot), partial(play, self._controller))

    def _swap(self, _: Value) -> None:
        """Keep what plays, and go back to what played when A and B were swapped last; the first time both are alike."""
        before, self._other = self._other, self._controller.preset
        if before:
            play(self._controller, before)

    def _tap(self) -> None:
        if (bpm := self._taps.tap(self._clock())) and self._map:
            self._map.set_tempo(bpm)
