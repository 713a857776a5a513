"""The message dispatcher: valid messages are executed, invalid ones counted, and nothing else happens."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.dispatcher import WALL, DispatcherSetup
from support.osc import bundle, make_preset

from gramophone.models.parameters import ParameterError
from gramophone.presets import CLIPS, Preset, StageSettings, load
from gramophone.realtime.osc.packet import Message, encode

STYLE = Preset("styled", (StageSettings("style", "style", {"clip": "choir.flac"}),))


SETUP = DispatcherSetup()
KNOBS = sorted(SETUP.controller.parameters)
PATHS = sorted(SETUP.space.methods)


def test_values_come_in_their_unit_or_as_positions():
    setup = DispatcherSetup()
    setup.send("/gramophone/filter/frequency", 440.0)
    setup.send("/gramophone/n/hall/room", 0.25)
    setup.advance()
    assert setup.controller.get("filter.frequency") == 440
    assert setup.controller.get("hall.room") == 0.25
    setup.send("/gramophone/n/filter/frequency", 0.5)
    setup.advance()
    assert setup.controller.get("filter.frequency") == pytest.approx(math.sqrt(20 * 20_000))


@pytest.mark.parametrize("value", [0.01, 0.1, 0.7, 0.95, -0.9, 20_000])
def test_a_float_is_the_decimal_that_was_meant(value):
    setup = DispatcherSetup(make_preset(stages=[("sweep", "chorus", {}), ("level", "gain", {})]))
    address = "/gramophone/sweep/rate" if 0 < value < 20 else "/gramophone/level/gain"
    setup.send(address, value)
    setup.advance()
    assert setup.controller.get(address[12:].replace("/", ".")) == (value if value < 20 else 0)


def test_the_ends_of_every_range_are_taken():
    for name in ("default", "stack", "robot"):
        setup = DispatcherSetup(load(name))
        for address, knob in setup.controller.parameters.items():
            for end in knob.range * knob.is_number:
                setup.send("/gramophone/" + address.replace(".", "/"), float(end))
                setup.advance()
                assert setup.controller.get(address) == end
        assert not setup.errors


@pytest.mark.parametrize(("argument", "expected"), [("band-24", "band-24"), (0, "low-12"), (5.0, "band-24")])
def test_choices_come_by_name_or_index(argument, expected):
    setup = DispatcherSetup()
    setup.send("/gramophone/filter/mode", argument)
    setup.advance()
    assert setup.controller.get("filter.mode") == expected


@pytest.mark.parametrize(("argument", "expected"), [(True, True), (1, True), (1.0, True), (False, False), (0, False)])
def test_switches_come_as_true_false_one_and_nought(argument, expected):
    setup = DispatcherSetup()
    setup.controller.set("hall.freeze", not expected)
    setup.send("/gramophone/hall/freeze", argument)
    setup.advance()
    assert setup.controller.get("hall.freeze") is expected


@pytest.mark.parametrize(
    ("address", "arguments", "kind"),
    [
        ("/gramophone/hall/room", (2.0,), "refused value"),
        ("/gramophone/hall/room", ("loud",), "mistyped"),
        ("/gramophone/hall/room", (True,), "mistyped"),
        ("/gramophone/hall/room", (0.1, 0.2), "mistyped"),
        ("/gramophone/hall/freeze", (0.5,), "mistyped"),
        ("/gramophone/hall/freeze", (2,), "mistyped"),
        ("/gramophone/filter/mode", ("loud",), "refused value"),
        ("/gramophone/filter/mode", (6,), "refused value"),
        ("/gramophone/filter/mode", (-1,), "refused value"),
        ("/gramophone/filter/mode", (0.5,), "refused value"),
        ("/gramophone/space/impulse", ("/etc/passwd",), "unknown clip"),
        ("/gramophone/space/impulse", ("../factory/default.toml",), "unknown clip"),
        ("/gramophone/nothing/here", (1.0,), "unknown address"),
        ("/elsewhere", (), "unknown address"),
        ("/gramophone/n/space/impulse", (0.5,), "unknown address"),
        ("/gramophone/[x", (0.5,), "malformed pattern"),
        ("/gramophone/z*", (0.5,), "unknown address"),
        ("/gramophone/preset", ("/etc/passwd.toml",), "unknown preset"),
        ("/gramophone/preset", ("../factory/default.toml",), "unknown preset"),
        ("/gramophone/preset", (1,), "mistyped"),
        ("/gramophone/morph", ("default", "missing", 0.5), "unknown preset"),
        ("/gramophone/morph", ("default", "robot", 1.5), "refused value"),
        ("/gramophone/morph", (0.5,), "mistyped"),
        ("/gramophone/order", ("hall", "level"), "mistyped"),
        ("/gramophone/bypass", ("on",), "mistyped"),
        ("/gramophone/panic", ("now",), "mistyped"),
        ("/gramophone/subscribe", (0.0,), "refused value"),
        ("/gramophone/subscribe", (30, 70_000), "mistyped"),
        ("/gramophone/subscribe", ("often",), "mistyped"),
    ],
)
def test_what_is_wrong_is_counted_shown_once_and_changes_nothing(address, arguments, kind):
    setup = DispatcherSetup()
    for _ in range(3):
        setup.send(address, *arguments)
        setup.advance()
    assert setup.errors == {kind: 3}
    assert len(setup.shown) == 1
    assert setup.sink.calls == []


@settings(deadline=None)
@given(st.lists(st.binary(max_size=120), max_size=5))
def test_any_bytes_change_nothing(packets):
    for packet in packets:
        SETUP.receive(packet)
    SETUP.advance(0.01)
    assert SETUP.sink.calls == []


ANYTHING = st.one_of(
    st.floats(width=32),
    st.integers(-(2**31), 2**31 - 1),
    st.booleans(),
    st.text(max_size=8).filter(lambda s: "\0" not in s),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), st.lists(ANYTHING, max_size=3)), max_size=20), st.data())
def test_whatever_comes_to_real_addresses_every_knob_keeps_a_value_that_fits(messages, data):
    setup = DispatcherSetup()
    for address, arguments in messages:
        try:
            packet = encode(address, arguments)
        except Exception:
            continue  # lone surrogates and the like: not to be sent
        if data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(packet) - 1))
            packet = packet[:at] + bytes([data.draw(st.integers(0, 255))]) + packet[at + 1 :]
        setup.receive(packet)
    setup.advance(0.1)
    for address, knob in setup.controller.parameters.items():
        assert knob.check(setup.controller.get(address)) == setup.controller.get(address)
    assert "internal" not in setup.errors, setup.shown


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["/gramophone/hall/room", "/gramophone/n/hall/room", "/gramophone/hall/*", "/gramophone/level/gain"]
            ),
            st.floats(-2, 2, width=32),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_a_heap_of_messages_ends_like_one_by_one(messages):
    """Pending writes may drop values that are replaced by newer ones, but never the newest valid one."""
    heap, single = DispatcherSetup(), DispatcherSetup()
    for address, value, pause in messages:
        heap.send(address, value)
        if pause:
            heap.advance()
        single.send(address, value)
        single.advance()
    heap.advance()
    assert [heap.controller.get(knob) for knob in KNOBS] == [single.controller.get(knob) for knob in KNOBS]
    assert heap.errors == single.errors


def test_of_a_flood_the_newest_value_is_set_and_only_that():
    setup = DispatcherSetup()
    for value in range(1000):
        setup.send("/gramophone/level/gain", value / 100)
    setup.advance()
    assert setup.sink.calls == [("set", "level.gain", 9.99)]


def test_what_follows_a_preset_turns_the_new_presets_knobs():
    setup = DispatcherSetup()
    setup.send("/gramophone/level/gain", 5.0)
    setup.send("/gramophone/preset", "robot")
    setup.send("/gramophone/throat/feedback", 0.5)
    setup.send("/gramophone/n/metal/rate", 1.0)
    setup.send("/gramophone/preset")
    replies = setup.replies()
    assert replies["/gramophone/preset"] == ("robot",)
    assert setup.controller.get("throat.feedback") == 0.5
    assert setup.controller.get("metal.rate") == 20
    assert not setup.errors


def test_the_preset_that_played_at_the_start_can_be_had_back():
    setup = DispatcherSetup()
    for name in ("robot", "test"):
        setup.send("/gramophone/preset", name)
        setup.advance()
    assert setup.controller.preset.name == "test"


def test_bypass_mute_panic_and_order():
    setup = DispatcherSetup()
    setup.send("/gramophone/bypass", True)
    setup.send("/gramophone/mute", 1)
    setup.send("/gramophone/panic")
    setup.send("/gramophone/panic", 0.0)
    setup.send("/gramophone/order", "level", "drive", "filter", "hall", "space")
    setup.send("/gramophone/bypass")
    assert setup.replies()["/gramophone/bypass"] == (True,)
    assert setup.sink.calls == [("bypass", True), ("mute", True), ("panic",), ("change", "test")]
    assert next(iter(setup.controller.parameters)).startswith("level.")


def test_what_is_refused_behind_a_new_order_takes_no_value_along():
    setup = DispatcherSetup()
    setup.send("/gramophone/order", "level", "hall", "filter", "drive", "space")
    setup.send("/gramophone/hall/room", 0.25)
    setup.send("/gramophone/hall/room", -1.0)
    setup.advance()
    assert setup.controller.get("hall.room") == 0.25
    assert setup.errors == {"refused value": 1}


def test_a_morph_goes_by_names_then_by_position_alone():
    setup = DispatcherSetup(load("robot"))
    setup.send("/gramophone/morph", "robot", "hall", 0.0)
    setup.advance()
    start = setup.controller.get("level.gain")
    setup.send("/gramophone/morph", 1.0)
    setup.advance()
    assert setup.controller.preset.name == "hall"
    assert start == 7.5
    assert setup.controller.get("level.gain") != start
    assert not setup.errors


def test_patterns_turn_every_knob_that_matches_but_no_commands():
    setup = DispatcherSetup()
    setup.send("/gramophone/{hall,drive}/mix", 0.5)
    setup.send("/gramophone/*", 1.0)
    setup.advance()
    assert [setup.controller.get(f"{stage}.mix") for stage in ("drive", "hall", "level")] == [0.5, 0.5, 1.0]
    assert {call[0] for call in setup.sink.calls} == {"set"}
    setup.send("/gramophone/n/*/mix", 0.25)
    setup.send("//mix")
    replies = setup.replies()
    assert replies == {f"/gramophone/{stage}/mix": (0.25,) for stage in ("drive", "filter", "hall", "space", "level")}


def test_clips_are_read_and_set_by_name():
    setup = DispatcherSetup(STYLE)
    setup.send("/gramophone/style/clip")
    assert setup.replies()["/gramophone/style/clip"] == ("choir.flac",)
    setup.send("/gramophone/style/clip", "drums.flac")
    setup.advance()
    assert setup.controller.get("style.clip") == str((CLIPS / "drums.flac").resolve())


def test_a_file_of_ones_own_is_seen_by_name_and_cannot_be_named_anew(tmp_path):
    own = tmp_path / "secret.wav"
    own.write_bytes(b"")
    setup = DispatcherSetup(Preset("own", (StageSettings("space", "convolution", {"impulse": str(own)}),)))
    setup.send("/gramophone/space/impulse")
    assert setup.replies()["/gramophone/space/impulse"] == ("secret.wav",)
    setup.send("/gramophone/space/impulse", "secret.wav")
    setup.send("/gramophone/space/impulse", str(own))
    setup.advance()
    assert setup.sink.calls == []
    assert setup.errors == {"unknown clip": 1}


def test_bundles_wait_for_their_time_and_hold_up_no_other_message():
    setup = DispatcherSetup()
    setup.receive(bundle(WALL + 0.5, encode("/gramophone/hall/room", (0.1,)), encode("/gramophone/level/gain", (3.0,))))
    setup.send("/gramophone/hall/room", 0.9)
    setup.advance(0.499)
    assert setup.controller.get("hall.room") == 0.9
    assert setup.dispatcher.wait_s(setup.now) == pytest.approx(0.001, abs=1e-6)
    setup.advance(0.002)
    assert setup.controller.get("hall.room") == 0.1
    assert setup.controller.get("level.gain") == 3


def test_late_bundles_are_due_at_once_and_inner_ones_with_their_outer():
    setup = DispatcherSetup()
    setup.receive(bundle(WALL - 100, encode("/gramophone/hall/room", (0.1,))))
    setup.receive(bundle(WALL + 1, bundle(WALL - 1, encode("/gramophone/hall/room", (0.2,)))))
    setup.advance()
    assert setup.controller.get("hall.room") == 0.1
    setup.advance(1.001)
    assert setup.controller.get("hall.room") == 0.2


def test_bundles_far_ahead_are_refused_and_many_are_limited():
    setup = DispatcherSetup()
    setup.receive(bundle(WALL + 3600, encode("/gramophone/hall/room", (0.1,))))
    assert setup.errors == {"too far ahead": 1}
    for _ in range(20_010):
        setup.receive(bundle(WALL + 1, encode("/gramophone/hall/room", (0.1,))))
    assert setup.errors["too many waiting"] == 10


def test_subscribers_receive_everything_once_then_what_changes():
    setup = DispatcherSetup(meters=lambda: {"output.peak_db": -6.0})
    setup.send("/gramophone/subscribe", 10)
    first = setup.replies()
    assert set(first) >= {f"/gramophone/{knob.replace('.', '/')}" for knob in KNOBS}
    assert first["/gramophone/preset"] == ("test",)
    assert first["/gramophone/meters/output/peak_db"] == (-6,)
    setup.controller.set("hall.room", 0.75)
    assert setup.replies(0.05) == {}
    assert setup.replies(0.06) == {"/gramophone/hall/room": (0.75,), "/gramophone/meters/output/peak_db": (-6,)}
    setup.controller.change("robot")
    assert setup.replies(0.2)["/gramophone/throat/time"][0] == pytest.approx(9.1)


def test_who_subscribes_to_both_gets_each_meter_once():
    setup = DispatcherSetup(meters=lambda: {"load": 0.5})
    setup.send("/gramophone/subscribe", 10)
    setup.send("/gramophone/n/subscribe", 10)
    packets = [message.address for _, message in setup.advance()]
    assert packets.count("/gramophone/meters/load") == 1
    assert "/gramophone/n/hall/room" in packets
    assert "/gramophone/hall/room" in packets


def test_positions_can_be_subscribed_to():
    setup = DispatcherSetup()
    setup.send("/gramophone/n/subscribe")
    assert setup.replies()["/gramophone/n/filter/mode"] == (0,)
    setup.controller.set("filter.frequency", 20_000)
    assert setup.replies(1) == {"/gramophone/n/filter/frequency": (1,)}


def test_who_sets_a_value_is_not_told_it_back_but_is_when_it_was_refused():
    setup = DispatcherSetup()
    for peer in "ab":
        setup.send("/gramophone/subscribe", peer=peer)
    setup.advance()
    setup.send("/gramophone/hall/room", 0.25, peer="a")
    replies = setup.advance(1)
    assert [(peer, message.arguments) for peer, message in replies] == [("b", (0.25,))]
    setup.send("/gramophone/hall/room", 7.0, peer="a")
    replies = setup.replies(1)
    assert replies.pop("/gramophone/news")[1].startswith("/gramophone/hall/room: room = 7")
    assert replies == {"/gramophone/hall/room": (0.25,)}


def test_subscriptions_end_unless_they_are_renewed_and_can_go_to_another_port():
    setup = DispatcherSetup(meters=lambda: {"load": 0.5})
    setup.send("/gramophone/subscribe", 1, 9001)
    assert setup.replies(peer="a:9001")["/gramophone/subscribed"] == (1, 60)
    assert setup.replies(50, peer="a:9001")
    setup.send("/gramophone/subscribe", 1, 9001)
    assert setup.replies(50, peer="a:9001")
    assert setup.advance(61) == []
    assert setup.dispatcher.wait_s(setup.now) is None
    setup.send("/gramophone/subscribe", 1, 9001)
    setup.send("/gramophone/unsubscribe", 9001)
    assert [message.address for _, message in setup.advance(1)] == ["/gramophone/subscribed"]


def test_errors_can_be_asked_for():
    setup = DispatcherSetup()
    setup.send("/gramophone/hall/room", 7.0)
    setup.send("/gramophone/errors")
    assert setup.replies()["/gramophone/errors"] == ("refused value", 1)


def test_foreign_meters_that_fail_are_a_fault_not_an_end():
    def meters():
        if is_failing:
            raise RuntimeError("no level")
        return {}

    is_failing = False
    setup = DispatcherSetup(meters=meters)
    is_failing = True
    setup.send("/gramophone/subscribe")
    setup.advance()
    assert setup.errors == {"internal": 1}
    setup.send("/gramophone/hall/room", 0.25)
    setup.advance()
    assert setup.controller.get("hall.room") == 0.25


def test_a_message_without_type_tags_asks():
    setup = DispatcherSetup()
    setup.receive(b"/gramophone/hall/room\0\0\0")
    assert setup.advance() == [("a", Message("/gramophone/hall/room", "f", (0.5,)))]


def test_every_address_of_a_preset_is_found():
    for address in KNOBS:
        with pytest.raises(ParameterError):
            SETUP.controller.get(address + "x")
        assert SETUP.space.find("/gramophone/" + address.replace(".", "/"))
