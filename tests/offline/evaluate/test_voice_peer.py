"""A codec of another maker: opened if it is one, and moved by where its latents lie."""

import numpy as np
import pytest
import torch
from torch import nn

from gramophone.offline.evaluate.base import EvaluationError
from gramophone.offline.evaluate.voice_peer import Peer, speed

pytestmark = pytest.mark.slow

HOP = 4


class Frames(nn.Module):
    """A codec whose latents are the samples of a frame, times a number that is learnt."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("encode_params", torch.tensor([channels, 1, HOP, HOP]))

    @torch.jit.export
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.gain * x.reshape(x.shape[0], -1, 4).transpose(1, 2)

    @torch.jit.export
    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return z.transpose(1, 2).reshape(z.shape[0], 1, -1) / self.gain

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))


@pytest.fixture
def peer(tmp_path):
    torch.jit.script(Frames()).save(tmp_path / "peer.ts")
    return Peer(tmp_path / "peer.ts")


def noise(count, level=0.1):
    return np.random.default_rng(0).normal(0, level, count).astype(np.float32)


def test_a_codec_is_known_by_what_it_says_of_itself(peer):
    assert (peer.hop, peer.latents, peer.parameters) == (HOP, HOP, 1)
    assert peer.encode(noise(HOP + 1)).shape == (2, HOP)


@pytest.mark.parametrize("count", [HOP, HOP + 1, 1001])
def test_a_sound_comes_back_as_long_as_it_was(peer, count):
    np.testing.assert_allclose(peer.resynthesis(noise(count)), noise(count), rtol=1e-6)


def test_a_sound_moved_to_where_another_lies_is_as_loud_as_the_other(peer):
    soft, loud = peer.latent_gaussian(noise(40_000)), peer.latent_gaussian(noise(40_000, 0.2))
    np.testing.assert_allclose(peer.transported(noise(1000), soft, loud), 2 * noise(1000), rtol=1e-2, atol=1e-3)


def test_a_sound_moved_to_where_it_is_stays(peer):
    lie = peer.latent_gaussian(noise(40_000))
    np.testing.assert_allclose(peer.transported(noise(1000), lie, lie), noise(1000), atol=1e-6)


def test_blocks_are_of_a_latent_frame(peer):
    found = speed(peer, 1000)
    assert found.block == HOP
    assert found.times_real > 0


def test_what_is_no_codec_is_refused(tmp_path):
    (tmp_path / "words.ts").write_text("no model")
    with pytest.raises(EvaluationError, match=r"words\.ts: expected TorchScript with encode and decode"):
        Peer(tmp_path / "words.ts")
    torch.jit.script(nn.ReLU()).save(tmp_path / "relu.ts")
    with pytest.raises(EvaluationError, match="encode_params"):
        Peer(tmp_path / "relu.ts")
    torch.jit.script(Frames(2)).save(tmp_path / "stereo.ts")
    with pytest.raises(EvaluationError, match="2 channels; expected 1"):
        Peer(tmp_path / "stereo.ts")
