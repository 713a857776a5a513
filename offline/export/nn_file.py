"""A model as TorchScript in the form of nn~ (acids-ircam/nn_tilde), written by its own package, `nn-tilde`.

The file holds the step of each method as torch traced it, and a loop over the hops of a buffer. It has a state for each
of a batch (`mc.nn~`), begins from silence, and `reset` returns it there. It runs on a CPU.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from itertools import cycle, pairwise
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gramophone.models.checkpoint import Card
from gramophone.models.layers.streaming import Streaming
from gramophone.offline.export.measured import Arrays, Figures, Run, measured
from gramophone.offline.export.nn_methods import Attribute, NnModel
from gramophone.offline.export.parts import StreamPart
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.kernels.onnx_export import ExportError

CARD = "gramophone.json"
"""The file inside the TorchScript archive that holds the model's card."""
_HOPS = (1, 3, 16, 2, 8)
"""Buffers of a check, in hops."""
_TESTED_HOPS = 4
_WARM_UP = 4


def write_nn(path: Path, model: NnModel, card: Card) -> dict[str, Figures]:
    """Write a model for nn~ and return the figures of each method, measured on the file before it gets its name.

    Raises:
        ExportError: it cannot be exported, nn~ cannot play it, or the file differs from the model.
        OSError: the file cannot be written.
    """
    for name, part in model.methods.items():
        if part.hop & (part.hop - 1):
            raise ExportError(f"{name}: a hop of {part.hop} samples; nn~ plays powers of two only")
    torch.set_num_threads(1)
    with atomic_write(path) as unnamed:
        scripted: Any = torch.jit.script(_built(model))
        scripted.save(str(unnamed), _extra_files={CARD: json.dumps(asdict(card))})
        loaded = torch.jit.load(str(unnamed), map_location="cpu")  # type: ignore[no-untyped-call]
        figures = {name: measured(part, _runner(loaded, name, model)) for name, part in model.methods.items()}
        if "decode" in model.methods and "encode" in model.methods:
            _demand_forward(loaded, model)
    return figures


class _Traced(nn.Module):
    """A step on lists of tensors."""

    def __init__(self, module: Streaming) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: list[Tensor], state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        y, after = self.module.step(inputs[0], tuple(state), *inputs[1:])
        return y, list(after)


class _Method(nn.Module):
    """A buffer through a traced step, hop by hop, for each of a batch with a state of its own."""

    def __init__(self, part: StreamPart) -> None:
        super().__init__()
        examples = [torch.from_numpy(example) for example in part.examples()]
        silence = [torch.from_numpy(state) for state in part.silence()]
        with warnings.catch_warnings():  # of what a trace may get wrong: the file is compared with the model
            warnings.simplefilter("ignore")
            self.traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                _Traced(part.module).eval(), (examples, silence), check_trace=False, strict=False
            )
        self.per_step = part.inputs[0].per_step
        self.silence: Any = torch.jit.Attribute(silence, list[Tensor])
        self.states: Any = torch.jit.Attribute([], list[list[Tensor]])

    def forward(self, x: Tensor, attributes: Tensor) -> Tensor:
        if len(self.states) != x.shape[0]:
            self.reset()
            for _ in range(x.shape[0]):
                self.states.append([state.clone() for state in self.silence])
        outputs: list[Tensor] = []
        for i in range(x.shape[0]):
            state = self.states[i]
            pieces: list[Tensor] = []
            for first in range(0, x.shape[2], self.per_step):
                y, state = self.traced([x[i : i + 1, :, first : first + self.per_step], attributes], state)
                pieces.append(y)
            self.states[i] = state
            outputs.append(torch.cat(pieces, 2))
        return torch.cat(outputs, 0)

    @torch.jit.export
    def reset(self) -> None:
        self.states.clear()


def _built(model: NnModel) -> nn.Module:
    """Return a model as a module of nn~'s package, which tests each method as it is registered."""
    import nn_tilde
    from nn_tilde.codegen import method_from_template

    class Exported(nn_tilde.Module):  # type: ignore[misc]
        """A class of its own for each model: its methods are made from text."""

    module: Any = Exported(sr=model.rate)
    module.register_buffer("sampling_rate", torch.tensor(model.rate))
    for attribute in model.attributes:
        module.register_attribute(attribute.name, attribute.default)
    for name, part in model.methods.items():
        setattr(module, f"{name}_method", torch.jit.script(_Method(part)))
    names, size = _methods(model), _TESTED_HOPS * max(part.hop for part in model.methods.values())
    made = method_from_template(module.tmp_file_session, _source(names, model.attributes), {"torch": torch}, {})
    for name, method in made.items():
        setattr(module, name, MethodType(method, module))
    for name in names:
        taken, given = model.labels[name]
        ratios = _ratios(model, name)
        module.register_method(name, len(taken), ratios[0], len(given), ratios[1], taken, given, test_buffer_size=size)
    module.reset()
    built: nn.Module = module.eval()
    return built


def _methods(model: NnModel) -> list[str]:
    """Return the names of a model's methods: `forward` is there too where both halves are."""
    both = {"encode", "decode"} <= model.methods.keys()
    return [*model.methods, *(["forward"] if both else [])]


def _ratios(model: NnModel, name: str) -> tuple[int, int]:
    """Return of how many samples one of a method's input, and one of its output, is."""
    if name not in model.methods:
        return 1, 1
    part = model.methods[name]
    return part.hop // part.inputs[0].per_step, part.hop // part.produced


def _source(names: Sequence[str], attributes: Sequence[Attribute]) -> str:
    """Return the methods as text: in TorchScript, attributes and parts can only be called by their names."""
    values = ", ".join(f"float(self.{attribute.name}[0])" for attribute in attributes)
    lines = [
        "@torch.jit.export",
        "def attribute_values(self) -> torch.Tensor:",
        f"    values: list[float] = [{values}]",
        "    return torch.tensor(values)[None]",
        "@torch.jit.export",
        "def reset(self) -> None:",
        *(f"    self.{name}_method.reset()" for name in names if name != "forward" or len(names) == 1),
    ]
    for name in names:
        through = f"self.{name}_method(x, self.attribute_values())"
        body = "self.decode(self.encode(x))" if name == "forward" and len(names) > 1 else through
        lines += ["@torch.jit.export", f"def {name}(self, x: torch.Tensor) -> torch.Tensor:", f"    return {body}"]
    return "\n".join(lines) + "\n"


def _runner(loaded: Any, name: str, model: NnModel) -> Run:
    """Return what runs a method of the loaded file from silence, in buffers of several sizes."""
    part = model.methods[name]

    def played(inputs: Arrays, first: int, end: int) -> NDArray[Any]:
        output: NDArray[Any] = getattr(loaded, name)(torch.from_numpy(part.steps(inputs, first, end)[0])).numpy()
        return output

    @torch.no_grad()
    def run(inputs: Arrays, steps: int) -> NDArray[Any]:
        for attribute, value in zip(model.attributes, inputs[1][0].tolist(), strict=True):
            getattr(loaded, f"set_{attribute.name}")(type(attribute.default)(value))
        loaded.reset()
        edges = [0]
        for hops in cycle(_HOPS):
            edges.append(min(edges[-1] + hops, steps))
            if edges[-1] == steps:
                return np.concatenate([played(inputs, *pair) for pair in pairwise(edges)], axis=2)
        raise AssertionError

    for _ in range(_WARM_UP):  # torch compiles in the first calls
        run([signal.series(np.random.default_rng(0), _TESTED_HOPS) for signal in part.inputs], _TESTED_HOPS)
    return run


@torch.no_grad()
def _demand_forward(loaded: Any, model: NnModel) -> None:
    """Check that `forward` is `encode`, then `decode`.

    Raises:
        ExportError: it is not.
    """
    encode = model.methods["encode"]
    x = torch.from_numpy(encode.inputs[0].series(np.random.default_rng(0), _TESTED_HOPS))
    loaded.reset()
    truth = loaded.decode(loaded.encode(x))
    loaded.reset()
    if not torch.equal(loaded.forward(x), truth):
        raise ExportError("forward: the file does not return what its encode and decode do, so it is not written")
