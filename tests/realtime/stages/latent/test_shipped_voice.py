"""The shipped voice models: robust to bad input, in tune, and as their cards say."""

import math

import numpy as np
import pytest
import soxr
from support.latent import stage
from support.pitch import cents, whisper
from support.stage import play
from support.voice import BAD, HOP, sung

from gramophone.models.checkpoint import card_of
from gramophone.presets import CLIPS
from gramophone.presets.models import model_file
from gramophone.realtime.dsp.pitch.tracker import pitch_contour
from gramophone.realtime.files import read

pytestmark = pytest.mark.slow

RATE = 16_000


def clip(name, seconds=3.0):
    sound, rate = read(CLIPS / name, seconds)
    return soxr.resample(sound.mean(axis=0), rate, RATE).astype(np.float32)


def said(sound, **turned):
    """The output for a sound `(T,)`, aligned with it."""
    playing = stage("voice", RATE, likeness=1.0, **turned)
    heard = play(playing, np.pad(sound, (0, playing.delay)).astype(np.float32)[None], [256])
    playing.close()
    return heard[0, playing.delay :]


def loudest(sound):
    """The largest RMS of a hop."""
    hops = sound[: len(sound) // HOP * HOP].reshape(-1, HOP)
    return float(np.sqrt(np.square(hops).mean(1)).max())


HOSTILE = {name: sound[0] for name, sound in BAD.items()}
HOSTILE |= {"a band": clip("choir.flac") + clip("strings.flac"), "drums": clip("drums.flac")}


@pytest.mark.parametrize("content", HOSTILE)
@pytest.mark.parametrize("speaker", ["moscow", "cello"])
def test_the_output_of_bad_input_is_as_loud_as_the_input_without_a_squeal(content, speaker):
    sound = HOSTILE[content].astype(np.float32)
    heard = said(sound, speaker=speaker, range="octaves", gate=0.0)
    assert np.isfinite(heard).all()
    assert loudest(heard) <= 2 * loudest(sound)
    was, now = (float(np.square(series[RATE // 2 :]).mean()) for series in (sound, heard))
    if np.abs(sound).max() > 1e-3 and content != "clicks":
        assert abs(10 * math.log10(now / was)) < 3
        # A squeal is a single tone, high up and louder than all else.
        spectrum = np.square(np.abs(np.fft.rfft(heard)))
        high = spectrum[4000 * len(heard) // RATE :]
        assert high.max() < 0.5 * spectrum.sum()


def test_a_whisper_stays_a_whisper():
    heard = said(whisper(3 * RATE).astype(np.float32), speaker="english")
    assert np.mean(pitch_contour(heard, RATE, HOP)[:, 1] >= 0.5) < 0.1


@pytest.mark.parametrize("speaker", ["english", "italian", "cello", "trumpet"])
def test_the_output_is_in_tune_with_the_input(speaker):
    sound = sung(3.0, 196.0)[0]
    heard = pitch_contour(said(sound, speaker=speaker), RATE, HOP)
    voiced = heard[40:, 1] >= 0.5
    assert voiced.mean() > 0.5
    assert abs(np.median(cents(160 * 2 ** heard[40:, 0][voiced], 196.0))) < 20


def test_its_delay_meets_its_target():
    playing = stage("voice", 48_000)
    assert playing.delay <= 40 * 48
    playing.close()


def test_its_card_names_at_least_twelve_people_six_instruments_and_where_their_latents_lie():
    card = card_of(model_file("voice"))
    instruments = card.notes["instruments"]
    assert len(instruments) >= 6
    assert len(card.speakers) - len(instruments) >= 12
    assert set(card.notes["moments"]) == set(card.notes["pitch_hz"]) == set(card.speakers)
    assert card.licence
    assert card.data
