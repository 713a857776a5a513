"""JACK's transport and Ableton Link give the tempo: with a real timebase master, and a real second peer."""

import pytest
from support.jack_server import SERVER, server, until  # noqa: F401
from support.osc import Sink, make_preset

from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.midi.controller_map import ControllerMap
from gramophone.realtime.control.midi.tempo_sources import (
    AbletonLink,
    JackTransport,
    TempoError,
    following,
    open_source,
)
from gramophone.realtime.midi.mapping import ControlMapping

STAGES = (("echo", "delay", {}),)


@pytest.fixture
def controller():
    return Controller(make_preset(stages=STAGES), Sink())


@pytest.mark.peer
def test_a_delay_follows_the_timebase_master_of_jack_and_its_changes(server, controller):
    jack = pytest.importorskip("jack")
    beats = {"bpm": 120.0, "type": 4.0}

    def on_time(_state, _frames, position, _is_new):
        position.valid = jack._lib.JackPositionBBT
        position.beats_per_minute, position.beat_type, position.beats_per_bar = beats["bpm"], beats["type"], 4.0
        position.ticks_per_beat, position.bar, position.beat, position.tick = 960.0, 1, 1, 0

    master = jack.Client("gramophone-test-master", no_start_server=True, servername=SERVER)
    master.set_timebase_callback(on_time)
    controller_map = ControllerMap(controller, [ControlMapping("echo.time", "clock", beats=1.0)])
    with master, following(controller_map, [f"jack:{SERVER}"]):
        until(lambda: controller.get("echo.time") == 500.0)
        assert not controller_map.runs
        master.transport_start()
        until(lambda: controller_map.runs)
        beats["bpm"] = 90.0
        until(lambda: controller_map.bpm == 90.0)
        beats["type"] = 8.0  # eighths: half as many quarter notes
        until(lambda: controller_map.bpm == 45.0)


@pytest.mark.peer
def test_a_link_session_gives_its_tempo_and_a_lone_peer_has_none(controller):
    link = pytest.importorskip("link")
    alone = AbletonLink()
    assert alone.ask() is None
    other = link.Link(133.0)
    other.enabled = True
    try:
        try:
            until(lambda: other.numPeers() == 1, 10.0)
        except AssertionError:
            pytest.skip("needs multicast on loopback")
        state = other.captureSessionState()
        state.setTempo(99.0, other.clock().micros())
        other.commitSessionState(state)
        until(lambda: (found := alone.ask()) and abs(found.bpm - 99.0) < 0.01)
    finally:
        other.enabled = False
        alone.close()


def test_a_source_that_cannot_be_used_is_named(controller):
    with pytest.raises(TempoError, match="expected jack"):
        open_source("wind")
    with pytest.raises(TempoError, match="no JACK server 'no-such-server' runs"):
        JackTransport("no-such-server")
    with pytest.raises(TempoError), following(ControllerMap(controller), ["jack:no-such-server"]):
        pass
