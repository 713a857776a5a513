"""The decoder: its size and rate, and the same sound as the network built with cached-conv."""

import pytest
import torch

from gramophone.models.nets.decoder import CausalDecoder
from gramophone.offline.bench.decoder import cached_twin


def test_the_default_has_a_million_parameters_and_a_hop_of_128():
    decoder = CausalDecoder().requires_grad_(False)
    assert (decoder.hop, decoder.up, decoder.delay) == (1, 128, 0)
    assert 1.1e6 < sum(p.numel() for p in decoder.parameters()) < 1.3e6
    y, _ = decoder(torch.randn(2, 64, 3))
    assert y.shape == (2, 1, 384)
    assert float(y.abs().max()) <= 1


@pytest.mark.parametrize("strides", [(2,), (4, 2), (3, 5, 2)])
def test_channels_and_rate_follow_the_arguments(strides):
    decoder = CausalDecoder(latents=5, width=16, strides=strides, dilations=(1,), outputs=2)
    y, _ = decoder(torch.randn(1, 5, 4))
    assert y.shape == (1, 2, 4 * decoder.up)


def test_it_sounds_like_its_twin_of_cached_conv():
    torch.manual_seed(0)
    decoder = CausalDecoder().eval().requires_grad_(False)
    twin = cached_twin(decoder)
    latents = torch.randn(1, 64, 12)
    truth, _ = decoder(latents)
    with torch.inference_mode():
        blocks = torch.cat([twin(frame.contiguous()) for frame in latents.split(1, 2)], 2)
    torch.testing.assert_close(blocks, truth, rtol=0, atol=1e-5)
