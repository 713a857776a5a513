"""Both ends of the bridge read the same bytes alike, and neither is harmed by bytes that mean nothing."""

import contextlib
import math
import re
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramophone.realtime.bridge import protocol
from gramophone.realtime.bridge.link import BridgeLink, HostChanges
from gramophone.realtime.bridge.protocol import FrameType, HostFormat, ProtocolError
from gramophone.realtime.live.shared_state import BlockRing

HEADER = (Path(__file__).parents[3] / "realtime" / "bridge" / "native" / "protocol.hpp").read_text("utf-8")
NUMBERS = st.one_of(st.integers(0, 31), st.sampled_from([*FrameType, 99, 2**32 - 1]))


def test_numbers_are_those_of_the_header():
    stated = dict(re.findall(r"\bk(\w+) = (\d\w*)", HEADER))
    own = {"Magic": protocol.MAGIC, "Version": protocol.VERSION, "Parameters": protocol.PARAMETERS}
    own |= {"Slots": protocol.SLOTS, "Longest": protocol.LONGEST}
    assert {name: int(stated[name].rstrip("u"), 0) for name in own} == own
    frames = dict(re.findall(r"^    k(\w+) = (\d+),", HEADER, re.MULTILINE))
    assert {kind.name.title(): str(kind.value) for kind in FrameType} == frames


def test_the_memory_has_the_layout_that_the_header_asserts():
    sizes = dict(re.findall(r"sizeof\((\w+)\) == (\d+)", HEADER))
    names = [*BlockRing.fields(2, protocol.SLOTS, protocol.LONGEST)]
    assert names == ["newest", "numbers", "frames", "delays", "sound"]
    head = 3 * 64 + 3 * protocol.SLOTS * 8  # `woken` and `sleeps` come before
    assert head == int(sizes["RingHead"])


@given(NUMBERS, st.binary(max_size=40))
def test_a_payload_is_read_or_refused(kind, payload):
    with contextlib.suppress(ProtocolError):
        value = protocol.unpack(kind, payload)
        assert isinstance(value, str) if kind >= FrameType.LABEL else math.isfinite(value)


@given(st.lists(st.tuples(st.sampled_from(FrameType), st.binary(max_size=300)), max_size=8))
def test_frames_arrive_as_they_were_sent(frames):
    near, far = socket.socketpair()
    with near, far:
        for kind, payload in frames:
            protocol.send(near, kind, payload)
        near.shutdown(socket.SHUT_WR)
        received = []
        while (frame := protocol.receive(far)) is not None:
            received.append(frame)
    assert received == frames


def test_a_frame_that_is_too_large_is_refused_before_it_is_read():
    near, far = socket.socketpair()
    with near, far:
        near.sendall((1).to_bytes(4, "little") + (protocol.LARGEST_PAYLOAD + 1).to_bytes(4, "little"))
        with pytest.raises(ProtocolError, match="expected"):
            protocol.receive(far)


@given(st.lists(st.tuples(NUMBERS, st.one_of(st.binary(max_size=12), st.floats().map(protocol.pack))), max_size=12))
def test_a_plug_in_that_sends_anything_sets_audio_formats_finite_numbers_and_texts(frames):
    near, far = socket.socketpair()
    with near, far:
        for kind, payload in [*frames, (FrameType.DONE, b"")]:
            near.sendall(struct.pack("<II", kind, len(payload)) + payload)
        near.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ProtocolError):
            for changes in BridgeLink(far).changes():
                assert isinstance(changes, HostChanges)
                assert all(
                    index < protocol.PARAMETERS and math.isfinite(each) for index, each in changes.values.items()
                )
                assert changes.format is None or 1 <= changes.format.block <= protocol.LONGEST


def test_what_a_host_sets_at_once_comes_at_once_and_of_one_number_the_last():
    near, far = socket.socketpair()
    with near, far:
        for kind, value in [
            (3, 0.25),
            (FrameType.RATE, 48e3),
            (FrameType.BLOCK, 256.0),
            (3, 0.5),
            (FrameType.DONE, 0.0),
        ]:
            protocol.send(near, kind, value)
        protocol.send(near, FrameType.STATE, "kept")
        protocol.send(near, FrameType.BOUNCE, 2.0)
        protocol.send(near, FrameType.SAVE, 0.0)
        protocol.send(near, FrameType.DONE, 0.0)
        near.shutdown(socket.SHUT_WR)
        first, second = BridgeLink(far).changes()
    assert first == HostChanges({3: 0.5}, HostFormat(48e3, 256))
    assert second == HostChanges(state="kept", bounce=2, saves=True)


def test_a_hello_brings_the_channels_and_any_other_greeting_is_refused():
    older = struct.pack("<6I", FrameType.HELLO, 16, protocol.MAGIC, protocol.VERSION - 1, 2, 0)
    for greeting in (protocol.hello(2), protocol.hello(9), protocol.hello(2)[:-4], older, b"\0" * 24):
        near, far = socket.socketpair()
        with near, far:
            near.sendall(greeting)
            near.shutdown(socket.SHUT_WR)
            if greeting == protocol.hello(2):
                assert protocol.receive_hello(far) == 2
            else:
                with pytest.raises(ProtocolError, match="bridge install"):
                    protocol.receive_hello(far)
