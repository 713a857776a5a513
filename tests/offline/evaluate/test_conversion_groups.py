"""Pairs fall into the groups that they belong to, and each group has its own figures."""

import pytest

from gramophone.offline.evaluate.conversion_groups import Errors, Likeness, ScoredConversion, grouped

pytestmark = pytest.mark.slow


def scored(source, target, octaves, likeness, kept=0.7):
    by = {"first": Likeness(likeness, kept, 0.8, 0.9), "second": Likeness(kept, likeness, 0.5, 1.0)}
    return ScoredConversion(source, target, octaves, by, 3.0, 3.2, {"words": Errors(2, 1, 4)})


def test_figures_are_of_the_pairs_of_each_group():
    found = grouped(
        [
            scored("english", "french", 0.1, 0.6),  # two women, two languages
            scored("english", "slt", 0.3, 0.8),  # two women, one language
            scored("english", "moscow", 0.9, 0.9),  # a woman and a man
            scored("small-fish", "af_nova", 0.5, 0.9),  # nobody says whether the first is a woman
        ]
    )
    assert found["nearer, all"].mean == pytest.approx(0.75)
    assert found["nearer, within 0.4 octaves"].mean == pytest.approx(0.5)
    assert found["nearer, within 0.4 octaves"].n == 2
    assert found["nearer, further than 0.4 octaves"].n == 2
    assert found["share, same sex"].mean == pytest.approx(1.4 / 1.6)
    assert found["nearer, other sex"].n == 1
    assert found["nearer, same language"].n == 1
    assert found["nearer, other language"].n == 3
    assert found["nearer as recorded, all"].mean == pytest.approx(0.9)
    assert found["nearer by second, all"].mean == pytest.approx(0.25)
    assert found["errors added, words"].mean == pytest.approx(0.25)
    assert found["errors as recorded, words"].mean == pytest.approx(0.25)
    assert found["quality lost, all"].mean == pytest.approx(0.2)


def test_a_group_that_no_pair_belongs_to_has_no_figures():
    assert not any("same language" in name for name in grouped([scored("english", "french", 0.1, 0.6)]))


def test_a_phrase_of_which_the_words_alone_are_counted_changes_no_other_figure():
    rows, unknown = [scored("english", "french", 0.1, 0.6)], float("nan")
    words = ScoredConversion("english", "french", unknown, {}, unknown, unknown, {"words": Errors(4, 1, 4)})
    before, found = grouped(rows), grouped([*rows, words])
    assert found["errors added, words"].mean == pytest.approx(0.5)
    assert {name for name in found if found[name] != before.get(name)} == {
        "errors added, words",
        "errors as recorded, words",
    }
