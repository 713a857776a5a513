"""Captures play what Neural Amp Modeler's own code makes of the same file."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from nam.models._activations import PairBlend
from nam.models._from_nam import init_from_nam
from nam.models.recurrent import LSTM
from nam.models.wavenet import WaveNet
from support.stage import noise, play

from gramophone.realtime.stage import Format
from gramophone.realtime.stages.nam.stage import NamStage

DILATIONS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def array(inputs, channels, head, bias=False, **more):
    layers = {"kernel_size": 3, "dilations": DILATIONS, "activation": "Tanh", **more}
    end = {"out_channels": head, "kernel_size": 1, "bias": bias}
    return {"input_size": inputs, "condition_size": 1, "channels": channels, "head": end, **layers}


def wavenet(*arrays, head=None, condition=None):
    config = {"layers_configs": list(arrays), "head": head, "head_scale": 0.02, "sample_rate": 48_000}
    return WaveNet.init_from_config(config | ({"condition_dsp": condition} if condition else {}))


def network(*arrays, **more):
    """Return a network that makes the condition of another."""
    return {"name": "WaveNet", "config": {"layers_configs": list(arrays), "head_scale": 0.5, **more}}


def gated(name="PairMultiply"):
    return {"name": name, "primary": "Tanh", "secondary": "Sigmoid"}


PLACES = (
    *("conv_pre", "conv_post", "input_mixin_pre", "input_mixin_post"),
    *("activation_pre", "activation_post", "layer1x1_post", "head1x1_post"),
)
"""Where a layer can be modulated."""


def films(*places, **more):
    return {f"{place}_film": {"active": True, **more} for place in places}


def modulated(modulation, **more):
    """Return a capture, with all convolutions that there are, that what a network makes of the input modulates."""
    groups = {"active": True, "groups": 2}
    convolutions = {"layer_1x1_config": groups, "head_1x1_config": {**groups, "out_channels": 2}}
    shape = {"condition_size": 2, "bottleneck": 4, "dilations": DILATIONS[:6], "film_params": modulation}
    layers = array(1, 6, 1, True, **shape, **convolutions, **more)
    return wavenet(layers, condition=network(array(1, 3, 2, True, dilations=[1, 30])))


def gated_with_slopes():
    """Return a capture whose gates act on an activation with a slope for each channel, which no configuration names."""
    model = wavenet(array(1, 4, 1, True, activation=gated("PairBlend")))
    for each in model.modules():
        if isinstance(each, PairBlend):
            each._primary = torch.nn.PReLU(4)
    return model


MODULATED = {
    **{place: partial(modulated, films(place)) for place in PLACES},
    "all-places": partial(modulated, films(*PLACES), activation=gated("PairBlend"), groups_input=2),
    "grouped": partial(
        modulated, films(*PLACES[:4], groups=2) | films(*PLACES[4:], groups=2, shift=False), groups_input_mixin=2
    ),
    "by-the-input": lambda: wavenet(
        array(1, 6, 3, film_params=films("conv_pre", "activation_post")),
        array(6, 3, 1, True, activation=gated(), film_params=films("conv_post", "input_mixin_pre", shift=False)),
    ),
    "condition-of-a-condition": lambda: wavenet(
        array(1, 4, 2, condition_size=3, dilations=[1, 8]),
        array(4, 2, 3, condition_size=3, dilations=[2], activation=gated()),
        head={"channels": 4, "activation": "SiLU", "out_channels": 1, "kernel_sizes": [3, 5]},
        condition=network(
            array(1, 4, 3, condition_size=2, dilations=[1, 200], activation="ReLU"),
            array(4, 3, 3, True, condition_size=2, dilations=[7]),
            condition_dsp=network(
                array(1, 2, 2, dilations=[300]),
                head={"channels": 2, "activation": "Tanh", "out_channels": 2, "kernel_sizes": [4]},
            ),
        ),
    ),
}
READ = {
    "standard": lambda: wavenet(array(1, 16, 8), array(16, 8, 1, True)),
    "lite": lambda: wavenet(
        array(1, 12, 6, dilations=DILATIONS[:7]), array(12, 6, 1, True, dilations=[*DILATIONS[7:], 1, 2])
    ),
    "nano": lambda: wavenet(array(1, 4, 2), array(4, 2, 1, True)),
    "gated": lambda: wavenet(array(1, 6, 3, activation=gated()), array(6, 3, 1, True, activation=gated("PairBlend"))),
    "next": lambda: wavenet(
        array(
            1,
            8,
            1,
            True,
            activation={"name": "LeakyReLU", "negative_slope": 0.02},
            kernel_size=[6, *[3] * 8, 15],
            bottleneck=4,
            groups_input=2,
            layer_1x1_config={"active": True, "groups": 2},
            head_1x1_config={"active": True, "out_channels": 3, "groups": 1},
        ),
    ),
    "headed": lambda: wavenet(
        array(1, 8, 3) | {"head": {"out_channels": 3, "kernel_size": 16, "bias": True}},
        head={"channels": 4, "activation": "SiLU", "out_channels": 1, "kernel_sizes": [1, 5]},
    ),
    "lstm": lambda: LSTM(hidden_size=16, num_layers=2, sample_rate=48_000),
    "small-lstm": lambda: LSTM(hidden_size=3, sample_rate=48_000),
}
"""What the reference reads from its own files."""
MODELS = {
    **READ,
    **MODULATED,
    "gated-slopes": gated_with_slopes,
    "slopes": lambda: wavenet(
        array(1, 6, 3, activation={"name": "PReLU", "num_parameters": 6}),
        array(6, 3, 1, True, activation=[{"name": "PReLU"}, {"name": "PReLU", "num_parameters": 3}] * 5),
    ),
}


def capture(folder, name):
    """Write a capture with random weights and return its file and the reference's model of it."""
    torch.manual_seed(0)
    model = MODELS[name]()
    for slopes in (each.weight for each in model.modules() if isinstance(each, torch.nn.PReLU)):
        torch.nn.init.uniform_(slopes)
    model.export(folder, basename=name)
    path = folder / f"{name}.nam"
    file = json.loads(path.read_text())
    # The reference's own reader leaves out the network of a condition, and the slopes of an activation.
    return path, (init_from_nam(file) if name in READ else model).eval()


def reference(model, sound):
    with torch.no_grad():
        return model(torch.from_numpy(sound), pad_start=True).numpy()


def stage(path, rate=48_000, channels=1, **values):
    return NamStage(Format(rate, channels), {"model": str(path), "normalise": False, **values})


@pytest.mark.parametrize("name", MODELS)
def test_a_capture_plays_what_the_reference_plays(tmp_path, name):
    path, model = capture(tmp_path, name)
    sound = noise(9_000)
    expected = reference(model, sound[0])
    assert np.abs(expected).max() > 1e-3
    # The stage has played a few samples of silence, which an LSTM's state remembers.
    warm = reference(model, np.concatenate((np.zeros(64, np.float32), sound[0])))[64:]
    np.testing.assert_allclose(stage(path).process(sound)[0], warm, atol=1e-5 * np.abs(warm).max(), rtol=0)


@pytest.mark.parametrize("name", ["standard", "gated", "next", "headed", "small-lstm", *MODULATED])
def test_any_blocks_give_the_same_samples(tmp_path, name):
    path, _ = capture(tmp_path, name)
    sound = noise(6_000)
    expected = stage(path).process(sound)
    for sizes in ([1, 63, 64, 65], [256], [700, 3, 1025]):
        assert np.array_equal(play(stage(path), sound, sizes), expected)


def test_channels_do_not_hear_one_another(tmp_path):
    path, _ = capture(tmp_path, "nano")
    sound = noise(3_000, 2)
    both = stage(path, channels=2).process(sound)
    for channel in range(2):
        assert np.array_equal(both[channel], stage(path).process(sound[channel : channel + 1])[0])


@pytest.mark.parametrize("rate", [44_100, 96_000])
def test_at_another_rate_it_is_as_late_as_it_says_and_sounds_the_same(tmp_path, rate):
    path, _ = capture(tmp_path, "nano")
    seconds = 0.5
    tone = [np.sin(2 * np.pi * 330 * np.arange(int(seconds * each)) / each)[None] * 0.3 for each in (48_000, rate)]
    own, other = stage(path), stage(path, rate=rate)
    assert own.delay == 0 < other.delay < 0.005 * rate
    expected = own.process(tone[0].astype(np.float32))[0]
    found = play(other, tone[1].astype(np.float32), [100, 257])[0][other.delay :]
    times = np.arange(int(0.2 * rate), len(found) - 500) / rate
    interpolated = np.interp(times * 48_000, np.arange(len(expected)), expected)
    error = found[int(0.2 * rate) : len(found) - 500] - interpolated
    assert np.sqrt(np.mean(error**2)) < 0.01 * np.sqrt(np.mean(interpolated**2))


def test_normalising_brings_a_capture_to_18_db_below_full_scale(tmp_path):
    path, _ = capture(tmp_path, "nano")
    file = json.loads(path.read_text())
    loudness = file["metadata"]["loudness"]
    sound = noise(3_000)
    plain, normal = stage(path).process(sound), stage(path, normalise=True).process(sound)
    np.testing.assert_allclose(normal, plain * 10 ** ((-18 - loudness) / 20), rtol=1e-5, atol=1e-9)


def test_of_a_container_the_largest_model_plays(tmp_path):
    small, _ = capture(tmp_path, "nano")
    large, model = capture(tmp_path, "lite")
    models = [
        {"max_value": value, "model": json.loads(path.read_text())} for value, path in ((0.5, small), (1.0, large))
    ]
    path = tmp_path / "container.nam"
    file = {"version": "0.7.0", "architecture": "SlimmableContainer", "config": {"submodels": models}, "weights": []}
    path.write_text(json.dumps(file))
    sound = noise(3_000)
    np.testing.assert_allclose(stage(path).process(sound)[0], reference(model, sound[0]), atol=1e-6)


def test_a_file_of_version_05_plays_as_one_of_today(tmp_path):
    path, _ = capture(tmp_path, "standard")
    file = json.loads(path.read_text())
    for layers in file["config"]["layers"]:
        head = layers.pop("head")
        layers |= {"head_size": head["out_channels"], "head_bias": head["bias"], "gated": False}
        layers |= {"kernel_size": 3, "activation": "Tanh"}
        for name in [name for name in layers if name.endswith("film")] + ["kernel_sizes", "gating_mode", "bottleneck"]:
            del layers[name]
    old = tmp_path / "old.nam"
    old.write_text(json.dumps({**file, "version": "0.5.4"}))
    sound = noise(3_000)
    assert np.array_equal(stage(old).process(sound), stage(path).process(sound))
