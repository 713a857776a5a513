"""A part of a model as an ONNX file: one step, with its state as inputs and outputs, and what it is as metadata.

The inputs of the state may be left out: they are silence then, as before the first step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramophone.models.checkpoint import Card
from gramophone.offline.export.measured import Arrays, Figures, measured
from gramophone.offline.export.parts import StreamPart
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.kernels.executor import OnnxStep
from gramophone.realtime.kernels.onnx_export import ExportError, export


def write_onnx(path: Path, part: StreamPart, card: Card) -> Figures:
    """Write the step of a part; the file gets its name once it is found to do what the model does.

    Raises:
        ExportError: the part cannot be exported, or the file differs from it.
        OSError: the file cannot be written.
    """
    with atomic_write(path) as unnamed:
        try:
            unnamed.write_bytes(_completed(export(part.module, part.examples()), part, card))
        except ExportError as error:
            raise ExportError(f"{part.name}: {error}") from None
        return measured(part, _runner(unnamed, part))


def _facts(part: StreamPart, card: Card) -> Mapping[str, object]:
    names = {f"in{number}": signal.name for number, signal in enumerate(part.inputs)}
    return {
        "part": part.name,
        "inputs": names,
        "rate": part.rate,
        "hop": part.hop,
        "delay_samples": part.delay_samples,
        "card": asdict(card),
    }


def _completed(model: bytes, part: StreamPart, card: Card) -> bytes:
    """Return an ONNX file with silence as the state's default, and facts as JSON under the key `gramophone`."""
    import onnx

    proto = onnx.load_from_string(model)
    onnx.helper.set_model_props(proto, {"gramophone": json.dumps(_facts(part, card))})
    present = {given.name for given in proto.graph.input}
    for number, state in enumerate(part.silence()):
        if f"old{number}" in present:
            proto.graph.initializer.append(onnx.numpy_helper.from_array(state, f"old{number}"))
    content: bytes = proto.SerializeToString()
    return content


def _runner(path: Path, part: StreamPart) -> Callable[[Arrays, int], NDArray[Any]]:
    """Return what runs a file step by step."""
    step = OnnxStep(path.read_bytes(), part.examples(), part.silence())

    def run(inputs: Arrays, steps: int) -> NDArray[Any]:
        step.reset()
        return np.concatenate([step(part.steps(inputs, first, first + 1)) for first in range(steps)], axis=2)

    return run
