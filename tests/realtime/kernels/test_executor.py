"""Every executor gives what plain torch gives, block after block."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from gramophone.models.layers.composition import Delay, Parallel, Residual, Sequential
from gramophone.models.layers.convolution import CausalConv1d, StridedConv1d, TransposedConv1d
from gramophone.models.layers.stft import STFT, OverlapAdd, low_delay_windows
from gramophone.models.layers.streaming import Pointwise, Streaming
from gramophone.models.nets.decoder import CausalDecoder, residual_unit
from gramophone.realtime.kernels.executor import (
    DeviceError,
    ExecutorError,
    KernelExecutor,
    OnnxExecutor,
    choose_device,
    make,
)
from gramophone.realtime.kernels.onnx_export import fingerprint


def _spectral():
    long, short = low_delay_windows(64, 32, 8)
    return Sequential(STFT(long, 8), OverlapAdd(short, 8, 64))


class Swap(Streaming):
    """A state that is a view of the old one and of the input: what static buffers could get wrong."""

    def initial_state(self, x):
        return x.new_zeros(x.shape[:2]), x.new_ones(x.shape[:2])

    def step(self, x, state, *controls):
        gain = controls[0] if controls else 1
        return x * gain + state[1][:, :, None], (x[:, :, -1], state[0])


class Unmoved(Streaming):
    """The input itself as output and state."""

    def initial_state(self, x):
        return (torch.zeros_like(x),)

    def step(self, x, state, *controls):
        return x, (x,)


class Counting(Streaming):
    """Python that tensors do not see: a trace would freeze it."""

    def initial_state(self, x):
        return (x.new_zeros(1),)

    def step(self, x, state, *controls):
        return x * float(state[0]), (state[0] + 1,)


MODULES = {
    "decoder": lambda: CausalDecoder(latents=2, width=16, strides=(4, 2)),
    "strided": lambda: Sequential(StridedConv1d(2, 4, 8, 4), Pointwise(nn.ELU()), TransposedConv1d(4, 3, 8, 4)),
    "aligned": lambda: Residual(Parallel(Delay(5), CausalConv1d(2, 2, 3, 2))),
    "delay": lambda: Delay(20),
    "nothing": lambda: Pointwise(nn.Identity()),
    "swap": Swap,
    "unmoved": Unmoved,
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("onnx")


def _blocks(shape, count=7, seed=0):
    noise = np.random.default_rng(seed)
    return [noise.uniform(-1, 1, shape).astype(np.float32) for _ in range(count)]


def _truth(module, blocks):
    with torch.inference_mode():
        return module.eval()(torch.from_numpy(np.concatenate(blocks, 2)))[0].numpy()


KINDS = ["eager", "onnx", "graph"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODULES)
def test_blocks_give_what_plain_torch_gives(name, kind, cache):
    torch.manual_seed(3)
    module, blocks = MODULES[name](), _blocks((2, 2, 8))
    executor = make(module, channels=2, block=8, batch=2, device="cpu", kind=kind, cache=cache)
    assert executor.delay == module.delay
    oracle = make(module, channels=2, block=8, batch=2, device="cpu", kind="eager")
    for _ in range(2):
        for block in blocks:
            np.testing.assert_allclose(executor(block), oracle(block), rtol=0, atol=1e-5)
        executor.reset()
        oracle.reset()


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_give_what_the_whole_gives(kind, cache):
    torch.manual_seed(3)
    module, blocks = MODULES["decoder"](), _blocks((1, 2, 4))
    executor = make(module, channels=2, block=4, device="cpu", kind=kind, cache=cache)
    outputs = np.concatenate([executor(block) for block in blocks], 2)
    np.testing.assert_allclose(outputs, _truth(module, blocks), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_the_callers_to_keep_and_inputs_stay(kind, cache):
    for module in (Pointwise(nn.Identity()), Unmoved(), CausalConv1d(2, 2, 3)):
        executor = make(module, channels=2, block=8, device="cpu", kind=kind, cache=cache)
        blocks = _blocks((1, 2, 8))
        given = [block.copy() for block in blocks]
        kept = [executor(block) for block in blocks]
        copies = [y.copy() for y in kept]
        for y in kept:
            y += 1
        executor(blocks[0])
        assert all(np.array_equal(a, b) for a, b in zip(blocks, given, strict=True))
        assert all(np.array_equal(a, b + 1) for a, b in zip(kept, copies, strict=True))
        assert all(y.flags.c_contiguous and y.flags.owndata for y in kept)


def test_a_graph_s_buffers_stay_where_they_are_and_are_pinned_where_there_is_a_gpu():
    device = "cuda" if torch.cuda.is_available() else "cpu"
    executor = make(MODULES["decoder"](), channels=2, block=8, device=device, kind="graph")
    host = (*executor._host, executor._host_output)

    def places():
        return [tensor.data_ptr() for tensor in (*host, *executor._inputs, *executor._state, executor._output)]

    before = places()
    for block in _blocks((1, 2, 8)):
        executor(block)
    assert places() == before
    assert all(tensor.is_pinned() == (device == "cuda") for tensor in host)


@pytest.mark.parametrize("kind", KINDS)
def test_controls_reach_the_step_and_odd_views_are_read_right(kind, cache):
    gain = np.full((1, 1, 1), 1, np.float32)
    executor = make(Swap(), channels=2, block=8, controls=[gain], device="cpu", kind=kind, cache=cache)
    x = _blocks((1, 8, 2), 1)[0].transpose(0, 2, 1)[:, :, ::-1]
    np.testing.assert_allclose(executor(x, gain * 3), x * 3 + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_control_that_is_not_used_does_no_harm(kind, cache):
    controls = [np.ones((1, 4), np.float32)]
    executor = make(CausalConv1d(2, 2, 3), channels=2, block=8, controls=controls, device="cpu", kind=kind, cache=cache)
    assert executor(*_blocks((1, 2, 8), 1), *controls).shape == (1, 2, 8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_module_may_change_after(kind, cache):
    module = CausalConv1d(2, 2, 3).train()
    executor = make(module, channels=2, block=8, device="cpu", kind=kind, cache=cache)
    block = _blocks((1, 2, 8), 1)[0]
    truth = _truth(module, [block])
    module.train()
    with torch.no_grad():
        module.weight.zero_()
    np.testing.assert_allclose(executor(block), truth, rtol=0, atol=1e-6)
    assert module.training
    assert module.weight.requires_grad


def test_wrong_shapes_are_refused_before_they_change_the_state():
    executor = make(Delay(1), channels=2, block=8, device="cpu", kind="eager")
    for shape in ((1, 2, 7), (1, 1, 8), (2, 8)):
        with pytest.raises(ValueError, match="was made for"):
            executor(np.zeros(shape, np.float32))
    with pytest.raises(ExecutorError, match="multiple of the model's hop 8"):
        make(_spectral(), channels=1, block=12)


STACKS = {
    "decoder": lambda: CausalDecoder(latents=2, width=96, strides=(4, 2), outputs=3),
    "strided": lambda: Sequential(StridedConv1d(2, 70, 8, 4), Pointwise(nn.ReLU()), TransposedConv1d(70, 3, 8, 4)),
    "units": lambda: Sequential(residual_unit(2, 5, 7), CausalConv1d(2, 65, 3, 4), residual_unit(65, 3, 1)),
    "one": lambda: CausalConv1d(2, 1, 1),
    "bent": lambda: Sequential(CausalConv1d(2, 4, 2), Pointwise(nn.Tanh())),
}


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_of_convolutions_is_one_kernel_that_gives_what_plain_torch_gives(name):
    torch.manual_seed(3)
    module, blocks = STACKS[name](), _blocks((1, 2, 8))
    executor = make(module, channels=2, block=8, device="cpu")
    assert isinstance(executor, KernelExecutor)
    for _ in range(2):
        outputs = np.concatenate([executor(block) for block in blocks], 2)
        np.testing.assert_allclose(outputs, _truth(module, blocks), rtol=0, atol=1e-5)
        executor.reset()
    kept = executor(blocks[0])
    copy = kept.copy()
    executor(blocks[1])
    assert np.array_equal(kept, copy)
    assert kept.flags.c_contiguous
    assert kept.flags.owndata


@pytest.mark.parametrize(
    "module",
    [
        Delay(3),
        Pointwise(nn.Tanh()),
        Sequential(CausalConv1d(2, 2, 3), Pointwise(nn.ReLU())),
        Sequential(CausalConv1d(2, 2, 3), Pointwise(nn.ELU()), CausalConv1d(2, 2, 3)),
        Sequential(CausalConv1d(2, 2, 3), Pointwise(nn.Tanh()), CausalConv1d(2, 2, 3)),
        Sequential(Pointwise(nn.ReLU()), Residual(CausalConv1d(2, 2, 3))),
        Residual(Sequential(CausalConv1d(2, 2, 3), Delay(2))),
        Residual(Sequential(CausalConv1d(2, 2, 3), Pointwise(nn.ReLU()))),
        Residual(Residual(CausalConv1d(2, 2, 3))),
    ],
)
def test_what_is_no_stack_of_convolutions_is_onnx(module, cache):
    with pytest.raises(ExecutorError, match="one kernel"):
        make(module, channels=2, block=8, device="cpu", kind="kernel")
    torch.manual_seed(3)
    executor, blocks = make(module, channels=2, block=8, device="cpu", cache=cache), _blocks((1, 2, 8))
    assert isinstance(executor, OnnxExecutor)
    outputs = np.concatenate([executor(block) for block in blocks], 2)
    np.testing.assert_allclose(outputs, _truth(module, blocks), rtol=0, atol=1e-5)


def test_a_kernel_is_for_one_sound():
    with pytest.raises(ExecutorError, match="a batch of 2"):
        make(CausalConv1d(2, 2, 3), channels=2, block=8, batch=2, device="cpu", kind="kernel")


@pytest.mark.parametrize("module", [_spectral(), Counting()])
def test_what_onnx_cannot_do_or_does_wrong_runs_as_torch_with_a_warning(module, tmp_path):
    blocks = _blocks((1, 1, 8))
    with pytest.warns(UserWarning, match="runs as plain torch"):
        executor = make(module, channels=1, block=8, device="cpu", cache=tmp_path)
    for block, truth in zip(blocks, np.split(_truth_by_block(module, blocks), len(blocks), 2), strict=True):
        np.testing.assert_allclose(executor(block), truth, rtol=0, atol=1e-6)
    with pytest.raises(ExecutorError, match=r"export|ONNX"):
        make(module, channels=1, block=8, device="cpu", kind="onnx", cache=tmp_path)
    assert not list(tmp_path.iterdir())


def _truth_by_block(module, blocks):
    state, outputs = None, []
    for block in blocks:
        y, state = module(torch.from_numpy(block), state)
        outputs.append(y.numpy())
    return np.concatenate(outputs, 2)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_exporter_or_runtime_it_runs_as_torch_with_a_warning(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.warns(UserWarning, match=package):
        make(Delay(3), channels=1, block=8, device="cpu", cache=tmp_path)


def test_an_export_is_kept_found_again_and_made_anew_when_broken(tmp_path, monkeypatch):
    module, block = CausalConv1d(2, 2, 3), _blocks((1, 2, 8), 1)[0]

    def run():
        return make(module, channels=2, block=8, device="cpu", kind="onnx", cache=tmp_path / "deep" / "cache")(block)

    truth = run()
    (kept,) = (tmp_path / "deep" / "cache").iterdir()
    content = kept.read_bytes()
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "onnx", None)  # found again, or this would fail
        np.testing.assert_array_equal(run(), truth)
    kept.write_bytes(content[: len(content) // 2])
    np.testing.assert_array_equal(run(), truth)
    assert kept.read_bytes() == content


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "file").touch()
    executor = make(Delay(3), channels=1, block=8, device="cpu", kind="onnx", cache=tmp_path / "file" / "cache")
    assert executor(np.ones((1, 1, 8), np.float32)).sum() == 5


def test_the_fingerprint_changes_with_whatever_changes_the_export():
    def build(weight=0.5, dilation=1, past=2):
        module = CausalConv1d(1, 1, 3, dilation)
        module.past = past
        nn.init.constant_(module.weight, weight)
        nn.init.constant_(module.bias, 0)
        return module

    block = [np.zeros((1, 1, 8), np.float32)]
    same = fingerprint(build(), block)
    assert fingerprint(build(), block) == same
    others = [build(weight=0.6), build(dilation=2), build(past=4), Sequential(build())]
    names = {fingerprint(module, block) for module in others} | {
        fingerprint(build(), [np.zeros((1, 1, 16), np.float32)]),
        fingerprint(build(), [*block, *block]),
        fingerprint(Sequential(build(), Delay(1)), block),
        fingerprint(Sequential(build(), Delay(2)), block),
        same,
    }
    assert len(names) == 9


def test_running_a_module_first_does_not_change_its_fingerprint():
    module, block = _spectral(), [np.zeros((1, 1, 8), np.float32)]
    before = fingerprint(module, block)
    module(torch.zeros(1, 1, 8))
    assert fingerprint(module, block) == before


def test_devices_are_checked_by_name():
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") in {"cuda"} if torch.cuda.is_available() else {"mps", "cpu"}
    with pytest.raises(DeviceError, match="'toaster': expected auto or one of"):
        choose_device("toaster")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", MODULES)
def test_a_captured_graph_gives_what_plain_torch_gives(name):
    torch.manual_seed(3)
    module, blocks = MODULES[name](), _blocks((2, 2, 8))
    executor = make(module, channels=2, block=8, batch=2, device="cuda", kind="graph")
    oracle = make(module, channels=2, block=8, batch=2, device="cpu", kind="eager")
    for _ in range(2):
        for block in blocks:
            np.testing.assert_allclose(executor(block), oracle(block), rtol=0, atol=1e-5)
        executor.reset()
        oracle.reset()
