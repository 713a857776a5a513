"""Text as a condition: a vector for a whole text, or one per frame for the current word.

Vectors come from a file in GloVe's published text format (Pennington et al. 2014: a word and its numbers a line),
averaged over the words, or from any sentence encoder with an `encode` method. All are scaled to an RMS of one.
"""

from __future__ import annotations

import importlib
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


class TextError(ValueError):
    """Text cannot be turned into vectors; the message says what was found, where, and what was expected."""


class Word(NamedTuple):
    """A word and when it is said, in seconds from the start of its recording."""

    start_s: float
    end_s: float
    word: str


class TextEncoder(ABC):
    """Turns text into vectors of `width` numbers; `unknown` counts the words that it met and does not know."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.unknown: Counter[str] = Counter()

    def __call__(self, text: str) -> Vector:
        """Return the vector of a text, `(width,)` with an RMS of one; zeros if nothing in it is known."""
        vector = self._encode(text)
        length = float(np.linalg.norm(vector))
        return np.asarray(vector * (np.sqrt(self.width) / length) if length else vector, np.float32)

    @abstractmethod
    def _encode(self, text: str) -> Vector:
        """Return the vector of a text in the encoder's own scale."""


class Glove(TextEncoder):
    """The mean of the vectors of the words in a text."""

    def __init__(self, vectors: dict[str, Vector]) -> None:
        super().__init__(len(next(iter(vectors.values()))))
        self._vectors = vectors

    def _encode(self, text: str) -> Vector:
        said = words(text)
        known = [self._vectors[word] for word in said if word in self._vectors]
        self.unknown.update(word for word in said if word not in self._vectors)
        return np.mean(known, axis=0) if known else np.zeros(self.width, np.float32)


class SentenceEncoder(TextEncoder):
    """An object whose `encode(list of texts)` gives an array `(texts, width)`, as sentence-transformers have it."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        super().__init__(len(self._encode("one")))

    def _encode(self, text: str) -> Vector:
        return np.asarray(self._encoder.encode([text])[0], np.float32)


def text_encoder(name: str) -> TextEncoder:
    """Return the encoder called `glove:FILE`, or `encoder:MODULE.CLASS[:ARGUMENT]`, which is imported and made.

    Raises:
        TextError: there is no such thing, or it gives no vectors.
    """
    kind, _, rest = name.partition(":")
    if kind == "glove" and rest:
        return read_glove(Path(rest))
    if kind != "encoder" or not rest:
        raise TextError(f"text encoder {name!r}: expected glove:FILE or encoder:MODULE.CLASS[:ARGUMENT]")
    path, _, argument = rest.partition(":")
    module, _, attribute = path.rpartition(".")
    try:
        made = getattr(importlib.import_module(module), attribute)(*([argument] if argument else []))
        return SentenceEncoder(made)
    except (ImportError, AttributeError, ValueError, TypeError, OSError) as error:
        raise TextError(f"text encoder {name!r}: cannot be had ({error}); is its package installed?") from None


def read_glove(path: Path, wanted: Collection[str] | None = None) -> Glove:
    """Read vectors, of the `wanted` words only if they are given; of a word met twice the first counts.

    Raises:
        TextError: the file cannot be read, a line is broken (it is named by number), or no word is there.
    """
    vectors: dict[str, Vector] = {}
    width = 0
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                fields = line.rstrip("\r\n").split(" ")
                width = width or len(fields) - 1
                # A few of the published words have spaces in them, so the numbers are counted from the end.
                if width < 1 or len(fields) <= width:
                    raise TextError(f"{path}, line {number}: {len(fields) - 1} numbers; expected {max(width, 1)}")
                word = " ".join(fields[:-width])
                if (wanted is None or word in wanted) and word not in vectors:
                    vectors[word] = _numbers(fields[-width:], path, number)
    except (OSError, UnicodeDecodeError) as error:
        raise TextError(f"{path}: cannot be read ({error}); expected GloVe vectors as text") from None
    if not vectors:
        raise TextError(f"{path}: none of the words is in it")
    return Glove(vectors)


def words(text: str) -> list[str]:
    """Return the words of a text as GloVe's lower-case vocabularies have them: without punctuation."""
    return re.findall(r"[^\W_]+(?:['\u2019-][^\W_]+)*", text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def read_words(path: Path) -> list[Word]:
    """Read when each word is said: a label track as Audacity writes it, start and end in seconds and word, by tabs.

    Raises:
        TextError: the file cannot be read, or a line is broken (it is named by number).
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TextError(f"{path}: cannot be read ({error}); expected a label track") from None
    return [_label(line, path, number) for number, line in enumerate(lines, start=1) if line.strip()]


def word_series(said: Iterable[Word], encoder: TextEncoder, frames_per_s: float, frames: int) -> Vector:
    """Return the vector of the current word in each frame, `(frames, width)`; zeros between words."""
    series = np.zeros((frames, encoder.width), np.float32)
    for word in said:
        series[round(word.start_s * frames_per_s) : round(word.end_s * frames_per_s)] = encoder(word.word)
    return series


def unknown_words(encoder: TextEncoder, shown: int = 10) -> Iterator[str]:
    """Yield the report on words that had no vector, for people."""
    if encoder.unknown:
        most = ", ".join(f"{word} ({count})" for word, count in encoder.unknown.most_common(shown))
        yield f"{len(encoder.unknown)} words have no vector, met {encoder.unknown.total()} times; most often {most}"


def _numbers(fields: Sequence[str], path: Path, number: int) -> Vector:
    try:
        vector = np.array(fields, np.float32)
    except ValueError as error:
        raise TextError(f"{path}, line {number}: {error}; expected {len(fields)} numbers after the word") from None
    if not np.isfinite(vector).all():
        raise TextError(f"{path}, line {number}: a number that is not finite")
    return vector


def _label(line: str, path: Path, number: int) -> Word:
    start, _, rest = line.partition("\t")
    end, _, word = rest.partition("\t")
    try:
        label = Word(float(start), float(end), word.strip())
    except ValueError:
        label = Word(0, -1, "")
    if not 0 <= label.start_s <= label.end_s or not label.word:
        raise TextError(f"{path}, line {number}: {line!r}; expected start, end and word with tabs between")
    return label
