"""`tag` and `evaluate` find on a cluster what they find here."""

import json
import math

import pytest
from support.ray_nodes import ray_nodes
from support.render import gramophone, sounds  # noqa: F401

pytest.importorskip("ray")

from gramophone.offline.cluster.choice import EngineChoice
from gramophone.offline.evaluate import match, stylise
from gramophone.offline.match.search import Budget

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nodes():
    with ray_nodes(num_cpus=1) as nodes:
        yield nodes


def test_tags_of_a_cluster_are_those_of_this_machine(nodes, sounds):
    files = [sounds / name for name in ("a.wav", "notes.txt", "b.flac")]
    here = gramophone("tag", *files, "--json", "--device", "cpu")
    there = gramophone("tag", *files, "--json", "--device", "cpu", "--engine", "ray", "--address", nodes.address)
    assert (here.exit_code, there.exit_code) == (1, 1)
    expected, found = (json.loads(result.stdout) for result in (here, there))
    assert found["failed"] == expected["failed"]
    assert [line["file"] for line in found["files"]] == [str(files[0]), str(files[2])]
    for one, other in zip(found["files"], expected["files"], strict=True):
        assert one["tags"] == pytest.approx(other["tags"], abs=1e-5)


def test_searches_on_a_cluster_find_the_settings_that_they_find_here(nodes, tmp_path):
    pytest.importorskip("av")
    budget = Budget(math.inf, 12)
    here, there = tmp_path / "here", tmp_path / "there"
    match.run(here, budget, 1, 1, json=True)
    match.run(there, budget, 1, json=True, engine=EngineChoice("ray", nodes.address))
    cases = [
        sorted(json.loads((out / "match.json").read_text())["cases"], key=lambda case: case["same_seconds"])
        for out in (here, there)
    ]
    assert cases[0] == cases[1]
    assert len(cases[0]) == 2


def test_methods_are_judged_on_a_cluster_as_they_are_here(nodes, tmp_path, monkeypatch):
    pytest.importorskip("speechmos")
    pairs = next(iter(stylise.load_pairs("dev")))
    monkeypatch.setattr(stylise, "load_pairs", lambda _which: [pairs])
    trial = stylise.StyliseTrial(1.0)
    rows = []
    for name, engine in (("here", None), ("there", EngineChoice("ray", nodes.address))):
        stylise.run(tmp_path / name, [stylise.LIVE], trial, "dev", json=True, engine=engine)
        (row,) = json.loads((tmp_path / name / "stylise-dev.json").read_text())["rows"]
        row.pop("cost")
        rows.append(row)
    assert rows[0] == pytest.approx(rows[1])
