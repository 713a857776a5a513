"""One-shot target speakers, and the move of latents to a speaker's statistics."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from support.latent import stage, write
from support.latent_style import FRAME_S, LATENTS, frames, style_of
from support.stage import noise, play
from support.voice import SHAPE, SPEAKERS, card, made, model, sung  # noqa: F401 - a fixture

from gramophone.models.checkpoint import save
from gramophone.presets import Preset, PresetError, StageSettings
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stage import StageError
from gramophone.realtime.stages.latent.codec import Frame
from gramophone.realtime.stages.latent.latent_transform import LatentTransform
from gramophone.realtime.stages.latent.reference_clips import ReferenceClips
from gramophone.realtime.stages.latent.target_speaker import TargetSpeaker
from gramophone.realtime.stages.speaker_blend import speaker_knobs, speaker_weights

pytestmark = pytest.mark.slow


RATE = 16_000


def of_clip(seconds=6.0, seed=1):
    """A voice that comes and goes, pauses between."""
    sound = sung(seconds)[0] + 0.003 * noise(round(seconds * RATE))[0]
    sound[: 2 * RATE] *= 0.001
    return np.roll(sound, seed * 1000)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write(tmp_path_factory.mktemp("clips") / "ann: a take.wav", of_clip(), RATE)


def test_a_target_speaker_is_saved_and_restored_without_analysing_its_clip(model, clip, monkeypatch):
    sound = sung(1.5)
    met = stage(model, RATE, guest=clip)
    heard = play(met, sound, [256])
    assert np.any(heard != play(stage(model, RATE), sound, [256]))
    saved = met.snapshot()["met"]
    assert saved.startswith("ann: a take.wav: ")

    def again(*_):
        raise AssertionError("listened again")

    monkeypatch.setattr("gramophone.realtime.stages.latent.voice_codec.enrol", again)
    np.testing.assert_array_equal(play(stage(model, RATE, guest=clip, met=saved), sound, [256]), heard)
    alone = play(stage(model, RATE, guest=clip, met=saved, **{"guest-share": 0.0}), sound, [256])
    np.testing.assert_array_equal(alone, play(stage(model, RATE), sound, [256]))


def test_a_target_speaker_can_be_set_and_cleared_live(model, clip):
    playing = stage(model, RATE)
    playing.hold()
    before = play(playing, sung(0.5), [256])
    playing.set("guest", clip)
    playing.take(1)
    during = play(playing, sung(0.5), [256])
    playing.set("guest", "")
    playing.take(2)
    assert np.isfinite(during).all()
    assert np.abs(before).max() > 0
    assert "met" not in playing.snapshot()


def test_clips_without_one_voice_are_refused_or_warned_about(model, clip, tmp_path, caplog):
    silent = write(tmp_path / "silent.wav", np.zeros(3 * RATE, np.float32), RATE)
    brief = write(tmp_path / "brief.wav", of_clip()[3 * RATE : 3 * RATE + 4000], RATE)
    for path in (silent, brief):
        with pytest.raises(StageError, match="no voice in it; expected 5 to 30 seconds"):
            stage(model, RATE, guest=path)
    band = np.random.default_rng(0).normal(0, 0.1, 6 * RATE).astype(np.float32)
    with caplog.at_level(logging.WARNING):
        stage(model, RATE, guest=write(tmp_path / "band.wav", band, RATE))
    assert "there is other sound beside the voice, such as music" in caplog.text
    for met in ("1 2 3", "x.wav: 1 2 3", "x.wav: nobody"):
        preset = Preset("p", (StageSettings("voice", "latent", {"model": model, "guest": clip, "met": met}),))
        with pytest.raises(PresetError, match="remove the line"):
            complete(preset)


def test_a_target_speaker_survives_conversion_to_text_bit_for_bit():
    chance = np.random.default_rng(0)
    half = chance.normal(size=(3, 3)).astype(np.float32)
    target = TargetSpeaker("a.wav", chance.normal(size=5).astype(np.float32), 0.25, half[0], half + half.T)
    again = TargetSpeaker.from_text(target.to_text(), {"speaker": 5, "latents": 3})
    for name in ("vector", "mean", "covariance"):
        np.testing.assert_array_equal(getattr(again, name), getattr(target, name))
    assert (again.clip, again.octave) == ("a.wav", 0.25)


def test_with_likeness_latents_have_the_speakers_mean_and_covariance():
    content, usual = frames(1, 8000), frames(2, 3000)
    names = [f"z{number}" for number in range(LATENTS)]
    transform = LatentTransform(names, FRAME_S, ReferenceClips(None, None, None, ()), None)
    values = {"freeze": False, "strength": 1.0, "adaptation": 60.0, "morph": 0.0, "recall": 0.0, "likeness": 1.0}
    values |= dict.fromkeys(names, 0.0) | {f"{name}-scale": 1.0 for name in names}
    style = style_of(usual)
    heard = np.array([transform.process(Frame(z, 1.0), values, style).latents for z in content])[4000:]
    np.testing.assert_allclose(heard.mean(0), usual.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(heard.T), np.cov(usual.T), atol=0.1 * np.abs(np.cov(usual.T)).max())
    alone = LatentTransform(names, FRAME_S, ReferenceClips(None, None, None, ()), None)
    np.testing.assert_array_equal(alone.process(Frame(content[0], 1.0), values).latents, content[0])


def test_likeness_moves_to_the_speakers_of_the_card_and_to_the_target_speaker(clip, tmp_path):
    chance = np.random.default_rng(3)
    notes = {name: {"mean": chance.normal(0, 2, 3).tolist(), "covariance": np.eye(3).tolist()} for name in SPEAKERS}
    path = tmp_path / "voice.safetensors"
    save(path, made(), replace(card(), notes={**card().notes, "moments": notes}))
    sound = sung(2.0)
    plain = play(stage(str(path), RATE), sound, [256])
    np.testing.assert_array_equal(play(stage(str(path), RATE, likeness=0.0), sound, [100]), plain)
    like = [play(stage(str(path), RATE, likeness=1.0, speaker=name), sound, [256]) for name in SPEAKERS[:2]]
    assert np.any(like[0] != plain)
    assert np.any(like[0] != like[1])
    assert np.isfinite(play(stage(str(path), RATE, likeness=1.0, guest=clip), sound, [256])).all()


def test_up_to_four_speakers_blend():
    names = ("a", "b", "c", "d", "e")
    values = {knob.name: knob.default for knob in speaker_knobs(names)}
    assert speaker_weights(names, values).tolist() == [1, 0, 0, 0, 0]
    values |= {"blend": 0.5, "blend3": 0.5, "blend4": 0.2, "speaker2": "b", "speaker4": "a"}
    np.testing.assert_allclose(speaker_weights(names, values), [0.4, 0.2, 0.4, 0, 0], atol=1e-7)
    assert [knob.name for knob in speaker_knobs(names[:3])][-2:] == ["speaker3", "blend3"]
    assert len(speaker_knobs(names[:2])) == 3
