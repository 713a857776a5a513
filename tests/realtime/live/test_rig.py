"""Devices on a real JACK server, chosen over OSC while it plays: that one plays, or the one before does."""

import os
from contextlib import ExitStack

import pytest
from support.jack_server import own_server, start_server, stop, until
from support.osc import peer_of

from gramophone.presets import Preset, StageSettings
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.live.latency import DELAY_CHOICES, MeasureError, measure_mouth_to_ear
from gramophone.realtime.live.session import Session, SessionSettings
from gramophone.realtime.live.surfaces import Surfaces
from gramophone.realtime.osc.packet import encode
from gramophone.realtime.parameter_table import complete

pytestmark = [pytest.mark.peer, pytest.mark.slow]
SERVER, OTHER = (f"gramophone-rig-{os.getpid()}-{number}" for number in range(2))


class Rigged:
    """A session on JACK, and a peer that asks it over OSC."""

    def __init__(self, session, peer, said):
        self.session, self._peer, self.said = session, peer, said

    def send(self, path, *arguments):
        self._peer.send(encode(f"/gramophone/{path}", arguments))

    def ask(self, path):
        self.send(path)
        return self._peer.receive_until(f"/gramophone/{path}").arguments

    def plays(self):
        """Wait until blocks come and go again, and return the figures."""
        until(lambda: self.session.report()["rate"])
        blocks = self.session.report()["blocks"]
        until(lambda: self.session.report()["blocks"] > blocks + 3)
        return self.session.report()


@pytest.fixture(scope="module")
def rigged(tmp_path_factory):
    with ExitStack() as stack:
        stack.enter_context(own_server(SERVER, tmp_path_factory.mktemp("data")))
        session = stack.enter_context(Session(SessionSettings("jack")))
        said = []
        session.on_news = said.append
        preset = complete(Preset("half", (StageSettings("level", "gain", {"gain": -6.0}),)))
        session.start(preset)
        for surface in Surfaces(osc_port=0, http_port=None, midi=None).on(
            Controller(preset, session), session, said.append
        ):
            opened = stack.enter_context(surface)
        session.wait_until_playing()
        yield Rigged(session, stack.enter_context(peer_of(opened.port)), said)


def connect_loop():
    """Connect Gramophone's first output to its first input, in place of the sound card."""
    import jack

    client = jack.Client("patch", servername=SERVER, no_start_server=True)
    for port in ("gramophone:in_1", "gramophone:in_2"):
        for source in client.get_all_connections(port):
            client.disconnect(source, port)
    client.connect("gramophone:out_1", "gramophone:in_1")
    client.close()


def test_the_way_from_mouth_to_ear_is_measured_to_the_sample_over_a_loop(rigged):
    """A loop within JACK takes one block, which is what collecting a block takes: the sum of the parts is the whole."""
    rigged.plays()
    connect_loop()
    status = rigged.session.shared.status
    found = measure_mouth_to_ear(status, None)
    assert (found.device, found.spread, found.rate) == (256, 0, 48_000)
    assert found.samples == rigged.session.report()["latency_samples"]
    rigged.send("device/measure")
    until(lambda: rigged.ask("device/mouth-to-ear")[0] > 0)
    ms, words = rigged.ask("device/mouth-to-ear")
    assert ms == pytest.approx(rigged.session.report()["latency_ms"], abs=0.01)
    assert words.startswith(f"{found.ms:g} ms from mouth to ear, {found.samples} samples")
    parts = {part: rigged.ask(f"device/latency/{part}")[0] for part in ("block", "work", "stages", "device", "sum")}
    assert parts.pop("sum") == pytest.approx(sum(parts.values()), abs=0.02)


@pytest.mark.parametrize("choice", [DELAY_CHOICES[1], DELAY_CHOICES[4]], ids=lambda choice: choice.name)
def test_quality_or_delay_is_one_choice_that_costs_what_it_says(rigged, choice):
    cost_ms = rigged.ask(f"device/cost/{choice.name}")[0]
    rigged.send("device/quality", choice.name)
    until(lambda: rigged.session.report()["block"] == choice.block)
    report = rigged.plays()
    assert report["latency_ms"] == pytest.approx(cost_ms, abs=0.01)
    assert rigged.ask("device/quality") == (choice.name,)
    assert rigged.ask("device/block") == (str(choice.block),)
    assert (rigged.session.restarts, rigged.session.playing) == (0, True)


def test_a_device_that_cannot_be_opened_leaves_the_one_before_and_says_so(rigged):
    rigged.send("device/block", "256")
    until(lambda: rigged.session.report()["block"] == 256)
    before = rigged.plays()["device"]
    rigged.session.use(f"jack:{OTHER}", None, None)
    until(lambda: any("going back to the device before" in news for news in rigged.said))
    assert rigged.plays()["device"] == before
    assert rigged.session.audio.choice == "jack"
    assert any(OTHER in news for news in rigged.said)
    assert rigged.session.restarts == 0
    rigged.send("device/audio", "jack:/etc/passwd")  # not one of those that were found: refused
    rigged.send("device/block", "100")
    assert rigged.ask("device/audio") == ("jack",)
    assert rigged.session.report()["block"] == 256


def test_another_device_plays_as_soon_as_it_is_chosen_and_so_does_the_first_again(rigged):
    server = start_server(OTHER)
    try:
        rigged.session.use(f"jack:{OTHER}", None, None)
        until(lambda: rigged.session.audio.choice.endswith(OTHER) and rigged.session.report()["rate"])
        rigged.plays()
    finally:
        rigged.session.use("jack", None, None)
        until(lambda: rigged.session.audio.choice == "jack")
        rigged.plays()
        stop(server)
    assert any(news.startswith("playing on JACK client") for news in rigged.said)


def test_devices_are_found_and_named(rigged):
    rigged.send("device/scan")
    until(lambda: "found" in rigged.ask("device/status")[0], 40)
    assert any(line.startswith("jack\tJACK, block") for line in rigged.ask("device/names")[0].splitlines())
    assert "48000 Hz" in rigged.ask("device/now")[0]


def test_without_a_click_that_comes_back_the_error_says_what_to_do(rigged):
    with pytest.raises(MeasureError, match="connect an output to an input"):
        measure_mouth_to_ear(rigged.session.shared.status, None)
