"""The prior of `match`: usual values are those of presets, nothing is excluded, and no weight changes nothing."""

import json

import numpy as np
import pytest
from support.render import gramophone

from gramophone.offline.evaluate.match_prior import HALVES, _presets, at_defaults, hidden_effects, run
from gramophone.offline.match.knobs import choose
from gramophone.offline.match.prior import Normal, Prior, factory_prior, usual_values
from gramophone.offline.match.search import Budget, search
from gramophone.offline.match.task import make_task
from gramophone.offline.match.trial import Trial
from gramophone.presets import Preset, StageSettings
from gramophone.presets.library import FACTORY
from gramophone.realtime.parameter_table import complete

RATE = 16_000


def preset(*stages):
    return Preset("some", tuple(StageSettings(f"s{n}", kind, values) for n, (kind, values) in enumerate(stages)))


def test_mean_and_deviation_are_those_worked_out_by_pencil():
    presets = [
        preset(("reverb", {"room": 0.2}), ("gain", {"gain": -60.0})),
        preset(("reverb", {"room": 0.4}), ("reverb", {"damping": 0.7})),
    ]
    usual = usual_values(presets)
    # Rooms .2, .4 and the default .5: squares about the mean 11/30 add up to 7/150; two draws from 0..1 add 2/12.
    assert usual["reverb", "room"] == pytest.approx(Normal(11 / 30, ((7 / 150 + 2 / 12) / 5) ** 0.5))
    assert usual["gain", "gain"] == pytest.approx(Normal(0.0, (2 / 12 / 3) ** 0.5))


def test_a_number_that_no_preset_sets_is_unknown_and_free():
    usual = usual_values([preset(("reverb", {"room": 0.2}))])
    assert set(usual) == {("reverb", "room")}
    space = choose(complete(preset(("lowpass", {}))))
    assert Prior(1.0, usual).cost(space, [0.9]) == 0.0


def test_the_cost_is_the_weight_times_squared_deviations():
    space = choose(complete(preset(("lowpass", {}), ("gain", {}))))
    prior = Prior(0.5, {("lowpass", "frequency"): Normal(0.4, 0.1), ("gain", "gain"): Normal(0.5, 0.25)})
    assert space.kinds == [("lowpass", "frequency"), ("gain", "gain")]
    assert prior.cost(space, [0.6, 0.0]) == pytest.approx(0.5 * (4 + 4))


def test_no_value_of_any_effect_is_excluded():
    for (kind, name), normal in factory_prior(1.0).usual.items():
        farthest = max(normal.mean, 1 - normal.mean) / normal.deviation
        assert np.isfinite(farthest), (kind, name)
        assert normal.deviation >= (2 / 12 / 80) ** 0.5, (kind, name)


def test_presets_with_unknown_kinds_are_passed_over():
    known = preset(("reverb", {"room": 0.2}))
    strange = preset(("reverb", {"room": 0.9}), ("nonesuch", {"x": 1.0}))
    assert usual_values([known, strange]) == usual_values([known])


def test_the_prior_without_a_preset_is_that_of_all_others():
    only = "underwater"
    with_it, without = factory_prior(1.0).usual, factory_prior(1.0, without=only).usual
    assert with_it["phaser", "rate"] != without["phaser", "rate"]
    assert with_it["compressor", "ratio"] == without["compressor", "ratio"]


def test_without_weight_the_search_is_the_one_by_distance_alone():
    sound = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * np.float32(0.1)
    knobs = choose(complete(preset(("lowpass", {}), ("gain", {}))))
    sounds = (sound[None], RATE), (np.convolve(sound, np.ones(8) / 8, "same").astype(np.float32)[None], RATE)
    trial = Trial(make_task(*sounds, knobs, 1.0, 1.0, factory_prior(0.0)))

    def by_distance(places):
        return [trial.distance(trial.render(knobs.at(place))) for place in places]

    def by_objective(places):
        return [trial(place) for place in places]

    found, expected = (
        search(evaluate, knobs.start, knobs.steps, Budget(evaluations=40), seed=3)
        for evaluate in (by_objective, by_distance)
    )
    trial.close()
    assert found.curve == expected.curve
    assert found.positions.tolist() == expected.positions.tolist()


# The evaluation


def test_the_halves_share_no_preset_and_leave_none_out():
    dev, test = ({name for _, name in _presets(half)} for half in HALVES)
    assert not dev & test
    assert dev | test == {path.stem for path in FACTORY.glob("*.toml")}


def test_the_search_starts_where_nothing_of_the_hidden_values_is_left():
    hidden = hidden_effects("stack")
    start = at_defaults(hidden)
    assert [stage.kind for stage in start.stages] == [stage.kind for stage in hidden.stages]
    for address, number in choose(start).turned.items():
        stage, key = address.split(".")
        assert start.stage(stage).values[key] == number.default


@pytest.mark.slow
def test_each_weight_is_compared_with_none_and_a_next_call_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("gramophone.offline.evaluate.match_prior._presets", lambda half: [(3, "cathedral")])
    for _ in range(2):
        run(tmp_path, Budget(evaluations=12), "test", [0.1], 1, json=True)
    said = json.loads((tmp_path / "match-prior-test.json").read_text())
    assert [(case["preset"], case["weight_db"]) for case in said["cases"]] == [("cathedral", 0.0), ("cathedral", 0.1)]
    assert [row["weight_db"] for row in said["weights"]] == ["0", "0.1", "usual values, no search"]
    assert said["weights"][0]["values_ratio"]["mean"] == 1.0


@pytest.mark.parametrize("args", [["--prior", "0.1"], ["--presets", "dev", "--engine", "ray"]])
def test_options_that_go_together_say_so(args, tmp_path):
    result = gramophone("evaluate", "match", "--out", tmp_path, *args)
    assert result.exit_code == 2
    assert "expected" in result.output
