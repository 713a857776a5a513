"""Fit the weights of the speech detector: `python -m gramophone.offline.recipes.speech`.

It prints the weights for `gramophone.models.style.speech_detector`, fitted on the cases of `speech_cases` that are not
held out, and a table of what the detector as it is makes of those that are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import Linear, Sequential, Tanh
from torch.nn.functional import binary_cross_entropy_with_logits

from gramophone.models.layers.mel import MelBands
from gramophone.models.layers.stft import STFT, low_delay_windows
from gramophone.models.style.speech_detector import BANDS, RANGE_HZ, SpeechDetector
from gramophone.offline.data import corpora
from gramophone.offline.data.mono_audio import Sound
from gramophone.offline.recipes.speech_cases import PACKAGES, RATE, SECONDS, music_cases, speech_cases

HOP, SYNTHESIS, ANALYSIS = 256, 1024, 2048
"""The frames of `gramophone.models.style.style.StyleFilter` at this rate."""
STEP_S, FROM_S, JUDGED_FROM_S = 1.0, 2.0, 4.0
"""Seconds between readings, before the first that is learnt from, and before the first that is judged."""
UNITS, RIDGE = 8, 0.0005
SPEECH_WEIGHT = 2.0
"""What all speech weighs against all else: to miss it is the worse error."""
KIND_WEIGHTS = {"finished music": 3.0, "speech": 2.0, "speech: letters": 0.3}
"""What a kind weighs among those of its side, if not 1; sources of a kind weigh the same."""


@dataclass(frozen=True)
class SpeechExamples:
    """Statistics `(n, K)`, whether each is of speech, `(n,)` of 0 and 1, and their weights `(n,)`; float64 all."""

    statistics: Tensor
    speech: Tensor
    weights: Tensor


def fit(examples: SpeechExamples) -> tuple[Tensor, Tensor]:
    """Return a hidden layer `(UNITS, K + 1)` and an output `(UNITS + 1,)`, the biases last, of a ridged network."""
    mean, spread = examples.statistics.mean(0), examples.statistics.std(0)
    x = (examples.statistics - mean) / spread
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Sequential(Linear(x.shape[1], UNITS), Tanh(), Linear(UNITS, 1)).double()
    parameters = list(network.parameters())
    search = torch.optim.LBFGS(parameters, max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        doubt = binary_cross_entropy_with_logits(network(x)[:, 0], examples.speech, examples.weights, reduction="sum")
        value = doubt + RIDGE * torch.stack([one.square().sum() for one in parameters]).sum()
        torch.autograd.backward(value)
        return value

    search.step(loss)  # type: ignore[no-untyped-call]
    slope, shift, output, bias = (one.detach() for one in parameters)
    slope = slope / spread
    return torch.cat([slope, (shift - slope @ mean)[:, None]], 1), torch.cat([output[0], bias])


def examples() -> SpeechExamples:
    """Return the statistics of the cases that are not held out, every `STEP_S`."""
    features = DetectorFeatures()
    rows: list[tuple[float, ...]] = []
    found: list[tuple[str, str, bool]] = []
    for case in (*music_cases(held_out=False), *speech_cases(held_out=False)):
        if case.speech is not None:
            known = [detector.statistics() for detector in features.readings(case.sound, FROM_S)]
            rows += known
            found += [(case.kind, case.source, case.speech)] * len(known)
    speech = torch.tensor([float(is_speech) for _, _, is_speech in found], dtype=torch.float64)
    return SpeechExamples(torch.tensor(rows, dtype=torch.float64), speech, _weights(found))


def _weights(found: list[tuple[str, str, bool]]) -> Tensor:
    """Return weights that sum to 1: sides, kinds and sources weigh what is set, whatever there is of them."""
    takes = Counter(found)
    sources = Counter((kind, speech) for kind, _, speech in takes)
    weights = np.array([KIND_WEIGHTS.get(case[0], 1.0) / sources[case[0], case[2]] / takes[case] for case in found])
    speech = np.array([is_speech for _, _, is_speech in found])
    for side, weight in ((True, SPEECH_WEIGHT), (False, 1.0)):
        weights[speech == side] *= weight / weights[speech == side].sum()
    return torch.from_numpy(weights / weights.sum())


class DetectorFeatures:
    """Computes the detector's input as the style stage does."""

    def __init__(self) -> None:
        self._stft = STFT(low_delay_windows(ANALYSIS, SYNTHESIS, HOP)[0], HOP)
        self._weights = MelBands(RATE, ANALYSIS, BANDS, *RANGE_HZ).weights.t()

    def readings(self, sound: Sound, from_s: float) -> Iterator[SpeechDetector]:
        """Yield the detector every `STEP_S` from `from_s` seconds of a sound on."""
        spectra, _ = self._stft(torch.from_numpy(sound[: len(sound) // HOP * HOP].copy())[None, None])
        powers = (spectra[0, 0].abs().square() @ self._weights).numpy()
        detector, done = SpeechDetector.new(RATE / HOP), 0
        for seconds in np.arange(from_s, SECONDS, STEP_S):
            until = round(seconds * RATE / HOP)
            detector, done = detector.after(powers[done:until]), until
            yield detector


def table() -> Iterator[str]:
    """Yield a line a kind of the held-out cases: how many, mean certainty, and the share of time it is .5 or more."""
    features = DetectorFeatures()
    found: dict[str, list[list[float]]] = {}
    for case in (*music_cases(held_out=True), *speech_cases(held_out=True)):
        certainties = [detector.certainty for detector in features.readings(case.sound, JUDGED_FROM_S)]
        found.setdefault(case.kind, []).append(certainties)
    yield "| kind | n | certainty | share of time |"
    for kind, rows in found.items():
        each = np.array(rows)
        yield f"| {kind} | {len(each)} | {each.mean():.2f} | {(each >= 0.5).mean():.2f} |"


def main() -> None:
    """Fit and print."""
    corpora.fetch(PACKAGES)
    hidden, output = fit(examples())
    print("HIDDEN =", [[round(weight, 4) for weight in row] for row in hidden.tolist()])
    print("OUTPUT =", [round(weight, 4) for weight in output.tolist()])
    print("\n".join(table()))


if __name__ == "__main__":
    main()
