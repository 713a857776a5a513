"""Executors: run one streaming module block after block, in NumPy arrays, as fast as the machine allows.

All of them keep the module's state. `EagerExecutor` is plain torch, the reference that the others are tested against.
`KernelExecutor` is the fastest on a CPU, but knows stacks of convolutions only; `OnnxExecutor` runs almost all else: at
small blocks most of a step's time in torch passes between the operations.
`GraphExecutor` replays a captured CUDA graph, so that a step costs one launch.
"""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gramophone.models.layers.streaming import Streaming
from gramophone.realtime.kernels.onnx_export import export, fingerprint, store
from gramophone.realtime.system.cache_folder import cache_folder

Block = NDArray[np.float32]
"""float32 `(batch, channels, samples)`."""

Kind = Literal["auto", "eager", "kernel", "onnx", "graph"]

_ERRORS_ONLY = 3
"""ONNX Runtime's level of logging; it warns of each state that has a default."""
_TOLERANCE = 1e-4
"""Largest difference allowed between the export's output and the eager one's, of full scale or a higher peak."""


class DeviceError(RuntimeError):
    """There is no such device here; the message names it and the ones that there are."""


class ExecutorError(RuntimeError):
    """A module cannot be run by the executor asked for; the message says why."""


def choose_device(device: str = "auto") -> str:
    """Return the device that `device` (auto, cpu, cuda or mps) stands for here; auto prefers a GPU.

    Raises:
        DeviceError: there is no such device.
    """
    present = ["cpu"]
    if torch.backends.mps.is_available():
        present.insert(0, "mps")
    if torch.cuda.is_available():
        present.insert(0, "cuda")
    if device == "auto":
        return present[0]
    if device not in present:
        raise DeviceError(f"device {device!r}: expected auto or one of {', '.join(present)}")
    return device


def make(
    module: Streaming,
    *,
    channels: int,
    block: int,
    batch: int = 1,
    controls: Sequence[NDArray[Any]] = (),
    device: str = "auto",
    kind: Kind = "auto",
    cache: Path | None = None,
) -> Executor:
    """Return an executor of `module` for blocks `(batch, channels, block)` and controls shaped like `controls`.

    The executor has its own copy of the weights. Kind auto is a graph on CUDA, and a kernel or else ONNX on a CPU, or
    eager, with a warning, where those are not available.

    Raises:
        DeviceError: there is no such device.
        ExecutorError: the module cannot run in blocks of this size, or not by the kind of executor asked for.
    """
    device = choose_device(device)
    if block < 1 or block % module.hop:
        raise ExecutorError(f"block {block}: expected a multiple of the model's hop {module.hop}")
    module = copy.deepcopy(module).eval().requires_grad_(False)
    examples = [np.zeros((batch, channels, block), np.float32), *map(np.asarray, controls)]

    def build(kind: str) -> Executor:
        if kind == "kernel":
            return KernelExecutor(module, examples)
        if kind == "onnx":
            return OnnxExecutor(module, examples, cache)
        return (GraphExecutor if kind == "graph" else EagerExecutor)(module, examples, device)

    if kind != "auto":
        return build(kind)
    if device == "cpu":
        with suppress(ExecutorError):
            return build("kernel")
    try:
        return build({"cuda": "graph", "cpu": "onnx"}.get(device, "eager"))
    except ExecutorError as error:
        warnings.warn(f"{type(module).__name__} runs as plain torch, which is slower: {error}", stacklevel=2)
        return build("eager")


class Executor(ABC):
    """A module and its state, for blocks of one shape. `delay` is the module's, in output samples.

    `examples` are a block and the controls; only their shapes and types count.
    """

    def __init__(self, module: Streaming, examples: Sequence[NDArray[Any]]) -> None:
        self.delay = module.delay
        self._shapes = [example.shape for example in examples]

    def __call__(self, x: Block, *controls: NDArray[Any]) -> Block:
        """Return the output for the next block, in a new array.

        Raises:
            ValueError: an input is not of the shape that the executor was made for.
        """
        inputs = (x, *controls)
        shapes = [value.shape for value in inputs]
        if shapes != self._shapes:
            raise ValueError(f"shapes {shapes}: this executor was made for {self._shapes}")
        return self._run(inputs)

    @abstractmethod
    def reset(self) -> None:
        """Return to the initial state, silence."""

    @abstractmethod
    def _run(self, inputs: Sequence[NDArray[Any]]) -> Block:
        """Run one block of checked shape."""


class EagerExecutor(Executor):
    """Plain torch, one operation after the other: the reference."""

    def __init__(self, module: Streaming, examples: Sequence[NDArray[Any]], device: str = "cpu") -> None:
        super().__init__(module, examples)
        self._module = module.to(device)
        self._device = device
        with torch.inference_mode():
            self._silence = module.initial_state(torch.tensor(examples[0], device=device))
        self._state = self._silence

    def reset(self) -> None:
        """Return to the initial state, silence."""
        self._state = self._silence

    @torch.inference_mode()
    def _run(self, inputs: Sequence[NDArray[Any]]) -> Block:
        x, *controls = (torch.tensor(np.ascontiguousarray(value), device=self._device) for value in inputs)
        y, self._state = self._module.step(x, self._state, *controls)
        return np.array(y.cpu().numpy(), order="C")


class KernelExecutor(Executor):
    """A stack of convolutions as one numba kernel on one core (`stack.py`), for a batch of one.

    Raises:
        ExecutorError: the module is something else, or the batch larger, or numba does not work here.
    """

    def __init__(self, module: Streaming, examples: Sequence[NDArray[Any]]) -> None:
        super().__init__(module, examples)
        batch, channels, frames = examples[0].shape
        if batch != 1:
            raise ExecutorError(f"a batch of {batch}: expected 1 for a kernel")
        try:
            from gramophone.realtime.kernels.stack import Stack

            self._stack = Stack(module, channels, frames)
        except (ImportError, OSError, ValueError) as error:
            raise ExecutorError(f"it cannot be one kernel: {error}") from error

    def reset(self) -> None:
        """Return to the initial state, silence."""
        self._stack.reset()

    def _run(self, inputs: Sequence[NDArray[Any]]) -> Block:
        return self._stack.process(inputs[0])


class GraphExecutor(Executor):
    """The step on fixed buffers, captured as a CUDA graph; without CUDA the same step, run eagerly.

    The state is written back inside the step, so a replay needs nothing from Python but the input.

    Raises:
        ExecutorError: the module contains an operation that cannot be captured.
    """

    def __init__(self, module: Streaming, examples: Sequence[NDArray[Any]], device: str) -> None:
        super().__init__(module, examples)
        self._module = module.to(device)
        pin = device == "cuda"  # copies need no staging buffer
        self._host = [torch.tensor(value, pin_memory=pin) for value in examples]
        self._inputs = [value.to(device, copy=True) for value in self._host]
        with torch.inference_mode():
            self._silence = module.initial_state(self._inputs[0])
            self._state = tuple(tensor.clone() for tensor in self._silence)
            y, _ = module.step(self._inputs[0], self._state, *self._inputs[1:])
            self._output = y.clone(memory_format=torch.contiguous_format)
        self._host_output = torch.empty(y.shape, dtype=y.dtype, pin_memory=pin)
        self._replay = self._capture() if device == "cuda" else self._step
        self._wait = torch.cuda.synchronize if device == "cuda" else _no_wait
        self.reset()

    @torch.inference_mode()
    def reset(self) -> None:
        """Return to the initial state, silence."""
        _overwrite(self._state, self._silence)

    @torch.inference_mode()
    def _run(self, inputs: Sequence[NDArray[Any]]) -> Block:
        for host, value in zip(self._host, inputs, strict=True):
            host.numpy()[...] = value
        _overwrite(self._inputs, self._host)
        self._replay()
        self._host_output.copy_(self._output, non_blocking=True)
        self._wait()
        return self._host_output.numpy().copy()

    @torch.inference_mode()
    def _step(self) -> None:
        x, *controls = self._inputs
        y, state = self._module.step(x, self._state, *controls)
        # A state that is a view of an old one must not be overwritten before it is read.
        fixed = {tensor.untyped_storage().data_ptr() for tensor in (*self._state, *self._inputs)}
        state = tuple(new.clone() if new.untyped_storage().data_ptr() in fixed else new for new in state)
        self._output.copy_(y)
        _overwrite(self._state, state)

    def _capture(self) -> Callable[[], None]:
        """Return the step as a graph. Runs on a side stream come first, for what a first call allocates and tunes."""
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(side):
                for _ in range(3):
                    self._step()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._step()
        except RuntimeError as error:
            raise ExecutorError(f"it cannot be captured in a CUDA graph: {error}") from error
        return graph.replay


class OnnxStep:
    """An exported step (`onnx_export`) in ONNX Runtime, on one CPU thread and on bound buffers, with its state.

    `examples` are a block and the controls, of which only shapes and types count; `silence` is the initial state. Two
    sets of states alternate as input and output.

    Raises:
        ExecutorError: ONNX Runtime is missing. What it cannot read raises errors of its own.
    """

    def __init__(self, model: bytes, examples: Sequence[NDArray[Any]], silence: Sequence[NDArray[Any]]) -> None:
        self._runtime = _onnx_runtime()
        self._silence = silence
        self._inputs = [np.array(example, order="C") for example in examples]
        self._states = [[state.copy() for state in silence] for _ in range(2)]
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        # Decaying tails would otherwise become denormal numbers, at which the processor is a hundred times slower.
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        self._session = self._runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._output = np.zeros(self._session.get_outputs()[0].shape, np.float32)
        first, second = self._states
        self._bindings = [self._bind(first, second), self._bind(second, first)]
        self.reset()

    def reset(self) -> None:
        """Return to the initial state, silence."""
        for state, silence in zip(self._states[0], self._silence, strict=True):
            state[...] = silence
        self._turns = cycle(self._bindings)

    def __call__(self, inputs: Sequence[NDArray[Any]]) -> Block:
        """Return the output of one step, in a new array."""
        for buffer, value in zip(self._inputs, inputs, strict=True):
            buffer[...] = value
        self._session.run_with_iobinding(next(self._turns))
        return self._output.copy()

    def _bind(self, old: list[NDArray[Any]], new: list[NDArray[Any]]) -> Any:
        binding = self._session.io_binding()
        sources = {f"in{i}": value for i, value in enumerate(self._inputs)}
        sources |= {f"old{i}": value for i, value in enumerate(old)}
        # Inputs that the module does not use are missing; those of a state may have a default.
        for entry in (*self._session.get_inputs(), *self._session.get_overridable_initializers()):
            binding.bind_ortvalue_input(entry.name, self._shared(sources[entry.name]))
        binding.bind_ortvalue_output("out", self._shared(self._output))
        for i, value in enumerate(new):
            binding.bind_ortvalue_output(f"new{i}", self._shared(value))
        return binding

    def _shared(self, array: NDArray[Any]) -> Any:
        """Return a value on the array's own memory; the caller keeps the array alive."""
        return self._runtime.OrtValue.ortvalue_from_numpy(array)


class OnnxExecutor(Executor):
    """ONNX Runtime on one CPU thread.

    The exported model is stored in the folder `cache` (by default in the user's cache folder) once its output has been
    compared with the module's.

    Raises:
        ExecutorError: ONNX Runtime is missing, the module cannot be exported, or the export computes something else.
    """

    def __init__(self, module: Streaming, examples: Sequence[NDArray[Any]], cache: Path | None = None) -> None:
        _onnx_runtime()
        super().__init__(module, examples)
        with torch.inference_mode():
            silence = [tensor.numpy() for tensor in module.initial_state(torch.tensor(examples[0]))]
        path = (cache or cache_folder("onnx")) / f"{fingerprint(module, examples)}.onnx"
        try:
            self._step = OnnxStep(path.read_bytes(), examples, silence)
        except Exception:  # no such file, or one that this runtime cannot read; its errors have no common class
            self._export(module, examples, silence, path)

    def reset(self) -> None:
        """Return to the initial state, silence."""
        self._step.reset()

    def _run(self, inputs: Sequence[NDArray[Any]]) -> Block:
        return self._step(inputs)

    def _export(
        self, module: Streaming, examples: Sequence[NDArray[Any]], silence: Sequence[NDArray[Any]], path: Path
    ) -> None:
        try:
            model = export(module, examples)
            self._step = OnnxStep(model, examples, silence)
        except Exception as error:
            raise ExecutorError(str(error)) from error
        self._compare(EagerExecutor(module, examples), examples)
        store(path, model)

    def _compare(self, reference: EagerExecutor, examples: Sequence[NDArray[Any]]) -> None:
        """Compare both on noise: a trace freezes as constants whatever the module computed in Python."""
        noise = np.random.default_rng(0)
        for _ in range(3):
            x = noise.uniform(-1, 1, examples[0].shape).astype(np.float32)
            truth = reference(x, *examples[1:])
            error = np.abs(self(x, *examples[1:]) - truth).max()
            if not error <= _TOLERANCE * max(1.0, np.abs(truth).max()):
                raise ExecutorError(f"its ONNX export is off by {error:.2g}")
        self.reset()


def _onnx_runtime() -> Any:
    """Return the module `onnxruntime`.

    Raises:
        ExecutorError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ExecutorError("ONNX Runtime is missing (pip install onnx onnxruntime)") from error
    return onnxruntime


def _overwrite(kept: Sequence[Tensor], new: Sequence[Tensor]) -> None:
    for target, source in zip(kept, new, strict=True):
        target.copy_(source, non_blocking=True)


def _no_wait() -> None:
    """Do nothing: on a CPU a copy is done when it returns."""
