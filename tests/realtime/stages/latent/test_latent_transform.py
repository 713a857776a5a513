"""Style transfer in latent space: the output has the clip's mean and covariance, against NumPy."""

import numpy as np
import torch
from scipy.linalg import sqrtm
from support.latent import SHAPE, checkpoint, exports, write  # noqa: F401 - a fixture
from support.latent_style import FRAME_S, LATENTS, frames, style_of
from support.stage import noise

from gramophone.models.nets.vlae import VLAE
from gramophone.realtime.stages.latent.codec import Frame, LatentModel
from gramophone.realtime.stages.latent.latent_transform import FLOOR, StyleMap
from gramophone.realtime.stages.latent.reference_clips import ReferenceClips, audible
from gramophone.realtime.stages.latent.vlae_codec import VLAECodec

PERIOD = 20


def moved(content, style, strength=1.0, power=1.0):
    style_map, output = StyleMap(LATENTS, FRAME_S), []
    for latents in content:
        style_map.observe(Frame(latents, power))
        output.append(style_map.apply(latents, style, strength, 60.0))
    return np.array(output)


def test_all_of_the_way_latents_have_the_mean_and_the_covariance_of_the_clip():
    content, clip = frames(1, 8000), frames(2, 3000)
    heard = moved(content, style_of(clip))[4000:]
    np.testing.assert_allclose(heard.mean(0), clip.mean(0), atol=0.1)
    spread = np.abs(np.cov(clip.T)).max()
    np.testing.assert_allclose(np.cov(heard.T), np.cov(clip.T), atol=0.1 * spread)
    assert np.abs(np.cov(content.T) - np.cov(clip.T)).max() > 0.5 * spread


def test_the_map_is_the_one_written_down():
    """T = A^-1 (A S A)^1/2 A^-1 with A the root of C; both covariances raised by the floor."""
    content, style = frames(1, 3000), style_of(frames(2, 3000))
    mean, target = style.gaussian.mean, style.gaussian.covariance
    until = len(content) // PERIOD * PERIOD - 2 * PERIOD  # what the aim knew that the last frame is wholly at
    known = content[:until].astype(np.float64)
    weights = np.exp(-FRAME_S / 60 * np.arange(until)[::-1])
    own_mean = weights @ known / weights.sum()
    own = (known - own_mean).T * weights @ (known - own_mean) / weights.sum()
    prior = 1 / FRAME_S * np.exp(-FRAME_S / 60 * until)
    source = (weights.sum() * own + prior * target) / (weights.sum() + prior) + FLOOR * np.eye(LATENTS)
    root = sqrtm(source).real
    inverse = np.linalg.inv(root)
    matrix = inverse @ sqrtm(root @ (target + FLOOR * np.eye(LATENTS)) @ root).real @ inverse
    expected = mean + (content[-1] - own_mean) @ matrix
    # The stage shrinks the content's covariance a little, as so many frames demand.
    np.testing.assert_allclose(moved(content, style)[-1], expected, atol=0.02)
    half = moved(content, style, 0.5)[-1]
    np.testing.assert_allclose(half, (content[-1] + moved(content, style)[-1]) / 2, atol=1e-6)
    np.testing.assert_array_equal(moved(content, style, 0.0), content)
    np.testing.assert_array_equal(moved(content, None), content)


def test_a_clip_that_is_too_short_moves_each_latent_by_itself():
    content, clip = frames(1, 8000), frames(2, 12)
    heard = moved(content, style_of(clip, tilt=0.5))[4000:]
    np.testing.assert_allclose(heard.mean(0), clip.mean(0), atol=0.15)
    np.testing.assert_allclose(heard.std(0), clip.std(0), rtol=0.1, atol=0.03)
    np.testing.assert_allclose(np.corrcoef(heard.T), np.corrcoef(content[4000:].T), atol=1e-3)


def test_pauses_have_no_style_and_latents_that_do_not_move_are_not_blown_up():
    content, style = frames(1, 2000), style_of(frames(2, 3000))
    style_map, with_pauses = StyleMap(LATENTS, FRAME_S), []
    for latents in content:
        style_map.observe(Frame(latents, 1.0))
        style_map.observe(Frame(np.full(LATENTS, 50, np.float32), 1e-8))
        with_pauses.append(style_map.apply(latents, style, 1.0, 60.0))
    np.testing.assert_array_equal(with_pauses, moved(content, style))
    idle = content.copy()
    idle[:, 0] = 0.2
    idle[1500:, 0] = 0.3
    heard = moved(idle, style)
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() < 20


def test_a_clips_style_is_the_mean_and_the_covariance_of_its_audible_frames(tmp_path):
    checkpoint(tmp_path / "net.safetensors")
    from gramophone.models.checkpoint import load

    model, _ = load(tmp_path / "net.safetensors")
    assert isinstance(model, VLAE)
    sound = noise(SHAPE.hop * 300)[0]
    sound[SHAPE.hop * 100 : SHAPE.hop * 200] = 0
    clip = write(tmp_path / "clip.wav", sound)
    codec = VLAECodec(LatentModel.of(tmp_path / "net.safetensors"), "cpu")
    clips = ReferenceClips.learn(codec, {"clip": clip, "clip2": clip}, None)
    with torch.inference_mode():
        latents = model.posterior(torch.from_numpy(sound)[None, None]).mean[0].t().numpy()
    np.testing.assert_allclose(clips.second, latents, atol=1e-5)
    powers = np.square(sound.reshape(-1, SHAPE.hop)).mean(1)
    heard = latents[audible(powers, powers.max())]
    assert 150 < len(heard) < 201
    np.testing.assert_allclose(clips.style.gaussian.mean, heard.mean(0), atol=1e-5)
    covariance = clips.style.gaussian.covariance
    np.testing.assert_allclose(np.trace(covariance), np.trace(np.cov(heard.T, bias=True)), rtol=1e-4)
    np.testing.assert_allclose(covariance, np.cov(heard.T, bias=True), atol=0.02 * covariance.max())
    live = [codec.analyse(hop) for hop in np.pad(sound, (0, model.delay)).reshape(-1, SHAPE.hop)]
    late = model.delay // SHAPE.hop
    np.testing.assert_allclose(np.array([frame.latents for frame in live[late:]]), latents, atol=1e-4)
    np.testing.assert_allclose([frame.power for frame in live[late:]], powers, rtol=1e-5)
