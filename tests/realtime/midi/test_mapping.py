"""Mappings: data that survives a preset file, refused by file and key; pick-up never jumps, encoders count exactly."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gramophone.models.parameters import Parameter, ParameterError
from gramophone.presets import PresetError, load, parse, save
from gramophone.realtime.control.midi.takeover import NEAR, Takeover, clicks
from gramophone.realtime.midi.decoder import Control, Moved, Stepped
from gramophone.realtime.midi.mapping import (
    KEYS,
    KINDS,
    MODES,
    RELATIVE,
    ControlMapping,
    check_knob,
    with_mappings,
)
from gramophone.realtime.parameter_table import mappings_of

STAGES = """title = "Test"
description = ""

[[stages]]
kind = "delay"

[[stages]]
kind = "gain"
"""

MAPPED = """
[[midi]]   # the big one
knob = "gain.gain"
control = "cc"
number = 7
mode = "absolute"   # in full

[[midi]]
knob = "panic"
control = "note"
number = 60
mode = "momentary"
"""


def fader(position, bits=14):
    top = (1 << bits) - 1
    return Moved(Control("cc14" if bits == 14 else "cc", 1, 7), round(position * top), top)


def encoder(value):
    return Moved(Control("cc", 1, 7), value)


@st.composite
def mappings(draw):
    low = draw(st.floats(0, 0.9))
    fields = {
        "knob": draw(st.sampled_from(["gain.gain", "delay.time", "delay.bypass", "panic", "mute"])),
        "control": draw(st.sampled_from([kind for kind in KINDS if kind != "clock"])),
        "channel": draw(st.integers(0, 16)),
        "port": draw(st.text(max_size=5)),
        "mode": draw(st.sampled_from(MODES)),
        "low": low,
        "high": draw(st.floats(low, 1, exclude_min=True)),
        "curve": draw(st.floats(0.1, 10)),
        "invert": draw(st.booleans()),
        "step": draw(st.floats(0.001, 0.5)),
        "ring": draw(st.booleans()),
    }
    if fields["control"] in ("nrpn", "rpn"):
        fields["number"] = draw(st.integers(0, 16383))
    if fields["control"] in ("note", "polypressure"):
        fields["number"] = draw(st.integers(0, 127))
    assume(fields["control"] == "cc" or fields["mode"] not in RELATIVE)
    assume((fields["knob"], fields["mode"]) != ("panic", "toggle"))
    return ControlMapping(**fields)


@settings(deadline=None, max_examples=40)
@given(st.lists(mappings(), max_size=4))
def test_mappings_survive_a_preset_file(wanted):
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "b.toml"
        save(with_mappings(parse(STAGES, Path(folder) / "a.toml"), wanted), saved)
        assert mappings_of(load(saved)) == tuple(wanted)


def test_saving_keeps_mappings_that_stay_as_they_were_written(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(STAGES + MAPPED)
    preset = load(path)
    save(with_mappings(preset, mappings_of(preset)), tmp_path / "same.toml")
    assert (tmp_path / "same.toml").read_text() == STAGES + MAPPED
    more = ControlMapping("delay.time", "clock", beats=0.75)
    save(with_mappings(preset, (*mappings_of(preset), more)), tmp_path / "more.toml")
    text = (tmp_path / "more.toml").read_text()
    assert "# the big one" in text
    assert "# in full" in text
    assert mappings_of(load(tmp_path / "more.toml"))[-1] == more
    save(with_mappings(preset, ()), tmp_path / "none.toml")
    assert "midi" not in (tmp_path / "none.toml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('knob = "gain.gain"', 'knob = "gain.gian"', "did you mean gain.gain"),
        ('knob = "gain.gain"', "", "key 'knob' is missing"),
        ('control = "cc"', 'control = "ccc"', "control = 'ccc': expected one of cc, cc14"),
        ("number = 7", "number = 120", "number = 120: expected 0 to 119"),
        ("number = 7", "number = 7.5", "number = 7.5: expected a whole number"),
        ("number = 7", 'number = "7"', "number = '7': expected a number from 0"),
        ("number = 7", "nubmer = 7", "unknown key 'nubmer'; expected knob, control"),
        ("number = 7", "low = 0.8\nhigh = 0.2", "low = 0.8: expected less than high = 0.2"),
        ("number = 7", "curve = 0", "curve = 0: expected a number from 0.1"),
        ("number = 7", "invert = 1", "invert = 1: expected true or false"),
        ("number = 7", "channel = 17", "channel = 17: expected a number from 0 to 16"),
        ("number = 7", "beats = [1]", "beats = [1]: expected a number, true, false or a text"),
        ('mode = "absolute"', 'mode = "relative"', "mode = 'relative': expected one of absolute"),
        ('control = "note"\nnumber = 60', 'control = "clock"', "no parameter 'panic'"),
        ('mode = "momentary"', 'mode = "toggle"', "panic cannot be left on"),
        ('mode = "momentary"', 'mode = "signed-bit"', "expected control = 'cc', found 'note'"),
        ('control = "cc"\nnumber = 7', 'control = "clock"', "sets times and rates, in ms, s, Hz"),
    ],
)
def test_mistakes_are_named_by_file_and_key(tmp_path, old, new, expected):
    with pytest.raises(PresetError, match=re.escape(expected)) as caught:
        mappings_of(parse(STAGES + MAPPED.replace(old, new), tmp_path / "mine.toml"))
    assert str(tmp_path / "mine.toml") in str(caught.value)


def test_the_key_table_and_the_mapping_are_one():
    mapping = ControlMapping("x.y")
    assert list(vars(mapping)) == [key.name for key in KEYS]
    assert all(getattr(mapping, key.name) == key.default for key in KEYS[1:])


def test_one_table_in_place_of_many_is_named(tmp_path):
    with pytest.raises(PresetError, match=r"mine.toml: midi = .*expected \[\[midi\]\] tables"):
        parse(STAGES + '[midi]\nknob = "gain.gain"\n', tmp_path / "mine.toml")


def test_the_docs_have_every_key():
    written = (Path(__file__).parents[3] / "docs" / "midi.md").read_text("utf-8")
    for key in KEYS:
        assert f"| `{key.name}` | {key.description}" in written
        assert all(f"`{choice}`" in written for choice in key.choices)


def test_a_file_name_cannot_be_mapped():
    knobs = {
        "style.clip": Parameter("clip", "", "a sound"),
        "style.mode": Parameter("mode", "a", "", choices=("a", "b")),
    }
    with pytest.raises(ParameterError, match=r"knob = 'style.clip': takes a file name"):
        check_knob(ControlMapping("style.clip"), knobs)
    check_knob(ControlMapping("style.mode"), knobs)


@given(mappings(), st.floats(0, 1))
def test_there_and_back(mapping, position):
    knob = mapping.to_knob(position)
    assert mapping.low - 1e-9 <= knob <= mapping.high + 1e-9
    if mapping.high - mapping.low > 0.01:
        assert mapping.to_knob(mapping.from_knob(knob)) == pytest.approx(knob, abs=1e-6)


@given(
    st.lists(st.one_of(st.floats(0, 1), st.tuples(st.floats(0, 1))), max_size=60),
    st.floats(0.3, 3),
    st.booleans(),
    st.sampled_from([7, 14]),
)
def test_pick_up_never_jumps(moves, curve, invert, bits):
    """A fader and another source (tuples) set one parameter: it moves no farther than the fader."""
    mapping = ControlMapping("gain.gain", mode="pickup", curve=curve, invert=invert)
    takeover, knob, last = Takeover(mapping), 0.5, None
    for move in moves:
        if isinstance(move, tuple):
            knob = move[0]
            continue
        event = fader(move, bits)
        goal = takeover.move(event, knob)
        at = mapping.to_knob(event.position)
        if goal is not None:
            assert goal == at
            assert abs(goal - knob) <= max(NEAR, abs(at - last) if last is not None else 0) + 1e-12
            knob = goal
            takeover.leave(knob)
        last = at


def test_pick_up_takes_over_when_it_passes_the_value_and_ends_when_something_else_sets_it():
    takeover = Takeover(ControlMapping("gain.gain", mode="pickup"))
    assert takeover.move(fader(0.1), 0.5) is None
    assert takeover.move(fader(0.4), 0.5) is None
    assert takeover.move(fader(0.6), 0.5) == pytest.approx(0.6, abs=1e-4)
    takeover.leave(0.6)
    assert takeover.move(fader(0.9), 0.6) == pytest.approx(0.9, abs=1e-4)
    takeover.leave(0.9)
    assert takeover.move(fader(0.8), 0.2) is None


def sent(mode, steps):
    """What an encoder sends for a number of clicks, -63 to 63."""
    if mode == "twos-complement":
        return steps % 128
    return 64 + steps if mode == "binary-offset" else (steps if steps >= 0 else 64 - steps)


@given(st.sampled_from(RELATIVE), st.lists(st.integers(-63, 63), max_size=60), st.floats(0, 1), st.booleans())
def test_encoders_count_exactly_and_stop_at_the_ends(mode, steps, start, invert):
    mapping = ControlMapping("gain.gain", mode=mode, step=1 / 127, invert=invert)
    takeover, knob, clicked = Takeover(mapping), start, mapping.from_knob(start)
    for step in steps:
        assert clicks(mode, sent(mode, step)) == step
        knob = takeover.move(encoder(sent(mode, step)), knob)
        takeover.leave(knob)
        clicked = min(max(clicked + step / 127, 0.0), 1.0)
        assert knob == pytest.approx(mapping.to_knob(clicked), abs=1e-9)


def test_an_encoder_goes_through_choices_that_are_farther_apart_than_a_click():
    takeover, at = Takeover(ControlMapping("x.y", mode="twos-complement", step=0.05)), 0.0
    places = []
    for _ in range(20):
        at = round(takeover.move(encoder(1), at) * 2) / 2
        takeover.leave(at)
        places.append(at)
    assert places[-1] == 1.0
    assert 0.5 in places


def test_increments_step_whatever_the_mode():
    for mode in ("absolute", "pickup"):
        takeover = Takeover(ControlMapping("x.y", "nrpn", mode=mode, step=0.25))
        assert takeover.move(Stepped(Control("nrpn", 1, 0), 1), 0.5) == pytest.approx(0.75)


@pytest.mark.parametrize("control", ["cc", "note"])
def test_buttons_toggle_on_the_press_and_hold_while_held(control):
    def press(value):
        return Moved(Control(control, 1, 7), value)

    toggle, at = Takeover(ControlMapping("x.y", control, 7, mode="toggle")), 0.0
    for expected in (1.0, 0.0, 1.0):
        at = toggle.move(press(100), at)
        assert at == expected
        assert toggle.move(press(110), at) is None
        assert toggle.move(press(0), at) is None
    held = Takeover(ControlMapping("x.y", control, 7, mode="momentary", low=0.2, high=0.7))
    assert [held.move(press(value), 0.5) for value in (100, 0)] == [pytest.approx(0.7), pytest.approx(0.2)]


def test_a_velocity_stays_when_the_key_is_let_go():
    takeover = Takeover(ControlMapping("x.y", "note", 60))
    assert takeover.move(Moved(Control("note", 1, 60), 127), 0.5) == 1.0
    assert takeover.move(Moved(Control("note", 1, 60), 0), 1.0) is None


def test_a_mapping_made_in_code_is_checked_too():
    with pytest.raises(ParameterError, match="number = 40: expected 0 to 31 for cc14"):
        ControlMapping("x.y", "cc14", 40)
