"""A morph goes from one preset to the other, is each of them at its end, and never leaves a knob's range."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.osc import Setup, make_preset

from gramophone.models.parameters import Parameter
from gramophone.presets import load, names
from gramophone.realtime.control.morph import Morph, chain_of, play
from gramophone.realtime.parameter_table import complete, table, values_of
from gramophone.realtime.stages.plugins import scan
from gramophone.realtime.stages.plugins.description import Description, PluginParameter

FIRST = make_preset("a", [("filter", "ladder", {"frequency": 100.0}), ("level", "gain", {"gain": -12.0})])
SECOND = make_preset(
    "b", [("filter", "ladder", {"frequency": 10_000.0, "mode": "band-24", "bypass": True}), ("level", "gain", {})]
)
OTHER = make_preset("c", [("level", "gain", {"gain": 12.0}), ("hall", "reverb", {})])


def names_of(preset):
    return [(stage.name, stage.kind) for stage in preset.stages]


def plugin(name, **knobs):
    return make_preset(name, [("fx", "plugin", {"plugin": name, **knobs}), ("level", "gain", {})])


@pytest.fixture
def plugins(monkeypatch, tmp_path):
    """Two plug-ins that are installed and described, with one parameter of the same name and one of another."""
    for name, other in (("Warm", "tone"), ("Cold", "depth")):
        path = tmp_path / f"{name}.vst3"
        path.touch()
        knobs = tuple(PluginParameter(Parameter(key, 0.5, key), key, "position") for key in ("amount", other))
        described = Description(name, "us", "1", "Fx", 0, (1, 2), knobs)
        DESCRIBED[str(path)] = described
    monkeypatch.setattr(scan, "folders", lambda: [tmp_path])
    monkeypatch.setattr(scan, "describe", lambda _name, source, _load_s: DESCRIBED[source.path])


DESCRIBED = {}


def test_stages_of_one_name_with_different_plugins_change_over_and_are_never_mixed(plugins):
    warm, cold = plugin("Warm", amount=0.0, tone=1.0), plugin("Cold", amount=1.0)
    morph = Morph(warm, cold)
    assert values_of(morph.at(0.49)) == values_of(complete(warm))
    assert values_of(morph.at(0.51)) == values_of(complete(cold))
    setup = Setup(warm)
    play(setup.controller, morph.at(0.75))
    assert setup.sink.calls == [("change", "Cold")]
    assert setup.controller.get("fx.depth") == 0.5


def test_the_same_plugin_with_another_state_is_another_stage(plugins):
    kept = complete(plugin("Warm", state="AAAA"))
    assert chain_of(kept, table(kept)) != chain_of(complete(plugin("Warm")), table(kept))
    assert chain_of(kept, table(kept)) == chain_of(complete(plugin("Warm", state="AAAA", amount=0.9)), table(kept))


def test_numbers_go_along_their_knobs_and_the_rest_changes_half_way():
    morph = Morph(FIRST, SECOND)
    early, middle = values_of(morph.at(0.49)), values_of(morph.at(0.5))
    assert middle["filter.frequency"] == pytest.approx(1000)
    assert middle["level.gain"] == pytest.approx(-6)
    assert (early["filter.mode"], early["filter.bypass"]) == ("low-12", False)
    assert (middle["filter.mode"], middle["filter.bypass"]) == ("band-24", True)


@pytest.mark.parametrize("other", [SECOND, OTHER])
def test_the_ends_are_the_presets_themselves(other):
    morph = Morph(FIRST, other)
    assert values_of(morph.at(0)) == values_of(complete(FIRST))
    assert values_of(morph.at(1)) == values_of(complete(other))


def test_stages_that_both_have_go_all_the_way_between_different_chains():
    morph = Morph(FIRST, OTHER)
    gains = [values_of(morph.at(position / 10))["level.gain"] for position in range(11)]
    assert gains == sorted(gains)
    assert len(set(gains)) == 11
    assert names_of(morph.at(0.4)) == names_of(FIRST)
    assert names_of(morph.at(0.6)) == names_of(OTHER)


@settings(deadline=None)
@given(st.sampled_from(names()), st.sampled_from(names()), st.floats(0, 1))
def test_between_factory_presets_every_value_fits_its_knob(first, second, position):
    preset = Morph(load(first), load(second)).at(position)
    knobs = table(preset)
    turned = values_of(preset)
    for address, knob in knobs.items():
        assert knob.check(turned[address]) == turned[address]


def test_a_morph_sets_parameters_within_a_chain_and_fades_between_chains():
    setup = Setup(FIRST)
    play(setup.controller, Morph(FIRST, SECOND).at(0.25))
    assert {call[0] for call in setup.sink.calls} == {"set"}
    play(setup.controller, Morph(FIRST, OTHER).at(0.75))
    assert setup.sink.calls[-1] == ("change", "c")


@pytest.mark.parametrize("position", [-0.1, 1.1, float("nan")])
def test_positions_beyond_the_ends_are_errors(position):
    with pytest.raises(ValueError, match="from 0 to 1"):
        Morph(FIRST, SECOND).at(position)
