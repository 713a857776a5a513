"""The factory presets and bundled clips fit the parameter table, are sound, and say where they come from."""

import re
from dataclasses import replace

import numpy as np
import pytest

from gramophone.presets import CLIPS, DEFAULT, load, names
from gramophone.presets.models import MODELS
from gramophone.realtime.chain import Chain
from gramophone.realtime.files import read
from gramophone.realtime.macros import targets_at
from gramophone.realtime.parameter_table import chain_parameters, complete, values_of
from gramophone.realtime.stage import Format

README = CLIPS.parent / "README.md"
CLIP_FILES = sorted(CLIPS.iterdir())
LARGEST, LARGEST_TOGETHER = 1_000_000, 6_000_000
LARGEST_MODEL = 12_000_000
MODELLED = ("mosaic", "style", "wavenet")
"""Kinds of stages that make another sound of what comes in."""
LICENCES = {"CC0-1.0", "CC-BY-3.0", "CC-BY-SA-3.0", "MIT"}


def decibels(level):
    return 20 * np.log10(level)


def rms(sound):
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


@pytest.fixture(scope="module")
def voice():
    sound, rate = read(CLIPS / "voice.flac")
    return sound[:, : 6 * rate], rate


@pytest.fixture(scope="module")
def licences():
    """The licence cell of each row of the table of clips."""
    rows = (line.strip("|").split("|") for line in README.read_text("utf-8").splitlines() if line.startswith("| `"))
    return {cells[0].strip(" `"): cells[4] for cells in rows}


def test_there_are_at_least_ten_presets_and_a_default():
    assert len(names()) >= 10
    assert DEFAULT in names()
    assert "processed-vocals" in names()


@pytest.mark.parametrize("name", names())
def test_every_preset_fits_the_table_and_finds_its_clips(name):
    preset = complete(load(name))
    assert any(stage.values.get("clip") or stage.values.get("model") for stage in preset.stages)


@pytest.mark.parametrize("name", names())
def test_every_preset_says_what_it_is(name):
    preset = load(name)
    assert preset.title
    assert re.fullmatch(r"[A-Z].{20,}\.", preset.description)


@pytest.mark.parametrize("name", names())
def test_every_preset_has_four_to_eight_macros_that_begin_where_its_values_are_and_move_them(name):
    preset = complete(load(name))
    parameters, values = chain_parameters(preset), values_of(preset)
    assert 4 <= len(preset.macros) <= 8
    for macro in preset.macros:
        assert macro.help
        for address, value in targets_at(macro, macro.value, parameters).items():
            place, own = (parameters[address].position_of(each) for each in (value, values[address]))
            assert place == pytest.approx(own, abs=0.005), (macro.name, address)
        first, last = targets_at(macro, 0.0, parameters), targets_at(macro, 1.0, parameters)
        assert all(first[address] != last[address] for address in first)


def test_titles_differ():
    titles = [load(name).title for name in names()]
    assert len({*titles}) == len(titles)


def test_every_bundled_clip_but_the_demo_voice_is_the_style_of_a_preset():
    stages = [stage for name in names() for stage in load(name).stages if stage.kind == "style"]
    used = {stage.values.get(key) for stage in stages for key in ("clip", "clip2")}
    assert {path.name for path in CLIP_FILES} - used == {"voice.flac"}


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_effects_keep_the_level_and_never_clip(name, voice):
    sound, rate = voice
    preset = load(name)
    effects = replace(preset, stages=tuple(stage for stage in preset.stages if stage.kind not in MODELLED), macros=())
    for gain in (1.0, 1.0 / np.abs(sound).max()):
        chain = Chain(effects, Format(rate, 1))
        output = chain.process(np.float32(gain) * sound)
        chain.close()
        assert np.isfinite(output).all()
        assert np.abs(output).max() <= 1.0
        assert abs(decibels(rms(output) / rms(gain * sound))) <= 6.0


@pytest.mark.parametrize("path", CLIP_FILES, ids=lambda path: path.name)
def test_every_clip_is_small_and_listed_with_a_licence(path, licences):
    assert path.stat().st_size <= LARGEST
    assert {*re.findall(r"CC[\w.-]+|MIT", licences[path.name])} & LICENCES


def test_the_tables_list_every_clip_and_model_and_nothing_else(licences):
    assert {*licences} == {path.name for path in (*CLIP_FILES, *MODELS.iterdir())}
    assert all(path.stat().st_size <= LARGEST_MODEL for path in MODELS.iterdir())
    assert sum(path.stat().st_size for path in CLIP_FILES) <= LARGEST_TOGETHER


@pytest.mark.parametrize("path", CLIP_FILES, ids=lambda path: path.name)
def test_every_clip_is_loud_enough_not_clipped_and_starts_and_ends_in_silence(path):
    sound, rate = read(path)
    assert 5.0 <= sound.shape[1] / rate <= 20.0
    assert -6.0 <= decibels(np.abs(sound).max()) <= -1.0
    assert rms(sound) >= 0.05
    assert np.abs(sound[:, [0, -1]]).max() <= 1e-3
    assert abs(sound.mean()) <= 1e-3


@pytest.mark.parametrize("name", ["male-garble", "female-garble"])
def test_garble_talks_for_as_long_as_somebody_plays(name, voice):
    sound, rate = voice
    chain = Chain(complete(load(name)), Format(rate, 1))
    output = chain.process(np.concatenate([sound, np.zeros_like(sound)], axis=1))
    chain.close()
    assert np.abs(output).max() <= 1.0
    played, rest = output[:, : sound.shape[1]], output[:, sound.shape[1] + rate :]
    assert abs(decibels(rms(played) / rms(sound))) <= 9.0
    assert rms(rest) < 0.01 * rms(played)


@pytest.mark.parametrize("name", ["sixteen-numbers", "someone-else"])
def test_a_vlae_resynthesises_its_input_in_time_and_as_loud(name, voice):
    sound, rate = voice
    chain = Chain(complete(load(name)), Format(rate, 1))
    silence = np.zeros((1, chain.delay), np.float32)
    output = chain.process(np.concatenate([sound, silence], axis=1))[:, chain.delay :]
    chain.close()
    assert np.abs(output).max() <= 1.0
    assert abs(decibels(rms(output) / rms(sound))) <= 6.0
    length = rate // 20
    heard, said = (
        np.log(1e-3 + np.square(x[0, : x.shape[1] // length * length].reshape(-1, length)).mean(1) ** 0.5)
        for x in (sound, output)
    )
    assert np.corrcoef(heard, said)[0, 1] >= 0.8
