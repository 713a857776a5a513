"""A capture of Neural Amp Modeler: a `.nam` file, read and checked.

The file is JSON: `version`, `architecture`, `config`, `weights` (one flat list) and, where the trainer knew them,
`sample_rate` and `metadata`. The weights stay in the order of the file: the kernels find each layer's by its offset.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.stage import StageError
from gramophone.realtime.stages.nam.fields import CaptureError, Fields
from gramophone.realtime.stages.nam.wavenet_config import WaveNetConfig, wavenet_config

SUFFIX = ".nam"
_RATE = 48_000
"""Old files do not say their sample rate; they were trained at this one."""
_LARGEST_FILE = 200 * 2**20
_VERSIONS = ("0.5", "0.6", "0.7")
_ARCHITECTURES = ("WaveNet", "LSTM", "SlimmableContainer")


@dataclass(frozen=True)
class LstmConfig:
    """Shape of an LSTM: layers of `hidden` cells, and a linear head."""

    hidden: int
    layers: int

    @property
    def weights(self) -> int:
        """How many weights the file must hold."""
        inputs = [1, *[self.hidden] * (self.layers - 1)]
        cells = sum(4 * self.hidden * (width + self.hidden) + 6 * self.hidden for width in inputs)
        return cells + self.hidden + 1


@dataclass(frozen=True)
class Capture:
    """A checked capture: its shape, the flat weights, the sample rate in Hz and the loudness in dB (None: not told).

    `condition` is the network whose output is the condition of a WaveNet, where that is not the input itself.
    """

    config: WaveNetConfig | LstmConfig
    weights: Floats
    rate: int
    loudness_db: float | None
    condition: Capture | None = None


def read_capture(path: Path) -> Capture:
    """Return the capture in a `.nam` file.

    Of a container of several sizes of one model it is the largest.

    Raises:
        StageError: the file cannot be read, is no capture, or one of a kind that is not known here; the message names
            the file, and what was found and expected.
    """
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise CaptureError(f"has {size} bytes; expected at most {_LARGEST_FILE}")
        return _capture(json.loads(path.read_bytes()))
    except OSError as error:
        raise StageError(f"{path}: {error.strerror or error}") from None
    except CaptureError as error:
        raise StageError(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:  # of JSON, and of UTF-8
        raise StageError(f"{path}: not a capture of Neural Amp Modeler (no JSON: {error})") from None


def _capture(found: Any) -> Capture:
    file = Fields(found, "the file")
    if _architecture(file, _ARCHITECTURES) == "SlimmableContainer":
        return _largest(file)
    rate = file.number("sample_rate", _RATE, least=8_000, most=384_000)
    if rate != int(rate):
        raise CaptureError(f"sample_rate {rate:g}; expected whole Hz")
    return _network(file, 1, int(rate))


def _architecture(file: Fields, expected: Sequence[str]) -> str:
    version = file.text("version")
    if not version.startswith(tuple(f"{each}." for each in _VERSIONS)):
        raise CaptureError(
            f"{file.path('version')} {version[:20]!r}; expected {', '.join(_VERSIONS[:-1])} or {_VERSIONS[-1]}"
        )
    architecture = file.text("architecture")
    if architecture not in expected:
        known = expected[0] if len(expected) == 1 else f"one of {', '.join(expected)}"
        raise CaptureError(f"{file.path('architecture')} {architecture[:40]!r}; expected {known}")
    return architecture


def _network(file: Fields, outputs: int, rate: int) -> Capture:
    """Return the network that `file` describes, a capture or the condition of one, with so many output channels."""
    config = file.inner("config")
    if file.text("architecture") == "LSTM":
        shape: WaveNetConfig | LstmConfig = _lstm_config(config)
        condition = None
    else:
        shape = wavenet_config(config)
        if shape.outputs != outputs:
            raise CaptureError(f"{file.path('config')}: {shape.outputs} output channels; expected {outputs}")
        condition = _condition(config, shape.conditions, rate)
    weights = _weights(file.list("weights"), shape.weights, file.path("weights"))
    return Capture(shape, weights, rate, _loudness(file.found), condition)


def _condition(config: Fields, channels: int, rate: int) -> Capture | None:
    """Return the network that makes a WaveNet's condition of so many channels; None where that is the input."""
    if config.found.get("condition_dsp") is None:
        if channels != 1:
            raise CaptureError(
                f"condition_size {channels} without {config.path('condition_dsp')}; "
                "expected 1: captures with knobs cannot be played"
            )
        return None
    network = config.inner("condition_dsp")
    _architecture(network, ("WaveNet",))
    if (own := network.number("sample_rate", rate)) != rate:
        raise CaptureError(f"{network.path('sample_rate')} {own:g}; expected {rate}, as the capture's own")
    return _network(network, channels, rate)


def _largest(file: Fields) -> Capture:
    submodels = file.inner("config").list("submodels")
    if not submodels:
        raise CaptureError("config.submodels is empty")
    largest = max(
        (Fields(each, "config.submodels") for each in submodels), key=lambda each: each.number("max_value", 1.0)
    )
    inner = dict(largest.inner("model").found)
    for name in ("sample_rate", "metadata"):
        inner.setdefault(name, file.found.get(name))
    return _capture({name: value for name, value in inner.items() if value is not None})


def _lstm_config(config: Fields) -> LstmConfig:
    if (inputs := config.whole("input_size", 1)) != 1:
        raise CaptureError(f"config.input_size {inputs}; expected 1: captures with knobs cannot be played")
    return LstmConfig(config.whole("hidden_size", most=1024), config.whole("num_layers", 1, most=64))


def _weights(found: Sequence[Any], expected: int, where: str) -> Floats:
    if len(found) != expected:
        raise CaptureError(f"{len(found)} {where}; its config needs {expected}")
    try:
        values = np.asarray(found, np.float64)
    except (TypeError, ValueError):
        raise CaptureError(f"{where} that are not numbers") from None
    if values.ndim != 1 or not (np.abs(values) < np.finfo(np.float32).max).all():
        raise CaptureError(f"{where} that are not finite numbers")
    weights = zeros(len(values))
    weights[:] = values
    return weights


def _loudness(found: Mapping[str, Any]) -> float | None:
    metadata = found.get("metadata")
    loudness = metadata.get("loudness") if isinstance(metadata, dict) else None
    if isinstance(loudness, bool) or not isinstance(loudness, int | float):
        return None
    return float(loudness) if -120 < loudness < 60 else None
