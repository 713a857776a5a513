"""MIDI messages to events: nothing raises, 14 bits arrive whole, a movement never seems to reverse."""

from itertools import pairwise

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mido.messages.specs import SPEC_BY_TYPE

from gramophone.realtime.midi.decoder import Beat, Control, MidiDecoder, Moved, Program, Stepped

BEND, FINE = Control("bend", 1), Control("cc14", 1, 7)
BYTE = st.integers(0, 127)
VALUES = {
    "channel": st.integers(0, 15),
    "pitch": st.integers(-8192, 8191),
    "pos": st.integers(0, 16383),
    "frame_type": st.integers(0, 7),
    "frame_value": st.integers(0, 15),
    "data": st.lists(BYTE, max_size=20).map(tuple),
}
MESSAGES = st.sampled_from(sorted(SPEC_BY_TYPE)).flatmap(
    lambda kind: st.builds(
        mido.Message, st.just(kind), **{name: VALUES.get(name, BYTE) for name in SPEC_BY_TYPE[kind]["value_names"]}
    )
)


def cc(number, value, channel=1):
    return [mido.Message("control_change", channel=channel - 1, control=number, value=value)]


def nrpn(number, value, channel=1):
    pairs = ((99, number >> 7), (98, number & 127), (6, value >> 7), (38, value & 127))
    return [message for pair in pairs for message in cc(*pair, channel)]


def decoded(decoder, messages):
    return [event for message in messages for event in decoder.decode(message)]


def moves(events, kind):
    return [event for event in events if isinstance(event, Moved) and event.control.kind == kind]


@given(st.lists(MESSAGES, max_size=100))
def test_no_message_raises_and_every_event_is_in_range(messages):
    decoder = MidiDecoder()
    for event in (*decoded(decoder, messages), *decoder.release()):
        if isinstance(event, Moved):
            assert 0 <= event.position <= 1
            assert 0 <= event.value <= event.top
    assert not decoder.release()


@given(st.lists(st.integers(0, 16383), min_size=1, max_size=40), st.sampled_from(["cc14", "nrpn"]))
def test_pairs_arrive_with_all_14_bits_and_never_reverse(values, kind):
    decoder = MidiDecoder()
    make = nrpn if kind == "nrpn" else lambda n, v: cc(n, v >> 7) + cc(n + 32, v & 127)
    decoded(decoder, make(7, 0))
    for before, value in pairwise([0, *values]):
        seen = moves(decoded(decoder, make(7, value)), kind)
        assert seen[-1].value == value
        assert seen[-1].top == 16383
        assert all(min(before, value) <= event.value <= max(before, value) for event in seen)


def test_a_coarse_control_reaches_both_ends_without_fine_bytes():
    decoder = MidiDecoder()
    assert [e.position for v in (0, 127) for e in moves(decoded(decoder, cc(7, v)), "cc14")] == [0.0, 1.0]


@given(st.integers(0, 16383), st.integers(1, 16))
def test_parameter_numbers_are_read_and_their_plumbing_is_no_control(number, channel):
    decoder = MidiDecoder()
    events = decoded(decoder, nrpn(number, 5 << 7, channel))
    if number == 16383:
        assert not moves(events, "nrpn")
    else:
        assert {event.control for event in events} == {Control("nrpn", channel, number)}
        steps = decoded(decoder, cc(96, 0, channel) + cc(97, 0, channel))
        assert [event.steps for event in steps if isinstance(event, Stepped)] == [1, -1]


def test_registered_parameters_are_others_than_unregistered_ones():
    events = decoded(MidiDecoder(), cc(101, 0) + cc(100, 2) + cc(6, 64) + cc(99, 0) + cc(98, 2) + cc(6, 65))
    assert [event.control.kind for event in events] == ["rpn", "nrpn"]


def test_a_bend_wheel_has_an_exact_middle_and_both_ends():
    def at(value):
        return MidiDecoder().decode(mido.Message("pitchwheel", pitch=value - 8192))[0].position

    assert [at(0), at(8192), at(16383)] == [0.0, 0.5, 1.0]
    assert all(at(a) < at(b) for a, b in pairwise(range(0, 16384, 7)))


def test_notes_pressure_and_programs():
    events = decoded(MidiDecoder(), mido.parse_all(b"\x91\x3c\x40\xa1\x3c\x20\xd1\x10\x81\x3c\x7f\xc1\x05"))
    assert events == [
        Moved(Control("note", 2, 60), 64),
        Moved(Control("polypressure", 2, 60), 32),
        Moved(Control("pressure", 2), 16),
        Moved(Control("note", 2, 60), 0),
        Program(2, 5),
    ]


@pytest.mark.parametrize("letting_go", [cc(123, 0), cc(120, 0), [mido.Message("reset")]])
def test_hung_notes_are_let_go(letting_go):
    decoder = MidiDecoder()
    decoded(decoder, mido.parse_all(b"\x90\x3c\x40\x90\x3e\x40\x80\x3e\x00"))
    assert decoded(decoder, letting_go) == [Moved(Control("note", 1, 60), 0)]
    assert not decoder.release()


def test_clock_and_transport_are_beats():
    messages = mido.parse_all(b"\xf8\xfa\xfb\xfc")
    assert decoded(MidiDecoder(), messages) == [Beat("clock"), Beat("start"), Beat("continue"), Beat("stop")]
