"""The set list and the favourites: kept between sessions, gone through by next and previous, never a path."""

import time

import pytest
from support.osc import Setup

from gramophone.presets import load, save_own
from gramophone.realtime.control.osc.dispatcher import Dispatcher
from gramophone.realtime.control.osc.library import Library
from gramophone.realtime.control.osc.lists import FAVOURITES, SET_LIST, lists_file
from gramophone.realtime.control.performance.actions import Performance
from gramophone.realtime.osc.packet import decode, encode


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "gramophone"


@pytest.fixture
def setup():
    setup = Setup(load("hall"))
    Performance(setup.controller, setup.space.library, setup.space.morpher)
    setup.dispatcher = Dispatcher(setup.space)
    return setup


def send(setup, address, *values):
    setup.dispatcher.receive(encode(f"/gramophone/{address}", values), "peer", time.monotonic())
    setup.dispatcher.advance(time.monotonic())
    return [decode(packet).arguments for packet, _ in setup.dispatcher.outgoing]


def test_next_and_previous_go_through_the_set_list_and_around(setup):
    send(setup, "setlist", "stack, hall,choir")
    heard = []
    for action in ("next-preset", "next-preset", "next-preset", "previous-preset"):
        send(setup, action)
        heard.append(setup.controller.name)
    assert heard == ["choir", "stack", "hall", "stack"]
    send(setup, "setlist", "")
    send(setup, "next-preset")
    presets = setup.space.library.presets
    assert setup.controller.name == presets[presets.index("stack") + 1], (
        "without a set list all presets are gone through"
    )


def test_a_preset_of_the_set_list_that_is_gone_is_passed_over(setup, own):
    save_own(load("wide"), "mine")
    send(setup, "setlist", "hall, mine, choir")
    (own / "presets" / "mine.toml").unlink()
    send(setup, "next-preset")
    assert setup.controller.name == "choir"


def test_lists_are_kept_and_asked_for(setup):
    send(setup, "setlist", "stack, hall")
    send(setup, "favourites", "choir")
    assert send(setup, "setlist") == [("stack, hall",)]
    setup.space.close()
    again = Library().lists
    assert (again[SET_LIST], again[FAVOURITES]) == (("stack", "hall"), ("choir",))


@pytest.mark.parametrize("text", ["no-such-preset", "hall, ../../etc/passwd", "hall;stack"])
def test_what_is_no_preset_is_refused(setup, text):
    send(setup, "setlist", text)
    assert setup.errors == {"unknown preset": 1}
    assert setup.space.library.lists[SET_LIST] == ()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"setlist": 3}', '{"setlist": ["hall", 4]}'])
def test_a_file_that_was_broken_by_others_is_no_end(text):
    lists_file().parent.mkdir(parents=True)
    lists_file().write_text(text)
    assert Library().lists[SET_LIST] == (("hall",) if "hall" in text else ())


def test_a_disk_that_refuses_is_reported(setup, own):
    own.mkdir()
    (own / "lists.json").mkdir()
    send(setup, "setlist", "hall")
    setup.space.close()
    assert "not kept" in setup.space.methods["/gramophone/news"].read()[1]


def test_the_catalogue_says_what_each_preset_is(own):
    save_own(load("wide"), "Late Night")
    (own / "presets" / "broken.toml").write_text("no preset")
    entries = {entry["name"]: entry for entry in Library().catalogue()}
    assert entries["hall"]["title"] == load("hall").title
    assert entries["hall"]["tags"] == ["choir", "space"]
    assert [name for name, entry in entries.items() if entry["own"]] == ["broken", "late-night"]
    assert entries["late-night"]["title"] == "Late Night"
    assert all(entry["tags"] for entry in entries.values() if not entry["own"]), (
        "every factory preset can be found by tag"
    )
