"""Packets of sound as bytes, and what becomes of them when some are lost, late, doubled or out of order: no sockets."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramophone.realtime.live.devices.osc.jitter_buffer import Arrivals, Concealer, JitterBuffer
from gramophone.realtime.live.devices.osc.packet import FROM_US, NUMBERS, TO_US, SoundBlock, decode_sound, encode_sound
from gramophone.realtime.live.devices.osc.receiver import Receiver
from gramophone.realtime.osc.arguments import ErrorLog, RefusedError
from gramophone.realtime.osc.packet import encode

FRAMES, RATE = 64, 48_000
SINE = np.sin(np.arange(FRAMES * 400) / 30).astype(np.float32)[None]
LIMITS = 2, 4096


def block(number, sound=None, stream=7, rate=RATE):
    if sound is None:
        sound = SINE[:, number * FRAMES : (number + 1) * FRAMES]
    return SoundBlock(stream, number % NUMBERS, rate, sound)


def packet(*arguments, **more):
    return encode_sound(block(*arguments, **more), TO_US)


class Talk:
    """A listener that is fed by hand."""

    def __init__(self, depth=2):
        self.shown = []
        self.listener = Receiver(2, 4096, depth, ErrorLog(self.shown.append))

    def hear(self, data, peer="peer", now=0.0):
        return [turn.block for turn in self.listener.receive(data, peer, now)]

    def counts(self):
        return {name: count for name, count in vars(self.listener.arrivals).items() if count}


# packets


@pytest.mark.parametrize(("channels", "frames"), [(1, 1), (2, 64), (2, 4096)])
def test_a_packet_holds_what_was_put_in_bit_for_bit(channels, frames):
    sound = np.random.default_rng(0).standard_normal((channels, frames)).astype(np.float32)
    sent = SoundBlock(NUMBERS - 1, NUMBERS - 2, 44_100, sound)
    got = decode_sound(encode_sound(sent, TO_US), *LIMITS)
    assert got[:3] == sent[:3]
    np.testing.assert_array_equal(got.sound, sound)


def test_a_packet_is_laid_out_as_documented():
    sound = np.array([[1.0, -0.5], [0.25, 0.0]], np.float32)
    assert encode_sound(SoundBlock(1, 2, 48_000, sound)) == (
        b"/gramophone/audio/out\0\0\0,iiiib\0\0"
        + struct.pack(">iiiii", 1, 2, 48_000, 2, 16)
        + struct.pack(">ffff", 1.0, -0.5, 0.25, 0.0)
    )


def raw(stream=1, number=0, rate=RATE, channels=1, samples=bytes(256), types=b",iiiib\0\0", address=TO_US):
    head = address.encode() + bytes(4 - len(address) % 4) + types
    blob = struct.pack(">i", len(samples)) + samples + bytes(-len(samples) % 4)
    return head + struct.pack(">iiii", stream, number, rate, channels) + blob


BAD = {
    "nothing": b"",
    "no OSC": b"\xff" * 64,
    "cut short": raw()[:-8],
    "blob longer than the packet": raw()[:-256] + bytes(128),
    "another address": raw(address=FROM_US),
    "no arguments": encode(TO_US),
    "floats": encode(TO_US, (1.0, 2.0, 3.0)),
    "other types": raw(types=b",iiifb\0\0"),
    "a bundle": b"#bundle\0" + bytes(8),
    "rate 0": raw(rate=0),
    "negative rate": raw(rate=-48_000),
    "rate beyond all": raw(rate=2**31 - 1),
    "no channels": raw(channels=0),
    "negative channels": raw(channels=-1),
    "three channels": raw(channels=3, samples=bytes(12)),
    "no samples": raw(samples=b""),
    "half a sample": raw(samples=bytes(6)),
    "one channel longer": raw(channels=2, samples=bytes(12)),
    "longer than any block": raw(samples=bytes(4 * 4097)),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_a_bad_packet_is_refused_counted_and_shown_once_and_what_plays_goes_on(data):
    with pytest.raises(RefusedError):
        decode_sound(data, *LIMITS)
    talk = Talk(depth=0)
    assert talk.hear(packet(0))
    assert not talk.hear(data)
    assert not talk.hear(data)
    (next_block,) = talk.hear(packet(1))
    np.testing.assert_array_equal(next_block.sound, block(1).sound)
    assert talk.listener.refused == 2
    assert len(talk.shown) == 1


@given(st.binary(max_size=400) | st.binary(max_size=300).map(lambda tail: raw()[:24] + tail))
def test_whatever_comes_is_a_block_or_refused(data):
    try:
        got = decode_sound(data, *LIMITS)
    except RefusedError:
        return
    assert got.sound.shape[0] in (1, 2)


# the jitter buffer


def expected(arrivals, depth):
    """What leaves, worked out from the lists of all that came in time and all that has left."""
    came, left = [], []
    for number in arrivals:
        newest = max(came, default=number)
        earliest = left[-1] + 1 if left else min([*came, newest - depth])
        if number >= earliest:
            came.append(number)
        left += range(left[-1] + 1 if left else min(came), max(came) - depth + 1)
    return [(number, number if number in came else None) for number in left]


shuffles = st.lists(st.tuples(st.integers(0, 6), st.sampled_from([1, 1, 1, 1, 0, 2])), min_size=1, max_size=40).map(
    # each number comes `delay` later than it was sent, and so many times
    lambda fates: [
        number
        for _, number in sorted(
            (number + delay, number) for number, (delay, times) in enumerate(fates) for _ in range(times)
        )
    ]
)


@given(shuffles.filter(bool), st.integers(0, 4), st.sampled_from([0, 3, NUMBERS - 5, NUMBERS - 30]))
def test_the_buffer_releases_what_the_whole_list_of_arrivals_says_wherever_numbers_wrap(arrivals, depth, offset):
    counts = Arrivals()
    buffer = JitterBuffer(depth, counts)
    left = []
    for number in arrivals:
        wrapped = (number + offset) % NUMBERS
        assert buffer.fits(wrapped)
        left += buffer.push(wrapped, number)
    assert left == [((place + offset) % NUMBERS, item) for place, item in expected(arrivals, depth)]
    released = {item for _, item in left} - {None}
    left += buffer.flush()
    assert [number for number, _ in left] == [(left[0][0] + i) % NUMBERS for i in range(len(left))] if left else True
    missing = [number for number, item in left if item is None]
    assert counts.received == len(arrivals)
    assert counts.concealed == len(missing) == counts.lost + counts.late
    assert counts.received == sum(item is not None for _, item in left) + counts.late + counts.duplicate
    assert released <= set(arrivals)


def test_a_late_item_is_no_lost_one_and_a_doubled_one_neither():
    counts = Arrivals()
    buffer = JitterBuffer(2, counts)
    for number in (0, 2, 2, 3, 1, 1, 0, 5, 4):
        buffer.push(number, number)
    assert counts == Arrivals(received=9, lost=0, late=1, reordered=1, duplicate=3, concealed=1)


def test_a_wide_gap_or_a_count_begun_anew_is_another_run():
    buffer = JitterBuffer(2, Arrivals())
    for number in range(1000, 1100):
        buffer.push(number, number)
    assert buffer.fits(1116)
    assert not buffer.fits(1117)
    assert buffer.skipped(1117) == 17
    assert buffer.fits(1035)
    assert not buffer.fits(1034)
    assert buffer.skipped(1034) == 0


# concealment


def played(lost, blocks=200, fade=960, frames=FRAMES):
    concealer = Concealer(1, fade)
    pieces = [SINE[:, i * frames : (i + 1) * frames] for i in range(blocks)]
    return np.concatenate(
        [concealer.conceal(frames) if i in lost else concealer.take(piece) for i, piece in enumerate(pieces)], axis=1
    )


@pytest.mark.parametrize("lost", [{20}, {20, 21}, set(range(20, 26)), set(range(20, 60)), {0, 1, 30, 32, 34, 36}])
def test_a_gap_does_not_click_more_than_its_fades(lost):
    heard = played(lost)
    steepest, loudest = np.abs(np.diff(SINE)).max(), np.abs(SINE).max()
    assert np.abs(np.diff(heard)).max() <= steepest + 2 * loudest / FRAMES + loudest / 960


def test_a_gap_dies_away_and_what_follows_its_fade_in_is_untouched():
    lost = set(range(20, 60))
    heard = played(lost)
    assert not heard[:, 20 * FRAMES + 960 : 60 * FRAMES].any()
    assert np.abs(heard[:, 20 * FRAMES : 20 * FRAMES + 480]).max() > 0.4
    np.testing.assert_array_equal(heard[:, 61 * FRAMES :], SINE[:, 61 * FRAMES : 200 * FRAMES])
    np.testing.assert_array_equal(heard[:, : 20 * FRAMES], SINE[:, : 20 * FRAMES])


# the listener


def test_a_stream_comes_out_as_it_went_in():
    talk = Talk()
    heard = [turn for i in range(50) for turn in talk.hear(packet(i))]
    assert [turn.number for turn in heard] == list(range(48))
    np.testing.assert_array_equal(np.concatenate([turn.sound for turn in heard], axis=1), SINE[:, : 48 * FRAMES])
    assert talk.counts() == {"received": 50}


def test_another_stream_of_the_same_talker_begins_anew_and_plays_out_the_old_one():
    talk = Talk()
    for i in range(10):
        talk.hear(packet(i))
    other = np.full((2, 100), 0.25, np.float32)
    heard = talk.hear(packet(4_000_000, sound=other, stream=8))
    assert [(turn.stream, turn.number) for turn in heard] == [(7, 8), (7, 9)]
    heard = [turn for i in (1, 2, 3) for turn in talk.hear(packet(4_000_000 + i, sound=other, stream=8))]
    assert [(turn.stream, turn.number) for turn in heard] == [(8, 4_000_000), (8, 4_000_001)]
    assert talk.counts() == {"received": 14}


def test_a_talker_who_counts_anew_or_was_gone_is_heard_and_does_not_click():
    talk = Talk(depth=1)
    order = [*range(100, 200), *range(0, 50), *range(300, 350)]
    heard = [turn for i in order for turn in talk.hear(packet(i))]
    assert [turn.number for turn in heard] == order[:-1]
    assert talk.counts() == {"received": 200, "lost": 250}
    steps = np.abs(np.diff(np.concatenate([turn.sound for turn in heard], axis=1)))
    assert steps.max() <= np.abs(np.diff(SINE)).max() + 2 / FRAMES + 1 / 960


def test_one_talker_is_heard_at_a_time_and_another_when_the_first_has_gone():
    talk = Talk(depth=0)
    assert talk.hear(packet(0), peer="first", now=1.0)
    assert not talk.hear(packet(0), peer="second", now=1.5)
    assert "first is sending" in talk.shown[0]
    assert talk.hear(packet(1), peer="first", now=1.9)
    assert not talk.hear(packet(1), peer="second", now=2.8)
    assert talk.hear(packet(2), peer="second", now=2.9)
    assert talk.listener.refused == 2


def test_a_block_of_another_shape_is_refused_within_a_stream():
    talk = Talk(depth=0)
    talk.hear(packet(0))
    assert not talk.hear(packet(1, sound=np.zeros((1, 65), np.float32)))
    assert not talk.hear(packet(1, rate=44_100))
    assert talk.hear(packet(1))
    assert "1 x 65 samples at 48000 Hz in a stream of 1 x 64" in talk.shown[0]


def test_what_is_no_number_is_silence():
    talk = Talk(depth=0)
    (turn,) = talk.hear(packet(0, sound=np.array([[0.5, np.nan, np.inf, -np.inf, -0.5]], np.float32)))
    np.testing.assert_array_equal(turn.sound, [[0.5, 0, 0, 0, -0.5]])
    assert "no numbers" in talk.shown[0]
