"""MIDI: controllers turn the knobs of a desk, their lamps show where those stand, and their clock gives the tempo.

Bytes come in at `ports`; `tokens` cuts them into messages, `controls` reads what was played, `controller_map` does it:
`mapping` says which knob, `turning` how far, `learn` finds new ones, `clock` the tempo, `feedback` what is shown.
"""

from gramophone.realtime.control.midi.controller_map import ControllerMap
from gramophone.realtime.control.midi.ports import MidiControls, MidiError, backends, devices, midi_controls
from gramophone.realtime.midi.mapping import ControlMapping, from_row, with_mappings

__all__ = [
    "ControlMapping",
    "ControllerMap",
    "MidiControls",
    "MidiError",
    "backends",
    "devices",
    "from_row",
    "midi_controls",
    "with_mappings",
]
