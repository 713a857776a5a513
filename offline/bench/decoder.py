"""Bench: the causal decoder at block 128 on one core, against the same network built with cached-conv."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from gramophone.models.layers.composition import Residual, Sequential
from gramophone.models.layers.convolution import CausalConv1d, TransposedConv1d
from gramophone.models.layers.streaming import Pointwise
from gramophone.models.nets.decoder import CausalDecoder
from gramophone.offline.bench.timing import Times, cold, hot, quantiles
from gramophone.realtime.kernels.executor import Executor, make

_ROUNDS = 600
_BURST = 40
_LATENTS = 64


def measure() -> dict[str, object]:
    """Return block times hot and cold, how many times cached-conv's they are, and how far the outputs differ.

    All share their weights and one thread. Ours takes and gives numpy and keeps its state, as it does live;
    cached-conv's calls are bare. Ratios are of medians and of 95 % quantiles, so above one is ours quicker.
    """
    torch.manual_seed(0)
    decoder = CausalDecoder(_LATENTS).eval().requires_grad_(False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            return _compare(decoder)
    finally:
        torch.set_num_threads(threads)


def cached_twin(decoder: CausalDecoder) -> nn.Module:
    """Return the same network of cached-conv's layers with the same weights; it keeps its state within."""
    import cached_conv

    cached_conv.use_cached_conv(True)
    try:
        return _twin(decoder.layers)
    finally:
        cached_conv.use_cached_conv(False)


def _compare(decoder: CausalDecoder) -> dict[str, object]:
    latents = np.random.default_rng(0).standard_normal((1, _LATENTS, 1)).astype(np.float32)
    x = torch.from_numpy(latents)
    executor = make(decoder, channels=_LATENTS, block=1, device="cpu")
    twin = cached_twin(decoder)
    difference, peak = _difference(executor, twin)
    traced = torch.jit.trace(twin, x, check_trace=False)  # type: ignore[no-untyped-call]
    figures: dict[str, object] = {
        "parameters": sum(p.numel() for p in decoder.parameters()),
        "block_ms": round(1000 * decoder.up / 48_000, 3),
        "executor": type(executor).__name__,
        "max_difference": difference,
        "peak": peak,
    }
    # Each rival on its own against ours: a third that runs the same code between would keep it warm for the second.
    for name, rival in (("cached_conv", twin), ("cached_conv_traced", traced)):
        figures |= _duel(lambda: executor(latents), name, lambda rival=rival: rival(x))  # type: ignore[misc]
    return figures


def _duel(ours: Callable[[], object], name: str, theirs: Callable[[], object]) -> dict[str, object]:
    """Return the block times of both, hot and cold, and how many times as long theirs are."""
    figures: dict[str, object] = {}
    rivals = {"gramophone": ours, name: theirs}
    for state, times in (("hot", _hot_in_bursts(rivals)), ("cold", cold(rivals, _ROUNDS))):
        quick, slow = quantiles(times["gramophone"]), quantiles(times[name])
        figures[f"gramophone_{state}_beside_{name}"] = quick
        figures[f"{name}_{state}"] = slow
        ratios = {key.removesuffix("_ms"): round(slow[key] / quick[key], 2) for key in quick}
        figures[f"times_faster_than_{name}_{state}"] = ratios
    return figures


def _hot_in_bursts(rivals: Mapping[str, Callable[[], object]]) -> Times:
    """Return hot times of rivals that take turns by bursts: call by call they would empty each other's caches."""
    bursts = [
        {name: hot({name: call}, _BURST, warm_up=3)[name] for name, call in rivals.items()}
        for _ in range(_ROUNDS // _BURST)
    ]
    return {name: np.concatenate([burst[name] for burst in bursts]) for name in rivals}


def _difference(executor: Executor, twin: nn.Module) -> tuple[float, float]:
    """Return the largest difference between the outputs over a hundred blocks, and the largest output."""
    noise = np.random.default_rng(1).standard_normal((100, 1, _LATENTS, 1)).astype(np.float32)
    ours = np.stack([executor(x) for x in noise])
    theirs = np.stack([twin(torch.from_numpy(x)).numpy() for x in noise])
    return float(np.abs(ours - theirs).max()), float(np.abs(theirs).max())


class _Sum(nn.Module):
    """A residual unit the way cached-conv has them made: branches that it aligns, summed."""

    def __init__(self, body: nn.Module) -> None:
        import cached_conv

        super().__init__()
        self.branches = cached_conv.AlignBranches(body, nn.Identity(), delays=[0, 0])

    def forward(self, x: Tensor) -> Tensor:
        y, same = self.branches(x)
        summed: Tensor = same + y
        return summed


def _twin(layer: nn.Module) -> nn.Module:
    """Return a layer of ours as cached-conv's."""
    import cached_conv

    if isinstance(layer, Sequential):
        return cast(nn.Module, cached_conv.CachedSequential(*map(_twin, layer.layers)))
    if isinstance(layer, Residual):
        return _Sum(_twin(layer.layers[1]))
    if isinstance(layer, Pointwise):
        return layer.module
    if isinstance(layer, CausalConv1d):
        kernel, inputs, outputs = layer.weight.shape
        padding = cached_conv.get_padding(kernel, dilation=layer.dilation, mode="causal")
        twin = cached_conv.Conv1d(inputs, outputs, kernel, dilation=layer.dilation, padding=padding)
        return _with_weights(twin, layer.weight.permute(2, 1, 0), layer.bias)
    if isinstance(layer, TransposedConv1d):
        frames, inputs, _ = layer.weight.shape
        stride, outputs = layer.up, len(layer.bias)
        # What it adds from one call to the next is twice the padding long.
        padding = (frames - 1) * stride // 2
        twin = cached_conv.ConvTranspose1d(inputs, outputs, frames * stride, stride=stride, padding=padding)
        weight = layer.weight.flip(0).reshape(frames, inputs, stride, outputs).permute(1, 3, 0, 2).flatten(2)
        return _with_weights(twin, weight, layer.bias)
    raise TypeError(f"{type(layer).__name__}: no layer of cached-conv's is known for it")


def _with_weights(twin: nn.Module, weight: Tensor, bias: Tensor) -> nn.Module:
    twin.load_state_dict({"weight": weight, "bias": bias})
    return twin.eval().requires_grad_(False)
