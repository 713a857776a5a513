"""Real ports and another process, which plays over JACK with mido; devices and servers come and go."""

import json
import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.jack_server import (
    BACKEND,
    SERVER,
    server,  # noqa: F401 - fixtures
    start_server,
    stop,
    until,
)
from support.osc import Setup, Sink

from gramophone.presets import Preset, StageSettings, load
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.midi import ControllerMap, ControlMapping, MidiError, backends, devices, midi_controls
from gramophone.realtime.control.midi.backends import device_of
from gramophone.realtime.control.midi.ports import messages_in
from gramophone.realtime.control.osc import osc_server

pytest.importorskip("rtmidi", reason="needs python-rtmidi: pip install python-rtmidi")

CHAIN = Preset("test", (StageSettings("delay", "delay"), StageSettings("gain", "gain")))

PEER = """
import json, sys, time
import mido
backend = mido.Backend("mido.backends.rtmidi/UNIX_JACK")
ports = {}
def answer(what):
    print(json.dumps(what), flush=True)
for line in sys.stdin:
    command, *rest = json.loads(line)
    if command == "plug":
        ports[rest[0]] = backend.open_output("knobs", virtual=True, client_name=rest[0])
        answer(None)
    elif command == "unplug":
        ports.pop(rest[0]).close()
        answer(None)
    elif command == "connect":
        ports[rest[0]] = (backend.open_input if rest[1] == "in" else backend.open_output)(rest[0])
        answer(None)
    elif command == "send":
        for data in rest[1]:
            ports[rest[0]].send(mido.Message.from_bytes(data))
        answer(None)
    elif command == "send raw":
        for data in rest[1]:
            ports[rest[0]]._rt.send_message(data)
        answer(None)
    elif command == "receive":
        answer([message.bytes() for message in ports[rest[0]].iter_pending()])
    elif command == "clock":
        port, bpm, beats = rest
        start, times = time.perf_counter(), []
        for k in range(beats * 24):
            time.sleep(max(0.0, start + k * 2.5 / bpm - time.perf_counter()))
            ports[port].send(mido.Message("clock"))
            times.append(time.perf_counter())
        answer(2.5 * (len(times) - 1) / (times[-1] - times[0]))
    elif command == "names":
        answer([backend.get_input_names(), backend.get_output_names()])
"""


class Peer:
    """Another process with a MIDI device."""

    def __init__(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([sys.executable, "-c", PEER], text=True, **pipes)

    def __call__(self, *command):
        print(json.dumps(command), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        assert answer, f"the peer died at {command}"
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


@pytest.fixture
def on_server(server, monkeypatch):
    monkeypatch.setenv("JACK_DEFAULT_SERVER", SERVER)
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")


@pytest.fixture
def peer(on_server):
    peer = Peer()
    yield peer
    peer.close()


def plugged(controls, name):
    return any(name in port for port in controls.inputs)


def controller(sink=None):
    return Controller(CHAIN, sink or Sink(), patience_s=60)


@pytest.mark.peer
def test_a_device_that_is_there_or_plugged_in_later_turns_knobs_and_may_be_pulled_out(peer):
    mappings = [ControlMapping("gain.mix", number=7), ControlMapping("mute", "note", 60, mode="momentary")]
    sink = Sink()
    knobs = controller(sink)
    peer("plug", "first")
    with midi_controls(ControllerMap(knobs, mappings), backend=BACKEND) as controls:
        until(lambda: plugged(controls, "first"))
        peer("send", "first", [[0xB0, 7, 0]])
        until(lambda: knobs.get("gain.mix") == 0.0)
        peer("plug", "second")
        until(lambda: plugged(controls, "second"))
        peer("send", "second", [[0xB0, 7, 127], [0x90, 60, 1]])
        until(lambda: sink.calls[-1] == ("mute", True))
        assert knobs.get("gain.mix") == 1.0
        peer("unplug", "second")
        until(lambda: not plugged(controls, "second"))
        assert sink.calls[-1] == ("mute", False)  # the key that was down is released
        peer("send", "first", [[0xB0, 7, 0]])
        until(lambda: knobs.get("gain.mix") == 0.0)
        assert not controls.controller_map.errors
    inputs, outputs = peer("names")
    assert not any("gramophone" in name for name in inputs + outputs)


@pytest.mark.peer
def test_only_devices_that_are_named_are_heard(peer):
    peer("plug", "wanted")
    peer("plug", "other")
    with midi_controls(ControllerMap(controller()), names=["WANT"], backend=BACKEND) as controls:
        until(lambda: plugged(controls, "wanted"))
        assert not plugged(controls, "other")
    assert sorted(devices(BACKEND)) == ["other:knobs", "wanted:knobs"]


@pytest.mark.peer
def test_our_own_port_hears_and_shows_the_whole_of_a_flood(peer):
    knobs = controller()
    with midi_controls(ControllerMap(knobs, [ControlMapping("gain.mix", "cc14", 7)]), backend=BACKEND) as controls:
        peer("connect", "gramophone-midi:gramophone", "out")
        peer("connect", "gramophone-lamps:gramophone", "in")
        knobs.set("gain.mix", 0.5)
        until(lambda: [0xB0, 7, 64] in peer("receive", "gramophone-lamps:gramophone"))
        flood = [[0xB0, 7 + 32 * (k % 2), k // 2 % 128] for k in range(10_000)]
        flood += [[0xF0, *[5] * 1000, 0xF7]] * 20 + [[0xB0, 7, 33], [0xB0, 39, 44]]
        for start in range(0, len(flood), 200):
            peer("send", "gramophone-midi:gramophone", flood[start : start + 200])
        until(lambda: knobs.get("gain.mix") == (33 << 7 | 44) / 16383)
        until(lambda: not peer("receive", "gramophone-lamps:gramophone"))  # what came in is not sent back
        knobs.set("gain.mix", 0.0)
        until(lambda: [0xB0, 7, 0] in peer("receive", "gramophone-lamps:gramophone"))
        assert not controls.controller_map.errors
        assert controls.inputs == ("gramophone",)  # what is connected to it is not listened to twice


@pytest.mark.peer
def test_an_unfinished_sysex_does_not_deafen_a_port(peer):
    """Any status byte ends it: what follows is received, nothing is lost."""
    sink = Sink()
    knobs = controller(sink)
    mappings = [ControlMapping("gain.mix", number=7), ControlMapping("mute", "note", 60, mode="momentary")]
    with midi_controls(ControllerMap(knobs, mappings), backend=BACKEND) as controls:
        peer("plug", "box")
        until(lambda: plugged(controls, "box"))
        for value in (0, 127):
            peer("send raw", "box", [[0xF0, 1, 2], [0x90, 60, 9], [0xF8], [0x80, 60, 0], [0xB0, 7, value]])
            until(lambda value=value: knobs.get("gain.mix") == value / 127)
        assert sink.calls.count(("mute", True)) == sink.calls.count(("mute", False)) == 2


MESSAGES = [[0xB0, 7, 5], [0x90, 60, 1], [0xC0, 3], [0xD0, 9], [0xE0, 1, 2], [0xF8], [0xF2, 1, 2], [0xF6], [0xFF]]


@given(st.lists(st.sampled_from(MESSAGES), min_size=1), st.lists(st.integers(0, 127), max_size=50))
def test_every_message_behind_an_unfinished_sysex_is_found(messages, data):
    flat = [byte for message in messages for byte in message]
    for end in ([], [0xF7]):
        found, is_whole = messages_in([0xF0, *data, *flat, *end])
        assert [message.bytes() for message in found if message.type != "sysex"] == messages
        assert not is_whole or found[-1].type == "sysex"


@pytest.mark.parametrize(
    ("packet", "is_whole"),
    [
        ([0xB0, 7], False),
        ([0xB0, 7, 0xB0, 70, 1], False),
        ([0xF4], False),
        ([0xF9], False),
        ([0xF0, 1, 2], False),
        ([0xF1, 1, 5], False),
        ([0xF0, *[0] * 100_000, 0xF7], True),
        ([0xF0, 1, 0xF8, 2, 0xF7], True),
        ([0xB0, 7, 1, 0x90, 60, 1], True),
        ([7, 8], True),
        ([7, 8, 0xF7], True),
        ([0xF7], True),
    ],
)
def test_bytes_that_are_no_message_are_noticed_except_the_rest_of_a_sysex(packet, is_whole):
    assert messages_in(packet)[1] is is_whole


@pytest.mark.peer
def test_a_control_is_learned_from_a_real_port(peer):
    learned, knobs = [], controller()
    with midi_controls(ControllerMap(knobs), backend=BACKEND) as controls:
        peer("plug", "box")
        until(lambda: plugged(controls, "box"))
        controls.controller_map.learn("delay.feedback", learned.append)
        peer("send", "box", [[0xB2, 21, value] for value in range(10, 60, 4)])
        until(lambda: learned)
        assert learned == [ControlMapping("delay.feedback", number=21, channel=3, mode="pickup")]
        assert knobs.preset.midi[0]["number"] == 21


@pytest.mark.peer
def test_the_tempo_of_another_process_is_followed(peer):
    knobs = controller()
    with midi_controls(ControllerMap(knobs, [ControlMapping("delay.time", "clock")]), backend=BACKEND) as controls:
        peer("plug", "drums")
        until(lambda: plugged(controls, "drums"))

        def is_followed():  # once at least: this machine, or JACK, may stall while the other process plays
            played = peer("clock", "drums", 180, 4)
            return controls.controller_map.bpm and abs(controls.controller_map.bpm - played) < 1.0

        until(is_followed)
        assert knobs.get("delay.time") == pytest.approx(60_000 / controls.controller_map.bpm)


@pytest.mark.peer
def test_a_server_that_is_restarted_is_found_again(on_server, monkeypatch):
    pytest.importorskip("jack", reason="needs JACK-Client to notice that the server is gone: pip install JACK-Client")
    monkeypatch.setenv("JACK_DEFAULT_SERVER", name := f"{SERVER}-b")
    server, peer, knobs = start_server(name), Peer(), controller()
    with midi_controls(ControllerMap(knobs, [ControlMapping("gain.mix", number=7)]), backend=BACKEND) as controls:
        peer("plug", "box")
        until(lambda: plugged(controls, "box"))
        stop(server)
        until(lambda: not controls.inputs)
        peer.close()
        again, other = start_server(name), Peer()
        try:
            other("plug", "new")
            until(lambda: plugged(controls, "new"))
            other("send", "new", [[0xB0, 7, 0]])
            until(lambda: knobs.get("gain.mix") == 0.0)
        finally:
            other.close()
            stop(again)


def test_a_machine_without_midi_gets_a_message(monkeypatch):
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "nonesuch")
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    with (
        pytest.raises(MidiError, match="no MIDI backend 'TELEGRAPH'; expected one of"),
        midi_controls(ControllerMap(controller()), backend="TELEGRAPH"),
    ):
        pass
    if BACKEND in backends():
        with (
            pytest.raises(MidiError, match="MIDI cannot be opened"),
            midi_controls(ControllerMap(controller()), backend=BACKEND),
        ):
            pass


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("system:midi_capture_3", "system:midi_playback_3"),
        (
            "a2j:nanoKONTROL2 [20] (capture): nanoKONTROL2 MIDI 1",
            "a2j:nanoKONTROL2 [20] (playback): nanoKONTROL2 MIDI 1",
        ),
        ("MIDIIN2 (Launchpad) 1", "MIDIOUT2 (Launchpad) 4"),
        ("nanoKONTROL2:nanoKONTROL2 MIDI 1 20:0", "nanoKONTROL2:nanoKONTROL2 MIDI 1 20:0"),
        ("X-Touch Mini In", "X-Touch Mini Out"),
    ],
)
def test_the_two_ports_of_a_device_are_paired(one, other):
    assert device_of(one) == device_of(other)


def test_two_devices_are_not_paired():
    assert device_of("system:midi_capture_3") != device_of("system:midi_playback_4")
    assert device_of("nanoKONTROL2 1") != device_of("nanoPAD2 1")


@pytest.mark.peer
def test_a_control_is_learned_by_osc_from_a_real_device_and_saved(peer, tmp_path, monkeypatch):
    """Three processes: oscsend starts learning, a device on JACK is moved, the saved preset has the mapping."""
    if not shutil.which("oscsend"):
        pytest.skip("needs oscsend: apt-get install liblo-tools")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    setup = Setup(CHAIN, surfaces=True)

    def oscsend(*words):
        subprocess.run(["oscsend", "localhost", str(server.port), *words], check=True)

    with osc_server(setup.space, 0) as server, midi_controls(setup.controller_map, backend=BACKEND) as controls:
        peer("plug", "box")
        until(lambda: plugged(controls, "box"))
        oscsend("/gramophone/midi/learn", "s", "delay.feedback")
        until(lambda: setup.controller_map.learning == "delay.feedback")
        peer("send", "box", [[0xB2, 21, value] for value in range(10, 60, 4)])
        until(lambda: setup.controller_map.controls == {"delay.feedback": "CC 21 ch 3"})
        oscsend("/gramophone/save", "s", "With Knobs")
        until(lambda: setup.controller.name == "with-knobs")
        assert load("with-knobs").midi[0] == {
            "knob": "delay.feedback",
            "control": "cc",
            "number": 21,
            "channel": 3,
            "mode": "pickup",
        }
        oscsend("/gramophone/midi/unlearn", "s", "delay.feedback")
        until(lambda: not setup.controller_map.mappings)
        setup.saved()
        assert load("with-knobs").midi == ()
        assert not setup.errors


@pytest.mark.peer
def test_inputs_are_chosen_while_they_are_open(peer):
    peer("plug", "pads")
    peer("plug", "keys")
    controller_map = ControllerMap(controller(), mappings=())
    with midi_controls(controller_map, backend=BACKEND) as controls:
        until(lambda: plugged(controls, "pads") and plugged(controls, "keys"))
        (chosen,) = [name for name in controls.present if name.startswith("keys")]
        controls.choose((chosen,))
        until(lambda: not plugged(controls, "pads") and plugged(controls, "keys"))
        assert any(name.startswith("pads") for name in controls.present)
        controls.choose(())
        until(lambda: not plugged(controls, "keys"))
        controls.choose(None)
        until(lambda: plugged(controls, "pads") and plugged(controls, "keys"))
    assert controller_map.errors == {}
