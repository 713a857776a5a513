"""The page of eight parameters: it follows the selected stage, and templates made for DrivenByMoss's protocol work."""

import pytest
from support.dispatcher import DispatcherSetup

from gramophone.presets import load


@pytest.fixture
def setup():
    return DispatcherSetup(load("default"))


def answer(setup, address):
    setup.send(address)
    return setup.replies()[address]


def test_it_begins_with_the_stage_that_has_the_most_parameters_and_sets_them(setup):
    assert answer(setup, "/gramophone/selected") == ("voice",)
    name = answer(setup, "/param/1/name")[0]
    setup.send("/param/1/value", 1.0)
    setup.advance()
    assert setup.controller.get_0to1(f"voice.{name}") == 1.0
    assert answer(setup, "/param/1/value") == (1.0,)


def test_it_follows_the_selected_stage_with_names_and_units(setup):
    setup.send("/gramophone/selected", "ceiling")
    setup.advance()
    assert [answer(setup, f"/param/{k}/name")[0] for k in (1, 2, 3, 4, 5)] == [
        "ceiling",
        "release",
        "bypass",
        "mix",
        "",
    ]
    assert [answer(setup, f"/param/{k}/valueStr")[0] for k in (1, 2, 3)] == ["-1 dB", "100 ms", "off"]
    assert [answer(setup, f"/param/{k}/exists")[0] for k in (4, 5)] == [1, 0]
    setup.send("/param/5/value", 0.5)
    setup.send("/gramophone/selected", "nobody")
    setup.advance()
    assert setup.errors == {"refused value": 2}
    setup.send("/gramophone/selected", "voice")
    setup.send("/device/+", 1.0)
    setup.send("/device/+", 0.0)  # a button's release
    setup.advance()
    assert answer(setup, "/device/name") == ("room",)
    setup.controller.change("hall")
    assert answer(setup, "/device/name") == ("style",)


def test_pages_lead_to_every_parameter_of_the_stage(setup):
    seen = []
    for _ in range(20):
        seen += [name for k in range(1, 9) if (name := answer(setup, f"/param/{k}/name")[0])]
        setup.send("/param/+")
        setup.advance()
    controllable = {
        address.removeprefix("voice.")
        for address, knob in setup.controller.parameters.items()
        if address.startswith("voice.") and (knob.choices or not isinstance(knob.default, str))
    }
    assert set(seen) == controllable
    for _ in range(20):
        setup.send("/device/page/-", 1)
        setup.advance()
    assert answer(setup, "/param/1/name")[0] == seen[0]


def test_a_template_of_drivenbymoss_sets_macros_and_parameters_from_0_to_127(setup):
    assert answer(setup, "/project/param/1/name") == ("Likeness",)
    setup.send("/project/param/1/value", 127)
    setup.advance()
    assert setup.controller.get("voice.likeness") == 1.0
    assert answer(setup, "/device/param/1/value")[0] in range(128)
    setup.send("/device/param/1/value", 0.0)
    setup.advance()
    name = answer(setup, "/device/param/1/name")[0]
    assert setup.controller.get_0to1(f"voice.{name}") == 0.0
    setup.send("/project/param/1/reset", 1)
    setup.advance()
    assert answer(setup, "/project/param/1/value") == (0,)


def test_refresh_sends_the_page_and_what_changes_and_no_one_else_is_sent_it(setup):
    setup.send("/refresh")
    first = setup.replies(1.0)
    assert {"/param/1/name", "/device/param/8/value", "/project/param/3/valueStr", "/device/name"} <= first.keys()
    assert not any(path.startswith(("/gramophone/voice", "/gramophone/meters")) for path in first)
    setup.send("/gramophone/selected", "room", peer="b")
    assert setup.replies(1.0)["/device/name"] == ("room",)
    setup.controller.set("room.wet", 0.4)
    changed = setup.replies(1.0)
    assert ("0.4",) in changed.values()
    assert len(changed) < 9
    setup.send("/gramophone/n/subscribe", peer="c")
    assert not any(path.startswith(("/param", "/device", "/project")) for path in setup.replies(1.0, peer="c"))
