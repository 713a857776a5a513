"""A file that is no capture, or one that cannot be played, is refused by name; nothing of it is played."""

import json

import pytest

from gramophone.realtime.stage import Format, StageError
from gramophone.realtime.stages.nam.stage import NamStage

LSTM = {"version": "0.5.4", "architecture": "LSTM", "config": {"input_size": 1, "hidden_size": 1, "num_layers": 1}}
LSTM["weights"] = [0.1] * (4 * 2 + 6 + 2)
LAYERS = {
    "input_size": 1,
    "condition_size": 1,
    "channels": 2,
    "head_size": 1,
    "head_bias": True,
    "kernel_size": 2,
    "dilations": [1, 2],
    "activation": "Tanh",
    "gated": False,
}
WAVENET = {"version": "0.5.4", "architecture": "WaveNet", "config": {"layers": [LAYERS], "head": None, "head_scale": 1}}
WAVENET["weights"] = [0.1] * (2 + 2 * (8 + 2 + 2 + 4 + 2) + 3 + 1)

CONDITIONED = {**WAVENET, "config": {**WAVENET["config"], "condition_dsp": WAVENET}}


def film(**more):
    return {"active": True, **more}


def slopes(*found):
    return {"type": "PReLU", "negative_slopes": found}


def changed(file, **changes):
    """Return a copy with fields changed; `config__channels` is the field `channels` of `config`."""
    copy = json.loads(json.dumps(file))
    for path, value in changes.items():
        *folders, name = path.split("__")
        place = copy
        for folder in folders:
            place = place[int(folder) if folder.isdigit() else folder]
        place[name] = value
    return copy


def opened(tmp_path, text):
    path = tmp_path / "amp.nam"
    path.write_bytes(text if isinstance(text, bytes) else json.dumps(text).encode())
    return NamStage(Format(48_000, 1), {"model": str(path)})


INACTIVE = {"active": False, "shift": True, "groups": 1}


@pytest.mark.parametrize(
    "file",
    [
        LSTM,
        WAVENET,
        CONDITIONED,
        changed(WAVENET, config__condition_dsp=None, config__layers__0__head1x1_post_film=INACTIVE),
        changed(WAVENET, config__layers__0__layer1x1_pre_film=INACTIVE, config__layers__0__note=None),
    ],
)
def test_the_files_these_tests_change_do_play(tmp_path, file):
    opened(tmp_path, file)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        ([1, 2], "expected an object"),
        ({}, "version is missing"),
        (changed(LSTM, version="0.9.0"), "version '0.9.0'; expected 0.5, 0.6 or 0.7"),
        (changed(LSTM, version=5), "version is 5; expected a text"),
        (changed(LSTM, architecture="ConvNet"), "architecture 'ConvNet'; expected one of WaveNet, LSTM"),
        (changed(LSTM, weights=[0.1] * 3), "3 weights; its config needs 16"),
        (changed(LSTM, weights=[0.1] * 15 + [None]), "weights that are not"),
        (changed(LSTM, weights=[0.1] * 15 + [1e300]), "weights that are not finite"),
        (changed(LSTM, weights=[0.1] * 15 + ["x"]), "weights that are not numbers"),
        (changed(LSTM, config__hidden_size=-3), "config.hidden_size is -3; expected a whole number from 1"),
        (changed(LSTM, config__hidden_size=10**9), "expected a whole number from 1 to 1024"),
        (changed(LSTM, config__input_size=2), "captures with knobs"),
        (changed(LSTM, sample_rate="fast"), "sample_rate is 'fast'; expected a number"),
        (changed(LSTM, sample_rate=1), "expected a number from 8000"),
        (changed(WAVENET, config__layers=[]), "config.layers is empty"),
        (changed(WAVENET, config__layers__0__dilations=[]), "0 dilations"),
        (changed(WAVENET, config__layers__0__dilations=[2**40, 1]), "dilations is"),
        (changed(WAVENET, config__layers__0__activation="Gelu"), "activation 'Gelu'; expected one of Tanh"),
        (
            changed(WAVENET, config__layers__0__activation=slopes(1, 1, 1)),
            "3 negative_slopes; expected 2, one a channel",
        ),
        (changed(WAVENET, config__layers__0__activation=slopes()), "config.layers[0].activation: 0 negative_slopes"),
        (changed(WAVENET, config__layers__0__activation=slopes(1, None)), "negative_slopes is None; expected a number"),
        (changed(WAVENET, config__layers__0__gating_mode="odd"), "gating_mode 'odd'"),
        (changed(WAVENET, config__layers__0__kernel_sizes=[3]), "1 kernel_sizes for 2 dilations"),
        (changed(WAVENET, config__layers__0__condition_size=4), "captures with knobs"),
        (
            changed(WAVENET, config__layers__0__groups_input=3),
            "config.layers[0].groups_input 3; expected a number that divides 2 channels",
        ),
        (changed(WAVENET, config__layers__0__head_size=2), "config: 2 output channels; expected 1"),
        (changed(WAVENET, weights=[0.1] * 40), "40 weights; its config needs 42"),
        (changed(WAVENET, config__gain_db=3), "config.gain_db is an unknown key; expected layers, head"),
        (changed(WAVENET, config__layers__0__pre_film=film()), "config.layers[0].pre_film is an unknown key"),
        (changed(WAVENET, config__layers__0__layer1x1={"active": True, "bias": True}), "layer1x1.bias is an unknown"),
        (changed(WAVENET, config__layers__0__conv_pre_film=film()), "42 weights; its config needs 58"),
        (changed(WAVENET, config__layers__0__conv_pre_film=film(shift=False)), "42 weights; its config needs 50"),
        (changed(WAVENET, config__layers__0__conv_pre_film=film(clip=1)), "conv_pre_film.clip is an unknown key"),
        (changed(WAVENET, config__layers__0__conv_pre_film=film(shift=1)), "conv_pre_film.shift is 1; expected true"),
        (changed(WAVENET, config__layers__0__conv_pre_film=True), "conv_pre_film is True; expected an object"),
        (
            changed(WAVENET, config__layers__0__conv_pre_film=film(groups=2)),
            "conv_pre_film.groups 2; expected a number",
        ),
        (
            changed(WAVENET, config__layers__0__head1x1_post_film=film()),
            "config.layers[0].head1x1_post_film is active, but head1x1, which it modulates, is not",
        ),
        (changed(CONDITIONED, config__condition_dsp={}), "config.condition_dsp.version is missing"),
        (changed(CONDITIONED, config__condition_dsp=[1]), "config.condition_dsp is [1]; expected an object"),
        (
            changed(CONDITIONED, config__condition_dsp=LSTM),
            "config.condition_dsp.architecture 'LSTM'; expected WaveNet",
        ),
        (
            changed(CONDITIONED, config__condition_dsp__version="1.0.0"),
            "config.condition_dsp.version '1.0.0'; expected",
        ),
        (changed(CONDITIONED, config__condition_dsp__sample_rate=44_100), "sample_rate 44100; expected 48000"),
        (
            changed(CONDITIONED, config__condition_dsp__weights=[0.1]),
            "1 config.condition_dsp.weights; its config needs 42",
        ),
        (
            changed(CONDITIONED, config__layers__0__condition_size=2),
            "config.condition_dsp.config: 1 output channels; expected 2",
        ),
        (
            changed(CONDITIONED, config__condition_dsp__config__layers__0__channels=0),
            "config.condition_dsp.config.layers[0].channels is 0",
        ),
        (
            changed(WAVENET, config__layers=[LAYERS, {**LAYERS, "input_size": 2, "condition_size": 2}]),
            "config.layers[1].condition_size 2; expected 1, as in the array before",
        ),
        (
            {"version": "0.7.0", "architecture": "SlimmableContainer", "config": {"submodels": []}, "weights": []},
            "submodels is empty",
        ),
    ],
)
def test_what_cannot_be_played_is_named(tmp_path, file, said):
    with pytest.raises(StageError, match=r"amp\.nam: ") as refused:
        opened(tmp_path, file)
    assert said in str(refused.value)
    assert ("no JSON" in str(refused.value)) is isinstance(file, bytes)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StageError, match=r"gone\.nam: no such model file"):
        NamStage(Format(48_000, 1), {"model": str(tmp_path / "gone.nam")})
    with pytest.raises(StageError, match="'model' is missing"):
        NamStage(Format(48_000, 1), {})
