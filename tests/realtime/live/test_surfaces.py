"""A whole session on JACK with its control surfaces: what OSC sets is played, together, and shown as it is played."""

import os
import shutil
import time
from collections import defaultdict
from contextlib import ExitStack

import pytest
from support.jack_server import start_server, stop, until
from support.osc import bundle, peer_of

from gramophone.presets import load
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.live.session import Session
from gramophone.realtime.live.session_settings import SessionSettings
from gramophone.realtime.live.surfaces import Surfaces, midi_inputs
from gramophone.realtime.osc.packet import encode
from gramophone.realtime.parameter_table import chain_parameters, complete

SERVER = f"gramophone-surfaces-{os.getpid()}"
BUNDLES = 200


@pytest.fixture
def play(monkeypatch, tmp_path):
    """Return the port of OSC, the controller, the player's events, and the news for people."""
    if not shutil.which("jackd") or not shutil.which("jack_wait"):
        pytest.skip("needs jackd: apt install jackd2")
    pytest.importorskip("jack", reason="needs JACK-Client: pip install JACK-Client")
    monkeypatch.setenv("JACK_DEFAULT_SERVER", SERVER)
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    server = start_server(SERVER)
    events, said = [], []
    with ExitStack() as stack:
        stack.callback(stop, server)
        session = stack.enter_context(Session(SessionSettings("jack")))
        session.on_event, session.on_news = events.append, said.append
        preset = complete(load("cathedral"))
        session.start(preset)
        controller = Controller(preset, session)
        for surface in Surfaces(osc_port=0, http_port=None, midi=None).on(controller, session, said.append):
            opened = stack.enter_context(surface)
        session.wait_until_playing()
        yield opened.port, controller, events, said


@pytest.mark.peer
def test_the_targets_of_a_macro_are_set_before_the_same_block_and_nothing_else_is(play):
    port, controller, events, _ = play
    with peer_of(port) as peer:
        peer.send(encode("/gramophone/macro/5", (1.0,)))
        until(lambda: sum(event.name == "set" for event in events) == 2)
    sets = [event for event in events if event.name == "set"]
    assert {event.address: event.value for event in sets} == {"stone.wet": 0.5, "stone.feedback": 0.6}
    assert len({event.block for event in sets}) == 1
    assert controller.preset.macros[4].value == 1.0


@pytest.mark.peer
def test_the_port_of_osc_is_shown_where_a_free_one_was_asked_for(play):
    port, *_ = play
    with peer_of(port) as peer:
        peer.send(encode("/gramophone/session/osc"))
        assert peer.receive_until("/gramophone/session/osc").arguments == (f"port {port}",)


@pytest.mark.peer
def test_a_bundle_is_heard_in_one_block_and_a_preset_that_cannot_be_played_leaves_no_trace(play, tmp_path):
    port, controller, events, said = play
    knobs = [address for address, knob in chain_parameters(controller.preset).items() if knob.is_number][:5]
    with peer_of(port) as peer:
        for k in range(1, BUNDLES + 1):
            paths = ["/gramophone/n/" + knob.replace(".", "/") for knob in knobs]
            peer.send(
                bundle(time.time() - 1, *(encode(path, (k / BUNDLES,)) for path in (*paths[k % 5 :], *paths[: k % 5])))
            )
            peer.send(encode(paths[0]))
            peer.receive_until(paths[0])
        sets = defaultdict(set)

        def has_heard_the_last():
            sets.clear()
            for event in [event for event in events if event.name == "set"]:
                sets[event.block].add(event.address)
            return events[-1].name == "set" and events[-1].value == controller.get(events[-1].address)

        until(has_heard_the_last)
        assert len(sets) > 1
        assert all(addresses == set(knobs) for addresses in sets.values())

        peer.send(encode("/gramophone/save", ("Mine",)))
        until(lambda: controller.name == "mine")
        before = controller.preset
        folder = tmp_path / "gramophone" / "presets"
        (folder / "noise.wav").write_text("no sound at all")
        (folder / "broken.toml").write_text('title = "x"\n[[stages]]\nkind = "style"\nclip = "noise.wav"\n')
        peer.send(encode("/gramophone/preset", ("broken",)))
        until(lambda: any("noise.wav" in news for news in said))
        until(lambda: controller.preset == before)
        assert sum("noise.wav" in news for news in said) == 1
        outcomes = [peer.receive_until("/gramophone/news").arguments[1] for _ in range(2)]
        assert outcomes == ["saved as mine", "broken cannot be played; the terminal says why"]
        peer.send(encode("/gramophone/preset", ("wide",)))
        until(lambda: any(event.name == "change" and event.value.name == "wide" for event in events))
        assert controller.name == "wide"


def test_midi_is_open_to_every_input_unless_it_is_closed_or_inputs_are_named():
    assert [midi_inputs(names) for names in (None, ["none"], ["keys", "pads"])] == [(), None, ("keys", "pads")]
