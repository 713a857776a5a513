"""Undo and redo: every change goes back as it came, whoever made it, and what follows is not lost."""

import random

import pytest
from support.osc import Setup, make_preset

from gramophone.presets import load
from gramophone.realtime.control.performance.history import MOMENT_S, History
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.parameter_table import values_of


class Edited:
    """A controller with a history, at times that the test says."""

    def __init__(self, preset=None):
        self.controller = Setup(preset or make_preset()).controller
        self.now = 0.0
        self.history = History(self.controller, lambda: self.now)

    def wait(self, seconds=2 * MOMENT_S):
        self.now += seconds

    def press(self, action):
        self.controller.set(action, True)

    @property
    def state(self):
        preset = self.controller.preset
        return [(stage.name, stage.kind) for stage in preset.stages], dict(values_of(preset))


@pytest.fixture
def edited():
    return Edited()


def test_a_turn_of_a_knob_is_one_step_back_and_one_again(edited):
    for value in (10.0, 12.0, 20.0, 25.0):
        edited.controller.set("drive.drive", value)
        edited.wait(MOMENT_S / 3)
    edited.wait()
    edited.controller.set("drive.drive", 40.0)
    edited.press("undo")
    assert edited.controller.get("drive.drive") == 25.0
    edited.press("undo")
    assert edited.controller.get("drive.drive") == 12.0, "the preset's own"
    edited.press("redo")
    edited.press("redo")
    assert edited.controller.get("drive.drive") == 40.0


def test_nothing_to_undo_is_refused_and_switches_are_no_steps(edited):
    edited.controller.set("mute", True)
    for action in ("undo", "redo"):
        with pytest.raises(RefusedError, match="nothing to"):
            edited.press(action)
    assert edited.controller.get("mute") is True


def test_another_change_ends_what_could_be_done_again(edited):
    edited.controller.set("drive.drive", 30.0)
    edited.press("undo")
    edited.controller.set("hall.mix", 0.5)
    with pytest.raises(RefusedError):
        edited.press("redo")
    edited.press("undo")
    assert edited.controller.get("hall.mix") == 1.0


def test_a_step_back_over_another_preset_finds_the_values_that_were_set_in_the_first():
    edited = Edited(load("hall"))
    edited.controller.set("hall.wet", 0.11)
    edited.wait()
    edited.controller.change("stack")
    edited.press("undo")
    assert edited.controller.name == "hall"
    assert edited.controller.get("hall.wet") == 0.11
    edited.press("redo")
    assert edited.controller.name == "stack"


def test_any_run_of_changes_goes_back_and_forth_as_a_plain_list_of_states_says():
    edited, chance = Edited(load("hall")), random.Random(5)
    states, place = [edited.state], 0
    for _ in range(120):
        edited.wait()
        move = chance.choice(["set", "set", "preset", "undo", "undo", "redo"])
        if move == "undo" and place:
            edited.press("undo")
            place -= 1
        elif move == "redo" and place + 1 < len(states):
            edited.press("redo")
            place += 1
        elif move in ("set", "preset"):
            if move == "preset":
                edited.controller.change(
                    chance.choice([each for each in ("hall", "wide") if each != edited.controller.name])
                )
            else:
                address = chance.choice([a for a, knob in edited.controller.parameters.items() if knob.is_number])
                edited.controller.set_0to1(address, chance.random())
            states = [*states[: place + 1], edited.state]
            place += 1
        assert edited.state == states[place]
