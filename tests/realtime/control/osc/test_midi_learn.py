"""MIDI learn over OSC: what a client sends, sees and gets, without sockets or ports."""

import pytest
from support.dispatcher import DispatcherSetup

from gramophone.presets import load, save_own
from gramophone.realtime.control.midi import ControlMapping
from gramophone.realtime.midi.decoder import Control, Moved

LEARN, UNLEARN = "/gramophone/midi/learn", "/gramophone/midi/unlearn"
ROOM = "/gramophone/midi/control/hall/room"


@pytest.fixture
def setup():
    return DispatcherSetup(surfaces=True)


def move(setup, number=21):
    for value in range(10, 60, 4):
        setup.controller_map.receive(Moved(Control("cc", 3, number), value))


def test_a_control_is_learned_shown_and_forgotten(setup):
    setup.send("/gramophone/subscribe")
    replies = setup.replies()
    assert (replies[LEARN], replies["/gramophone/midi/hint"], replies[ROOM]) == (("",), ("",), ("",))
    setup.send(LEARN, "hall.room")
    setup.advance()
    replies = setup.replies(0.1)
    assert replies["/gramophone/midi/hint"] == ("move a control, press a button or play a key",)
    move(setup)
    replies = setup.replies(0.1)
    assert (replies[LEARN], replies["/gramophone/midi/hint"], replies[ROOM]) == (("",), ("",), ("CC 21 ch 3",))
    assert replies["/gramophone/news"] == (1, "hall.room: CC 21 ch 3")
    assert setup.controller_map.mappings == (ControlMapping("hall.room", number=21, channel=3, mode="pickup"),)
    assert setup.controller.preset.midi[0]["number"] == 21
    setup.send(UNLEARN, "hall.room")
    assert setup.replies(0.1)[ROOM] == ("",)
    assert setup.controller_map.mappings == setup.controller.preset.midi == ()


def test_learning_is_called_off_by_an_empty_text(setup):
    setup.send(LEARN, "panic")
    setup.advance()
    setup.send(LEARN)
    assert setup.replies()[LEARN] == ("panic",)
    setup.send(LEARN, "")
    setup.advance()
    move(setup)
    assert setup.controller_map.mappings == ()


@pytest.mark.parametrize("wrong", ["hall.rom", "space.impulse", "nothing", "..", 3.0])
def test_what_no_control_can_turn_is_refused_and_nothing_waits(setup, wrong):
    setup.send(LEARN, wrong)
    setup.send(UNLEARN, wrong)
    setup.advance()
    assert setup.controller_map.learning == ""
    assert sum(setup.errors.values()) == 2


@pytest.mark.parametrize(("bpm", "taken"), [(120.0, True), (1.0, True), (0.0, False), (1e9, False), (-1.0, False)])
def test_the_tempo_is_set_within_its_range(setup, bpm, taken):
    setup.controller_map.mappings = [ControlMapping("drive.drive", number=1)]
    setup.send("/gramophone/tempo", bpm)
    setup.send("/gramophone/tempo")
    replies = setup.replies()
    assert ("/gramophone/news" in replies) == (not taken)
    assert replies["/gramophone/tempo"] == ((bpm,) if taken else ())
    assert setup.errors == ({} if taken else {"refused value": 1})


def test_what_is_learned_between_two_presets_stays_with_the_right_one(setup, tmp_path, monkeypatch):
    """The controller map follows presets with its next tick: learning before that must keep the new mappings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    setup.controller_map.mappings = [ControlMapping("hall.room", number=1)]
    saved = save_own(setup.controller.preset, "mine")
    setup.controller.change("wide")
    setup.controller.change(load(saved.path))
    setup.controller_map.learn("hall.wet")
    move(setup)
    assert [mapping.number for mapping in setup.controller_map.mappings] == [1, 21]
    assert [row["number"] for row in setup.controller.preset.midi] == [1, 21]


def test_learning_is_described_to_clients(setup):
    methods = setup.space.methods
    assert methods[LEARN].types == methods[UNLEARN].types == methods["/gramophone/save"].types == "s"
    assert not methods[ROOM].writable
    assert "/gramophone/midi/control/space/impulse" not in methods
    assert {f"/gramophone/midi/control/{name}" for name in ("bypass", "mute", "panic")} <= methods.keys()
