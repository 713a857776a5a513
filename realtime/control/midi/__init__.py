"""MIDI: control surfaces set parameters, show their values on lamps, rings and motors, and give the tempo.

Messages (`mido.Message`) arrive at `ports`, from one of the `backends`. `decoder` turns them into events, and the
`controller_map` turns events into values: `mapping` holds which control sets which parameter, `takeover` how, and what
is sent back; `learn` finds new mappings, and `tempo` follows MIDI clock.
"""

from gramophone.realtime.control.midi.backends import MidiError, backends, devices, system_backend
from gramophone.realtime.control.midi.controller_map import ControllerMap
from gramophone.realtime.control.midi.ports import MidiControls, midi_controls
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
    "system_backend",
    "with_mappings",
]
