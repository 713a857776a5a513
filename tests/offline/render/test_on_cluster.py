"""Two machines on loopback render many files; one goes away in the middle; each result is there once, as from here."""

import json
import os
from collections import Counter

import numpy as np
import pytest
import soundfile
from support.ray_nodes import SMALL, ray_nodes
from support.render import QUIET, gramophone

pytest.importorskip("ray")

from gramophone.offline.cluster.calls import ClusterError
from gramophone.offline.cluster.choice import EngineChoice
from gramophone.offline.render import RenderRequest, find_inputs, open_manifest, plan, render_all
from gramophone.presets import load
from gramophone.realtime.parameter_table import complete

pytestmark = [pytest.mark.slow, pytest.mark.peer]
FILES = 40
REQUEST = RenderRequest(complete(load("hall")))


@pytest.fixture(scope="module")
def cluster():
    with ray_nodes() as nodes:
        yield nodes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    chance = np.random.default_rng(0)
    for number in range(FILES):
        soundfile.write(folder / f"{number:03}.wav", chance.normal(0, 0.1, (8000, 1)), 16000)
    return folder


def rendered(folder, out, engine, tick=lambda _: None):
    out.mkdir()
    manifest = open_manifest(out / "manifest.jsonl", REQUEST)
    work = plan(find_inputs([str(folder)]), out, REQUEST, manifest=manifest)
    return render_all(work, REQUEST, 0 if engine.name == "ray" else 1, tick, engine=engine, manifest=manifest)


def test_a_machine_that_goes_away_costs_no_file(cluster, folder, tmp_path):
    other = cluster.add_node(**SMALL)
    done = []

    def take_away(seconds):
        done.append(seconds)
        if len(done) == FILES // 4:
            cluster.remove_node(other, allow_graceful=False)

    far, here = tmp_path / "far", tmp_path / "here"
    outcome = rendered(folder, far, EngineChoice("ray", cluster.address), take_away)
    assert outcome.failed == {}
    assert len(done) == FILES
    assert outcome.seconds == pytest.approx(FILES / 2)
    rendered(folder, here, EngineChoice())
    names = sorted(path.name for path in here.iterdir())
    assert sorted(path.name for path in far.iterdir()) == names  # no part, no hidden folder
    for name in names:
        if name != "manifest.jsonl":
            assert (far / name).read_bytes() == (here / name).read_bytes()
    lines = [json.loads(line) for line in (far / "manifest.jsonl").read_text().splitlines()]
    assert Counter(line["input"] for line in lines) == {str(path): 1 for path in folder.iterdir()}


def test_a_second_run_goes_on_by_the_manifest(cluster, folder, tmp_path):
    command = ["render", folder, "--out", tmp_path / "out", *QUIET, "--engine", "ray", "--address", cluster.address]
    assert "40 rendered, 0 there already, 0 failed" in gramophone(*command).output
    (tmp_path / "out" / "000.wav").unlink()
    os.utime(folder / "001.wav")
    again = gramophone(*command)
    assert again.exit_code == 0, again.output
    assert "1 rendered, 39 there already, 0 failed" in again.output


def test_no_cluster_at_the_address_is_an_error_before_any_work(folder, tmp_path):
    command = ["render", folder, "--out", tmp_path / "out", *QUIET, "--engine", "ray", "--address", "127.0.0.1:1"]
    with pytest.raises(ClusterError, match=r"no Ray cluster at 127\.0\.0\.1:1: .*refused"):
        gramophone(*command)
    assert list((tmp_path / "out").iterdir()) == []
    assert gramophone(*command[:-4], "--address", "a:1").exit_code == 2
