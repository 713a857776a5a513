"""Words become vectors as GloVe's format says, and whatever is broken or unknown is named."""

import sys
import types

import numpy as np
import pytest

from gramophone.offline.data.text import (
    Glove,
    TextError,
    Word,
    read_glove,
    read_words,
    text_encoder,
    unknown_words,
    word_series,
    words,
)

VECTORS = "the 1 0 0\nsea 0 2 0\nat home 0 0 3\n"


def unit(*vector):
    return np.array(vector) * np.sqrt(len(vector)) / np.linalg.norm(vector)


@pytest.fixture
def glove(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text(VECTORS)
    return path


def test_a_text_is_the_mean_of_its_words(glove):
    encoder = text_encoder(f"glove:{glove}")
    assert encoder.width == 3
    np.testing.assert_allclose(encoder("The sea, the SEA!"), unit(1, 2, 0), rtol=1e-6)
    np.testing.assert_allclose(read_glove(glove)("at home"), 0)  # words by themselves are not the phrase


def test_unknown_words_are_left_out_counted_and_reported(glove):
    encoder = read_glove(glove)
    np.testing.assert_allclose(encoder("the whale the whale sea-side"), unit(1, 0, 0), rtol=1e-6)
    assert encoder.unknown == {"whale": 2, "sea-side": 1}
    assert list(unknown_words(encoder)) == ["2 words have no vector, met 3 times; most often whale (2), sea-side (1)"]
    assert not encoder("nothing known here").any()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("whale 1 2", "line 4: 2 numbers; expected 3"),
        ("whale 1 2 x", "line 4: could not convert string to float: 'x'"),
        ("whale 1 nan 3", "line 4: a number that is not finite"),
    ],
)
def test_a_broken_line_is_named_by_its_number(glove, line, message):
    glove.write_text(f"{VECTORS}{line}\n")
    with pytest.raises(TextError, match=message):
        read_glove(glove)


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(TextError, match="cannot be read"):
        read_glove(tmp_path / "nothing.txt")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(TextError, match="none of the words"):
        read_glove(tmp_path / "empty.txt")


def test_words_are_lower_case_and_keep_their_apostrophes():
    assert words("Don\N{RIGHT SINGLE QUOTATION MARK}t stop_me now, well-known 3!") == [
        "don't", "stop", "me", "now", "well-known", "3",
    ]  # fmt: skip


def test_any_encoder_is_found_by_name(monkeypatch):
    class Lengths:
        def __init__(self, unit="letters"):
            self.unit = unit

        def encode(self, texts):
            return [[len(text), len(self.unit)] for text in texts]

    module = types.ModuleType("lengths")
    module.Lengths = Lengths
    monkeypatch.setitem(sys.modules, "lengths", module)
    encoder = text_encoder("encoder:lengths.Lengths:ab")
    assert encoder.width == 2
    np.testing.assert_allclose(encoder("four"), unit(4, 2), rtol=1e-6)
    np.testing.assert_allclose(text_encoder("encoder:lengths.Lengths")("four"), unit(4, 7), rtol=1e-6)
    for wrong in ("encoder:lengths.Nothing", "encoder:nowhere.Lengths", "glove:", "bert"):
        with pytest.raises(TextError, match="text encoder"):
            text_encoder(wrong)


def test_timed_words_lie_where_they_are_said(tmp_path):
    labels = tmp_path / "one.labels.txt"
    labels.write_text("0.1\t0.3\tthe\n\n0.5\t0.9\tsea\n")
    said = read_words(labels)
    assert said == [Word(0.1, 0.3, "the"), Word(0.5, 0.9, "sea")]
    encoder = Glove({"the": np.array([1.0], np.float32), "sea": np.array([-2.0], np.float32)})
    assert word_series(said, encoder, 10, 8)[:, 0].tolist() == [0, 1, 1, 0, 0, -1, -1, -1]
    labels.write_text("0.1\t0.3\tthe\n0.5\tsea\n")
    with pytest.raises(TextError, match=r"line 2: '0.5\\tsea'; expected start, end and word"):
        read_words(labels)
