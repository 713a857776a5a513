"""One row makes a switch: it can be set over OSC and MIDI, is read by the worker, and is played."""

import mido
import numpy as np
import pytest
from support.dispatcher import DispatcherSetup
from support.osc import make_preset

from gramophone.realtime.control.midi.controller_map import ControllerMap
from gramophone.realtime.live.parameter_memory import ParameterMemory
from gramophone.realtime.live.player import Player
from gramophone.realtime.live.preset_generations import ParameterReader
from gramophone.realtime.live.shared_state import SWITCH_PLACES
from gramophone.realtime.midi.decoder import MidiDecoder
from gramophone.realtime.midi.mapping import ControlMapping
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stage import Format
from gramophone.realtime.switches import SWITCHES


@pytest.mark.parametrize("name", SWITCHES)
def test_a_row_is_an_osc_address_and_a_midi_target_and_reaches_the_worker(name):
    setup = DispatcherSetup()
    controller_map = ControllerMap(setup.controller, [ControlMapping(name, number=7, mode="momentary")])
    setup.send(f"/gramophone/{name}", 1)
    setup.advance()
    assert setup.sink.together == [{name: True}]
    assert setup.controller.get(name) is not SWITCHES[name].momentary
    setup.controller.set(name, False)
    setup.sink.together.clear()
    for event in MidiDecoder().decode(mido.Message("control_change", control=7, value=127)):
        controller_map.receive(event)
    assert setup.sink.together == [{name: True}]
    memory = ParameterMemory(1, len(SWITCHES))
    memory.add(0, [])
    reader = ParameterReader(memory)
    reader.follow({}, 0, [])
    memory.set(0, {SWITCH_PLACES[name]: 1.0})
    assert reader.changes() == [(name, True)]
    memory.close()


@pytest.mark.parametrize("name", SWITCHES)
def test_the_player_plays_the_output_that_the_row_names(name):
    player = Player(complete(make_preset(stages=[("level", "gain", {"gain": -6.0})])), Format(48_000, 2))
    block = np.random.default_rng(0).normal(0, 0.1, (2, 960)).astype(np.float32)
    player.switch(name, True)
    player.process(block)
    expected = block if SWITCHES[name].output == "input" else np.zeros_like(block)
    np.testing.assert_array_equal(player.process(block), expected)
    if SWITCHES[name].momentary:
        player.refresh(None)
    else:
        player.switch(name, False)
    player.process(block)
    np.testing.assert_allclose(player.process(block), block * 10 ** (-6 / 20), atol=1e-6)
    player.close()
