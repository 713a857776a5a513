"""Fit the weights of the speech detector: `python -m gramophone.offline.recipes.speech CORPORA`.

CORPORA holds the unpacked Debian packages, one folder each (see `gramophone.offline.data.corpora`). It prints the
weights and the bias for `gramophone.models.style.speech_detector`, fitted on recordings that are not held out, and
their accuracy on those that are.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gramophone.models.layers.mel import MelBands
from gramophone.models.layers.stft import STFT, low_delay_windows
from gramophone.models.style.speech_detector import BANDS, RANGE_HZ, SpeechDetector
from gramophone.offline.data.corpora import HELD_OUT_MUSIC, VOICES, VoiceCorpus, is_held_out, load
from gramophone.offline.data.mono_audio import Sound

RATE = 48_000
HOP, SYNTHESIS, ANALYSIS = 256, 1024, 2048
"""The frames of `gramophone.models.style.style.StyleFilter` at this rate."""
LENGTH_S = 10.0
LOOKS_S = (5.0, 10.0)
"""Seconds of input after which the detector is evaluated."""
GAP_S = 0.25
PER_VOICE = 12
PER_PIECE = 2
SHORTEST_S = 14.0
RIDGE = 0.01

SPEAKERS = {
    **{name: VOICES[name] for name in ("english", "french", "italian", "russian", "moscow", "big-fish", "small-fish")},
    "stamps": VoiceCorpus("tuxpaint-stamps-default", "usr/share/tuxpaint/stamps", "**/*_desc_*.ogg"),
}
MUSIC = ("warzone2100-music", "nexuiz-music", "ufoai-music", "planetblupi-music-ogg")
"""Packages of music to train on."""


@dataclass(frozen=True)
class SpeechExamples:
    """Statistics `(n, K)` and whether each is of speech, `(n,)` of 0 and 1; float64 both."""

    statistics: Tensor
    speech: Tensor

    def accuracy(self, weights: Tensor, bias: float) -> float:
        """Return the accuracy of a logistic regression, 0 to 1."""
        return float(((self.statistics @ weights + bias > 0) == (self.speech > 0.5)).double().mean())


def fit(examples: SpeechExamples) -> tuple[Tensor, float]:
    """Return weights `(K,)` and bias of a logistic regression, ridged on standardised statistics, classes equal."""
    mean, spread = examples.statistics.mean(0), examples.statistics.std(0)
    x, y = (examples.statistics - mean) / spread, examples.speech
    balance = torch.where(y > 0.5, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    slope = torch.zeros(x.shape[1], dtype=torch.float64, requires_grad=True)
    shift = torch.zeros((), dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([slope, shift], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        doubt = torch.nn.functional.binary_cross_entropy_with_logits(x @ slope + shift, y, balance)
        value = doubt + RIDGE * slope.square().sum()
        torch.autograd.backward(value)
        return value

    search.step(loss)  # type: ignore[no-untyped-call]
    weights = (slope / spread).detach()
    return weights, float(shift.detach() - weights @ mean)


def examples(corpora: Path, held_out: bool) -> SpeechExamples:
    """Return the statistics of the recordings that are, or that are not, held out."""
    chance = random.Random(0)
    detector = DetectorFeatures()
    rows, labels = [], []
    for sounds, label in ((spoken(corpora, held_out, chance), 1.0), (played(corpora, held_out, chance), 0.0)):
        for sound in sounds:
            found = detector.statistics(sound)
            rows += found
            labels += [label] * len(found)
    return SpeechExamples(torch.tensor(rows, dtype=torch.float64), torch.tensor(labels, dtype=torch.float64))


class DetectorFeatures:
    """Computes the detector's input as the style stage does."""

    def __init__(self) -> None:
        self._stft = STFT(low_delay_windows(ANALYSIS, SYNTHESIS, HOP)[0], HOP)
        self._weights = MelBands(RATE, ANALYSIS, BANDS, *RANGE_HZ).weights.t()

    def statistics(self, sound: Sound) -> list[tuple[float, ...]]:
        """Return the detector's statistics of a sound after each of `LOOKS_S` seconds."""
        spectra, _ = self._stft(torch.from_numpy(sound[: len(sound) // HOP * HOP].copy())[None, None])
        powers = spectra[0, 0].abs().square() @ self._weights
        detector, done, found = SpeechDetector.new(RATE / HOP), 0, []
        for seconds in LOOKS_S:
            until = round(seconds * RATE / HOP)
            detector, done = detector.after(powers[done:until]), until
            found.append(detector._statistics())
        return found


def spoken(corpora: Path, held_out: bool, chance: random.Random) -> Iterator[Sound]:
    """Yield speech: recordings of one speaker after another, half of the time with pauses between."""
    gap = np.zeros(round(GAP_S * RATE), np.float32)
    for voice in SPEAKERS.values():
        folder = next((corpora / voice.package).glob(voice.folder))
        paths = folder.glob(voice.pattern)
        found = {str(path.relative_to(folder).with_suffix("")).replace("/", "__"): path for path in paths}
        names = [name for name in sorted(found) if is_held_out(name) == held_out and not name.startswith("silence__")]
        for number in range(PER_VOICE):
            pieces: list[Sound] = []
            while sum(map(len, pieces)) < LENGTH_S * RATE:
                pieces += [load(found[chance.choice(names)], RATE), *([gap] if number % 2 else [])]
            yield np.concatenate(pieces)[: round(LENGTH_S * RATE)]


def played(corpora: Path, held_out: bool, chance: random.Random) -> Iterator[Sound]:
    """Yield excerpts of music."""
    import soundfile

    packages = sorted({package for package, _ in HELD_OUT_MUSIC.values()}) if held_out else MUSIC
    for path in (path for package in packages for path in sorted((corpora / package).rglob("*.ogg"))):
        seconds = soundfile.info(path).duration
        if seconds >= SHORTEST_S:
            for _ in range(PER_PIECE):
                yield load(path, RATE, chance.uniform(2.0, seconds - LENGTH_S - 1), LENGTH_S)


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description="Fit the weights of the speech detector.")
    parser.add_argument("corpora", type=Path, help="folder with the unpacked packages")
    corpora = parser.parse_args().corpora
    known = examples(corpora, held_out=False)
    weights, bias = fit(known)
    print("weights", tuple(round(float(weight), 4) for weight in weights), "bias", round(bias, 3))
    unknown = examples(corpora, held_out=True)
    print(f"accuracy: {known.accuracy(weights, bias):.1%} of {len(known.speech)} training")
    print(f"accuracy: {unknown.accuracy(weights, bias):.1%} of {len(unknown.speech)} held out")


if __name__ == "__main__":
    main()
