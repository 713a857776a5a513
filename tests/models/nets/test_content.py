"""The content encoder streams by the contract, hears no further ahead than it says, and no gain of a microphone."""

import pytest
import torch

from gramophone.models.checkpoint import Card, load, save
from gramophone.models.nets.content import ContentEncoder, ContentShape, RecordingMoments

HOP = 128
SMALL = ContentShape(width=16, dilations=(1, 2), content=5)


def made(shape=SMALL):
    torch.manual_seed(0)
    return ContentEncoder(shape).eval().requires_grad_(False)


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(4)) * 0.1


@pytest.mark.parametrize("sizes", [[1] * 24, [3, 1, 7, 2, 11], [5, 0, 19]])
def test_chunks_give_what_the_whole_gives(sizes):
    encoder, x = made(), noise(2, 1, 24 * HOP)
    whole, _ = encoder(x)
    assert whole.shape == (2, 10, 24)
    state, pieces = None, []
    for piece in torch.split(x, [size * HOP for size in sizes], 2):
        content, state = encoder(piece, state)
        pieces.append(content)
    torch.testing.assert_close(torch.cat(pieces, 2), whole, rtol=0, atol=2e-5)


def test_nothing_is_heard_before_its_hop():
    encoder, x = made(), noise(1, 1, 40 * HOP)
    later = x.clone()
    later[..., 20 * HOP :] = noise(1, 1, 20 * HOP).flip(2)
    torch.testing.assert_close(encoder(x)[0][..., :20], encoder(later)[0][..., :20], rtol=0, atol=0)
    assert not torch.allclose(encoder(x)[0][..., 20], encoder(later)[0][..., 20])


def test_the_default_is_small_and_waits_for_24_ms():
    encoder = made(ContentShape())
    assert sum(weights.numel() for weights in encoder.parameters()) <= 1_500_000
    assert encoder.delay * encoder.hop / encoder.shape.rate == pytest.approx(0.024)


def test_a_gain_does_not_change_what_an_accustomed_encoder_says():
    encoder, x = made(), noise(1, 1, 60 * HOP)
    said = []
    for gain in (1.0, 0.3):
        frames = encoder.features(gain * x)[0]
        moments = RecordingMoments(encoder)
        moments.add(frames)
        who, loudest = moments.known()
        said.append(encoder(gain * x, encoder.state_with(x, who, loudest))[0])
    torch.testing.assert_close(said[0], said[1], rtol=0, atol=0.02)


def test_a_speaker_of_whom_nothing_was_heard_is_refused():
    with pytest.raises(ValueError, match="no sound"):
        RecordingMoments(made()).known()


def test_it_is_saved_and_loaded(tmp_path):
    encoder = made()
    encoder.normalisation.mean_speaker += 0.5
    save(tmp_path / "content.safetensors", encoder, Card(16_000, hop=HOP))
    loaded, _ = load(tmp_path / "content.safetensors", "content")
    assert loaded.shape == SMALL
    x = noise(1, 1, 8 * HOP)
    torch.testing.assert_close(loaded(x)[0], encoder(x)[0])
