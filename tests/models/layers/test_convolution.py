"""Streaming convolutions are torch's own, causal."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from gramophone.models.layers.convolution import CausalConv1d, StridedConv1d, TransposedConv1d

sizes = st.integers(1, 5)


def _close(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(inputs=sizes, outputs=sizes, kernel=sizes, dilation=sizes)
def test_causal_is_conv1d_with_the_padding_in_front(inputs, outputs, kernel, dilation):
    layer = CausalConv1d(inputs, outputs, kernel, dilation)
    x = torch.randn(2, inputs, 30)
    truth = F.conv1d(
        F.pad(x, ((kernel - 1) * dilation, 0)), layer.weight.permute(2, 1, 0), layer.bias, dilation=dilation
    )
    _close(layer(x)[0], truth)


@settings(max_examples=40, deadline=None)
@given(inputs=sizes, outputs=sizes, frames=st.integers(1, 3), stride=sizes)
def test_strided_is_strided_conv1d_that_ends_with_its_hop(inputs, outputs, frames, stride):
    kernel = frames * stride
    layer = StridedConv1d(inputs, outputs, kernel, stride)
    x = torch.randn(2, inputs, 6 * stride)
    weight = layer.weight.reshape(kernel, inputs, outputs).permute(2, 1, 0)
    _close(layer(x)[0], F.conv1d(F.pad(x, (kernel - stride, 0)), weight, layer.bias, stride))


@settings(max_examples=40, deadline=None)
@given(inputs=sizes, outputs=sizes, frames=st.integers(1, 3), stride=sizes)
def test_transposed_is_conv_transpose1d_without_its_tail(inputs, outputs, frames, stride):
    layer = TransposedConv1d(inputs, outputs, frames * stride, stride)
    x = torch.randn(2, inputs, 6)
    weight = layer.weight.flip(0).reshape(frames, inputs, stride, outputs).permute(1, 3, 0, 2).flatten(2)
    _close(layer(x)[0], F.conv_transpose1d(x, weight, layer.bias, stride)[:, :, : 6 * stride])


def test_layers_start_with_the_spread_of_torchs_own():
    torch.manual_seed(0)
    ours, theirs = (layer.requires_grad_(False) for layer in (CausalConv1d(32, 64, 5), torch.nn.Conv1d(32, 64, 5)))
    assert float(ours.weight.std() / theirs.weight.std()) == pytest.approx(1, abs=0.02)
    assert float(ours.weight.abs().max()) <= float(theirs.weight.abs().max()) * 1.001


def test_gradients_flow_across_chunks():
    layer = CausalConv1d(1, 1, 3)
    x = torch.randn(1, 1, 8)
    layer(x)[0].square().sum().backward()
    whole = layer.weight.grad.clone()
    layer.zero_grad()
    first, state = layer(x[:, :, :3])
    second, _ = layer(x[:, :, 3:], state)
    torch.cat([first, second], 2).square().sum().backward()
    _close(layer.weight.grad, whole)


def test_kernels_that_do_not_tile_are_refused():
    for layer in (StridedConv1d, TransposedConv1d):
        for kernel, stride in ((5, 2), (1, 2), (0, 1)):
            with pytest.raises(ValueError, match="multiple of the stride"):
                layer(1, 1, kernel, stride)
    with pytest.raises(ValueError, match="at least 1"):
        CausalConv1d(1, 1, 0)
