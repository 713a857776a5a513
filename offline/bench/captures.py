"""Bench: captures of Neural Amp Modeler on one core, against its own code on the same weights."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from gramophone.offline.bench.timing import cold, hot, quantiles
from gramophone.realtime.stage import Format
from gramophone.realtime.stages.nam.stage import NamStage

_RATE = 48_000
_BLOCK = 256
_ROUNDS = 400
_DILATIONS = [2**power for power in range(10)]
_WIDTHS = {"standard": (16, 8), "lite": (12, 6), "nano": (4, 2)}
"""Channels of the two arrays of ten layers."""
_PLACES = (
    *("conv_pre", "conv_post", "input_mixin_pre", "input_mixin_post"),
    *("activation_pre", "activation_post", "layer1x1_post"),
)
"""Places of the layers where `modulated` is modulated."""


def measure() -> dict[str, object]:
    """Return for each size how many times real time a block of 256 takes, and how far it is from the reference.

    `reference_times_real_time` is the reference's torch over ten seconds at once, on one thread, which is its quickest
    way; it cannot stream.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            return {name: _compare(Path(folder), name) for name in (*_WIDTHS, "modulated", "lstm")}
    finally:
        torch.set_num_threads(threads)


def _compare(folder: Path, name: str) -> dict[str, object]:
    from nam.models._from_nam import init_from_nam

    torch.manual_seed(0)
    model = random_capture(name)
    model.export(folder, basename=name)  # type: ignore[operator]
    path = folder / f"{name}.nam"
    file = json.loads(path.read_text())
    # The reference's own reader leaves the network of a condition out.
    reference = (model if "condition_dsp" in file["config"] else init_from_nam(file)).eval()
    sound = np.random.default_rng(1).normal(0, 0.1, (1, 10 * _RATE)).astype(np.float32)
    stage = NamStage(Format(_RATE, 1), {"model": str(path), "normalise": False})
    block = sound[:, :_BLOCK]
    call = {"stage": lambda: stage.process(block)}
    whole = hot({"reference": lambda: reference(torch.from_numpy(sound[0]), pad_start=True)}, 3, warm_up=1)
    quick, slow = hot(call, _ROUNDS)["stage"], cold(call, _ROUNDS)["stage"]
    return {
        "times_real_time": round(1000 * _BLOCK / _RATE / float(np.median(quick)), 1),
        "hot": quantiles(quick),
        "cold": quantiles(slow),
        "reference_times_real_time": round(10_000 / float(np.median(whole["reference"])), 1),
        "max_difference": _difference(path, reference, sound[:, : 2 * _RATE]),
    }


def _difference(
    path: Path, reference: torch.nn.Module, sound: np.ndarray[tuple[int, int], np.dtype[np.float32]]
) -> float:
    """Return the largest difference from the reference over `sound`, relative to the reference's largest sample."""
    stage = NamStage(Format(_RATE, 1), {"model": str(path), "normalise": False})
    silence = np.zeros(64, np.float32)  # which the stage has played when it is made
    expected = reference(torch.from_numpy(np.concatenate((silence, sound[0]))), pad_start=True).numpy()[64:]
    return float(np.abs(stage.process(sound)[0] - expected).max() / np.abs(expected).max())


def random_capture(name: str) -> torch.nn.Module:
    """Return a model of Neural Amp Modeler's own, with random weights, of a size in `_WIDTHS`, `modulated` or `lstm`.

    `modulated` is of the standard size, modulated at all places that it has by what a small network makes of the input.
    """
    from nam.models.recurrent import LSTM
    from nam.models.wavenet import WaveNet

    if name == "lstm":
        model: torch.nn.Module = LSTM(hidden_size=16, num_layers=2, sample_rate=_RATE)
        return model
    wide, narrow = _WIDTHS.get(name, _WIDTHS["standard"])
    arrays = [_array(1, wide, narrow, False), _array(wide, narrow, 1, True)]
    config: dict[str, object] = {"layers_configs": arrays, "head": None, "head_scale": 0.02, "sample_rate": _RATE}
    if name == "modulated":
        films = {f"{place}_film": {"active": True} for place in _PLACES}
        arrays[:] = [array | {"condition_size": 2, "film_params": films} for array in arrays]
        condition = {"layers_configs": [_array(1, 4, 2, True)], "head_scale": 0.5}
        config["condition_dsp"] = {"name": "WaveNet", "config": condition}
    made: torch.nn.Module = WaveNet.init_from_config(config)
    return made


def _array(inputs: int, channels: int, outputs: int, bias: bool) -> dict[str, object]:
    head = {"out_channels": outputs, "kernel_size": 1, "bias": bias}
    layers = {"kernel_size": 3, "dilations": _DILATIONS, "activation": "Tanh"}
    return {"input_size": inputs, "condition_size": 1, "channels": channels, "head": head, **layers}
