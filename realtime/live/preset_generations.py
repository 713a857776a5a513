"""The presets of a session on the board: the one that plays, or is about to, and those before it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

from gramophone.presets import Preset
from gramophone.realtime.live.messages import Refused
from gramophone.realtime.live.parameter_memory import ParameterMemory
from gramophone.realtime.live.places import slots, values_at
from gramophone.realtime.parameter_table import table

_KEPT = 8
"""Presets that are remembered: those whose knobs are still on the board."""


class PresetGeneration:
    """A preset, where its knobs are on the board, and what they are set to by now."""

    def __init__(self, preset: Preset, generation: int, slots: Mapping[str, int]) -> None:
        self._preset, self.generation, self.slots = preset, generation, slots
        self.values = {f"{stage.name}.{key}": value for stage in preset.stages for key, value in stage.values.items()}

    @property
    def preset(self) -> Preset:
        """The preset, with every value as it is now."""
        changes = {(stage, key): v for address, v in self.values.items() for stage, _, key in [address.partition(".")]}
        return self._preset.with_values(changes)


class PresetGenerations:
    """One layout after another; `now` is the newest that was not refused, None before the first."""

    def __init__(self, memory: ParameterMemory) -> None:
        self.now: PresetGeneration | None = None
        self._memory = memory
        self._generations = count()
        self._kept: dict[int, PresetGeneration] = {}

    def lay_out(self, preset: Preset) -> PresetGeneration:
        """Give the knobs of a complete preset their places on the board, and return them."""
        generation, knobs = next(self._generations), slots(table(preset))
        self._memory.lay_out(generation, values_at(knobs, preset))
        self.now = PresetGeneration(preset, generation, {address: place for place, (address, _) in enumerate(knobs)})
        self._kept[generation] = self.now
        self._kept.pop(generation - _KEPT, None)
        return self.now

    def go_back(self, refused: Refused) -> PresetGeneration | None:
        """Return what plays on where a preset was refused, and is `now` again; None if another one was chosen since."""
        playing = self._kept.get(refused.playing)
        if playing and self.now and self.now.generation == refused.generation:
            self.now = playing
            return playing
        return None
