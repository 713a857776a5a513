"""A macro sets its targets, whichever way it is set; mistakes in it are named by file and key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramophone.presets import Macro, MacroTarget, Preset, PresetError, StageSettings, load, parse, read, save
from gramophone.realtime.macros import targets_at, value_for
from gramophone.realtime.parameter_table import chain_parameters, complete, concise, overridden, table, values_of

TEXT = """title = "Test"   # mine

[[stages]]
name = "low"
kind = "lowpass"
frequency = 900.0

[[stages]]
kind = "reverb"
wet = 0.1

[[macros]]
name = "Dark"   # what it is called
targets = [{ parameter = "low.frequency", low = 8100, high = 100 }]

# the room
[[macros]]
name = "Space"
help = "how much"
value = 0.5
targets = [
  { parameter = "reverb.wet", low = 0, high = 0.4, curve = 2 },   # fine at the lower end
  { parameter = "reverb.freeze", low = false, high = true },
]
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "mine.toml").write_text(TEXT)
    return tmp_path / "mine.toml"


def test_a_macro_without_a_value_stands_where_its_first_target_does(path):
    preset = complete(load(path))
    assert [macro.value for macro in preset.macros] == [pytest.approx(0.5), 0.5]  # 900 is half the way in octaves
    assert [*table(preset)][:2] == ["macro.1", "macro.2"]
    assert table(preset)["macro.2"].description == "Space: how much"
    assert not any(address.startswith("macro.") for address in chain_parameters(preset))


@given(st.floats(0, 1), st.floats(0.2, 5), st.booleans())
def test_where_a_macro_stands_is_what_sets_its_target_to_the_value_that_it_has(value, curve, falling):
    low, high = (9000.0, 50.0) if falling else (50.0, 9000.0)
    macro = Macro("Dark", (MacroTarget("low.frequency", low, high, curve),))
    parameters = chain_parameters(Preset("x", (StageSettings("low", "lowpass"),)))
    targets = targets_at(macro, value, parameters)
    share = value**curve
    assert targets["low.frequency"] == pytest.approx(low * (high / low) ** share)
    again = targets_at(macro, value_for(macro, targets, parameters), parameters)
    assert again["low.frequency"] == pytest.approx(targets["low.frequency"], rel=1e-6)


def test_a_setting_of_a_macro_sets_its_targets_and_what_comes_later_wins(path):
    preset = complete(overridden(load(path), ["macro.2=1", "macro.1=0", "reverb.wet=0.2"]))
    values = values_of(preset)
    assert (values["macro.1"], values["low.frequency"]) == (0.0, 8100.0)
    assert (values["macro.2"], values["reverb.wet"], values["reverb.freeze"]) == (1.0, 0.2, True)
    with pytest.raises(PresetError, match=r"--set macro\.2=2: Space = '2': expected a number from 0 to 1"):
        overridden(load(path), ["macro.2=2"])


def test_saving_keeps_values_comments_and_layout(path, tmp_path):
    preset = read(path)
    save(preset, tmp_path / "same.toml")
    assert (tmp_path / "same.toml").read_text() == TEXT
    moved = preset.with_values({("macro", "1"): 0.25, ("macro", "2"): 0.75})
    save(moved, tmp_path / "new.toml")
    assert read(tmp_path / "new.toml").macros == moved.macros
    text = (tmp_path / "new.toml").read_text()
    named = '"Dark"   # what it is called\n'
    assert text == TEXT.replace(named, f"{named}value = 0.25\n").replace("value = 0.5", "value = 0.75")


def test_a_preset_made_in_code_is_read_as_it_was_saved(tmp_path):
    macro = Macro("Level", (MacroTarget("gain.gain", -12.0, 6.0), MacroTarget("gain.bypass", True, False, 0.5)), "up")
    preset = Preset("made", (StageSettings("gain", "gain"),), macros=(macro,))
    save(preset, tmp_path / "made.toml")
    assert read(tmp_path / "made.toml").macros == (macro,)


def test_only_a_value_that_differs_from_that_of_the_targets_is_written(path):
    written = read(path)
    preset = complete(written)
    assert [macro.value for macro in concise(preset, written).macros] == [None, 0.5]
    moved = preset.with_values({("macro", "1"): 0.1})
    assert [macro.value for macro in concise(moved, written).macros] == [0.1, 0.5]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"low.frequency"', '"low.frequenc"', r"macro 1 \(Dark\): no parameter 'low.frequenc'; did you mean low\.freq"),
        ('"low.frequency"', '"high.frequency"', r"macro 1 \(Dark\): no parameter 'high.frequency'"),
        ('"low.frequency"', '"macro.2"', r"no parameter 'macro.2'"),
        ("high = 100", "high = 1", r"low\.frequency: high = 1: expected a number from 20 to 20000 Hz"),
        ("high = 100", 'high = "low"', r"high = 'low': expected a number from"),
        ("high = 100", "high = 8100", r"low = high = 8100: expected two values"),
        (", high = 100", "", r"macro 1 \(Dark\): target 1: key 'high' is missing"),
        ("low = false", "low = 0", r"reverb\.freeze: low = 0: expected true or false"),
        ("curve = 2", "curve = 0", r"target 1: curve = 0: expected a number above 0"),
        ("curve = 2", "curv = 2", r"unknown key 'curv'; expected parameter, low, high, curve"),
        ("value = 0.5", "value = 1.5", r"macro 2 \(Space\): value = 1.5: expected a number from 0 to 1"),
        ("value = 0.5", "valu = 0.5", r"macro 2: unknown key 'valu'; expected name, help, value, targets"),
        ('name = "Space"', "", r"macro 2: key 'name' is missing"),
        ('"Space"', '"Dark"', r"two macros are called 'Dark'"),
        ('"Space"', '"a: b"', r"name = 'a: b': expected a word or two, without ':'"),
        ('"reverb.freeze", low = false, high = true', '"reverb.wet", low = 0, high = 1', r"two targets are parameter"),
        ('targets = [{ parameter = "low.frequency", low = 8100, high = 100 }]', "targets = []", r"at least one"),
        ('kind = "reverb"', 'kind = "reverb"\nname = "macro"', r"a stage is called 'macro'"),
    ],
)
def test_mistakes_are_named_by_file_and_macro(path, old, new, expected):
    assert old in TEXT
    with pytest.raises(PresetError, match=expected) as caught:
        complete(parse(TEXT.replace(old, new), path))
    assert str(path) in str(caught.value)


def test_a_file_name_is_no_target_and_eight_macros_are_the_most(path):
    row = '[[macros]]\nname = "{}"\ntargets = [{{ parameter = "{}", low = {}, high = {} }}]\n'
    stage = '[[stages]]\nkind = "style"\nclip = "choir.flac"\n'
    with pytest.raises(PresetError, match=r"'style\.clip': takes a file name"):
        complete(parse(stage + row.format("Clip", "style.clip", '"choir.flac"', '"organ.flac"'), path))
    nine = "".join(row.format(f"m{k}", "style.strength", 0, 1) for k in range(9))
    with pytest.raises(PresetError, match=r"9 \[\[macros\]\] tables: expected at most 8"):
        parse(stage + nine, path)
