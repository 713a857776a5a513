"""The laws of streaming, held by every layer and every composition of layers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gramophone.models.layers.composition import Delay, Parallel, Residual, Sequential
from gramophone.models.layers.convolution import CausalConv1d, StridedConv1d, TransposedConv1d
from gramophone.models.layers.stft import STFT, OverlapAdd, low_delay_windows
from gramophone.models.layers.streaming import Pointwise
from gramophone.models.nets.decoder import CausalDecoder


def _spectral(analysis=48, synthesis=16, hop=4):
    long, short = low_delay_windows(analysis, synthesis, hop)
    return Sequential(STFT(long, hop), OverlapAdd(short, hop, analysis))


def _unet():
    """Down and up again around a spectral branch: everything that composes, at once."""
    core = Parallel(CausalConv1d(4, 4, 3), Delay(1))
    return Residual(Sequential(StridedConv1d(2, 4, 8, 4), core, Delay(2), TransposedConv1d(4, 2, 8, 4), _spectral()))


CASES = {
    "pointwise": (lambda: Pointwise(nn.Tanh()), 2),
    "conv": (lambda: CausalConv1d(2, 3, 5, 3), 2),
    "conv of one tap": (lambda: CausalConv1d(2, 3, 1), 2),
    "strided": (lambda: StridedConv1d(2, 3, 12, 4), 2),
    "strided without overlap": (lambda: StridedConv1d(2, 3, 4, 4), 2),
    "transposed": (lambda: TransposedConv1d(2, 3, 12, 4), 2),
    "delay": (lambda: Delay(7), 2),
    "no delay": (lambda: Delay(0), 2),
    "down and up": (lambda: Sequential(StridedConv1d(2, 5, 12, 6), TransposedConv1d(5, 3, 8, 4)), 2),
    "up and down": (lambda: Sequential(TransposedConv1d(2, 5, 8, 4), StridedConv1d(5, 3, 12, 6)), 2),
    "stack": (lambda: Parallel(Delay(3), CausalConv1d(2, 3, 4), merge="stack"), 2),
    "spectral": (_spectral, 2),
    "spectral without overlap": (lambda: _spectral(8, 8, 4), 2),
    "unet": (_unet, 2),
    "decoder": (lambda: CausalDecoder(latents=3, width=16, strides=(4, 2), dilations=(1, 3)), 3),
}


@pytest.fixture(params=CASES, scope="module")
def case(request):
    torch.manual_seed(7)
    build, channels = CASES[request.param]
    return build().eval().requires_grad_(False), channels


@settings(max_examples=25, deadline=None)
@given(
    chunks=st.lists(st.integers(0, 12), min_size=1, max_size=12),
    batch=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_any_chunks_give_what_the_whole_gives(case, chunks, batch, seed):
    module, channels = case
    signal = torch.randn(batch, channels, sum(chunks) * module.hop, generator=torch.Generator().manual_seed(seed))
    whole, end = module(signal)
    state, pieces = None, []
    for piece in signal.split([n * module.hop for n in chunks], 2):
        y, state = module(piece, state)
        assert y.shape[2] == piece.shape[2] // module.hop * module.up
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces, 2), whole, rtol=0, atol=1e-6)
    assert all(a.shape == b.shape for a, b in zip(state, end, strict=True))


def test_a_step_changes_neither_its_input_nor_its_state(case):
    module, channels = case
    x = torch.randn(2, channels, 4 * module.hop)
    _, state = module(x)
    copies = [x.clone(), *(tensor.clone() for tensor in state)]
    first, _ = module(x, state)
    second, _ = module(x, state)
    assert torch.equal(first, second)
    assert all(torch.equal(a, b) for a, b in zip(copies, [x, *state], strict=True))


def test_state_is_contiguous_and_of_one_shape(case):
    module, channels = case
    x = torch.randn(2, channels, 4 * module.hop)
    states = [module.initial_state(x), module(x)[1], module(x[:, :, : module.hop])[1]]
    assert all(tensor.is_contiguous() for state in states for tensor in state)
    assert len({tuple(tensor.shape for tensor in state) for state in states}) == 1


def test_no_output_hears_the_future(case):
    module, channels = case
    x = torch.randn(1, channels, 24 * module.hop)
    changed = x.clone()
    changed[:, :, 12 * module.hop :] += 1
    before, after = module(x)[0], module(changed)[0]
    assert torch.equal(before[:, :, : 12 * module.up], after[:, :, : 12 * module.up])


def _first_sound(module, channels, at):
    """Return where the output first hears an impulse."""
    silence = torch.zeros(1, channels, 40 * module.hop)
    impulse = silence.clone()
    impulse[:, :, at] = 1
    heard = (module(impulse)[0] - module(silence)[0]).abs().amax((0, 1)) > 1e-5
    return int(heard.nonzero()[0])


@pytest.mark.parametrize("name", ["conv", "transposed", "strided", "delay", "stack", "decoder"])
def test_the_stated_delay_is_where_an_impulse_arrives(name):
    torch.manual_seed(7)
    build, channels = CASES[name]
    module = build().eval().requires_grad_(False)
    assert _first_sound(module, channels, 8 * module.hop) == 8 * module.up + module.delay


def test_delays_add_up_in_a_row_and_the_longest_counts_side_by_side():
    row = Sequential(Delay(8), StridedConv1d(1, 1, 4, 4), Delay(3), TransposedConv1d(1, 1, 4, 4), Delay(5))
    assert (row.delay, row.hop, row.up) == ((8 // 4 + 3) * 4 + 5, 4, 4)
    assert _first_sound(row, 1, 0) == row.delay
    assert Parallel(Delay(2), row, Delay(9)).delay == row.delay
    assert _spectral(48, 16, 4).delay == 12


def test_a_residual_lines_the_input_up_with_its_body():
    torch.manual_seed(1)
    x = torch.randn(1, 2, 64)
    y, _ = Residual(_spectral())(x)
    torch.testing.assert_close(y[:, :, 12:], 2 * x[:, :, :-12], rtol=0, atol=1e-6)


def test_stacked_branches_line_up():
    x = torch.randn(1, 1, 20)
    y, _ = Parallel(Delay(0), Delay(3), Sequential(Delay(1), Delay(1)), merge="stack")(x)
    assert torch.equal(y, torch.nn.functional.pad(x, (3, 0))[:, :, :20].expand(1, 3, 20))


def test_hops_compose_to_the_least_that_fits():
    up_down = Sequential(TransposedConv1d(1, 1, 4, 4), StridedConv1d(1, 1, 6, 6))
    assert (up_down.hop, up_down.up) == (3, 2)
    side = Parallel(Sequential(StridedConv1d(1, 1, 4, 4), TransposedConv1d(1, 1, 4, 4)), Delay(0))
    assert (side.hop, side.up) == (4, 4)


def test_what_does_not_line_up_is_refused():
    with pytest.raises(ValueError, match=r"Delay\(1\) before StridedConv1d"):
        Sequential(Delay(3), StridedConv1d(1, 1, 4, 4))
    with pytest.raises(ValueError, match="1/4, 1 samples"):
        Parallel(Delay(0), StridedConv1d(1, 1, 4, 4))
    with pytest.raises(ValueError, match="no layers"):
        Sequential()
    with pytest.raises(ValueError, match="0 or more"):
        Delay(-1)
