"""What tells phones: texts of any language become them, they are placed in a sound, and a voice learns from it."""

import shutil

import numpy as np
import pytest
import torch

from gramophone.models.checkpoint import Card, load, save
from gramophone.models.nets.phone_classifier import PHONES, PhoneClassifier, PhoneClassifierShape
from gramophone.offline.data import phone_transcripts as texts
from gramophone.offline.recipes.phones import best_path, placed

ESPEAK = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")


def test_frames_become_as_many_logits():
    phones = PhoneClassifier(PhoneClassifierShape(channels=6, width=8, dilations=(1, 2)))
    logits = phones(torch.randn(2, 6, 10))
    assert logits.shape == (2, len(PHONES), 10)
    torch.testing.assert_close(logits[:, :, ::2], logits[:, :, 1::2])


def test_an_odd_number_of_frames_is_refused():
    with pytest.raises(ValueError, match="9 frames: expected an even number"):
        PhoneClassifier(PhoneClassifierShape(channels=6, width=8, dilations=(1,)))(torch.zeros(1, 6, 9))


def test_it_comes_back_from_its_file(tmp_path):
    phones = PhoneClassifier(PhoneClassifierShape(channels=6, width=8, dilations=(1, 2))).eval()
    save(tmp_path / "phones.safetensors", phones, Card(16_000, hop=128))
    again, _ = load(tmp_path / "phones.safetensors", "phones")
    frames = torch.randn(1, 6, 8)
    assert torch.equal(again.eval()(frames), phones(frames))


@ESPEAK
@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en-us", "cheese", ["tʃ i z"]),
        ("en-us", "this ship", ["ð ɪ s", "ʃ ɪ p"]),
        ("it", "buono zucchero", ["b u o n o", "ts u k e r o"]),
        ("cs", "čau", ["tʃ a u"]),
        ("fr-fr", "bonjour", ["b o ʒ u ʁ"]),
        ("ru", "щит", ["ʃ i t"]),
    ],
)
def test_texts_are_spoken_in_their_language(language, text, expected):
    (words,) = texts.spoken([text], language)
    assert [" ".join(word) for word in words] == expected


@ESPEAK
def test_recordings_without_a_text_have_no_phones():
    assert texts.spoken(["", "no"], "en-us") == [[], [["n", "o", "u"]]]
    assert texts.spoken(["-no"], "en-us") == [[["n", "o", "u"]]]  # no option either


def test_a_machine_without_espeak_gets_the_install_command(monkeypatch):
    monkeypatch.setattr(texts.shutil, "which", lambda _: None)
    with pytest.raises(texts.CorporaError, match="apt-get install espeak-ng"):
        texts.spoken(["no"], "en-us")


def test_the_best_path_is_that_of_an_exhaustive_search():
    chance = np.random.default_rng(3)
    for _ in range(50):
        frames, states = int(chance.integers(3, 7)), int(chance.integers(2, 5))
        scores = chance.normal(size=(frames, states))
        optional = chance.random(states) < 0.4
        ends = {states - 1} | ({states - 2} if optional[-1] else set())
        found = best_path(scores, optional)
        paths = [p for p in _paths(frames, states, optional) if p[-1] in ends]
        if not paths:
            assert not len(found)
            continue
        best = max(paths, key=lambda path: sum(scores[n, s] for n, s in enumerate(path)))
        assert tuple(found) == best


def _paths(frames, states, optional):
    ways = [(0,), *([(1,)] if optional[0] else [])]
    for _ in range(frames - 1):
        ways = [
            (*way, state)
            for way in ways
            for state in range(way[-1], min(way[-1] + 3, states))
            if state < way[-1] + 2 or optional[way[-1] + 1]
        ]
    return ways


def test_phones_are_placed_where_they_sound():
    a, s = PHONES.index("a"), PHONES.index("s")
    truth = np.array([0, 0, a, a, a, s, s, 0])
    logits = np.full((len(truth), len(PHONES)), -5.0)
    logits[np.arange(len(truth)), truth] = 0.0
    assert placed(logits, [["a", "s"]]).tolist() == truth.tolist()


def test_more_phones_than_frames_cannot_be_placed():
    assert placed(np.zeros((2, len(PHONES))), [["a", "s", "a", "s"]]) is None
