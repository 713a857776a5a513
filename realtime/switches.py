"""The switches beside the chain, and the actions of a performance, one row each.

OSC, MIDI, the keyboard on the control page, recordings and the player go by these tables. A row is all that a switch or
an action needs: its OSC address is `/gramophone/<name>`, its name can stand in a `[[midi]]` table, and its `key` on the
page does the same. What the player does while a switch is on is its `output`; what an action does is performed by the
control process (`control/actions.py`).
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
    key: str
    momentary: bool = False

    @property
    def parameter(self) -> Parameter:
        """The switch as a parameter, for code that sets values by address."""
        return Parameter(self.name, False, self.description)


_ROWS = (
    Switch("bypass", "let the dry sound through", "input", "b"),
    Switch("mute", "silence the output", "silence", "m"),
    Switch("panic", "forget all sound under way: tails, echoes, frozen rooms", "silence", "p", momentary=True),
)
SWITCHES = {row.name: row for row in _ROWS}
"""Every switch by its name."""

SNAPSHOTS = 8
"""How many snapshots there are."""


@dataclass(frozen=True)
class Action:
    """Something to do in a performance, by its name.

    A `button` does it when it is pressed, a `toggle` is on or off, a `fader` has a position from 0 to 1. `key`: the key
    on the page, `Shift+` or `Ctrl+` before it where that has to be held; empty for none.
    """

    name: str
    description: str
    key: str = ""
    kind: Literal["button", "toggle", "fader"] = "button"

    @property
    def momentary(self) -> bool:
        """Whether a press does it and a release nothing."""
        return self.kind == "button"

    @property
    def parameter(self) -> Parameter:
        """The action as a parameter, for code that sets values by address."""
        return Parameter(self.name, 0.0 if self.kind == "fader" else False, self.description)


_PERFORMED = (
    Action("next-preset", "go to the next preset", "]"),
    Action("previous-preset", "go to the previous preset", "["),
    Action("next-clip", "go to the next clip, of the first stage that has one", "."),
    Action("previous-clip", "go to the previous clip, of the first stage that has one", ","),
    *(Action(f"snapshot-{n}", f"go back to snapshot {n}", str(n)) for n in range(1, SNAPSHOTS + 1)),
    *(Action(f"store-{n}", f"keep what plays as snapshot {n}", f"Shift+{n}") for n in range(1, SNAPSHOTS + 1)),
    Action("ab", "compare: A (off), or B (on), which keeps what was set while it was on", "a", "toggle"),
    Action("morph", "move along the way chosen last; before that, from snapshot 1 to snapshot 2", kind="fader"),
    Action("audition", "play a clip in place of the input, to try presets with", "c", "toggle"),
    Action("tap", "tap the tempo: each press is a quarter note", "t"),
    Action("undo", "take back the last change", "Ctrl+z"),
    Action("redo", "do again what was taken back", "Ctrl+y"),
    Action("record", "record a take", "r", "toggle"),
)
ACTIONS = {row.name: row for row in _PERFORMED}
"""Every action by its name."""


def is_button(name: str) -> bool:
    """Return whether a switch or an action of this name is done by a press, whatever follows."""
    row = SWITCHES.get(name) or ACTIONS.get(name)
    return row is not None and row.momentary
