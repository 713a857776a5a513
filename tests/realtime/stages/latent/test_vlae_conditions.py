"""The compiled conditions of a VLAE's WaveNet are the network's in torch; whether ONNX Runtime's, too, is printed."""

import numpy as np
import pytest
import torch

from gramophone.models.nets.vlae import VLAE, VLAEShape
from gramophone.realtime.kernels.executor import make
from gramophone.realtime.stages.latent.vlae_conditions import LiveConditions, conditions_parts, fits

SHAPES = {
    "as shipped": VLAEShape(speakers=4, told=2),
    "narrow, one unit": VLAEShape(speakers=3, speaker=5, told=1, width=24, latents=3, residual=20),
    "no speakers": VLAEShape(told=3, width=40, latents=5),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_frame_by_frame_it_is_the_network(shape, tmp_path):
    torch.manual_seed(0)
    conditions = VLAE(shape).eval().requires_grad_(False).wavenet.conditions
    assert fits(conditions.shape)
    controls = [np.zeros((1, shape.speakers), np.float32)] if shape.speakers else []
    given = {"channels": shape.latents, "block": 1, "controls": controls, "device": "cpu"}
    oracle, runtime = make(conditions, **given, kind="eager"), make(conditions, **given, kind="onnx", cache=tmp_path)
    live, noise = LiveConditions(conditions_parts(conditions)), np.random.default_rng(0)
    same = []
    for frame in range(40):
        latents = noise.normal(0, 2, shape.latents).astype(np.float32)
        speakers = noise.dirichlet(np.ones(max(shape.speakers, 1))).astype(np.float32)[: shape.speakers]
        found = live.compute(latents, speakers)
        inputs = latents[None, :, None], *([speakers[None]] if controls else [])
        wanted = oracle(*inputs)[0, :, 0]
        assert np.abs(found - wanted).max() <= 1e-5 * max(1.0, np.abs(wanted).max()), frame
        same.append(np.array_equal(found, runtime(*inputs)[0, :, 0]))
    print(f"equal to ONNX Runtime's to the bit: {np.mean(same):.0%}")  # by its version and the processor


def test_other_conditions_do_not_fit():
    assert not fits(VLAEShape(told=0).wavenet)
