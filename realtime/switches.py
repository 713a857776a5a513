"""The switches beside the chain, one row each: OSC, MIDI, recordings and the player go by this table.

A row is all that a switch needs: its OSC address is `/gramophone/<name>`, its name can stand in a `[[midi]]` table, and
`output` is what the player does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gramophone.models.parameters import Parameter


@dataclass(frozen=True)
class Switch:
    """A switch that is the same whatever chain plays; off at first.

    `output` is what is played while it is on: silence, or the input, as late as the chain's sound. A `momentary` one
    makes the chain anew, from silence, and then goes off by itself.
    """

    name: str
    description: str
    output: Literal["silence", "input"]
    momentary: bool = False

    @property
    def parameter(self) -> Parameter:
        """The switch as a parameter, for code that sets values by address."""
        return Parameter(self.name, False, self.description)


_ROWS = (
    Switch("bypass", "let the dry sound through", "input"),
    Switch("mute", "silence the output", "silence"),
    Switch("panic", "forget all sound under way: tails, echoes, frozen rooms", "silence", momentary=True),
)
SWITCHES = {row.name: row for row in _ROWS}
"""Every switch by its name."""
