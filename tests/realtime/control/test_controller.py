"""The controller holds what plays, also when a preset cannot be played or is saved; no value is checked twice."""

import subprocess
import sys
import threading
import time

import mido
import pytest
from support.dispatcher import DispatcherSetup
from support.osc import Sink, make_preset

from gramophone.models.parameters import Parameter
from gramophone.presets import load, save_own
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.midi import ControllerMap, ControlMapping
from gramophone.realtime.engine import Engine
from gramophone.realtime.midi.decoder import MidiDecoder
from gramophone.realtime.parameter_table import complete, with_values
from gramophone.realtime.stages.plugins import scan
from gramophone.realtime.stages.plugins.description import Description, PluginParameter

CODE = """
import sys
from gramophone.presets import load, names
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.live.surfaces import Surfaces
from gramophone.realtime.live.run import run_live
from gramophone.realtime.live.console_view import TerminalView
from gramophone.realtime.control.midi import ControllerMap
from gramophone.realtime.midi.decoder import Program
from gramophone.realtime.control.morph import Morph
from gramophone.realtime.control.osc import AddressSpace
from gramophone.realtime.control.oscquery.tree import tree

class Sink:
    def __getattr__(self, name):
        return lambda *arguments: None

controller = Controller(load("hall"), Sink(), patience_s=60)
controller_map = ControllerMap(controller)
space = AddressSpace(controller, controller_map=controller_map)
for number, name in enumerate(names()):
    controller_map.receive(Program(1, number))
    assert controller.name == name
    tree(space)
    Morph(load("hall"), load(name)).at(0.5)
assert not controller_map.errors
print([name for name in ("torch", "onnxruntime", "numba", "librosa") if name in sys.modules])
"""


class Session(Sink):
    """A sink that knows what it was given last, with values, and may be asked to go back to what it had before."""

    def __init__(self, preset):
        super().__init__()
        self.playing = self.before = complete(preset)

    def set_many(self, changes):
        self.playing = with_values(self.playing, changes)

    def change(self, preset):
        self.before, self.playing = self.playing, preset

    def go_back(self, controller):
        self.playing = self.before
        controller.revert(lambda: self.playing)


def test_the_control_process_never_imports_what_takes_seconds():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture
def slow_plugin(monkeypatch, tmp_path):
    """Return a preset with a plug-in that describes itself only when the second value, an event, is set."""
    (tmp_path / "Slow.vst3").touch()
    released, asked = threading.Event(), []
    knob = PluginParameter(Parameter("amount", 0.5, "how much"), "amount", "position")

    def describe_slowly(_name, _source, _load_s):
        asked.append(threading.current_thread().name)
        assert released.wait(30)
        return Description("Slow", "us", "1", "Fx", 0, (1, 2), (knob,))

    monkeypatch.setattr(scan, "folders", lambda: [tmp_path])
    monkeypatch.setattr(scan, "describe", describe_slowly)
    yield make_preset("slow", [("fx", "plugin", {"plugin": "Slow"})]), released, asked
    released.set()


def test_a_plugin_that_is_asked_for_long_holds_up_neither_osc_nor_what_comes_meanwhile(slow_plugin):
    preset, released, asked = slow_plugin
    setup = DispatcherSetup()
    setup.controller._patience_s = 0.01
    setup.space.library._extra["slow"] = preset
    setup.send("/gramophone/preset", "slow")
    setup.advance()
    assert setup.controller.changing
    assert set(asked) == {"preset"}, "the OSC thread asks nothing"
    setup.send("/gramophone/fx/amount", 0.25)
    setup.send("/gramophone/hall/room", 0.25)
    setup.advance()
    assert setup.sink.calls == []
    assert setup.dispatcher.wait_s(0.0) > 0
    released.set()
    setup.sink.wait_for(lambda calls: ("change", "slow") in calls)
    while setup.controller.changing:
        time.sleep(0.001)
    setup.advance()
    assert setup.sink.calls == [("change", "slow"), ("set", "fx.amount", 0.25)]
    assert setup.errors == {"unknown address": 1}, "the new preset has no hall"


def test_of_two_presets_the_one_that_was_asked_for_last_plays_however_long_the_first_takes(slow_plugin):
    preset, released, _ = slow_plugin
    sink = Sink()
    controller = Controller(load("hall"), sink, patience_s=0.01)
    controller.change(preset)
    controller._patience_s = 60
    controller.change("wide")
    assert controller.name == "wide"
    released.set()
    for thread in [thread for thread in threading.enumerate() if thread.name == "preset"]:
        thread.join(30)
    assert sink.calls == [("change", "wide")]


def test_what_fails_later_is_reported_and_what_plays_goes_on(slow_plugin):
    _, released, _ = slow_plugin
    controller = Controller(load("hall"), Sink(), patience_s=0.01)
    failures, failed = [], threading.Event()
    controller.listen_failures(lambda error: (failures.append(str(error)), failed.set()))
    controller.change(make_preset("bad", [("fx", "plugin", {"plugin": "Slow", "amount": 9.0})]))
    assert failures == []
    released.set()
    assert failed.wait(30)
    assert "amount = 9.0: expected a number from 0 to 1" in failures[0]
    assert (controller.name, controller.changing) == ("hall", False)


def test_a_value_is_checked_once_whichever_way_it_comes_and_not_again_in_the_chain(monkeypatch):
    setup, decoder = DispatcherSetup(), MidiDecoder()
    controller_map = ControllerMap(setup.controller, [ControlMapping("hall.room", number=7)])
    engine = Engine(make_preset(), 48_000)
    checked, check = [], Parameter.check
    monkeypatch.setattr(Parameter, "check", lambda self, value: checked.append(self.name) or check(self, value))
    for address, value in (("hall/room", 0.25), ("n/hall/wet", 0.5), ("filter/mode", "band-24"), ("mute", 1)):
        checked.clear()
        setup.send(f"/gramophone/{address}", value)
        setup.advance()
        assert checked == [address.rpartition("/")[2]]
    checked.clear()
    for event in decoder.decode(mido.Message("control_change", control=7, value=99)):
        controller_map.receive(event)
    assert setup.controller.get("hall.room") == pytest.approx(99 / 127)
    assert checked == ["room"]
    checked.clear()
    engine.chain.set("hall.room", 0.75)
    assert checked == []


def test_after_a_preset_that_cannot_be_played_the_controller_shows_what_still_plays():
    session = Session(load("hall"))
    controller = Controller(load("hall"), session, patience_s=60)
    layouts = []
    controller.listen_parameters(lambda: layouts.append(controller.name))
    controller.set("style.strength", 0.1)
    before, knobs = controller.preset, dict(controller.parameters)
    controller.change(make_preset("broken"))
    controller.set("hall.room", 0.9)
    session.go_back(controller)
    assert controller.preset == before
    assert controller.parameters == knobs
    assert layouts == ["broken", "hall"]
    controller.set("style.strength", 0.2)
    assert session.playing.stage("style").values["strength"] == 0.2


def test_a_name_and_mappings_that_came_later_are_there_again_as_well(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    session = Session(load("hall"))
    controller = Controller(load("hall"), session, patience_s=60)
    saved = save_own(controller.preset, "mine")
    controller.rename(saved)
    controller.keep_midi((ControlMapping("style.strength", number=7).row(),))
    before = controller.preset
    controller.change("wide")
    session.go_back(controller)
    assert controller.preset == before
    assert controller.name == "mine"
    controller.change("robot")
    session.go_back(controller)  # once more, though the session still knows it by its first name
    assert controller.preset == before


def test_a_refusal_that_comes_when_another_preset_is_chosen_already_changes_nothing():
    session = Session(load("hall"))
    controller = Controller(load("hall"), session, patience_s=60)
    controller.change("wide")
    controller.change("robot")
    shown = controller.preset
    controller.revert(lambda: session.playing)
    assert controller.preset == shown
