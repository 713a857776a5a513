"""A morph goes from one preset to the other, is each of them at its end, and never leaves a knob's range."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.osc import Setup, make_preset

from gramophone.presets import load, names
from gramophone.realtime.control.morph import Morph, layout, play
from gramophone.realtime.parameter_table import complete, table

FIRST = make_preset("a", [("filter", "ladder", {"frequency": 100.0}), ("level", "gain", {"gain": -12.0})])
SECOND = make_preset(
    "b", [("filter", "ladder", {"frequency": 10_000.0, "mode": "band-24", "bypass": True}), ("level", "gain", {})]
)
OTHER = make_preset("c", [("level", "gain", {"gain": 12.0}), ("hall", "reverb", {})])


def values(preset):
    return {f"{stage.name}.{key}": value for stage in preset.stages for key, value in stage.values.items()}


def test_numbers_go_along_their_knobs_and_the_rest_changes_half_way():
    morph = Morph(FIRST, SECOND)
    early, middle = values(morph.at(0.49)), values(morph.at(0.5))
    assert middle["filter.frequency"] == pytest.approx(1000)
    assert middle["level.gain"] == pytest.approx(-6)
    assert (early["filter.mode"], early["filter.bypass"]) == ("low-12", False)
    assert (middle["filter.mode"], middle["filter.bypass"]) == ("band-24", True)


@pytest.mark.parametrize("other", [SECOND, OTHER])
def test_the_ends_are_the_presets_themselves(other):
    morph = Morph(FIRST, other)
    assert values(morph.at(0)) == values(complete(FIRST))
    assert values(morph.at(1)) == values(complete(other))


def test_stages_that_both_have_go_all_the_way_between_different_chains():
    morph = Morph(FIRST, OTHER)
    gains = [values(morph.at(position / 10))["level.gain"] for position in range(11)]
    assert gains == sorted(gains)
    assert len(set(gains)) == 11
    assert layout(morph.at(0.4)) == layout(FIRST)
    assert layout(morph.at(0.6)) == layout(OTHER)


@settings(deadline=None)
@given(st.sampled_from(names()), st.sampled_from(names()), st.floats(0, 1))
def test_between_factory_presets_every_value_fits_its_knob(first, second, position):
    preset = Morph(load(first), load(second)).at(position)
    knobs = table(preset)
    turned = values(preset)
    for address, knob in knobs.items():
        assert knob.check(turned[address]) == turned[address]


def test_a_desk_turns_knobs_within_a_chain_and_fades_between_chains():
    setup = Setup(FIRST)
    play(setup.controller, Morph(FIRST, SECOND).at(0.25))
    assert {call[0] for call in setup.sink.calls} == {"set"}
    play(setup.controller, Morph(FIRST, OTHER).at(0.75))
    assert setup.sink.calls[-1] == ("change", "c")


@pytest.mark.parametrize("position", [-0.1, 1.1, float("nan")])
def test_positions_beyond_the_ends_are_errors(position):
    with pytest.raises(ValueError, match="from 0 to 1"):
        Morph(FIRST, SECOND).at(position)
