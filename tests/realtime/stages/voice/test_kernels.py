"""The voice stage's kernels, hop by hop, compute what the networks compute in torch at once."""

import numpy as np
import pytest
import torch
from support.anyone import SHAPE, made
from support.stage import noise
from support.voice import sung

from gramophone.models.nets.anyone import residual_inputs
from gramophone.models.nets.envelope_decoder import EnvelopeDecoder, EnvelopeDecoderShape
from gramophone.models.nets.speech_envelope import speech_envelopes
from gramophone.models.units import POINTS
from gramophone.realtime.stages.voice.content_encoder import LiveContentEncoder, encoder_parts, trunk_weights
from gramophone.realtime.stages.voice.envelope_analysis import LiveEnvelope
from gramophone.realtime.stages.voice.envelope_analysis import plan_of as envelope_plan_of
from gramophone.realtime.stages.voice.envelope_synth import EnvelopeSynth
from gramophone.realtime.stages.voice.envelope_synth import plan_of as synth_plan_of
from gramophone.realtime.stages.voice.hop_content import LiveHopContent, state_of
from gramophone.realtime.stages.voice.residual import LiveResidual

RATE, HOP = SHAPE.rate, SHAPE.hop
SOUND = (sung(1.0)[0] + 0.02 * noise(RATE)[0]).astype(np.float32)


@pytest.mark.parametrize("quick", [False, True])
def test_content_is_the_encoders(quick):
    encoder = made().encoder
    live = LiveContentEncoder(encoder_parts(encoder, quick))
    heard = np.stack([live.encode(hop) for hop in SOUND.reshape(-1, HOP)])
    with torch.no_grad():
        whole = encoder(torch.from_numpy(SOUND)[None, None])[0][0].T.numpy()
    assert live.delay == (SHAPE.early if quick else SHAPE.ahead)
    wanted = whole[:, SHAPE.content :] if quick else whole[:, : SHAPE.content]
    np.testing.assert_allclose(heard, wanted, atol=2e-4)


@pytest.mark.parametrize("hz", [100.0, 0.0, 250.0])
def test_envelopes_are_those_of_the_whole_sound(hz):
    ahead = 3
    whole = speech_envelopes(torch.from_numpy(SOUND), torch.full((RATE // HOP,), hz), RATE, HOP)[:, :POINTS]
    live = LiveEnvelope(envelope_plan_of(RATE), ahead * HOP + HOP // 2)
    heard = np.stack([live.measure(hop, hz)[0] for hop in SOUND.reshape(-1, HOP)])
    np.testing.assert_allclose(heard[ahead + 8 :], whole[8:-ahead], atol=1e-3)


def test_synthesis_is_the_decoders():
    random, frames = np.random.default_rng(0), 60
    points = np.cumsum(random.normal(0, 0.5, (frames, POINTS)), 1) - 8
    envelopes = np.concatenate([points, random.uniform(-40, 0, (frames, 1))], 1).astype(np.float32)
    hz = np.where(np.arange(frames) % 20 < 15, 120 + 3 * np.arange(frames), 0).astype(np.float32)
    rms = random.uniform(0, 0.1, frames).astype(np.float32)
    decoder = EnvelopeDecoder(EnvelopeDecoderShape(RATE, HOP, POINTS))
    controls = (torch.from_numpy(row)[None, None] for row in (hz, rms))
    whole, _ = decoder(torch.from_numpy(envelopes.T.copy())[None], None, *controls)
    live, plain = EnvelopeSynth(synth_plan_of(RATE, HOP, POINTS)), np.zeros(3, np.float32)
    heard = [live.synthesise(envelopes[n], float(hz[n]), float(hz[n] > 0), float(rms[n]), plain) for n in range(frames)]
    np.testing.assert_allclose(np.concatenate(heard), whole[0, 0].detach(), atol=1e-4)


def test_an_envelope_says_nothing_of_single_harmonics():
    time = np.arange(RATE) / RATE
    found = []
    for hz in (100.0, 170.0):
        tone = sum(np.sin(2 * np.pi * hz * k * time + k * k) / k for k in range(1, int(8000 / hz))).astype(np.float32)
        found.append(speech_envelopes(torch.from_numpy(tone), torch.full((RATE // HOP,), hz), RATE, HOP)[20:-20, 4:40])
    slopes = [(one - one.mean(1, keepdim=True)).mean(0) for one in found]
    assert (slopes[0] - slopes[1]).abs().max() < 0.6


def test_the_residual_is_the_networks():
    model = made()
    random, frames = np.random.default_rng(0), 40
    inputs = random.normal(size=(frames, SHAPE.inputs)).astype(np.float32)
    inputs[:, -2] = random.integers(0, 2, frames)
    level = -random.uniform(0, 12, frames).astype(np.float32)
    detail = random.normal(size=(frames, POINTS)).astype(np.float32)
    mapped = random.normal(size=(frames, SHAPE.envelope)).astype(np.float32)
    content = inputs[:, -2 - SHAPE.content : -2]
    parts = (torch.from_numpy(part) for part in (content, inputs[:, -2].copy(), level, detail, mapped))
    whole = model.residual(residual_inputs(*parts).T[None])[0][0].T
    live = LiveResidual(trunk_weights(model.residual), SHAPE.content)
    heard = [live.next(inputs[n], float(level[n]), detail[n], mapped[n]) for n in range(frames)]
    np.testing.assert_allclose(np.stack(heard), whole.numpy(), atol=1e-5)


def test_what_a_hop_says_is_normalised_by_the_hops_that_count():
    model = made()
    random, frames = np.random.default_rng(1), 60
    content = random.normal(1.0, 2.0, (frames, SHAPE.content)).astype(np.float32)
    points, counts = random.normal(-8.0, 1.0, (frames, POINTS)).astype(np.float32), random.random(frames) < 0.7
    live = LiveHopContent(state_of(model))
    heard = [live(content[n], points[n], bool(n % 2), bool(counts[n])) for n in range(frames)]
    own = points - points.mean(1, keepdims=True)
    said, shape = (
        normalised(rows, moments.numpy(), counts)
        for rows, moments in ((content, model.content_moments), (own, model.envelope_moments[:, :POINTS]))
    )
    shape = np.clip(shape, -4, 4)
    around = np.concatenate([said[frames - 1 + each] for each in SHAPE.context])
    inputs = np.append(around, [(frames - 1) % 2, 1.0])
    detail = np.clip(shape[-1] - inputs @ model.universal.numpy()[:, :POINTS], -4, 4)
    for found, wanted in zip(heard[-1], (inputs, own[-1], shape[-1], detail), strict=False):
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    np.testing.assert_allclose(heard[-1].said, said[-1], atol=1e-4)


def normalised(rows, usual, counts):
    """Rows less the mean and over the spread of those so far that count, after the usual ones of 120 frames."""
    mean, square, count, found = usual[0].astype(float), np.square(usual.astype(float)).sum(0), 120, []
    for row, counted in zip(rows.astype(float), counts, strict=True):
        if counted:
            count += 1
            mean, square = mean + (row - mean) / count, square + (row * row - square) / count
        found.append((row - mean) / np.sqrt(np.maximum(square - mean * mean, 1e-4)))
    return np.array(found)
