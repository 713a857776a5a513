"""Recognisers count what differs, and the second speaker encoder's frames and network are what its authors describe."""

import numpy as np
import pytest

from gramophone.offline.data import corpora
from gramophone.offline.judges import campplus, moonshine
from gramophone.offline.judges.phonemes import phonemes_changed
from gramophone.presets import CLIPS

pytestmark = pytest.mark.slow
RATE = 16_000


def test_phonemes_that_are_others_missing_or_too_many_count():
    assert phonemes_changed(["h", "ə", "l", "oʊ"], ["h", "ə", "l", "oʊ"]) == (0, 4)
    assert phonemes_changed(["h", "ə", "l", "oʊ"], ["ə", "r", "oʊ", "z"]) == (3, 4)
    assert phonemes_changed([], ["z"]) == (1, 0)


def test_tokens_of_any_length_are_read():
    long = b"x" * 300
    data = b"\x00" + b"\x02ab" + bytes([300 % 128 + 128, 300 // 128]) + long
    assert moonshine._tokens(data) == [b"", b"ab", long]


def test_what_taught_is_not_among_what_it_judges():
    assert "anyone" in moonshine.TEACHES
    assert "voice" not in moonshine.TEACHES


class _Recogniser:
    """Encoder and decoder in one, which needs each 384th of the mask to be as long as the states, as the real one."""

    def run(self, _outputs, told):
        if "input_values" in told:
            return (np.zeros((1, (told["input_values"].shape[1] - 895) // 384 + 1, 288), np.float32),)
        frames = told["encoder_hidden_states"].shape[1]
        assert told["encoder_attention_mask"][:, ::384][:, :frames].shape[1] == frames
        return (np.eye(3, dtype=np.float32)[None, 2:], *[np.zeros(0)] * 24)


@pytest.mark.parametrize("seconds", [0.5, 9.0, 13.1])
def test_speech_of_any_length_is_recognised(monkeypatch, seconds):
    monkeypatch.setattr(moonshine, "_recogniser", lambda: (_Recogniser(), _Recogniser(), [b""] * 3))
    assert moonshine.moonshine_words(np.zeros(round(seconds * RATE), np.float32), RATE) == ""


@pytest.mark.parametrize("hz", [250.0, 1000.0, 4000.0])
def test_a_tone_is_in_the_band_of_its_pitch(hz):
    tone = np.sin(2 * np.pi * hz * np.arange(RATE) / RATE).astype(np.float32)
    frames = campplus.filter_bank(tone)
    assert frames.shape == (1 + (RATE - 400) // 160, 80)
    mels = np.linspace(campplus._mel(20.0), campplus._mel(8000.0), 82)[1:-1]
    assert abs(mels[frames.mean(0).argmax()] - campplus._mel(hz)) <= mels[1] - mels[0]


def test_a_gain_changes_all_bands_alike_and_silence_is_finite():
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    louder = campplus.filter_bank(10 * noise) - campplus.filter_bank(noise)
    np.testing.assert_allclose(louder, np.log(100), atol=1e-3)
    assert np.isfinite(campplus.filter_bank(np.zeros(RATE, np.float32))).all()


@pytest.mark.skipif(not campplus.downloaded(), reason="the second speaker encoder's weights are not in the cache")
def test_a_voice_is_like_itself_in_two_halves_and_unlike_music():
    voice, music = (corpora.load(CLIPS / f"{name}.flac", RATE) for name in ("choir", "guitar"))
    half = len(voice) // 2
    first, second, other = (campplus.campplus_embedding(one, RATE) for one in (voice[:half], voice[half:], music))
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-4)
    assert first @ second > first @ other
