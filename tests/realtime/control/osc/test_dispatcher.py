"""The conversation, without sockets: what is meant is done, what is wrong is counted, and nothing else happens."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.dispatcher import WALL, Talk
from support.osc import bundle, make_preset

from gramophone.models.parameters import ParameterError
from gramophone.presets import CLIPS, Preset, StageSettings, load
from gramophone.realtime.osc.packet import Message, encode

STYLE = Preset("styled", (StageSettings("style", "style", {"clip": "choir.flac"}),))


TALK = Talk()
KNOBS = sorted(TALK.controller.parameters)
PATHS = sorted(TALK.space.methods)


def test_values_come_in_their_unit_or_as_positions():
    talk = Talk()
    talk.hear("/gramophone/filter/frequency", 440.0)
    talk.hear("/gramophone/n/hall/room", 0.25)
    talk.say()
    assert talk.controller.get("filter.frequency") == 440
    assert talk.controller.get("hall.room") == 0.25
    talk.hear("/gramophone/n/filter/frequency", 0.5)
    talk.say()
    assert talk.controller.get("filter.frequency") == pytest.approx(math.sqrt(20 * 20_000))


@pytest.mark.parametrize("value", [0.01, 0.1, 0.7, 0.95, -0.9, 20_000])
def test_a_float_is_the_decimal_that_was_meant(value):
    talk = Talk(make_preset(stages=[("sweep", "chorus", {}), ("level", "gain", {})]))
    address = "/gramophone/sweep/rate" if 0 < value < 20 else "/gramophone/level/gain"
    talk.hear(address, value)
    talk.say()
    assert talk.controller.get(address[12:].replace("/", ".")) == (value if value < 20 else 0)


def test_the_ends_of_every_range_are_taken():
    for name in ("default", "stack", "robot"):
        talk = Talk(load(name))
        for address, knob in talk.controller.parameters.items():
            for end in knob.range * knob.is_number:
                talk.hear("/gramophone/" + address.replace(".", "/"), float(end))
                talk.say()
                assert talk.controller.get(address) == end
        assert not talk.errors


@pytest.mark.parametrize(("argument", "expected"), [("band-24", "band-24"), (0, "low-12"), (5.0, "band-24")])
def test_choices_come_by_name_or_index(argument, expected):
    talk = Talk()
    talk.hear("/gramophone/filter/mode", argument)
    talk.say()
    assert talk.controller.get("filter.mode") == expected


@pytest.mark.parametrize(("argument", "expected"), [(True, True), (1, True), (1.0, True), (False, False), (0, False)])
def test_switches_come_as_true_false_one_and_nought(argument, expected):
    talk = Talk()
    talk.controller.set("hall.freeze", not expected)
    talk.hear("/gramophone/hall/freeze", argument)
    talk.say()
    assert talk.controller.get("hall.freeze") is expected


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
        ("/gramophone/morph", ("default", "nobody", 0.5), "unknown preset"),
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
    talk = Talk()
    for _ in range(3):
        talk.hear(address, *arguments)
        talk.say()
    assert talk.errors == {kind: 3}
    assert len(talk.shown) == 1
    assert talk.sink.calls == []


@settings(deadline=None)
@given(st.lists(st.binary(max_size=120), max_size=5))
def test_any_bytes_change_nothing(packets):
    for packet in packets:
        TALK.receive(packet)
    TALK.say(0.01)
    assert TALK.sink.calls == []


ANYTHING = st.one_of(
    st.floats(width=32),
    st.integers(-(2**31), 2**31 - 1),
    st.booleans(),
    st.text(max_size=8).filter(lambda s: "\0" not in s),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), st.lists(ANYTHING, max_size=3)), max_size=20), st.data())
def test_whatever_comes_to_real_addresses_every_knob_keeps_a_value_that_fits(messages, data):
    talk = Talk()
    for address, arguments in messages:
        try:
            packet = encode(address, arguments)
        except Exception:
            continue  # lone surrogates and the like: not to be sent
        if data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(packet) - 1))
            packet = packet[:at] + bytes([data.draw(st.integers(0, 255))]) + packet[at + 1 :]
        talk.receive(packet)
    talk.say(0.1)
    for address, knob in talk.controller.parameters.items():
        assert knob.check(talk.controller.get(address)) == talk.controller.get(address)
    assert "internal" not in talk.errors, talk.shown


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
    """The inbox may leave out what is overtaken, but never the newest value that is valid."""
    heap, single = Talk(), Talk()
    for address, value, pause in messages:
        heap.hear(address, value)
        if pause:
            heap.say()
        single.hear(address, value)
        single.say()
    heap.say()
    assert [heap.controller.get(knob) for knob in KNOBS] == [single.controller.get(knob) for knob in KNOBS]
    assert heap.errors == single.errors


def test_of_a_flood_the_newest_value_is_set_and_only_that():
    talk = Talk()
    for value in range(1000):
        talk.hear("/gramophone/level/gain", value / 100)
    talk.say()
    assert talk.sink.calls == [("set", "level.gain", 9.99)]


def test_what_follows_a_preset_turns_the_new_presets_knobs():
    talk = Talk()
    talk.hear("/gramophone/level/gain", 5.0)
    talk.hear("/gramophone/preset", "robot")
    talk.hear("/gramophone/throat/feedback", 0.5)
    talk.hear("/gramophone/n/metal/rate", 1.0)
    talk.hear("/gramophone/preset")
    said = talk.told()
    assert said["/gramophone/preset"] == ("robot",)
    assert talk.controller.get("throat.feedback") == 0.5
    assert talk.controller.get("metal.rate") == 20
    assert not talk.errors


def test_the_preset_that_played_at_the_start_can_be_had_back():
    talk = Talk()
    for name in ("robot", "test"):
        talk.hear("/gramophone/preset", name)
        talk.say()
    assert talk.controller.preset.name == "test"


def test_bypass_mute_panic_and_order():
    talk = Talk()
    talk.hear("/gramophone/bypass", True)
    talk.hear("/gramophone/mute", 1)
    talk.hear("/gramophone/panic")
    talk.hear("/gramophone/panic", 0.0)
    talk.hear("/gramophone/order", "level", "drive", "filter", "hall", "space")
    talk.hear("/gramophone/bypass")
    assert talk.told()["/gramophone/bypass"] == (True,)
    assert talk.sink.calls == [("bypass", True), ("mute", True), ("panic",), ("change", "test")]
    assert next(iter(talk.controller.parameters)).startswith("level.")


def test_what_is_refused_behind_a_new_order_takes_no_value_along():
    talk = Talk()
    talk.hear("/gramophone/order", "level", "hall", "filter", "drive", "space")
    talk.hear("/gramophone/hall/room", 0.25)
    talk.hear("/gramophone/hall/room", -1.0)
    talk.say()
    assert talk.controller.get("hall.room") == 0.25
    assert talk.errors == {"refused value": 1}


def test_a_morph_goes_by_names_then_by_position_alone():
    talk = Talk(load("robot"))
    talk.hear("/gramophone/morph", "robot", "hall", 0.0)
    talk.say()
    start = talk.controller.get("level.gain")
    talk.hear("/gramophone/morph", 1.0)
    talk.say()
    assert talk.controller.preset.name == "hall"
    assert start == 7.5
    assert talk.controller.get("level.gain") != start
    assert not talk.errors


def test_patterns_turn_every_knob_that_matches_but_no_commands():
    talk = Talk()
    talk.hear("/gramophone/{hall,drive}/mix", 0.5)
    talk.hear("/gramophone/*", 1.0)
    talk.say()
    assert [talk.controller.get(f"{stage}.mix") for stage in ("drive", "hall", "level")] == [0.5, 0.5, 1.0]
    assert {call[0] for call in talk.sink.calls} == {"set"}
    talk.hear("/gramophone/n/*/mix", 0.25)
    talk.hear("//mix")
    said = talk.told()
    assert said == {f"/gramophone/{stage}/mix": (0.25,) for stage in ("drive", "filter", "hall", "space", "level")}


def test_clips_are_read_and_set_by_name():
    talk = Talk(STYLE)
    talk.hear("/gramophone/style/clip")
    assert talk.told()["/gramophone/style/clip"] == ("choir.flac",)
    talk.hear("/gramophone/style/clip", "drums.flac")
    talk.say()
    assert talk.controller.get("style.clip") == str((CLIPS / "drums.flac").resolve())


def test_a_file_of_ones_own_is_seen_by_name_and_cannot_be_named_anew(tmp_path):
    own = tmp_path / "secret.wav"
    own.write_bytes(b"")
    talk = Talk(Preset("own", (StageSettings("space", "convolution", {"impulse": str(own)}),)))
    talk.hear("/gramophone/space/impulse")
    assert talk.told()["/gramophone/space/impulse"] == ("secret.wav",)
    talk.hear("/gramophone/space/impulse", "secret.wav")
    talk.hear("/gramophone/space/impulse", str(own))
    talk.say()
    assert talk.sink.calls == []
    assert talk.errors == {"unknown clip": 1}


def test_bundles_wait_for_their_time_and_hold_up_nobody():
    talk = Talk()
    talk.receive(bundle(WALL + 0.5, encode("/gramophone/hall/room", (0.1,)), encode("/gramophone/level/gain", (3.0,))))
    talk.hear("/gramophone/hall/room", 0.9)
    talk.say(0.499)
    assert talk.controller.get("hall.room") == 0.9
    assert talk.dispatcher.wait_s(talk.now) == pytest.approx(0.001, abs=1e-6)
    talk.say(0.002)
    assert talk.controller.get("hall.room") == 0.1
    assert talk.controller.get("level.gain") == 3


def test_late_bundles_are_due_at_once_and_inner_ones_with_their_outer():
    talk = Talk()
    talk.receive(bundle(WALL - 100, encode("/gramophone/hall/room", (0.1,))))
    talk.receive(bundle(WALL + 1, bundle(WALL - 1, encode("/gramophone/hall/room", (0.2,)))))
    talk.say()
    assert talk.controller.get("hall.room") == 0.1
    talk.say(1.001)
    assert talk.controller.get("hall.room") == 0.2


def test_bundles_far_ahead_are_refused_and_many_are_limited():
    talk = Talk()
    talk.receive(bundle(WALL + 3600, encode("/gramophone/hall/room", (0.1,))))
    assert talk.errors == {"too far ahead": 1}
    for _ in range(20_010):
        talk.receive(bundle(WALL + 1, encode("/gramophone/hall/room", (0.1,))))
    assert talk.errors["too many waiting"] == 10


def test_subscribers_are_told_everything_once_then_what_changes():
    talk = Talk(meters=lambda: {"output.peak_db": -6.0})
    talk.hear("/gramophone/subscribe", 10)
    first = talk.told()
    assert set(first) >= {f"/gramophone/{knob.replace('.', '/')}" for knob in KNOBS}
    assert first["/gramophone/preset"] == ("test",)
    assert first["/gramophone/meters/output/peak_db"] == (-6,)
    talk.controller.set("hall.room", 0.75)
    assert talk.told(0.05) == {}
    assert talk.told(0.06) == {"/gramophone/hall/room": (0.75,), "/gramophone/meters/output/peak_db": (-6,)}
    talk.controller.change("robot")
    assert talk.told(0.2)["/gramophone/throat/time"][0] == pytest.approx(9.1)


def test_positions_can_be_subscribed_to():
    talk = Talk()
    talk.hear("/gramophone/n/subscribe")
    assert talk.told()["/gramophone/n/filter/mode"] == (0,)
    talk.controller.set("filter.frequency", 20_000)
    assert talk.told(1) == {"/gramophone/n/filter/frequency": (1,)}


def test_who_sets_a_value_is_not_told_it_back_but_is_when_it_was_refused():
    talk = Talk()
    for peer in "ab":
        talk.hear("/gramophone/subscribe", peer=peer)
    talk.say()
    talk.hear("/gramophone/hall/room", 0.25, peer="a")
    said = talk.say(1)
    assert [(peer, message.arguments) for peer, message in said] == [("b", (0.25,))]
    talk.hear("/gramophone/hall/room", 7.0, peer="a")
    assert talk.told(1) == {"/gramophone/hall/room": (0.25,)}


def test_subscriptions_end_unless_they_are_renewed_and_can_go_to_another_port():
    talk = Talk(meters=lambda: {"load": 0.5})
    talk.hear("/gramophone/subscribe", 1, 9001)
    assert talk.told(peer="a:9001")["/gramophone/subscribed"] == (1, 60)
    assert talk.told(50, peer="a:9001")
    talk.hear("/gramophone/subscribe", 1, 9001)
    assert talk.told(50, peer="a:9001")
    assert talk.say(61) == []
    assert talk.dispatcher.wait_s(talk.now) is None
    talk.hear("/gramophone/subscribe", 1, 9001)
    talk.hear("/gramophone/unsubscribe", 9001)
    assert [message.address for _, message in talk.say(1)] == ["/gramophone/subscribed"]


def test_errors_can_be_asked_for():
    talk = Talk()
    talk.hear("/gramophone/hall/room", 7.0)
    talk.hear("/gramophone/errors")
    assert talk.told() == {"/gramophone/errors": ("refused value", 1)}


def test_foreign_meters_that_fail_are_a_fault_not_an_end():
    def meters():
        if talk_is_on:
            raise RuntimeError("no level")
        return {}

    talk_is_on = False
    talk = Talk(meters=meters)
    talk_is_on = True
    talk.hear("/gramophone/subscribe")
    talk.say()
    assert talk.errors == {"internal": 1}
    talk.hear("/gramophone/hall/room", 0.25)
    talk.say()
    assert talk.controller.get("hall.room") == 0.25


def test_a_message_without_type_tags_asks():
    talk = Talk()
    talk.receive(b"/gramophone/hall/room\0\0\0")
    assert talk.say() == [("a", Message("/gramophone/hall/room", "f", (0.5,)))]


def test_every_address_of_a_preset_is_found():
    for address in KNOBS:
        with pytest.raises(ParameterError):
            TALK.controller.get(address + "x")
        assert TALK.space.find("/gramophone/" + address.replace(".", "/"))
