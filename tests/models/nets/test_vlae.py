"""The audio VLAE streams both ways by the contract, hears as little as it says, and its loss is that of any VAE."""

from dataclasses import replace

import pytest
import torch

from gramophone.models.checkpoint import Card, load, save
from gramophone.models.nets.vlae import VLAE, VLAEShape
from gramophone.models.nets.wavenet import one_hot_speaker

SMALL = VLAEShape(
    bands=8,
    mel_hop=8,
    mel_window=32,
    stride=2,
    width=6,
    units=2,
    latents=3,
    layers=4,
    cycle=4,
    residual=6,
    skip=6,
    prior=8,
)


def made(shape=SMALL):
    torch.manual_seed(0)
    return VLAE(shape).double()


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def given(shape, batch):
    return [one_hot_speaker(1, shape.speakers).double().expand(batch, -1)] if shape.speakers else []


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_encoder_streams_and_is_as_late_as_it_says(stride):
    shape = replace(SMALL, stride=stride)
    model = made(shape)
    sound = noise(2, 1, shape.hop * 12) - 0.5
    whole, _ = model.encoder(sound)
    state, pieces = None, []
    for chunk in sound.split([shape.hop * n for n in (1, 4, 2, 5)], 2):
        piece, state = model.encoder(chunk, state)
        pieces.append(piece)
    torch.testing.assert_close(torch.cat(pieces, 2), whole, rtol=0, atol=1e-12)
    frames = model.posterior(sound).mean
    assert frames.shape == (2, 3, 12)
    late = model.encoder.delay
    torch.testing.assert_close(frames[:, :, :-late], whole[:, :3, late:], rtol=0, atol=1e-9)
    assert model.delay == late * shape.hop >= shape.mel_window // 2


@pytest.mark.parametrize("output", ["mulaw", "logistics"])
@pytest.mark.parametrize("speakers", [0, 3])
def test_decoding_in_chunks_gives_what_decoding_at_once_gives(output, speakers):
    shape = replace(SMALL, output=output, speakers=speakers)
    model = made(shape)
    z, controls = noise(2, 3, 6) * 4 - 2, given(shape, 2)
    uniform = noise(2, model.wavenet.output.uniforms, 6 * shape.hop)
    whole, _ = model.decoder(z, None, *controls, uniform)
    state, pieces, place = None, [], 0
    for frames in (1, 3, 2):
        part = uniform[:, :, place * shape.hop : (place + frames) * shape.hop]
        piece, state = model.decoder(z[:, :, place : place + frames], state, *controls, part)
        pieces.append(piece)
        place += frames
    assert whole.shape == (2, 1, 6 * shape.hop)
    torch.testing.assert_close(torch.cat(pieces, 2), whole, rtol=0, atol=1e-9)


def test_the_decoder_draws_by_the_probabilities_that_the_conditional_states():
    model = made()
    z = (noise(1, 3, 2) * 4 - 2).expand(1000, -1, -1)
    sound, _ = model.decoder(z, None, noise(1000, 1, 2 * SMALL.hop))
    with torch.no_grad():
        probability = model.conditional(z[:1]).predict(model.wavenet.output.symbols(sound[:1, 0]))
        first = torch.stack([probability.log_prob(torch.full((1, 32), level))[0, 0] for level in range(256)]).exp()
    drawn = model.wavenet.output.symbols(sound)[:, 0, 0]
    share = torch.bincount(drawn, minlength=256) / 1000
    assert first.sum().item() == pytest.approx(1)
    assert (share.cumsum(0) - first.cumsum(0)).abs().max() < 0.06


@pytest.mark.parametrize("speakers", [0, 3])
def test_the_loss_reaches_every_part(speakers):
    shape = replace(SMALL, speakers=speakers)
    model = made(shape)
    bound = model(noise(2, 1, 4 * shape.hop) - 0.5, *given(shape, 2))
    assert bound.elbo.shape == (2,)
    assert bound.kl.shape == (2, 3, 4)
    assert bound.kl.min() >= 0
    bound.loss(weight=0.5, free_nats=0.1).backward()
    silent = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    # Zero at first, the last layer of the prior lets no gradient behind itself.
    assert all(name.startswith("frames.") or name.startswith("decoder.wavenet.exits.3.") for name in silent)


def test_a_sample_hears_only_its_receptive_field_and_the_latents():
    model = made(replace(SMALL, output="logistics"))
    field = model.wavenet.shape.receptive_field
    x = (noise(1, 1, 4 * SMALL.hop) - 0.5).requires_grad_()
    conditional = model.conditional(noise(1, 3, 4))
    conditional.log_prob(x)[0, 50].backward()
    heard = x.grad[0, 0].nonzero()[:, 0]
    assert heard.min() == 50 - field
    assert heard.max() == 50


def test_what_does_not_fit_is_refused():
    model = made(replace(SMALL, speakers=3))
    with pytest.raises(ValueError, match="a multiple of the hop 16"):
        model.posterior(noise(1, 1, 17))
    with pytest.raises(ValueError, match="4 latents: expected 3"):
        model.conditional(noise(1, 4, 2), *given(model.shape, 1))
    with pytest.raises(ValueError, match=r"expected \(1, 32\)"):
        model.decoder(noise(1, 3, 2), None, *given(model.shape, 1), noise(1, 1, 31))


def test_a_checkpoint_gives_the_same_model_again(tmp_path):
    model = made(replace(SMALL, speakers=2)).float()
    save(
        tmp_path / "model.safetensors", model, Card(16_000, hop=model.shape.hop, delay=model.delay, speakers=("a", "b"))
    )
    again, card = load(tmp_path / "model.safetensors", "vlae")
    sound = noise(1, 1, 4 * model.shape.hop).float() - 0.5
    torch.testing.assert_close(again.posterior(sound).mean, model.posterior(sound).mean)
    assert card.delay == model.delay


def test_the_default_shape_is_as_slow_and_as_short_sighted_as_wanted():
    shape = VLAEShape()
    assert shape.rate / shape.hop == 125
    assert shape.wavenet.receptive_field == 256  # 16 ms at 16 kHz
    model = VLAE(shape)
    assert model.delay / shape.rate == pytest.approx(0.016)
    assert sum(parameter.numel() for parameter in model.parameters()) * 4 < 6_000_000
