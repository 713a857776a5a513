"""`gramophone match`: what is hidden is found, what is found plays, and a stop loses nothing."""

import json

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from gramophone.models.style.gaussian import Gaussian
from gramophone.models.style.transport import DistanceTo, process_distance, transport
from gramophone.offline.cli.main import app
from gramophone.offline.data.mono_audio import resampled
from gramophone.offline.evaluate.match import _hidden as hidden_chain
from gramophone.offline.match.knobs import choose
from gramophone.offline.match.search import Budget, search
from gramophone.offline.match.style_distance import ReferenceStyle
from gramophone.offline.match.task import make_task
from gramophone.offline.match.trial import Trial
from gramophone.presets import CLIPS, Preset, PresetError, StageSettings, load
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import read
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stages.plugins import scan

pytestmark = pytest.mark.slow

RATE = 16_000
CHAIN = Preset("chain", (StageSettings("lowpass", "lowpass"), StageSettings("room", "reverb")))


def voice(seconds=2.0, start=0.0):
    sound, rate = read(CLIPS / "voice.flac")
    mono = sound.mean(axis=0)[round(start * rate) :][: round(seconds * rate)]
    return resampled(mono, rate, RATE)


def played(preset, sound, rate=RATE):
    engine = Engine(preset, rate, 1, "cpu")
    try:
        return engine.render(sound[None])[0]
    finally:
        engine.close()


def one_knob(**values):
    return complete(Preset("one", (StageSettings("lowpass", "lowpass", values),)))


def gramophone(*args):
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


# Distances


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_distance_is_how_far_the_transport_map_moves(seed):
    random = np.random.default_rng(seed)
    a, b = (random.normal(size=(5, 5)) for _ in range(2))
    one, other = (Gaussian(x[0], x @ x.T + 0.1 * np.eye(5)) for x in (a, b))
    moved = transport(one, other).matrix - np.eye(5)
    by_map = np.square(one.mean - other.mean).sum() + np.trace(moved @ one.covariance @ moved)
    np.testing.assert_allclose(DistanceTo(one)(other), by_map, rtol=1e-6, atol=1e-8)


def test_the_distance_of_processes_is_that_of_their_circulant_covariances():
    rows = [[2.0, 1.0, 0.3, 1.0], [1.5, -0.4, 0.2, -0.4]]
    covariances = [np.stack([np.roll(row, k) for k in range(4)]) for row in rows]
    spectra = [np.fft.fft(row).real for row in rows]
    one, other = (Gaussian(np.zeros(4), covariance) for covariance in covariances)
    np.testing.assert_allclose(process_distance(*spectra), DistanceTo(one)(other) / 4)


def test_a_gain_is_no_distance_and_an_effect_is():
    sound = voice()
    style = ReferenceStyle(sound, RATE)
    assert style(sound * np.float32(0.05)) < 0.01
    assert style(played(one_knob(frequency=500.0), sound)) > 2


# Searching


def valley(places):
    """Deep only where the switch is on and the choice is the third; else shallow."""
    return [abs(x[0] - 0.3) + 0.5 * (x[1] < 0.5) + 0.3 * (round(x[2] * 3) != 2) for x in places]


def test_numbers_switches_and_choices_are_found_together():
    found = search(valley, [0.9, 0.0, 0.0], [0, 2, 4], Budget(evaluations=600))
    assert found.distance < 0.01
    assert found.curve == sorted(found.curve, key=lambda point: -point[1])
    assert found.evaluations < 600 + 30


def test_populations_fill_all_workers():
    sizes = []

    def evaluate(places):
        sizes.append(len(places))
        return valley(places)

    search(evaluate, [0.5, 0.0, 0.0], [0, 2, 4], Budget(evaluations=200), side_by_side=4)
    assert all(size % 4 == 0 for size in sizes)


def test_a_stop_keeps_the_best_so_far():
    seen = []

    def until_stopped(places):
        if len(seen) > 100:
            raise KeyboardInterrupt
        distances = valley(places)
        seen.extend(distances)
        return distances

    found = search(until_stopped, [0.9, 0.0, 0.0], [0, 2, 4], Budget())
    assert found.stopped
    assert found.distance == min(seen)
    assert valley([found.positions]) == [found.distance]


def test_the_one_hidden_knob_is_found():
    sound = voice()
    knobs = choose(one_knob())
    hidden = one_knob(frequency=1234.0)
    task = make_task((sound[None], RATE), (played(hidden, sound)[None], RATE), knobs, 2.0, 2.0)
    trial = Trial(task)
    found = search(lambda places: [trial(place) for place in places], knobs.start, knobs.steps, Budget(evaluations=80))
    trial.close()
    assert knobs.at(found.positions).stage("lowpass").values["frequency"] == pytest.approx(1234, rel=0.03)


# Knobs


def test_a_reverb_is_not_frozen_unless_asked_for():
    assert "room.freeze" not in choose(complete(CHAIN)).turned
    assert "room.freeze" in choose(complete(CHAIN), free=["room.freeze"]).turned


def test_mix_bypass_files_and_many_choices_stay_unless_asked_for():
    stages = (StageSettings("filter", "ladder"), StageSettings("thing", "convolution", {"impulse": "voice.flac"}))
    chain = complete(Preset("chain", stages))
    usual = set(choose(chain).turned)
    assert usual == {"filter.frequency", "filter.resonance", "filter.drive"}
    assert set(choose(chain, free=["*.mix", "filter.mode"]).turned) == usual | {
        "filter.mix",
        "thing.mix",
        "filter.mode",
    }
    assert set(choose(chain, fixed=["filter.[rd]*"]).turned) == {"filter.frequency"}


@pytest.mark.parametrize("fixed", [[], ["nonesuch.*"]])
def test_a_chain_with_nothing_to_turn_says_so(fixed):
    with pytest.raises(PresetError, match="expected"):
        choose(complete(Preset("chain", (StageSettings("invert", "invert"),))), fixed=fixed)


def test_positions_become_values_within_the_table():
    knobs = choose(complete(CHAIN))
    for position in (0.0, 0.5, 1.0):
        complete(knobs.at([position] * len(knobs.turned)))
    again = knobs.at(knobs.start)
    assert {s.name: dict(s.values) for s in again.stages} == {s.name: dict(s.values) for s in knobs.preset.stages}


# The command


@pytest.fixture
def files(tmp_path):
    """A stereo dry voice at 22.05 kHz, and a longer mono one at 16 kHz through a hidden chain, quieter."""
    hidden = complete(CHAIN.with_values({("lowpass", "frequency"): 900.0, ("room", "wet"): 0.8}))
    soundfile.write(tmp_path / "dry.wav", np.tile(voice(1.5)[:, None], (1, 2)), 22_050)
    soundfile.write(tmp_path / "wet.wav", 0.2 * played(hidden, voice(2.0)), RATE)
    (tmp_path / "chain.toml").write_text(
        '# mine\n[[stages]]\nkind = "lowpass"\n[[stages]]\nname = "room"\nkind = "reverb"\n'
    )
    return tmp_path


def test_the_preset_that_is_written_plays_as_reported(files):
    out = files / "found.toml"
    command = ["match", files / "dry.wav", files / "wet.wav", "--chain", files / "chain.toml", "--out", out]
    result = gramophone(*command, "--evaluations", 90, "--jobs", 1, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["reduction"] > 0
    assert said["distance"]["matched"]["all"] < said["distance"]["start"]["all"]
    assert set(said["worth"]) == {"lowpass", "room"}
    assert out.read_text().startswith("# mine")
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    dry, rate = read(files / "dry.wav")
    engine = Engine(load(out), rate, 2, "cpu")
    heard = engine.render(dry)
    engine.close()
    reference, reference_rate = read(files / "wet.wav")
    trial = Trial(make_task((dry, rate), (reference, reference_rate), choose(complete(CHAIN)), 8.0, 30.0))
    assert trial.distance(heard) == pytest.approx(said["distance"]["matched"]["all"], abs=0.05)
    trial.close()
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(np.sqrt(np.mean(reference**2)), rel=0.3)


def test_calling_again_on_the_result_goes_on_from_there(files):
    out = files / "found.toml"
    command = ["match", files / "dry.wav", files / "wet.wav", "--out", out, "--jobs", 1, "--json", "--evaluations"]
    first = json.loads(gramophone(*command, 60, "--chain", files / "chain.toml").stdout)
    again = json.loads(gramophone(*command, 1, "--chain", out).stdout)
    assert again["distance"]["matched"]["all"] <= first["distance"]["matched"]["all"] + 0.05
    assert [stage.name for stage in load(out).stages] == ["lowpass", "room", "level"]


@pytest.mark.parametrize(
    ("reference", "words"), [(np.zeros(32_000), "REFERENCE is silent"), (np.ones(900), "expected 1 s at least")]
)
def test_what_cannot_be_heard_is_refused_by_name(files, reference, words):
    soundfile.write(files / "bad.wav", reference, RATE)
    command = ["match", files / "dry.wav", files / "bad.wav", "--chain", files / "chain.toml"]
    with pytest.raises(ValueError, match=words):
        gramophone(*command, "--out", files / "found.toml")
    assert not (files / "found.toml").exists()


def test_hidden_chains_are_audible_and_the_same_for_one_seed():
    sound = voice(1.5)
    one, other = (hidden_chain(np.random.default_rng(4), sound) for _ in range(2))
    assert one == other
    assert 3 <= len(one.stages) <= 5
    processed = played(one, sound)
    for stage in one.stages:
        without = played(one.with_values({(stage.name, "bypass"): True}), sound)
        assert ReferenceStyle(processed, RATE)(without) > 0.5


@pytest.mark.skipif(
    not any((folder / "ZamComp.vst3").exists() for folder in scan.folders()), reason="no zam-plugins here"
)
def test_a_plugin_is_tried_again_and_again_without_a_memory():
    chain = complete(Preset("chain", (StageSettings("comp", "plugin", {"plugin": "ZamComp"}),)))
    knobs, sound = choose(chain), voice(1.2)
    trial = Trial(make_task((sound[None], RATE), (np.tanh(8 * sound)[None], RATE), knobs, 2.0, 2.0))
    first, _, again = (trial(positions) for positions in (knobs.start, [0.9] * len(knobs.start), knobs.start))
    trial.close()
    assert again == pytest.approx(first, abs=0.2)
