"""The desk shows what plays: also when a preset could not be played, was saved, or several hands turn at once."""

import subprocess
import sys

from support.osc import Sink, make_preset

from gramophone.presets import load, save_own
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.midi import ControlMapping
from gramophone.realtime.parameter_table import complete, with_values

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


def test_after_a_preset_that_cannot_be_played_the_desk_shows_what_still_plays():
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
