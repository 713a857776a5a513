"""Speech quality (DNSMOS) and intelligibility (word errors of a recogniser)."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from gramophone.offline.data.mono_audio import RATE, Sound, heard

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def speech_quality(speech: Sound, rate: int) -> float:
    """Return the overall mean opinion score, 1 to 5, that DNSMOS predicts (Reddy et al. 2022, ITU-T P.835).

    At -26 dBFS, so that a gain is neither gain nor loss.
    """
    from speechmos import dnsmos

    sound = 0.5 * heard(speech, rate)
    sound = sound / max(1.0, float(np.abs(sound).max()))
    return float(dnsmos.run(sound, sr=RATE)["ovrl_mos"])


def recognise(speech: Sound, rate: int) -> str:
    """Return the English words that PocketSphinx hears with the model inside its wheel."""
    decoder = _decoder()
    samples = (np.clip(heard(speech, rate), -1, 1) * 32_767).astype(np.int16)
    decoder.reinit_feat()  # forget the cepstral mean of the speech before: the result must not depend on the order
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return str(hypothesis.hypstr) if hypothesis else ""


def word_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """Return how many words are wrong, missing or too many, and how many there should be."""
    expected = words(reference)
    return edits(expected, words(hypothesis)), len(expected)


def edits(expected: Sequence[str], found: Sequence[str]) -> int:
    """Return how many of a sequence are others, missing or too many in another (Levenshtein)."""
    costs = list(range(len(found) + 1))
    for i, one in enumerate(expected, start=1):
        before, costs = costs, [i]
        for j, other in enumerate(found, start=1):
            costs.append(min(before[j] + 1, costs[-1] + 1, before[j - 1] + (one != other)))
    return costs[-1]


def words(text: str) -> list[str]:
    """Return the spoken words of a transcript: lower case, numbers as words, no punctuation, no [stage directions]."""
    spoken = re.sub(r"\[.*?\]", " ", text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    return re.sub(r"[^a-z' ]", " ", re.sub(r"\d+", lambda digits: _number(digits[0]), spoken)).split()


def _number(digits: str) -> str:
    """Say a number below a hundred; a longer one digit by digit, as telephones do."""
    number = int(digits)
    if number < len(_ONES):
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10 - 2] + (f" {_ONES[number % 10]}" if number % 10 else "")
    return " ".join(_ONES[int(digit)] for digit in digits)


@functools.cache
def _decoder() -> Any:
    from pocketsphinx import Decoder

    return Decoder(samprate=RATE, loglevel="FATAL")
