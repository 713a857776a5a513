"""Analysis and synthesis of spectra: exact, on time, and the spectra that numpy finds."""

import numpy as np
import pytest
import torch

from gramophone.models.layers.composition import Sequential
from gramophone.models.layers.stft import STFT, OverlapAdd, low_delay_windows

WINDOWS = [(512, 512, 128), (512, 512, 256), (2048, 512, 256), (4096, 1024, 256), (1500, 96, 16), (64, 64, 1)]


def _chain(analysis, synthesis, hop):
    long, short = low_delay_windows(analysis, synthesis, hop)
    return Sequential(STFT(long, hop), OverlapAdd(short, hop, analysis))


@pytest.mark.parametrize("sizes", WINDOWS)
def test_synthesis_undoes_analysis_after_the_delay(sizes):
    _, synthesis, hop = sizes
    chain = _chain(*sizes)
    x = torch.rand(2, 2, 6000 // hop * hop, generator=torch.Generator().manual_seed(0)) * 2 - 1
    y, _ = chain(x)
    assert chain.delay == synthesis - hop
    late = x.shape[2] - chain.delay
    torch.testing.assert_close(y[:, :, chain.delay :], x[:, :, :late], rtol=0, atol=1e-6)
    assert float(y[:, :, : chain.delay].abs().max()) <= 1e-6


@pytest.mark.parametrize("sizes", WINDOWS)
def test_an_impulse_comes_out_at_the_stated_delay(sizes):
    chain = _chain(*sizes)
    for at in (0, 1, 5 * sizes[2] - 1):
        x = torch.zeros(1, 1, 8192 // sizes[2] * sizes[2])
        x[0, 0, at] = 1
        assert int(chain(x)[0].abs().argmax()) == at + chain.delay


def test_a_frame_is_the_spectrum_of_the_newest_samples():
    window, _ = low_delay_windows(256, 64, 32)
    x = torch.randn(1, 1, 1024)
    frames, _ = STFT(window, 32)(x)
    assert frames.shape == (1, 1, 32, 129)
    for m in (7, 20, 31):
        newest = x[0, 0, : (m + 1) * 32][-256:].numpy().astype(np.float64)
        truth = np.fft.rfft(newest * window.numpy())
        np.testing.assert_allclose(frames[0, 0, m].numpy(), truth, atol=1e-5)


def test_equal_windows_are_the_root_hann_pair():
    analysis, synthesis = low_delay_windows(512, 512, 256)
    hann = torch.hann_window(512).sqrt()
    torch.testing.assert_close(analysis, hann)
    torch.testing.assert_close(synthesis, hann)


def test_windows_never_amplify():
    for sizes in WINDOWS:
        for window in low_delay_windows(*sizes):
            assert torch.isfinite(window).all()
            assert 0 <= float(window.min()) <= float(window.max()) <= 1.5


def test_any_dual_pair_of_windows_reconstructs():
    # Not only the pair above: a rectangular analysis with a triangle, whose shifts sum to one.
    triangle = torch.arange(32).minimum(32 - torch.arange(32)) / 16
    chain = Sequential(STFT(torch.ones(128), 16), OverlapAdd(triangle, 16, 128))
    x = torch.randn(1, 1, 640)
    torch.testing.assert_close(chain(x)[0][:, :, 16:], x[:, :, :-16], rtol=0, atol=2e-6)


def test_sizes_that_do_not_fit_are_refused():
    for sizes in ((512, 512, 100), (256, 512, 128), (512, 255, 1), (512, 0, 1)):
        with pytest.raises(ValueError, match="expected"):
            low_delay_windows(*sizes)
    with pytest.raises(ValueError, match="hop 5"):
        STFT(torch.ones(4), 5)
    for length, hop in ((96, 96), (32, 24)):
        with pytest.raises(ValueError, match="whole hops"):
            OverlapAdd(torch.ones(length), hop + (length == hop), 64)
