"""Content counts where it explains the envelope; elsewhere the source's own envelope comes through, as the target's."""

import numpy as np
import pytest
from support.anyone import SHAPE, made, voice
from support.voice import sung

from gramophone.models.units import POINTS
from gramophone.realtime.stages.voice.confidence import SpeechConfidence
from gramophone.realtime.stages.voice.converter import VoiceConverter, converter_parts
from gramophone.realtime.stages.voice.voices import VoiceArrays

HOP_S = 0.008


def rows(power, width, count=400, seed=0):
    return power**0.5 * np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)


def after(detail, content, seconds=3.0):
    """The confidence in sound whose envelope has power 1, of which `detail` is not explained."""
    confidence = SpeechConfidence(HOP_S)
    frames = round(seconds / HOP_S)
    found = 1.0
    for one in zip(rows(content, 96), rows(detail, POINTS, seed=1), rows(1.0, POINTS, seed=2), strict=True):
        found = confidence.next(*one, True)
        if not (frames := frames - 1):
            break
    return found


def test_what_content_explains_is_speech_and_what_it_does_not_is_none():
    assert after(0.45, 1.0) == 1.0
    assert after(0.8, 1.0) == 1.0  # speech of which content says little
    assert after(1.1, 0.7) == 0.0
    assert after(0.95, 0.6) == 0.0
    assert 0 < after(0.98, 1.0) < 1


def test_what_does_not_sound_changes_nothing():
    confidence = SpeechConfidence(HOP_S)
    for _ in range(1000):
        assert confidence.next(*(np.ones(size, np.float32) for size in (96, POINTS, POINTS)), False) == 1.0


@pytest.mark.parametrize("residual_width", [0, 16])
def test_off_speech_the_envelope_is_the_sources_in_the_targets_mean_and_spread(residual_width):
    model = made(SHAPE.__class__(**(SHAPE.__dict__ | {"residual_width": residual_width})))
    converter = VoiceConverter(converter_parts(model))
    converter.voices.set_target(VoiceArrays.of(voice(seed=3)))
    mixed = converter.voices.mixed(np.array([0, 0, 1], np.float32), 0.7, 1.0)
    for hop in sung(0.2)[0][:3200].reshape(-1, 128):
        heard = converter.analyse(converter.measure(hop))
    found = converter._envelope_of(heard._replace(speech=0.0), mixed, 0.0, 0.0)
    np.testing.assert_allclose(found[:POINTS], mixed.mean[:POINTS] + mixed.spread[:POINTS] * heard.shape, atol=1e-5)
    assert found[POINTS] == pytest.approx(mixed.mean[POINTS])
    assert not np.allclose(found, converter._envelope_of(heard._replace(speech=1.0), mixed, 0.0, 0.0))


def test_who_is_the_target_already_keeps_their_own_envelopes():
    model = made()
    converter = VoiceConverter(converter_parts(model))
    target = VoiceArrays.of(voice(seed=3))
    converter.voices.set_target(target)
    weights = np.array([0, 0, 1], np.float32)
    plain, exaggerated = (converter.voices.mixed(weights, 0.7, character) for character in (1.0, 1.5))
    mean, spread = target.mean[:POINTS], model.envelope_moments.numpy()[1, :POINTS]
    assert converter.voices.sameness(mean, plain) == converter.voices.sameness(mean, exaggerated) == 1.0
    assert converter.voices.sameness(mean + 0.3 * spread, plain) == 0.0
    assert 0 < converter.voices.sameness(mean + 0.18 * spread, plain) < 1
    heard = converter.analyse(converter.measure(sung(0.2)[0][:128]))
    found = converter._envelope_of(heard, exaggerated, 0.0, 1.0)
    np.testing.assert_allclose(found[:POINTS], heard.own, atol=1e-5)
