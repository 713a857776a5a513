"""Packets: what others build is read as they meant it; anything else is an error, never a value."""

import contextlib
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from gramophone.realtime.osc.packet import Bundle, Message, PacketError, decode, due_at, encode

ARGUMENTS = {
    "i": st.integers(-(2**31), 2**31 - 1),
    "h": st.integers(-(2**63), 2**63 - 1),
    "f": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "d": st.floats(allow_nan=False, allow_infinity=False),
    "s": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    "b": st.binary(min_size=1, max_size=50),
    "T": st.just(True),
    "F": st.just(False),
    "N": st.none(),
}
NTP_WRAP = 2**32 - 2_208_988_800
"""When NTP time wraps, in seconds since 1970."""
TAGGED = st.sampled_from(sorted(ARGUMENTS)).flatmap(lambda tag: st.tuples(st.just(tag), ARGUMENTS[tag]))
ADDRESSES = st.from_regex(r"/[a-z0-9/_*?-]{0,40}", fullmatch=True)


def built(address, tagged):
    builder = OscMessageBuilder(address)
    for tag, value in tagged:
        builder.add_arg(value, tag)
    return builder.build()


@settings(deadline=None)
@given(ADDRESSES, st.lists(TAGGED, max_size=8))
def test_what_python_osc_builds_is_read_as_meant(address, tagged):
    message = decode(built(address, tagged).dgram)
    assert message == Message(address, "".join(tag for tag, _ in tagged), tuple(value for _, value in tagged))


@settings(deadline=None)
@given(ADDRESSES, st.lists(TAGGED, max_size=5), st.floats(0, 2e9))
def test_bundles_keep_their_order_and_time(address, tagged, wall):
    inner = OscBundleBuilder(wall)
    inner.add_content(built(address, tagged))
    outer = OscBundleBuilder(0)
    outer.add_content(built(address, []))
    outer.add_content(inner.build())
    bundle = decode(outer.build().dgram)
    assert bundle.elements[0].address == address
    assert bundle.elements[1].elements[0].types == "".join(tag for tag, _ in tagged)
    assert due_at(bundle.elements[1].tag, wall) == pytest.approx(wall, abs=1e-4)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: b"#bundle\0" + tail))
def test_any_bytes_are_a_packet_or_an_error(data):
    with contextlib.suppress(PacketError):
        assert isinstance(decode(data), Message | Bundle)


@settings(deadline=None)
@given(ADDRESSES, st.lists(TAGGED, min_size=1, max_size=5), st.data())
def test_a_truncated_message_never_yields_arguments(address, tagged, data):
    whole = built(address, tagged).dgram
    cut = data.draw(st.integers(0, len(whole) - 1))
    try:
        message = decode(whole[:cut])
    except PacketError:
        return
    assert isinstance(message, Message)
    assert all(tag in "TFN" for tag in message.types)  # these have no bytes that could be missing


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("tag", ["f", "d"])
def test_numbers_are_finite(tag, value):
    with pytest.raises(PacketError, match="finite"):
        decode(b"/a\0\0," + tag.encode() + b"\0\0" + struct.pack(f">{tag}", value))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"/a\0",
        b"abc\0,i\0\0\0\0\0\1",
        b"/a\0x,i\0\0\0\0\0\1",
        b"/a\0\0,x\0\0\0\0\0\1",
        b"/a\0\0,i\0\0\0\0\0\1\0\0\0\1",
        b"/a\0\0,f\0\0",
        b"/a\0\0,[i\0\0\0\0\1",
        b"/a\0\0,]\0\0",
        b"/a\0\0,b\0\0\xff\xff\xff\xff",
        b"/a\0\0,b\0\0\x7f\xff\xff\xff",
        b"/a\0\0,s\0\0\xff\xff\xff\0",
        b"/a b\0\0\0\0,\0\0\0",
        b"/" + b"a" * 300 + b"\0\0\0,\0\0\0",
        b"/a\0\0," + b"[" * 50 + b"]" * 50 + b"\0\0\0",
        b"/a\0\0," + b"T" * 1000 + b"\0\0\0",
        b"#bundle\0",
        b"#bundle\0" + bytes(8) + b"\0\0\0\0",
        b"#bundle\0" + bytes(8) + b"\xff\xff\xff\xf0/a\0\0",
        b"/a\0\0" + bytes(70_000),
    ],
)
def test_malformed_packets_are_errors(data):
    with pytest.raises(PacketError):
        decode(data)


def test_bundles_nest_to_a_limit():
    packet = encode("/a")
    for depth in range(1, 100):
        packet = b"#bundle\0" + bytes(7) + b"\1" + struct.pack(">i", len(packet)) + packet
        if depth <= 8:
            decode(packet)
        else:
            with pytest.raises(PacketError, match="nested"):
                decode(packet)


def test_what_we_build_is_read_back():
    arguments = (0.5, 3, True, "grün", False, b"\1\2\3")
    assert decode(encode("/a/b", arguments)) == Message("/a/b", "fiTsFb", arguments)


@pytest.mark.parametrize("now", [NTP_WRAP - 1.0, NTP_WRAP + 1.0])
@pytest.mark.parametrize("ahead", [-2.0, 0.0, 2.0])
def test_time_tags_cross_the_wrap_of_2036(now, ahead):
    tag = round((now + ahead - NTP_WRAP) * 2**32) % 2**64  # from the wrap on, NTP counts from nought again
    assert due_at(tag, now) == pytest.approx(now + ahead, abs=1e-6)


@pytest.mark.parametrize("wall", [0.0, 1.8e9, 2_085_978_495.5])
def test_time_tags_mean_what_python_osc_means_by_them(wall):
    assert due_at(decode(OscBundleBuilder(wall).build().dgram).tag, wall) == pytest.approx(wall, abs=1e-6)


def test_immediate_tags_are_due_at_once():
    assert due_at(0, 1e9) == due_at(1, 1e9) == 0
