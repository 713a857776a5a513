"""A preset file says what it means, keeps its comments, and is refused by file and key."""

import re

import pytest

from gramophone.models.parameters import ParameterError, lookup
from gramophone.presets import PresetError, load, parse, save
from gramophone.realtime.parameter_table import complete, overridden, table

TEXT = """# a title of one's own
title = "Test"
description = "For tests."

[[stages]]   # first
name = "low"
kind = "lowpass"
frequency = 900.0  # Hz

[[stages]]
kind = "gain"
"""


@pytest.fixture
def preset(tmp_path):
    path = tmp_path / "test.toml"
    path.write_text(TEXT)
    return load(path)


def test_a_stage_is_called_by_its_kind_unless_named(preset):
    assert [(stage.name, stage.kind) for stage in preset.stages] == [("low", "lowpass"), ("gain", "gain")]


def test_completing_fills_in_every_default(preset):
    full = complete(preset)
    knobs = table(preset)
    assert {f"{s.name}.{key}" for s in full.stages for key in s.values} == set(knobs)
    assert full.stage("low").values["frequency"] == 900.0
    assert full.stage("gain").values["mix"] == 1.0


def test_saving_keeps_comments_and_changes_one_value(preset, tmp_path):
    save(preset.with_values({("low", "frequency"): 1200.0}), tmp_path / "new.toml")
    assert (tmp_path / "new.toml").read_text() == TEXT.replace("900.0", "1200.0")
    assert load(tmp_path / "new.toml").stage("low").values["frequency"] == 1200.0


def test_saving_reordered_stages_keeps_each_with_its_values(preset, tmp_path):
    from dataclasses import replace

    save(replace(preset, stages=preset.stages[::-1]), tmp_path / "new.toml")
    back = load(tmp_path / "new.toml")
    assert [stage.name for stage in back.stages] == ["gain", "low"]
    assert back.stage("low").values == preset.stage("low").values


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("frequency = 900.0", "frequenc = 900.0", r"no key 'frequenc'; did you mean frequency"),
        ("frequency = 900.0", "frequency = 9e9", r"frequency = 9000000000.0: expected a number from"),
        ("frequency = 900.0", 'frequency = "900 Hz"', r"frequency = '900 Hz': expected a number from"),
        ("frequency = 900.0", "frequency = true", r"expected a number"),
        ("frequency = 900.0", "frequency = nan", r"expected a number"),
        ("frequency = 900.0", "frequency = [1]", r"expected a number, true, false or a text"),
        ("lowpass", "lowpas", r"lowpas"),
        ('kind = "gain"', "", r"key 'kind' is missing"),
        ('kind = "gain"', 'kind = "gain"\nname = "low"', r"two stages are called 'low'"),
        ('kind = "gain"', 'kind = "gain"\nname = "A b"', r"expected small letters"),
        ('title = "Test"', "title = 3", r"title = 3: expected a text"),
        ('title = "Test"', "tilte = 3", r"unknown key 'tilte'"),
        ("[[stages]]", "[[stags]]", r"unknown key 'stags'"),
        ('title = "Test"', "title = ", r"not valid TOML.*line 2"),
        ("frequency = 900.0", 'bypass = "yes"', r"bypass = 'yes': expected true or false"),
    ],
)
def test_mistakes_are_named_by_file_and_key(tmp_path, old, new, expected):
    path = tmp_path / "mine.toml"
    with pytest.raises(PresetError, match=expected) as caught:
        complete(parse(TEXT.replace(old, new), path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ('knob = "low.frequenc"', r"no parameter 'low.frequenc'; did you mean low\.frequency"),
        ('knob = "low.frequency"\nnumber = 120', r"number = 120: expected 0 to 119 for cc"),
        ('knob = "low.frequency"\nnumber = 7.5', r"number = 7.5: expected a whole number"),
        ('knob = "low.frequency"\nchannel = 17', r"channel = 17: expected a number from 0 to 16"),
        ('knob = "low.frequency"\ncurve = 0', r"curve = 0: expected a number from 0.1 to 10"),
        ('knob = "low.frequency"\nlow = 0.5\nhigh = 0.5', r"low = 0.5: expected less than high"),
        ('knob = "low.frequency"\nmode = "jump"', r"mode = 'jump': expected one of absolute, pickup"),
        ('knob = "low.frequency"\ncontrol = "knob"', r"control = 'knob': expected one of cc, cc14"),
        ('knob = "low.frequency"\nchanel = 1', r"unknown key 'chanel'; expected knob, control"),
        ('control = "cc"', r"key 'knob' is missing"),
        ("knob = 3", r"knob = 3: expected"),
        ('knob = "gain.mix"\ncontrol = "clock"', r"'clock' sets times and rates"),
    ],
)
def test_mistakes_in_mappings_are_named_by_file_and_table(tmp_path, row, expected):
    path = tmp_path / "mine.toml"
    good = '[[midi]]\nknob = "panic"\nmode = "momentary"\nnumber = 64\n'
    complete(parse(f"{TEXT}\n{good}", path))
    with pytest.raises(PresetError, match=expected) as caught:
        complete(parse(f"{TEXT}\n{good}\n[[midi]]\n{row}\n", path))
    assert f"{path}: midi 2" in str(caught.value)


def test_a_clip_that_is_not_there_is_named_with_its_key(tmp_path):
    text = TEXT + '\n[[stages]]\nkind = "style"\nclip = "nowhere.wav"\n'
    with pytest.raises(PresetError, match=r"no file 'nowhere.wav' in .*style\.clip"):
        complete(parse(text, tmp_path / "mine.toml"))


def test_an_unknown_preset_lists_those_there_are():
    with pytest.raises(PresetError, match="default"):
        load("nonesuch")
    with pytest.raises(PresetError, match="No such file"):
        load("nonesuch.toml")


@pytest.mark.parametrize(
    ("setting", "value"), [("low.frequency=1234", 1234.0), ("low.frequency=1234 Hz", 1234.0), ("gain.bypass=on", True)]
)
def test_settings_read_units_and_switches(preset, setting, value):
    address = setting.partition("=")[0].split(".")
    assert overridden(preset, [setting]).stage(address[0]).values[address[1]] == value


@pytest.mark.parametrize(
    "setting", ["low.frequency", "low.frequency=loud", "low.frequenc=3", "lo.frequency=3", "low.frequency=1 dB"]
)
def test_settings_that_do_not_fit_are_named(preset, setting):
    with pytest.raises(PresetError, match=re.escape(setting)):
        overridden(preset, [setting])


def test_lookup_suggests_the_nearest(preset):
    with pytest.raises(ParameterError, match=r"did you mean low\.frequency"):
        lookup(table(preset), "low.frequenc")
