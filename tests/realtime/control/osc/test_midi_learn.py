"""Learning over OSC: what a client asks for, sees and gets, without sockets or ports."""

import pytest
from support.dispatcher import Talk

from gramophone.presets import load, save_own
from gramophone.realtime.control.midi import ControlMapping
from gramophone.realtime.midi.decoder import Control, Moved

LEARN, UNLEARN = "/gramophone/midi/learn", "/gramophone/midi/unlearn"
ROOM = "/gramophone/midi/control/hall/room"


@pytest.fixture
def talk():
    return Talk(surfaces=True)


def move(talk, number=21):
    for value in range(10, 60, 4):
        talk.controller_map.receive(Moved(Control("cc", 3, number), value))


def test_a_control_is_learned_shown_and_forgotten(talk):
    talk.hear("/gramophone/subscribe")
    told = talk.told()
    assert (told[LEARN], told["/gramophone/midi/hint"], told[ROOM]) == (("",), ("",), ("",))
    talk.hear(LEARN, "hall.room")
    talk.say()
    told = talk.told(0.1)
    assert told["/gramophone/midi/hint"] == ("move a control, press a button or play a key",)
    move(talk)
    told = talk.told(0.1)
    assert (told[LEARN], told["/gramophone/midi/hint"], told[ROOM]) == (("",), ("",), ("CC 21 ch 3",))
    assert told["/gramophone/news"] == (1, "hall.room: CC 21 ch 3")
    assert talk.controller_map.mappings == (ControlMapping("hall.room", number=21, channel=3, mode="pickup"),)
    assert talk.controller.preset.midi[0]["number"] == 21
    talk.hear(UNLEARN, "hall.room")
    assert talk.told(0.1)[ROOM] == ("",)
    assert talk.controller_map.mappings == talk.controller.preset.midi == ()


def test_learning_is_called_off_by_an_empty_text(talk):
    talk.hear(LEARN, "panic")
    talk.say()
    talk.hear(LEARN)
    assert talk.told()[LEARN] == ("panic",)
    talk.hear(LEARN, "")
    talk.say()
    move(talk)
    assert talk.controller_map.mappings == ()


@pytest.mark.parametrize("wrong", ["hall.rom", "space.impulse", "nothing", "..", 3.0])
def test_what_no_control_can_turn_is_refused_and_nothing_waits(talk, wrong):
    talk.hear(LEARN, wrong)
    talk.hear(UNLEARN, wrong)
    talk.say()
    assert talk.controller_map.learning == ""
    assert sum(talk.errors.values()) == 2


@pytest.mark.parametrize(("bpm", "taken"), [(120.0, True), (1.0, True), (0.0, False), (1e9, False), (-1.0, False)])
def test_the_tempo_is_set_within_its_range(talk, bpm, taken):
    talk.controller_map.mappings = [ControlMapping("drive.drive", number=1)]
    talk.hear("/gramophone/tempo", bpm)
    talk.hear("/gramophone/tempo")
    assert talk.told() == ({"/gramophone/tempo": (bpm,)} if taken else {"/gramophone/tempo": ()})
    assert talk.errors == ({} if taken else {"refused value": 1})


def test_what_is_learned_between_two_presets_stays_with_the_right_one(talk, tmp_path, monkeypatch):
    """The surface follows presets at its own pace; learning at once after a change must not undo the new mappings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    talk.controller_map.mappings = [ControlMapping("hall.room", number=1)]
    saved = save_own(talk.controller.preset, "mine")
    talk.controller.change("wide")
    talk.controller.change(load(saved.path))
    talk.controller_map.learn("hall.wet")
    move(talk)
    assert [mapping.number for mapping in talk.controller_map.mappings] == [1, 21]
    assert [row["number"] for row in talk.controller.preset.midi] == [1, 21]


def test_learning_is_described_to_clients(talk):
    methods = talk.space.methods
    assert methods[LEARN].types == methods[UNLEARN].types == methods["/gramophone/save"].types == "s"
    assert not methods[ROOM].writable
    assert "/gramophone/midi/control/space/impulse" not in methods
    assert {f"/gramophone/midi/control/{name}" for name in ("bypass", "mute", "panic")} <= methods.keys()
