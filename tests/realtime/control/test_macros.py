"""Macros over the controller: one change of their targets, whichever way they are set; the last writer wins."""

import mido
import pytest
from support.dispatcher import DispatcherSetup

from gramophone.presets import load, own_folder, save_own
from gramophone.realtime.control.midi import ControllerMap, ControlMapping
from gramophone.realtime.control.morph import Morph, play
from gramophone.realtime.control.oscquery.tree import tree
from gramophone.realtime.midi.decoder import MidiDecoder
from gramophone.realtime.parameter_table import complete

SPACE = {"hall.wet": 0.45, "hall.room": 0.95}


@pytest.fixture
def setup():
    return DispatcherSetup(load("hall"), surfaces=True)


@pytest.mark.parametrize("address", ["/gramophone/macro/5", "/gramophone/n/macro/5"])
def test_a_macro_sets_its_targets_at_once_and_the_sink_sees_only_them(setup, address):
    setup.send(address, 1.0)
    setup.advance()
    assert setup.sink.together == [SPACE]
    assert setup.controller.get("macro.5") == 1.0
    assert {address: setup.controller.get(address) for address in SPACE} == SPACE


def test_a_target_that_is_set_leaves_the_macro_and_the_next_turn_of_the_macro_sets_it_again(setup):
    setup.controller.set("macro.5", 1.0)
    setup.controller.set("hall.wet", 0.0)
    assert setup.controller.get("macro.5") == 1.0
    setup.controller.set("macro.5", 1.0)
    assert setup.controller.get("hall.wet") == 0.45
    setup.controller.set_many({"macro.5": 0.0, "hall.wet": 0.3})
    assert (setup.controller.get("hall.wet"), setup.controller.get("hall.room")) == (0.3, 0.2)
    setup.controller.set_many({"hall.wet": 0.3, "macro.5": 1.0})
    assert setup.controller.get("hall.wet") == 0.45


def test_subscribers_hear_of_the_macro_and_of_its_targets(setup):
    setup.send("/gramophone/subscribe", 30.0)
    setup.replies(1.0)
    setup.controller.set("macro.5", 1.0)
    heard = setup.replies(1.0)
    assert heard["/gramophone/macro/5"] == (1.0,)
    assert heard["/gramophone/hall/wet"] == (pytest.approx(0.45),)


def test_the_tree_names_macros_and_the_order_of_stages_leaves_them_out(setup):
    nodes = tree(setup.space)["CONTENTS"]["gramophone"]["CONTENTS"]
    described = [node["DESCRIPTION"].partition(":")[0] for node in nodes["macro"]["CONTENTS"].values()]
    assert described == [macro.name for macro in load("hall").macros]
    assert nodes["macro"]["CONTENTS"]["1"]["RANGE"] == [{"MIN": 0.0, "MAX": 1.0}]
    assert [*nodes["n"]["CONTENTS"]["macro"]["CONTENTS"]] == ["1", "2", "3", "4", "5"]
    assert nodes["order"]["VALUE"] == [stage.name for stage in load("hall").stages]


def test_a_control_is_learned_for_a_macro_and_turns_it(setup):
    setup.controller_map.learn("macro.5")
    decoder = MidiDecoder()
    for value in range(0, 128, 4):
        for event in decoder.decode(mido.Message("control_change", control=21, value=value)):
            setup.controller_map.receive(event)
    assert [mapping.knob for mapping in setup.controller_map.mappings] == ["macro.5"]
    for event in decoder.decode(mido.Message("control_change", control=21, value=127)):
        setup.controller_map.receive(event)
    assert {address: setup.controller.get(address) for address in SPACE} == SPACE


def test_a_targets_display_follows_the_macro(setup):
    mappings = [ControlMapping("macro.5", number=1), ControlMapping("hall.wet", number=2)]
    controller_map = ControllerMap(setup.controller, mappings)
    controller_map.tick()
    for event in MidiDecoder().decode(mido.Message("control_change", control=1, value=127)):
        controller_map.receive(event)
    assert [out.message.value for out in controller_map.tick() if out.message.control == 2] == [round(0.45 * 127)]


def test_a_saved_preset_holds_the_macro_and_its_targets_and_plays_as_it_did(setup, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    setup.controller.set("macro.5", 0.8)
    setup.controller.set("hall.wet", 0.2)
    setup.saver.save("mine")
    setup.saved()
    back = complete(load("mine"))
    assert back.macros == setup.controller.preset.macros
    assert back.stages == setup.controller.preset.stages
    text = (own_folder() / "mine.toml").read_text()
    assert text.count("value = ") == 1, "the other macros stand where their targets do"


def test_a_preset_that_is_gone_back_to_has_its_macros_where_they_were(setup):
    setup.controller.set("macro.5", 0.8)
    before = setup.controller.preset
    setup.controller.change("wide")
    setup.controller.revert(lambda: before)
    assert setup.controller.preset == before


def test_a_morph_moves_macros_with_their_targets(setup, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    setup.controller.set("macro.5", 1.0)
    there = save_own(setup.controller.preset, "there")
    morph = Morph(load("hall"), there)
    setup.controller.enter(morph.at(0.0))
    play(setup.controller, morph.at(0.5))
    start = complete(load("hall"))
    assert setup.controller.get("macro.5") == pytest.approx((start.macros[4].value + 1) / 2)
    wet = (start.stage("hall").values["wet"] + 0.45) / 2
    assert setup.controller.get("hall.wet") == pytest.approx(wet), "the morph's own value, not the macro's"
