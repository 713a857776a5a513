"""An evaluation states targets, rows and reports in one way."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gramophone.offline.evaluate.base import Column, Target, by_group, outcomes, print_rows, report, write_json

pytestmark = pytest.mark.slow

FLOATS = st.floats(allow_nan=False)


@settings(deadline=None)
@given(FLOATS, FLOATS)
def test_a_target_is_reached_at_its_goal_and_on_its_side(goal, value):
    least, most = Target("a", goal), Target("a", goal, "at most")
    assert least.is_reached(goal)
    assert most.is_reached(goal)
    assert least.is_reached(value) is (value >= goal)
    assert most.is_reached(value) is (value <= goal)
    assert not least.is_reached(math.nan)
    assert not most.is_reached(math.nan)


def test_outcomes_are_of_targets_whose_figure_is_a_number():
    targets = Target("a", 1.0), Target("b", 1.0), Target("c", 1.0, "at most", "dB"), Target("d", 1.0)
    found = outcomes(targets, {"a": 2.0, "b": math.nan, "c": 2.0, "other": 0.0}, n=5)
    assert [(outcome.target.name, outcome.reached, outcome.n) for outcome in found] == [("a", True, 5), ("c", False, 5)]


@pytest.mark.parametrize(
    ("value", "n", "spread", "expected"),
    [
        (2.0, None, None, "a                                  2 dB  at most 1.5 dB: MISSED"),
        (1.0, 12, 0.25, "a                                  1 ± 0.25 dB  at most 1.5 dB, n = 12: reached"),
    ],
)
def test_an_outcome_as_text_names_value_goal_and_cases(value, n, spread, expected):
    assert str(Target("a", 1.5, "at most", "dB").outcome(value, n, spread)) == expected


def test_a_report_as_json_is_strict_and_holds_the_targets(capsys, tmp_path):
    reached = [Target("a", 1.0).outcome(2.0, 3, 0.5)]
    report(
        {"rows": [{"x": math.nan, "y": (1, math.inf)}]}, reached, json=True, show=pytest.fail, files=[tmp_path / "x"]
    )
    printed = capsys.readouterr()
    found = json.loads(printed.out, parse_constant=pytest.fail)
    assert found["rows"] == [{"x": None, "y": [1, None]}]
    stated = {"goal": 1.0, "direction": "at least", "unit": "", "value": 2.0, "reached": True, "n": 3, "spread": 0.5}
    assert found["targets"] == {"a": stated}
    assert printed.err == ""
    write_json(tmp_path / "x.json", found)
    assert json.loads((tmp_path / "x.json").read_text()) == found


def test_a_report_as_text_shows_rows_then_targets(capsys):
    rows = [{"name": "[b]", "value": 1.234}, {"name": "other", "value": None}, {"name": "last", "value": math.nan}]

    def show():
        print_rows([Column("name", "name"), Column("value", "value", ".1f"), Column("gone", "gone")], rows)

    report({}, [Target("a", 1.0).outcome(0.0)], json=False, show=show, files=["x.json"])
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert printed.err == "wrote x.json\n"
    assert [line.split() for line in lines[:-1]] == [["name", "value", "gone"], ["[b]", "1.2"], ["other"], ["last"]]
    assert lines[-1].endswith("MISSED")


@settings(deadline=None)
@given(st.lists(st.fixed_dictionaries({"g": st.sampled_from("ab"), "x": st.none() | st.floats(-9, 9)}), max_size=9))
def test_means_by_group_are_those_of_each_group_alone(rows):
    found = by_group(rows, "g", ["x"], np.mean)
    for name in {row["g"] for row in rows}:
        own = [row["x"] for row in rows if row["g"] == name and row["x"] is not None]
        assert found[name] == ({"x": np.mean(own)} if own else {})
