"""The compiled encoder of a VLAE, hop by hop, is the network in torch, whatever its windows, stride and units."""

import numpy as np
import pytest
import torch

from gramophone.models.nets.vlae import VLAE, VLAEShape
from gramophone.realtime.stages.latent.vlae_encoder import LiveVlaeEncoder, encoder_parts, fits

SHAPES = {
    "one window": VLAEShape(bands=20, width=24, units=2, latents=5),
    "two windows": VLAEShape(bands=32, mel_hop=64, mel_window=256, pitch_window=1024, width=32, units=3, latents=8),
    "two frames a hop": VLAEShape(bands=24, mel_window=256, pitch_window=512, stride=2, width=16, units=2, latents=3),
    "three frames a hop, a delay to whole hops": VLAEShape(bands=24, stride=3, width=16, units=1, latents=3),
}


@pytest.mark.parametrize("prepares", [False, True])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_hop_by_hop_it_is_the_network_in_torch(shape, prepares):
    torch.manual_seed(0)
    model = VLAE(shape).eval()
    assert fits(shape)
    sound = np.random.default_rng(0).normal(0, 0.1, 60 * shape.hop).astype(np.float32)
    sound[20 * shape.hop : 30 * shape.hop] = 0
    live, found = LiveVlaeEncoder(encoder_parts(model)), []
    for start in range(0, len(sound), shape.hop):
        if prepares:
            live.prepare()
        found.append(live.encode(sound[start : start + shape.hop]))
    with torch.inference_mode():
        numbers, _ = model.encoder(torch.from_numpy(sound)[None, None])
    wanted = numbers[0, : shape.latents].t().numpy()
    assert np.abs(found - wanted).max() <= 2e-5 * max(1.0, np.abs(wanted).max())


def test_windows_that_are_no_powers_of_two_do_not_fit():
    assert not fits(VLAEShape(mel_hop=80, mel_window=320))
