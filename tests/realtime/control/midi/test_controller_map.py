"""The controller map: events set parameters, the control that was moved is learned, what came in is not sent back."""

import threading
from itertools import chain

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.osc import Sink

from gramophone.models.parameters import ParameterError
from gramophone.presets import Preset, StageSettings, save
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.midi.controller_map import ControllerMap
from gramophone.realtime.midi.decoder import MidiDecoder
from gramophone.realtime.midi.mapping import ControlMapping, with_mappings

CHAIN = Preset(
    "test", (StageSettings("delay", "delay"), StageSettings("gain", "gain"), StageSettings("low", "lowpass"))
)


class Rig:
    """A controller, its map, and a MIDI cable to it."""

    def __init__(self, *mappings, programs=None, preset=CHAIN):
        self.sink = Sink()
        self.controller = Controller(preset, self.sink, patience_s=60)
        self.controller_map = ControllerMap(self.controller, mappings or None, programs)
        self.decoder = MidiDecoder()
        self.controller_map.tick()

    def play(self, *messages, port="box", time_s=0.0):
        for message in mido.parse_all(bytes(chain.from_iterable(messages))):
            for event in self.decoder.decode(message):
                self.controller_map.receive(event, port, time_s)

    def shown(self):
        return [tuple(outgoing.message.bytes()) for outgoing in self.controller_map.tick()]


def cc(number, value, channel=1):
    return 0xB0 | channel - 1, number, value


def test_a_fader_turns_its_knob_over_the_whole_range():
    rig = Rig(ControlMapping("low.frequency", number=7))
    low, high = rig.controller.parameters["low.frequency"].range
    rig.play(cc(7, 0))
    assert rig.controller.get("low.frequency") == low
    rig.play(cc(7, 127))
    assert rig.controller.get("low.frequency") == high


def test_channel_and_port_are_heeded():
    rig = Rig(ControlMapping("gain.mix", number=7, channel=2, port="nano"))
    rig.play(cc(7, 10), port="nanoKONTROL")
    rig.play(cc(7, 10, 2), port="other")
    assert rig.controller.get("gain.mix") == 1.0
    rig.play(cc(7, 0, 2), port="nanoKONTROL")
    assert rig.controller.get("gain.mix") == 0.0


def test_one_control_may_turn_several_knobs_and_several_one():
    rig = Rig(
        ControlMapping("gain.mix", number=7),
        ControlMapping("low.mix", number=7, invert=True),
        ControlMapping("gain.mix", "bend"),
    )
    rig.play(cc(7, 127))
    assert (rig.controller.get("gain.mix"), rig.controller.get("low.mix")) == (1.0, 0.0)
    rig.play((0xE0, 0, 64))
    assert rig.controller.get("gain.mix") == 0.5


def test_buttons_work_bypass_mute_and_panic():
    rig = Rig(
        ControlMapping("bypass", "note", 60, mode="toggle"),
        ControlMapping("mute", "cc", 64, mode="momentary"),
        ControlMapping("panic", "cc", 65, mode="momentary"),
    )
    for message in ((0x90, 60, 9), (0x80, 60, 0), cc(64, 127), cc(64, 0), cc(65, 127), cc(65, 0), (0x90, 60, 9)):
        rig.play(message)
    assert rig.sink.calls == [("bypass", True), ("mute", True), ("mute", False), ("panic",), ("bypass", False)]


def test_a_program_change_calls_a_preset_and_a_missing_one_is_counted(tmp_path):
    paths = [tmp_path / "one.toml", tmp_path / "two.toml"]
    for path in paths:
        save(CHAIN, path)
    rig = Rig(programs=[str(path) for path in paths])
    rig.play((0xC0, 1))
    assert rig.controller.preset.name == "two"
    rig.play((0xC0, 5), (0xC0, 5))
    assert rig.controller.preset.name == "two"
    assert list(rig.controller_map.errors.values()) == [2]


def test_a_preset_brings_its_mappings_and_one_without_leaves_them():
    mapped = with_mappings(CHAIN, [ControlMapping("gain.mix", number=7)])
    rig = Rig(preset=mapped)
    assert rig.controller_map.mappings == (ControlMapping("gain.mix", number=7),)
    rig.controller.change(Preset("plain", CHAIN.stages[:1]))
    rig.controller_map.tick()
    assert len(rig.controller_map.mappings) == 1
    rig.play(cc(7, 5))  # a knob that this preset does not have: nothing, and no error
    assert not rig.controller_map.errors
    rig.controller.change(with_mappings(CHAIN, [ControlMapping("low.mix", number=8)]))
    rig.controller_map.tick()
    assert rig.controller_map.mappings == (ControlMapping("low.mix", number=8),)
    assert [row["number"] for row in rig.controller.preset.midi] == [8]


@given(st.lists(st.binary(max_size=60), max_size=10))
@settings(deadline=None, max_examples=50)
def test_no_bytes_stop_the_map_or_set_a_wrong_value(chunks):
    kinds = ("cc", "cc14", "nrpn", "bend", "pressure", "note")
    every = [ControlMapping("low.frequency", kind) for kind in kinds]
    rig = Rig(*every, ControlMapping("panic", mode="momentary"), programs=[])
    rig.controller_map.learn("gain.gain")
    rig.play(*chunks)
    rig.controller_map.stop_learning()
    rig.play(*chunks)
    rig.shown()
    low, high = rig.controller.parameters["low.frequency"].range
    assert low <= rig.controller.get("low.frequency") <= high
    rig.controller_map.mappings = [ControlMapping("low.frequency")]
    rig.play(cc(0, 127))
    assert rig.controller.get("low.frequency") == high


# Learning


def ramp(number, *values, channel=1):
    return [cc(number, value, channel) for value in values]


def nrpn(number, value):
    return [cc(99, number >> 7), cc(98, number & 127), cc(6, value >> 7), cc(38, value & 127)]


def fine(number, values):
    return [message for value in values for message in (cc(number, value >> 7), cc(number + 32, value & 127))]


@pytest.mark.parametrize(
    ("knob", "played", "expected"),
    [
        ("gain.gain", ramp(7, 40, 42, 45, 47, 50, 53), ("cc", 7, "pickup")),
        ("gain.gain", ramp(80, 3, 5, 8, 12, 15, 20), ("cc", 80, "pickup")),
        ("gain.gain", fine(7, range(5000, 7000, 100)), ("cc14", 7, "pickup")),
        ("gain.gain", fine(7, range(5000, 7000, 20)), ("cc14", 7, "pickup")),
        ("gain.gain", [m for v in range(3000, 5000, 90) for m in nrpn(300, v)], ("nrpn", 300, "pickup")),
        ("gain.gain", [*nrpn(300, 5)[:2], *[cc(96, 0)] * 3], ("nrpn", 300, "absolute")),
        ("gain.gain", ramp(16, 1, 1, 1, 1, 127, 127, 127), ("cc", 16, "twos-complement")),
        ("gain.gain", ramp(16, 127, 127, 126, 126, 127, 127), ("cc", 16, "twos-complement")),
        ("gain.gain", ramp(16, 65, 65, 65, 66, 63, 63, 63), ("cc", 16, "binary-offset")),
        ("gain.gain", ramp(16, 1, 1, 1, 1, 65, 65, 65), ("cc", 16, "signed-bit")),
        ("gain.gain", [(0xE0, 0, value) for value in (64, 70, 80, 90)], ("bend", 0, "absolute")),
        ("gain.gain", [(0xD0, value) for value in (5, 30, 60, 90)], ("pressure", 0, "absolute")),
        ("gain.gain", [(0x90, 60, 80), (0x80, 60, 0)], ("note", 60, "absolute")),
        ("gain.gain", [(0x90, 60, 80), (0xD0, 30), (0xD0, 99), (0x80, 60, 0)], ("pressure", 0, "absolute")),
        ("gain.bypass", [(0x90, 60, 80), (0x90, 60, 0)], ("note", 60, "toggle")),
        ("gain.bypass", ramp(64, 127, 0), ("cc", 64, "toggle")),
        ("panic", ramp(64, 127, 0), ("cc", 64, "momentary")),
        ("mute", ramp(64, 127, 0), ("cc", 64, "toggle")),
    ],
)
def test_what_is_moved_is_learned_as_what_it_is(knob, played, expected):
    rig = Rig()
    stray = [cc(100 - 10, 5), *[cc(20, 60 + k % 2) for k in range(10)]]  # a message, and a worn fader that trembles
    learned = []
    rig.controller_map.learn(knob, learned.append)
    before = rig.controller.get("gain.gain")
    rig.play(*stray, *played)
    assert [(m.control, m.number, m.mode) for m in learned] == [expected]
    assert [m.knob for m in rig.controller_map.mappings] == [knob]
    if expected[2] == "pickup":
        assert rig.controller.get("gain.gain") == before


@pytest.mark.parametrize(
    "stray",
    [
        ramp(7, 64),
        ramp(7, 64, 65, 64, 65),
        ramp(7, 1, 1, 1, 1, 1),
        ramp(7, 127),
        [(0x90, 60, 80)],
        [(0xC0, 3)],
        [(0xF8,)],
    ],
)
def test_a_stray_message_is_not_learned(stray):
    rig = Rig()
    rig.controller_map.learn("gain.gain")
    rig.play(*stray)
    assert not rig.controller_map.mappings
    assert rig.controller_map.hint


def test_an_encoder_turned_one_way_is_asked_for_the_other():
    rig = Rig()
    rig.controller_map.learn("gain.gain")
    assert "move a control" in rig.controller_map.hint
    rig.play(*ramp(7, 1, 1, 1, 1))
    assert "other way" in rig.controller_map.hint
    rig.play(*ramp(7, 127, 127))
    assert rig.controller_map.hint is None


def test_learning_replaces_and_unlearning_removes():
    rig = Rig(ControlMapping("gain.gain", number=1), ControlMapping("low.mix", number=2))
    rig.controller_map.learn("gain.gain")
    rig.play(*ramp(7, 0, 20, 40, 60))
    assert [(m.knob, m.number) for m in rig.controller_map.mappings] == [("low.mix", 2), ("gain.gain", 7)]
    rig.controller_map.unlearn("gain.gain")
    assert [m.knob for m in rig.controller_map.mappings] == ["low.mix"]
    with pytest.raises(ParameterError, match=r"did you mean gain\.gain"):
        rig.controller_map.learn("gain.gian")


# Feedback


def test_changes_from_elsewhere_are_sent_back_and_the_controls_own_are_not():
    rig = Rig(ControlMapping("gain.mix", number=7), ControlMapping("gain.mix", "bend"))
    rig.play(cc(7, 32))
    assert all(message[0] == 0xE0 for message in rig.shown())
    rig.controller.set("gain.mix", 0.5)
    assert sorted(rig.shown()) == [(0xB0, 7, 64), (0xE0, 0, 64)]
    rig.controller.set("gain.mix", 0.5001)
    assert (0xB0, 7, 64) not in rig.shown()
    rig.play(cc(7, 100))
    rig.shown()
    rig.controller.set("gain.mix", 0.5)
    assert (0xB0, 7, 64) in rig.shown()


def test_a_motor_that_sends_back_what_it_was_sent_turns_nothing():
    rig = Rig(
        ControlMapping("gain.mix", number=7),
        ControlMapping("low.mix", "cc14", 1),
        ControlMapping("delay.mix", "nrpn", 5),
    )
    for knob in ("gain.mix", "low.mix", "delay.mix"):
        rig.controller.set(knob, 0.4567)
    for message in rig.shown():
        rig.play(message)
    for knob in ("gain.mix", "low.mix", "delay.mix"):
        assert rig.controller.get(knob) == 0.4567
    rig.play(cc(7, 0), *fine(1, [0]), *nrpn(5, 0))
    assert [rig.controller.get(knob) for knob in ("gain.mix", "low.mix", "delay.mix")] == [0.0, 0.0, 0.0]


def test_lamps_follow_toggles_and_rings_follow_encoders_that_have_them():
    rig = Rig(
        ControlMapping("gain.bypass", "note", 60, mode="toggle"),
        ControlMapping("gain.mix", number=16, mode="binary-offset", ring=True),
        ControlMapping("low.mix", number=17, mode="binary-offset"),
    )
    rig.play((0x90, 60, 99), (0x80, 60, 0))
    assert rig.shown() == [(0x90, 60, 127)]
    rig.play(cc(16, 63), cc(17, 63))
    assert rig.shown() == [(0xB0, 16, 126)]
    rig.play((0x90, 60, 99))
    assert rig.shown() == [(0x90, 60, 0)]


def test_feedback_goes_to_the_channel_of_the_last_message():
    rig = Rig(ControlMapping("gain.mix", number=7))
    rig.play(cc(7, 10, 5))
    rig.controller.set("gain.mix", 1.0)
    assert rig.shown() == [(0xB4, 7, 127)]


def test_feedback_reads_back_as_the_parameters_value():
    for control, number, error in (("cc", 7, 1 / 254), ("cc14", 7, 1e-4), ("nrpn", 1000, 1e-4), ("bend", 0, 1e-4)):
        rig = Rig(ControlMapping("gain.mix", control, number, curve=1.5))
        other = Rig(ControlMapping("gain.mix", control, number, curve=1.5))
        for value in (0.9, 0.31, 0.65, 0.0):
            rig.controller.set("gain.mix", value)
            other.play(*rig.shown())
            assert other.controller.get("gain.mix") == pytest.approx(value, abs=2 * error)


def test_many_threads_at_once_end_at_the_value_that_was_set_last():
    rig = Rig(ControlMapping("gain.mix", number=7))

    def turn():
        for k in range(500):
            rig.controller.set("gain.mix", k / 500)

    threads = [threading.Thread(target=turn) for _ in range(3)]
    for thread in threads:
        thread.start()
    sent = []
    for k in range(300):
        rig.play(cc(7, k % 128))
        sent += rig.shown()
    for thread in threads:
        thread.join()
    sent += rig.shown()
    rig.controller.set("gain.mix", 0.0)
    rig.controller.set("gain.mix", 1.0)
    assert (sent + rig.shown())[-1] == (0xB0, 7, 127)
    assert not rig.controller_map.errors


# Clock


def beat(rig, bpm, seconds, start=0.0, port="box"):
    for k in range(int(seconds * bpm * 24 / 60)):
        rig.play((0xF8,), port=port, time_s=start + k * 60 / 24 / bpm)


def test_a_time_in_beats_follows_the_clock():
    rig = Rig(ControlMapping("delay.time", "clock", beats=0.75))
    beat(rig, 120, 3)
    assert rig.controller.get("delay.time") == pytest.approx(375, abs=0.2)
    beat(rig, 100, 8, start=3)
    assert rig.controller.get("delay.time") == pytest.approx(450, abs=0.5)
    rig.controller_map.set_tempo(60)
    assert rig.controller.get("delay.time") == 750


def test_a_time_mapped_later_or_in_another_preset_takes_the_tempo_that_is():
    rig = Rig()
    rig.controller_map.set_tempo(120)
    rig.controller.change(with_mappings(CHAIN, [ControlMapping("delay.time", "clock")]))
    rig.controller_map.tick()
    assert rig.controller.get("delay.time") == 500


def test_one_clock_leads_until_it_is_gone():
    rig = Rig(ControlMapping("delay.time", "clock"))
    beat(rig, 120, 3)
    beat(rig, 200, 1, start=3, port="other")
    assert rig.controller_map.bpm == pytest.approx(120, abs=0.1)
    beat(rig, 200, 5, start=6, port="other")
    assert rig.controller_map.bpm == pytest.approx(200, abs=0.1)


def test_start_and_stop_are_known():
    rig = Rig()
    assert not rig.controller_map.runs
    rig.play((0xFA,))
    assert rig.controller_map.runs
    rig.play((0xFC,))
    assert not rig.controller_map.runs
    rig.play((0xFB,))
    assert rig.controller_map.runs
