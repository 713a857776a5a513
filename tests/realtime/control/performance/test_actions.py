"""Actions: one row is an OSC address, a node, a MIDI control and a key; and what each of them does."""

from itertools import pairwise

import pytest
from support.dispatcher import DispatcherSetup
from support.osc import make_preset

from gramophone.models.parameters import ParameterError
from gramophone.presets import PresetError, load, names
from gramophone.realtime.control.morph import chain_of
from gramophone.realtime.control.oscquery.tree import node_at
from gramophone.realtime.control.performance.actions import Performance, TapTempo
from gramophone.realtime.midi.decoder import Control, Moved
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.parameter_table import values_of
from gramophone.realtime.switches import ACTIONS, SWITCHES


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "gramophone"


class Played(DispatcherSetup):
    """A set-up whose actions are performed, at times that the test says."""

    def __init__(self, preset=None):
        super().__init__(preset or load("hall"), surfaces=True)
        self.performance = Performance(
            self.controller, self.space.library, self.space.morpher, self.controller_map, clock=lambda: self.now
        )

    def press(self, name):
        self.controller.set(name, True)


@pytest.fixture
def played():
    return Played()


def test_one_row_is_an_address_a_node_a_control_and_a_key(played):
    rows = {name: row for name, row in ACTIONS.items() if name in played.controller.actions} | SWITCHES
    assert set(ACTIONS) - set(rows) == {"record", "undo", "redo", "audition"}, "which others perform"
    for name, row in rows.items():
        node = node_at(played.space, f"/gramophone/{name}")
        assert node["DESCRIPTION"], name
        assert node.get("TAGS", []) == ([f"key {row.key}"] if row.key else []), name
        played.controller_map.learn(name)
        played.controller_map.stop_learning()
        assert node_at(played.space, f"/gramophone/midi/control/{name}"), name
    keys = [row.key for row in (ACTIONS | SWITCHES).values() if row.key]
    assert len(keys) == len(set(keys))


def test_a_midi_button_that_was_learned_does_the_action_when_pressed_only(played):
    for value in (127, 0):
        if value == 127:
            played.controller_map.learn("next-preset")
        played.controller_map.receive(Moved(Control("note", 1, 60), value, 127))
    (mapping,) = [each for each in played.controller_map.mappings if each.knob == "next-preset"]
    assert mapping.mode == "momentary"
    before = len(played.sink.calls)
    for value in (100, 0, 90, 0):
        played.controller_map.receive(Moved(Control("note", 1, 60), value, 127))
    changes = [call for call in played.sink.calls[before:] if call[0] == "change"]
    assert len(changes) == 2
    assert played.controller_map.errors == {}


def test_presets_go_round_in_the_order_of_the_list(played):
    order = played.space.library.presets
    seen = []
    for _ in range(3):
        played.press("next-preset")
        seen.append(played.controller.name)
    assert all(order.index(after) == (order.index(before) + 1) % len(order) for before, after in pairwise(seen))
    for _ in range(3):
        played.press("previous-preset")
    assert played.controller.name == "hall"
    assert set(order) == set(names())


def test_snapshots_come_back_with_their_preset_and_every_value(played):
    played.controller.set("style.strength", 0.31)
    played.press("store-3")
    kept = played.controller.preset
    played.controller.set("style.strength", 0.9)
    played.press("snapshot-3")
    assert played.controller.get("style.strength") == 0.31
    played.controller.change("robot")
    played.press("snapshot-3")
    assert values_of(played.controller.preset) == values_of(kept)
    with pytest.raises(RefusedError, match="nothing is stored"):
        played.press("snapshot-4")


def test_snapshots_are_there_in_the_next_session_with_every_value(own):
    first = Played()
    first.controller.set("style.strength", 0.31)
    first.press("store-3")
    kept = first.controller.preset
    first.controller.change("robot")
    first.press("store-8")
    first.press("store-8")
    first.space.close()
    assert sorted(path.name for path in (own / "snapshots").iterdir()) == ["3-hall.toml", "8-robot.toml"]

    second = Played(load("stack"))
    assert [*second.space.library.snapshots] == ["snapshot-3", "snapshot-8"]
    second.press("snapshot-3")
    assert (second.controller.name, values_of(second.controller.preset)) == ("hall", values_of(kept))
    second.controller.set("style.strength", 0.71)
    second.press("store-4")
    second.send("/gramophone/morph", "snapshot-3", "snapshot-4", 0.5)
    second.advance()
    assert second.controller.get("style.strength") == pytest.approx(0.51)
    second.controller.change("wide")
    second.press("store-3")
    second.space.close()
    assert sorted(path.name for path in (own / "snapshots").iterdir()) == ["3-wide.toml", "4-hall.toml", "8-robot.toml"]


def test_a_snapshot_file_that_was_broken_is_refused_and_what_plays_goes_on(own):
    (own / "snapshots").mkdir(parents=True)
    (own / "snapshots" / "2-hall.toml").write_text("no preset")
    (own / "snapshots" / "9-hall.toml").write_text("no number of ours")
    played = Played()
    assert [*played.space.library.snapshots] == ["snapshot-2"]
    with pytest.raises(PresetError, match=r"2-hall\.toml"):
        played.press("snapshot-2")
    assert played.controller.name == "hall"
    played.press("store-2")
    played.press("snapshot-2")


def test_a_disk_that_keeps_no_snapshot_is_reported(own):
    own.mkdir(parents=True)
    (own / "snapshots").write_text("a file in the way")
    played = Played()
    played.press("store-1")
    played.space.close()
    assert "not kept for the next session" in played.space.notices.read()[1]
    played.press("snapshot-1")


def test_the_morph_goes_between_snapshots_before_anything_was_chosen(played):
    for number, value in ((1, 0.2), (2, 0.6)):
        played.controller.set("style.strength", value)
        played.press(f"store-{number}")
    played.controller.set("morph", 0.5)
    assert played.controller.get("style.strength") == pytest.approx(0.4)
    assert node_at(played.space, "/gramophone/morph")["VALUE"] == ["snapshot-1", "snapshot-2", 0.5]
    played.send("/gramophone/morph", 1.0)
    played.advance()
    assert played.controller.get("style.strength") == pytest.approx(0.6)
    assert played.controller.get("morph") == 1.0


def test_a_and_b_keep_what_was_set_on_either_side(played):
    played.controller.set("style.strength", 0.2)
    played.controller.set("ab", True)
    assert played.controller.get("style.strength") == 0.2
    played.controller.set("style.strength", 0.7)
    played.controller.set("ab", False)
    assert played.controller.get("style.strength") == 0.2
    played.controller.set("ab", True)
    assert played.controller.get("style.strength") == 0.7


def test_clips_go_round_in_the_first_stage_that_has_one(played):
    clips = played.space.library.clips
    for step in (1, 2):
        played.press("next-clip")
        now = node_at(played.space, "/gramophone/style/clip")["VALUE"][0]
        assert now == clips[(clips.index("choir.flac") + step) % len(clips)]
    played.press("previous-clip")
    played.press("previous-clip")
    assert node_at(played.space, "/gramophone/style/clip")["VALUE"] == ["choir.flac"]


def test_without_a_stage_that_takes_a_clip_the_error_says_so():
    played = Played(make_preset(stages=(("level", "gain", {}),)))
    with pytest.raises(ParameterError, match="no stage of it takes a clip"):
        played.press("next-clip")


def test_taps_make_a_tempo_and_a_bounce_or_a_pause_makes_none(played):
    for time_s in (0.0, 0.5, 1.01, 1.5):
        played.now = time_s
        played.press("tap")
    assert played.controller_map.bpm == pytest.approx(120.0)
    tempo = TapTempo()
    assert [tempo.tap(t) for t in (0.0, 0.01, 1.0)] == [None, None, pytest.approx(60.0)]
    assert tempo.tap(20.0) is None
    assert tempo.tap(20.25) == pytest.approx(240.0)


def test_what_plays_on_while_a_slow_preset_is_made_does_not_eat_presses(played):
    assert chain_of(played.controller.preset, played.controller.parameters)
    order = played.space.library.presets
    played.controller._patience_s = 0.0
    before = order.index(played.controller.name)
    for _ in range(3):
        played.press("next-preset")
    played.sink.wait_for(lambda calls: ("change", order[(before + 3) % len(order)]) in calls)
