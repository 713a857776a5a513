"""The coalescing queue drops as many packets as it can without changing any result."""

import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from support.dispatcher import DispatcherSetup

from gramophone.realtime.control.osc.server import CoalescingQueue
from gramophone.realtime.osc.packet import encode

ADDRESSES = ("/gramophone/hall/room", "/gramophone/n/hall/room", "/gramophone/level/gain", "/gramophone/filter/mode")
NUMBERS = st.one_of(st.floats(-1, 2, width=32), st.integers(-2, 2), st.booleans())
WRITES = st.builds(lambda address, value: encode(address, (value,)), st.sampled_from(ADDRESSES), NUMBERS)
OTHERS = st.sampled_from(
    [
        *map(encode, ADDRESSES),
        encode("/gramophone/h*/room", (0.75,)),
        encode("/gramophone/mute", (True,)),
        encode("/gramophone/order", ("level", "hall", "filter", "drive", "space")),
        encode("/gramophone/hall/room", (0.5, 0.5)),
        encode("/gramophone/hall/room", (0.5,)) + b"\0\0\0\0",
        encode(ADDRESSES[0], (0.5,))[:-4] + struct.pack(">f", float("nan")),
        encode("/gramophone/hall/rooms", (0.5,)),
        b"junk",
        b"",
    ]
)


@settings(deadline=None)
@given(st.lists(st.one_of(WRITES, WRITES, WRITES, OTHERS), max_size=30))
def test_what_is_dropped_changes_no_reply_no_error_and_no_value(packets):
    """The truth: a dispatcher that receives every packet, one by one."""
    whole, short = DispatcherSetup(), DispatcherSetup()
    queue = CoalescingQueue(lambda: short.space.methods)
    for packet in packets:
        whole.receive(packet)
        queue.put(packet, "a")
    taken = []
    while queue:
        taken.append(queue.take()[0])
        short.receive(taken[-1])
    assert whole.advance() == short.advance()
    assert whole.controller.preset == short.controller.preset
    assert whole.controller.get("mute") == short.controller.get("mute")
    assert whole.errors == short.errors
    assert [packet for packet in taken if packet not in packets] == []
    assert queue.bytes == 0


def test_a_flood_of_knobs_is_as_long_as_there_are_knobs():
    setup = DispatcherSetup()
    queue = CoalescingQueue(lambda: setup.space.methods)
    for i in range(1000):
        for address in ADDRESSES[:3]:
            queue.put(encode(address, (i / 1000,)), i % 2)
    assert len(queue) == 2, "one knob has two addresses"
    assert queue.take() == (encode(ADDRESSES[1], (0.999,)), 1)
    assert queue.take() == (encode(ADDRESSES[2], (0.999,)), 1)
    assert (len(queue), queue.bytes) == (0, 0)
