"""Export of a streaming module's step as an ONNX model, and the fingerprint under which it is cached.

The model's inputs are `in0` (the block), `in1`... (the controls) and `old0`... (the state); its outputs are `out` and
`new0`... (the next state).

The Fourier transform of real frames is exported as two matrix products, by cosines and by sines, whose results lie side
by side on a last axis of two: what takes the real or the imaginary part of a spectrum finds it there. Complex numbers
can be inside a step, but be neither its output nor its state.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gramophone import models
from gramophone.models.layers.streaming import State, Streaming
from gramophone.presets.atomic import atomic_write

_OPSET = 17


class ExportError(RuntimeError):
    """A model cannot be exported, or the file does not do what the model does; the message says which and why."""


def export(module: Streaming, examples: Sequence[NDArray[Any]]) -> bytes:
    """Return the step of `module`, for a block and controls shaped like `examples`, as the content of an ONNX file.

    Raises:
        ExportError: the module cannot be exported, or the `onnx` package is missing.
    """
    inputs = [torch.tensor(example) for example in examples]
    # The tracing exporter is ten times as fast as the one that analyses the source, needs only `onnx`, and a step has
    # no control flow that a trace would lose. The executor finds what it gets wrong by comparing outputs.
    with torch.no_grad(), warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        file = Path(folder) / "step.onnx"
        state = module.initial_state(inputs[0])
        try:
            _demand_real(module.step(inputs[0], state, *inputs[1:]))
            _name_the_fourier_transform()
            torch.onnx.export(
                _FlatStep(module, len(inputs)).eval(),  # else all would be in training after it
                (*inputs, *state),
                file,
                input_names=_numbered("in", inputs) + _numbered("old", state),
                output_names=["out", *_numbered("new", state)],
                opset_version=_OPSET,
                dynamo=False,
            )
        except Exception as error:  # errors of the exporter, the tracer and the module have no common class
            reason = str(error).strip().partition("\n")[0]
            raise ExportError(f"{type(module).__name__} cannot be exported to ONNX: {reason}") from error
        return file.read_bytes()


def fingerprint(module: Streaming, examples: Sequence[NDArray[Any]]) -> str:
    """Return 32 hexadecimal digits that differ whenever the export of `module` for such blocks might.

    They cover weights, settings and source code of all parts, the shapes and the version of torch.
    """
    digest = hashlib.sha256(repr((torch.__version__, _OPSET)).encode())
    for example in examples:
        digest.update(repr((example.shape, example.dtype.str)).encode())
    for name, part in module.named_modules():
        settings = {k: v for k, v in vars(part).items() if not k.startswith("_") and _is_plain(v)}
        digest.update(repr((name, type(part).__qualname__, sorted(settings.items()))).encode())
    for name, tensor in chain(module.named_parameters(), module.named_buffers()):
        digest.update(repr((name, tensor.shape, tensor.dtype)).encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    for source in _sources(module):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


def store(path: Path, content: bytes) -> None:
    """Write a file atomically; a cache that cannot be written makes the next start slow, which is no error."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part:
            part.write_bytes(content)


class _FlatStep(nn.Module):
    """A step with block, controls and state as one flat list of arguments."""

    def __init__(self, module: Streaming, inputs: int) -> None:
        super().__init__()
        self.module = module
        self.inputs = inputs

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        x, *controls = tensors[: self.inputs]
        y, state = self.module.step(x, tensors[self.inputs :], *controls)
        return (y, *state)


def _demand_real(results: tuple[Tensor, State]) -> None:
    """Check that a step returns real numbers only.

    Raises:
        ValueError: its output or its state is complex.
    """
    y, state = results
    if any(tensor.is_complex() for tensor in (y, *state)):
        raise ValueError("its output or its state is complex, which ONNX is not")


def _name_the_fourier_transform() -> None:
    """Tell torch's exporter what the transform of real frames, and the parts of spectra, are in ONNX."""
    symbolics: dict[str, Callable[..., Any]] = {"fft_rfft": _rfft, "real": partial(_part, 0), "imag": partial(_part, 1)}
    for name, symbolic in symbolics.items():
        torch.onnx.register_custom_op_symbolic(f"aten::{name}", symbolic, _OPSET)  # type: ignore[attr-defined]


def _rfft(graph: Any, frames: Any, size: Any, dim: Any, norm: Any) -> Any:
    """Return `(..., N // 2 + 1, 2)` for frames `(..., N)`: the products with cosines and with sines."""
    from torch.onnx import symbolic_helper

    length = symbolic_helper._get_tensor_dim_size(frames, -1)
    if length is None or not all(symbolic_helper._is_none(given) for given in (size, norm)):
        raise ValueError("a Fourier transform of another length or norm than its frames'")
    turns = torch.arange(length, dtype=torch.float64)[:, None] * torch.arange(length // 2 + 1) % length
    radians = turns * (2 * math.pi / length)
    last = graph.op("Constant", value_t=torch.tensor([-1]))
    parts = [
        graph.op("Unsqueeze", graph.op("MatMul", frames, graph.op("Constant", value_t=matrix.float())), last)
        for matrix in (radians.cos(), -radians.sin())
    ]
    return graph.op("Concat", *parts, axis_i=-1)


def _part(index: int, graph: Any, spectra: Any) -> Any:
    """Return the real (0) or the imaginary (1) part of spectra as `_rfft` returns them."""
    return graph.op("Gather", spectra, graph.op("Constant", value_t=torch.tensor(index)), axis_i=-1)


def _numbered(name: str, tensors: Sequence[Tensor]) -> list[str]:
    return [f"{name}{i}" for i in range(len(tensors))]


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _sources(module: Streaming) -> list[Path]:
    """Return the source files of the parts, torch's excepted, and of `models`, which they may call."""
    files = set(Path(next(iter(models.__path__))).glob("*.py"))
    for kind in {type(part) for part in module.modules()}:
        if kind.__module__.partition(".")[0] != "torch":
            with suppress(TypeError):  # defined at a prompt
                files.add(Path(inspect.getfile(kind)))
    return sorted(file for file in files if file.is_file())
