"""Causal convolutions that stream: dilated, strided and transposed, each one matrix product per chunk.

The layers remember their past *input*. A strided convolution is a plain one over samples folded into frames,
and a transposed one is a plain one whose output frames are unfolded into samples (the sub-pixel identity of
Shi et al. 2016), so all three share one product. It works channels last: taps laid side by side, then one
product with the weights. On a CPU and at small blocks that is about three times as fast as `conv1d`, and
between layers in a row the transpositions cost nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gramophone.models.layers.streaming import State, Streaming


class _Convolution(Streaming):
    """Weights `(kernel, in, out)`, oldest tap first, and how they stream over `(batch, time, in)`.

    Both are drawn uniformly within 1/sqrt(fan in), as in torch's own convolutions.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int, biases: int) -> None:
        super().__init__()
        if kernel < 1 or dilation < 1:
            raise ValueError(f"kernel {kernel}, dilation {dilation}: expected at least 1")
        self.dilation = dilation
        self.past = (kernel - 1) * dilation
        bound = 1 / math.sqrt(inputs * kernel)
        self.weight = nn.Parameter(torch.empty(kernel, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(biases).uniform_(-bound, bound))

    def initial_state(self, x: Tensor) -> State:
        """Zeros for the frames that the taps reach back to, `(batch, past, in)`; none for a single tap."""
        return (x.new_zeros(x.shape[0], self.past, self.weight.shape[1]),) if self.past else ()

    def _convolve(self, frames: Tensor, state: State, bias: Tensor) -> tuple[Tensor, State]:
        """`(batch, time, in)` -> `(batch, time, out)` and the state after it."""
        matrix = self.weight.flatten(0, 1).t()
        if not self.past:
            return F.linear(frames, matrix, bias), ()
        batch, time, _ = frames.shape
        known = torch.cat([state[0], frames], 1)
        first = torch.arange(time, device=frames.device)[:, None]
        reach = torch.arange(0, self.past + 1, self.dilation, device=frames.device)
        # One gather: slices stacked would be as quick here, but as many operations more once exported.
        taps = known.index_select(1, (first + reach).flatten()).reshape(batch, time, matrix.shape[1])
        # Cloned, or a view would keep the whole chunk alive for as long as the state is.
        return F.linear(taps, matrix, bias), (known[:, time:].clone(),)


class CausalConv1d(_Convolution):
    """Dilated causal convolution: `(B, in, T)` -> `(B, out, T)`, delay 0.

    `weight[i, c, o]` is `conv1d`'s `weight[o, c, i]`.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, dilation, biases=outputs)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Convolve one chunk."""
        y, state = self._convolve(x.transpose(1, 2), state, self.bias)
        return y.transpose(1, 2), state


class StridedConv1d(_Convolution):
    """Causal convolution, one output per `stride` samples: `(B, in, T)` -> `(B, out, T / stride)`, delay 0.

    Output `m` depends on the input up to and including sample `(m + 1) * stride - 1`: all of its own hop, nothing
    after. `weight[i, p * in + c, o]` is `conv1d`'s `weight[o, c, i * stride + p]`.

    Raises:
        ValueError: `kernel` is no multiple of `stride`.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__(inputs * stride, outputs, _frames(kernel, stride), dilation=1, biases=outputs)
        self.hop = stride

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Convolve one chunk."""
        batch, channels, time = x.shape
        frames = x.transpose(1, 2).reshape(batch, time // self.hop, self.hop * channels)
        y, state = self._convolve(frames, state, self.bias)
        return y.transpose(1, 2), state


class TransposedConv1d(_Convolution):
    """Causal transposed convolution: `(B, in, T)` -> `(B, out, T * stride)`, delay 0.

    The overlapping tails of `conv_transpose1d` are summed within the product, from the inputs that they come
    from. `weight[-1 - j, c, p * out + o]` is `conv_transpose1d`'s `weight[c, o, j * stride + p]`.

    Raises:
        ValueError: `kernel` is no multiple of `stride`.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__(inputs, outputs * stride, _frames(kernel, stride), dilation=1, biases=outputs)
        self.up = stride

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Convolve one chunk."""
        # The same bias in every phase: phases of their own would be a tone at the frame rate.
        frames, state = self._convolve(x.transpose(1, 2), state, self.bias.repeat(self.up))
        batch, _, time = x.shape
        return frames.reshape(batch, time * self.up, self.bias.shape[0]).transpose(1, 2), state


def _frames(kernel: int, stride: int) -> int:
    """Return how many frames of `stride` samples `kernel` spans."""
    if stride < 1 or kernel < stride or kernel % stride:
        raise ValueError(f"kernel {kernel}: expected a multiple of the stride {stride}")
    return kernel // stride
