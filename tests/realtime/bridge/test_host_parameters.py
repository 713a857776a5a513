"""The host's parameters set what they stand for, and are reported what others set."""

import socket

import pytest

from gramophone.presets import load
from gramophone.realtime.bridge.host_parameters import FIRST_FREE, FIRST_MACRO, HostParameters
from gramophone.realtime.bridge.link import BridgeLink
from gramophone.realtime.bridge.protocol import FrameType, receive, unpack
from gramophone.realtime.control.controller import Controller


class Sink:
    """Plays nothing."""

    def set_many(self, changes):
        """Take values."""

    def change(self, preset):
        """Take a preset."""


@pytest.fixture
def host():
    """The plug-in's end of a link, the parameters at the other, and their controller."""
    near, far = socket.socketpair()
    with near, far:
        controller = Controller(load("choir"), Sink())
        yield near, HostParameters(controller, BridgeLink(far)), controller


def reported(near):
    """Return the values that have come, by index, and the labels."""
    near.setblocking(False)
    values, labels = {}, {}
    try:
        while (frame := receive(near)) is not None:
            kind, payload = frame
            if kind < FrameType.LABEL:
                values[kind] = unpack(kind, payload)
            else:
                labels[kind - FrameType.LABEL] = unpack(kind, payload)
    except BlockingIOError:
        pass
    return values, labels


def test_a_macro_of_the_host_moves_its_targets_and_is_not_reported_back(host):
    near, parameters, controller = host
    parameters.set(FIRST_MACRO, 0.25)
    assert controller.get("style.strength") == pytest.approx(0.25)
    assert FIRST_MACRO not in reported(near)[0]


def test_what_others_set_is_reported_with_the_presets_names(host):
    near, parameters, controller = host
    parameters.report()
    values, labels = reported(near)
    assert labels[FIRST_MACRO] == "Strength"
    assert values[FIRST_MACRO] == pytest.approx(0.9)
    controller.set("macro.1", 0.5)
    assert reported(near)[0] == {FIRST_MACRO: 0.5}


def test_a_free_parameter_takes_what_was_moved_last_and_keeps_it(host):
    near, parameters, controller = host
    parameters.set(FIRST_FREE, 0.5)
    assert parameters.free[0] == ""
    controller.set("nave.wet", 0.3)
    parameters.set(FIRST_FREE, 0.75)
    assert parameters.free[0] == "nave.wet"
    assert controller.get_0to1("nave.wet") == pytest.approx(0.75)
    controller.set("nave.room", 0.1)
    parameters.set(FIRST_FREE, 0.5)
    assert controller.get_0to1("nave.wet") == pytest.approx(0.5)
    assert reported(near)[1][FIRST_FREE] == "nave.wet"


def test_what_the_host_sets_with_a_preset_is_not_undone_by_the_presets_own_values(host):
    near, parameters, controller = host
    reported(near)
    with parameters.all_at_once():
        controller.enter(load("choir") and controller.preset)
        parameters.set(FIRST_MACRO, 0.125)
    assert reported(near)[0].get(FIRST_MACRO, 0.125) == 0.125
    assert controller.get("macro.1") == 0.125
