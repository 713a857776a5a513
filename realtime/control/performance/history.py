"""Undo and redo: what was changed, by whatever surface, is taken back step by step.

Values that change within a moment, a turn of a knob or a sweep from a controller, are one step; so is each other
chain or preset.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from gramophone.models.parameters import Value
from gramophone.presets import Preset
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.morph import play
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.parameter_table import values_of, with_values

MOMENT_S = 0.7
_MOST_STEPS = 200


class _State(NamedTuple):
    """What played: a preset, and the values that have been set since it was chosen."""

    preset: Preset
    values: dict[str, Value]


class History:
    """Follows a controller and does its actions `undo` and `redo`; `clock` is in seconds and only runs forwards."""

    def __init__(self, controller: Controller, clock: Callable[[], float] = time.monotonic) -> None:
        self._controller, self._clock = controller, clock
        self._now = _state_of(controller.preset)
        self._undone: deque[_State] = deque(maxlen=_MOST_STEPS)
        self._done: deque[_State] = deque(maxlen=_MOST_STEPS)
        self._changed_at = -MOMENT_S
        self._playing_by = 0
        controller.listen(self._note_value)
        controller.listen_parameters(self._note_preset)
        controller.perform({"undo": self._undo, "redo": self._redo})

    def _note_value(self, address: str, value: Value) -> None:
        if address not in self._now.values:  # a switch: it belongs to no preset
            return
        now = self._clock()
        if now - self._changed_at >= MOMENT_S:
            self._keep()
        self._changed_at = now
        self._now.values[address] = value

    def _note_preset(self) -> None:
        preset = self._controller.preset
        if preset.stages != with_values(self._now.preset, self._now.values).stages:  # else it has only another name
            self._keep()
        self._changed_at = -MOMENT_S
        self._now = _state_of(preset)

    def _undo(self, _: Value) -> None:
        self._go(self._done, self._undone, "take back")

    def _redo(self, _: Value) -> None:
        self._go(self._undone, self._done, "do again")

    def _keep(self) -> None:
        if threading.get_ident() == self._playing_by:
            return
        self._done.append(_State(self._now.preset, dict(self._now.values)))
        self._undone.clear()

    def _go(self, source: deque[_State], target: deque[_State], what: str) -> None:
        """Play what was last on one pile, and put what plays onto the other."""
        if not source:
            raise RefusedError("refused value", f"there is nothing to {what}")
        state, before = source[-1], _State(self._now.preset, dict(self._now.values))
        self._playing_by = threading.get_ident()
        try:
            play(self._controller, with_values(state.preset, state.values))
        finally:
            self._playing_by = 0
        source.pop()
        target.append(before)
        self._changed_at = -MOMENT_S


def _state_of(preset: Preset) -> _State:
    return _State(preset, dict(values_of(preset)))
