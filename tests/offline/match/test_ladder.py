"""`gramophone match --chain auto`: longer chains are taken only if they pay, and none is worse than the simplest."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from support.render import gramophone

from gramophone.offline.match.ladder import LADDER, STAGE_DB, chain_of, climb, explanation
from gramophone.offline.match.search import Budget, SearchResult
from gramophone.presets import CLIPS, load
from gramophone.realtime.files import read

CHAINS = (("gain",), ("gain", "lowpass"), ("gain", "lowpass", "reverb"))


def climbed(distances, stopped=()):
    """The rungs of `CHAINS` whose searches end at these objectives in dB."""
    given_out = []

    def search_chain(space, share):
        at = len(given_out)
        given_out.append(share.evaluations)
        found = SearchResult(np.zeros(len(space.turned)), distances[at], stopped=at in stopped)
        return SimpleNamespace(found=found)

    return climb(search_chain, Budget(evaluations=100), CHAINS), given_out


@given(st.lists(st.floats(0, 20), min_size=3, max_size=3))
def test_what_is_taken_is_never_worse_than_the_simplest(distances):
    rungs, _ = climbed(distances)
    simplest = next(rung for rung in rungs if rung.chain == CHAINS[0])
    assert rungs[0].score <= simplest.score
    assert rungs[0].match.found.distance <= simplest.match.found.distance


@pytest.mark.parametrize(("gain", "taken"), [(0.5 * STAGE_DB, CHAINS[0]), (1.5 * STAGE_DB, CHAINS[1])])
def test_a_longer_chain_is_taken_only_if_each_effect_pays(gain, taken):
    rungs, _ = climbed([3.0, 3.0 - gain, 3.0 - gain])
    assert rungs[0].chain == taken
    first, *others = explanation(rungs).splitlines()
    assert first.startswith(f"took {' > '.join(taken)}: {rungs[0].score:.2f} dB, the least")
    assert {line.split(":")[0] for line in others} == {f"not {' > '.join(chain)}" for chain in CHAINS if chain != taken}


def test_the_budget_is_shared_in_proportion_to_the_parameters():
    _, shares = climbed([3.0, 3.0, 3.0])
    assert sum(shares) == pytest.approx(100)
    assert shares[1] == pytest.approx(2 * shares[0])


def test_a_stop_ends_the_ladder_with_the_best_so_far():
    rungs, shares = climbed([3.0, 2.0, 0.0], stopped=[1])
    assert len(shares) == 2
    assert rungs[0].chain == CHAINS[1]


def test_the_ladder_goes_from_simple_to_full():
    lengths = [len(chain) for chain in LADDER]
    assert lengths == sorted(lengths)
    assert all(set(LADDER[0]) <= set(chain) for chain in LADDER)
    for chain in LADDER:
        assert [stage.kind for stage in chain_of(chain).stages] == list(chain)


# The command


def test_auto_takes_no_knobs_of_a_chain(tmp_path):
    result = gramophone("match", "a.wav", "b.wav", "--chain", "auto", "--fix", "room.*", "--out", tmp_path / "x.toml")
    assert result.exit_code == 2
    assert "auto takes no --set, --free or --fix" in result.output


@pytest.mark.slow
def test_auto_writes_the_chain_that_it_says_it_took(tmp_path):
    sound, rate = read(CLIPS / "voice.flac")
    sound = sound.mean(axis=0)[: round(1.2 * rate)]
    soundfile.write(tmp_path / "dry.wav", sound, rate)
    soundfile.write(tmp_path / "wet.wav", np.convolve(sound, np.ones(6) / 6, "same"), rate)
    command = ["match", tmp_path / "dry.wav", tmp_path / "wet.wav", "--chain", "auto", "--out", tmp_path / "found.toml"]
    result = gramophone(*command, "--evaluations", 60, "--jobs", 1, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert {tuple(rung["chain"]) for rung in said["ladder"]} == set(LADDER)
    assert said["ladder"] == sorted(said["ladder"], key=lambda rung: rung["score"])
    assert [stage.kind for stage in load(tmp_path / "found.toml").stages][:-1] == said["ladder"][0]["chain"]
    assert (tmp_path / "found.png").exists()
