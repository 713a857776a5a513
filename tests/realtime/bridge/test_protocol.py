"""Both ends of the bridge read the same bytes alike, and neither is harmed by bytes that mean nothing."""

import contextlib
import re
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramophone.realtime.bridge import protocol
from gramophone.realtime.bridge.protocol import (
    FrameType,
    HostFormat,
    ParameterChange,
    ProtocolError,
    RingPlace,
    Sync,
    Transport,
)

HEADER = (Path(__file__).parents[3] / "realtime" / "bridge" / "native" / "protocol.hpp").read_text("utf-8")


def test_numbers_are_those_of_the_header():
    stated = {name: int(value, 0) for name, value in re.findall(r"constexpr uint32_t k(\w+) = (\w+);", HEADER)}
    assert (stated["Magic"], stated["Version"]) == (protocol.MAGIC, protocol.VERSION)
    assert stated["Parameters"] == protocol.PARAMETERS
    frames = dict(re.findall(r"k(\w+) = (\d+),", HEADER))
    assert {kind.name.title(): str(kind.value) for kind in FrameType} == frames


def test_payloads_have_the_sizes_that_the_header_asserts():
    sizes = dict(re.findall(r"sizeof\((\w+)\) == (\d+)", HEADER))
    place = RingPlace(1, 2, 3, 4, 5, 6, 7, 2, 9)
    assert len(place.pack()) == int(sizes["RingLayout"])
    assert len(protocol.hello(place, place)) == int(sizes["Hello"])
    assert len(ParameterChange(2, 0.5).pack()) == int(sizes["ParameterChange"])
    assert len(protocol.ready(1, 2)) == int(sizes["Ready"])


@given(st.binary(max_size=40))
def test_a_payload_is_read_or_refused(payload):
    for kind in (HostFormat, ParameterChange, Transport, Sync):
        with contextlib.suppress(ProtocolError):
            assert isinstance(kind.unpack(payload), kind)


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
