"""The messages of one bundle are one change: a reader between two blocks never sees half of it."""

import multiprocessing

import pytest
from support.dispatcher import DispatcherSetup
from support.osc import Setup, Sink, bundle, make_preset

from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.osc import AddressSpace
from gramophone.realtime.control.osc.dispatcher import Dispatcher
from gramophone.realtime.live.parameter_memory import ParameterMemory
from gramophone.realtime.live.shared_state import SWITCH_PLACES
from gramophone.realtime.osc.packet import encode
from gramophone.realtime.switches import SWITCHES

KNOBS = ("hall.room", "hall.damping", "hall.wet", "drive.mix", "level.mix")
BUNDLES = 1500


class MemorySink(Sink):
    """A sink that writes five parameters, and the switches, to a parameter memory, as a session does."""

    def __init__(self, memory):
        super().__init__()
        self.memory = memory
        memory.add(0, [0.0] * len(KNOBS))

    def set_many(self, changes):
        places = {address: place for place, address in enumerate(KNOBS)} | SWITCH_PLACES
        if "panic" in changes:
            changes = {**changes, "panic": self.memory.switch(SWITCH_PLACES["panic"]) + 1}
        self.memory.set(0, {places[address]: float(value) for address, value in changes.items()})


def look(memory, ready, seen):
    """Be another process that looks at the memory block after block, without a pause."""
    now = [0.0] * (len(KNOBS) + len(SWITCHES))
    reader = memory.reader(0, now)
    states = [tuple(now)]
    ready.set()
    while now[0] != 1.0:
        changes = reader.changes()
        for place, value in changes:
            now[place] = value
        if changes:
            states.append(tuple(now))
    seen.put(states)


def test_what_is_in_one_bundle_is_never_heard_apart():
    """The truth: after the k-th bundle all knobs stand at k steps, mute and bypass are on in every second, third.

    Thousands of them without a pause, in any order inside; each with a panic, which are counted.
    """
    processes = multiprocessing.get_context("spawn")
    ready, seen = processes.Event(), processes.Queue()
    memory = ParameterMemory(len(KNOBS), len(SWITCHES))
    controller = Controller(make_preset(), MemorySink(memory))
    dispatcher = Dispatcher(AddressSpace(controller))
    for knob in KNOBS:
        controller.set_0to1(knob, 0.0)
    reader = processes.Process(target=look, args=(memory, ready, seen))
    reader.start()
    ready.wait(30)
    paths = ["/gramophone/n/" + knob.replace(".", "/") for knob in KNOBS]
    for k in range(1, BUNDLES + 1):
        packets = [encode(path, (k / BUNDLES,)) for path in (*paths[k % 5 :], *paths[: k % 5])]
        packets.insert(k % 7, encode("/gramophone/hall/room"))
        packets.insert(k % 5, encode("/gramophone/panic"))
        packets.insert(k % 3, encode("/gramophone/mute", (k % 2 == 0,)))
        packets.insert(k % 8, encode("/gramophone/bypass", (k % 3 == 0,)))
        dispatcher.receive(bundle(0, *packets), "peer", 0.0)
        dispatcher.advance(0.0)
        dispatcher.outgoing.clear()
    states = seen.get(timeout=60)
    reader.join()
    memory.close()
    for *knobs, bypassed, muted, panics in states[1:]:
        assert len(set(knobs)) == 1
        assert round(knobs[0] * BUNDLES) == panics
        assert (muted, bypassed) == (panics % 2 == 0, panics % 3 == 0)
    assert [state[0] for state in states] == sorted(state[0] for state in states)


def test_mute_bypass_and_panic_take_effect_with_the_parameters_of_their_bundle():
    setup = DispatcherSetup()
    switches = encode("/gramophone/mute", (True,)), encode("/gramophone/panic"), encode("/gramophone/bypass", (1,))
    setup.receive(bundle(0, *switches, encode("/gramophone/hall/room", (0.25,))))
    setup.advance()
    assert setup.sink.together == [{"hall.room": 0.25, "mute": True, "panic": True, "bypass": True}]
    assert [setup.controller.get(switch) for switch in ("mute", "bypass", "panic")] == [True, True, False]


def test_what_is_asked_inside_a_bundle_is_answered_when_all_of_it_is_set():
    setup = DispatcherSetup()
    ask = encode("/gramophone/hall/room")
    setup.receive(bundle(0, encode("/gramophone/hall/damping", (0.9,)), ask, encode("/gramophone/hall/room", (0.25,))))
    assert setup.replies()["/gramophone/hall/room"] == (0.25,)
    assert setup.sink.together == [{"hall.damping": pytest.approx(0.9), "hall.room": 0.25}]


def test_a_bundle_of_later_is_one_change_as_well():
    setup = DispatcherSetup()
    packets = [
        encode("/gramophone/hall/room", (0.25,)),
        encode("/gramophone/subscribe"),
        encode("/gramophone/hall/wet", (0.1,)),
    ]
    setup.receive(bundle(1.8e9 + 1.0, *packets))
    setup.advance(0.5)
    assert setup.sink.together == []
    setup.advance(0.6)
    assert setup.sink.together == [{"hall.room": 0.25, "hall.wet": 0.1}]


def test_one_value_that_is_refused_does_not_take_the_others_with_it():
    setup = DispatcherSetup()
    wrong = encode("/gramophone/hall/damping", (7.0,))
    setup.receive(bundle(0, encode("/gramophone/hall/room", (0.25,)), wrong, encode("/gramophone/hall/wet", (0.1,))))
    setup.advance()
    assert setup.sink.together == [{"hall.room": 0.25, "hall.wet": 0.1}]
    assert setup.errors == {"refused value": 1}


def test_a_change_of_many_is_all_or_nothing():
    setup = Setup()
    with pytest.raises(ValueError, match="damping"):
        setup.controller.set_many({"hall.room": 0.1, "hall.damping": 3.0})
    assert setup.sink.calls == []
    changes = []
    setup.controller.listen(lambda *change: changes.append(change))
    setup.controller.set_many({"hall.room": 0.1, "hall.damping": setup.controller.get("hall.damping")})
    assert changes == [("hall.room", 0.1)]
    assert setup.sink.together == [{"hall.room": 0.1}]
