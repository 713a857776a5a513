"""Bytes to events: nothing raises, 14 bits arrive whole, a movement never seems to turn round."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mido.parser import Parser

from gramophone.realtime.midi.decoder import Beat, Control, MidiDecoder, Moved, Program, Stepped
from gramophone.realtime.midi.tokens import Tokenizer

BEND, FINE = Control("bend", 1), Control("cc14", 1, 7)


def cc(number, value, channel=1):
    return bytes((0xB0 | channel - 1, number, value))


def nrpn(number, value, channel=1):
    pairs = ((99, number >> 7), (98, number & 127), (6, value >> 7), (38, value & 127))
    return b"".join(cc(*pair, channel) for pair in pairs)


def moves(events, kind):
    return [event for event in events if isinstance(event, Moved) and event.control.kind == kind]


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_no_bytes_raise_and_every_event_is_in_range(chunks):
    decoder = MidiDecoder()
    events = [event for chunk in chunks for event in (*decoder.stream(chunk), *decoder.packet(chunk))]
    for event in (*events, *decoder.release()):
        if isinstance(event, Moved):
            assert 0 <= event.position <= 1
            assert 0 <= event.value <= event.top
    assert not decoder.release()


@given(st.lists(st.integers(0, 0xFFFFFF), max_size=50), st.data())
def test_whole_messages_are_cut_as_mido_cuts_them(numbers, data):
    statuses = [0x80 | n >> 16 & 0x7F for n in numbers]
    lengths = {0xC0: 1, 0xD0: 1}
    stream = b""
    for n, status in zip(numbers, statuses, strict=True):
        if status < 0xF0:
            stream += bytes((status, n >> 8 & 127, n & 127))[: 1 + lengths.get(status & 0xF0, 2)]
        elif status == 0xF0:
            stream += b"\xf0" + bytes([n & 127]) * (n >> 8 & 127) + b"\xf7"
        elif status in (0xF8, 0xFA, 0xFB, 0xFC, 0xFE, 0xFF):
            stream += bytes((status,))
    tokens = Tokenizer()
    cut = data.draw(st.integers(0, len(stream)))
    ours = [*tokens.stream(stream[:cut]), *tokens.stream(stream[cut:])]
    parser = Parser(stream)
    assert ours == [bytes(message.bytes()) for message in parser if message.type != "sysex"]
    assert tokens.errors == 0


def test_running_status_and_clock_inside_a_message_are_understood():
    events = MidiDecoder().stream(b"\xb0\x46\x01\x46\xf8\x02\xf0\x01\x02\xf8\x03\xf7\xb0\x46\x03")
    assert [event.value for event in moves(events, "cc")] == [1, 2, 3]
    assert events.count(Beat("tick")) == 2


@pytest.mark.parametrize(
    ("data", "errors"),
    [
        (b"\x07\x08", 2),
        (b"\xb0\x07", 1),
        (b"\xb0\x07\xb0\x46\x01", 1),
        (b"\xf7", 1),
        (b"\xf4", 1),
        (b"\xf9", 1),
        (b"\xf0\x01\x02", 1),
        (b"\xf1\x01\x05", 1),
        (b"\xf0" + b"\x00" * 100_000 + b"\xf7", 0),
    ],
)
def test_what_is_no_message_is_counted_and_nothing_else(data, errors):
    decoder = MidiDecoder()
    decoder.packet(data)
    assert decoder.errors == errors
    assert decoder.packet(cc(70, 5)) == [Moved(Control("cc", 1, 70), 5)]


def test_a_packet_that_was_cut_does_not_spoil_the_next():
    decoder = MidiDecoder()
    decoder.packet(b"\xb0\x46")
    assert not decoder.packet(b"\x46\x01")
    assert decoder.packet(cc(70, 5)) == [Moved(Control("cc", 1, 70), 5)]


@given(st.lists(st.integers(0, 16383), min_size=1, max_size=40), st.sampled_from(["cc14", "nrpn"]))
def test_pairs_arrive_with_all_14_bits_and_never_turn_round(values, kind):
    decoder = MidiDecoder()
    make = nrpn if kind == "nrpn" else lambda n, v: cc(n, v >> 7) + cc(n + 32, v & 127)
    decoder.stream(make(7, 0))
    for before, value in pairwise([0, *values]):
        seen = moves(decoder.stream(make(7, value)), kind)
        assert seen[-1].value == value
        assert seen[-1].top == 16383
        assert all(min(before, value) <= event.value <= max(before, value) for event in seen)


def test_a_coarse_control_reaches_both_ends_without_fine_bytes():
    decoder = MidiDecoder()
    assert [e.position for v in (0, 127) for e in moves(decoder.stream(cc(7, v)), "cc14")] == [0.0, 1.0]


@given(st.integers(0, 16383), st.integers(1, 16))
def test_parameter_numbers_are_read_and_their_plumbing_is_no_control(number, channel):
    decoder = MidiDecoder()
    events = decoder.stream(nrpn(number, 5 << 7, channel))
    if number == 16383:
        assert not moves(events, "nrpn")
    else:
        assert {event.control for event in events} == {Control("nrpn", channel, number)}
        steps = decoder.stream(cc(96, 0, channel) + cc(97, 0, channel))
        assert [event.steps for event in steps if isinstance(event, Stepped)] == [1, -1]


def test_registered_parameters_are_others_than_unregistered_ones():
    events = MidiDecoder().stream(cc(101, 0) + cc(100, 2) + cc(6, 64) + cc(99, 0) + cc(98, 2) + cc(6, 65))
    assert [event.control.kind for event in events] == ["rpn", "nrpn"]


def test_a_bend_wheel_has_an_exact_middle_and_both_ends():
    def at(value):
        return MidiDecoder().stream(bytes((0xE0, value & 127, value >> 7)))[0].position

    assert [at(0), at(8192), at(16383)] == [0.0, 0.5, 1.0]
    assert all(at(a) < at(b) for a, b in pairwise(range(0, 16384, 7)))


def test_notes_pressure_and_programs():
    events = MidiDecoder().stream(b"\x91\x3c\x40\xa1\x3c\x20\xd1\x10\x81\x3c\x7f\xc1\x05")
    assert events == [
        Moved(Control("note", 2, 60), 64),
        Moved(Control("polypressure", 2, 60), 32),
        Moved(Control("pressure", 2), 16),
        Moved(Control("note", 2, 60), 0),
        Program(2, 5),
    ]


@pytest.mark.parametrize("letting_go", [cc(123, 0), cc(120, 0), b"\xff"])
def test_hung_notes_are_let_go(letting_go):
    decoder = MidiDecoder()
    decoder.stream(b"\x90\x3c\x40\x90\x3e\x40\x80\x3e\x00")
    assert decoder.stream(letting_go) == [Moved(Control("note", 1, 60), 0)]
    assert not decoder.release()
