"""Pitch trackers to judge side by side: the live one, and peers that others trained, each late by a stated time.

Peers hear a whole sound at once, which gives what their streaming would, and is what their cost is quoted for; where a
peer's look ahead is cut short it is asked again for each of its hops, as a live one would have to be.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data.mono_audio import RATE, Sound
from gramophone.offline.evaluate.pitch_cases import RANGE, stand_in_for_torchaudio
from gramophone.realtime.dsp.pitch import kernel
from gramophone.realtime.dsp.pitch.tracker import PitchTracker

Doubles = NDArray[np.float64]
Track = tuple[Doubles, Doubles, Doubles]
"""The times in seconds that frames speak of, pitch in Hz and voicing, `(frames,)` each."""

_BLOCK = 256


class Tracker(Protocol):
    """What is judged: it calls a frame voiced from `threshold` on, and says so `delay_ms` after the fact."""

    name: str
    delay_ms: float
    threshold: float

    def track(self, sound: Sound) -> Track:
        """Follow a sound at 16 kHz, `(samples,)`."""


class Live:
    """The product's tracker, fed in blocks."""

    threshold = 0.5

    def __init__(self, name: str, **numbers: Any) -> None:
        self._tracker = PitchTracker(RATE, **numbers)
        self.name, self.delay_ms = name, 1000 * self._tracker.delay / RATE

    def track(self, sound: Sound) -> Track:
        """See Tracker."""
        self._tracker.reset()
        blocks = [self._tracker.process(sound[start : start + _BLOCK]) for start in range(0, len(sound), _BLOCK)]
        hz, voicing = (np.concatenate(each).astype(np.float64) for each in zip(*blocks, strict=True))
        times = ((np.arange(len(hz)) + 1) * self._tracker.hop - self._tracker.delay) / RATE
        return times, hz, voicing


class SwiftF0:
    """swift-f0 0.3 (MIT): a convolutional network on spectra that wants 176 ms, or what `ahead` frames of it leave."""

    threshold = 0.5
    _past = 11

    def __init__(self, ahead: int | None = None) -> None:
        import swift_f0

        self._model = swift_f0.SwiftF0(threads=1)
        self._ahead = ahead
        self._hop = round(swift_f0.FRAME_PERIOD * RATE)
        self.delay_ms = 1000 * ((10 if ahead is None else ahead) + 1) * self._hop / RATE
        self.name = "swift-f0" if ahead is None else f"swift-f0, {self.delay_ms:.0f} ms"

    def track(self, sound: Sound) -> Track:
        """See Tracker."""
        if self._ahead is None:
            found = self._model.detect(sound, RATE, *RANGE)
            return found.timestamps, found.pitch_hz, found.confidence
        frames = len(sound) // self._hop - self._ahead
        heard = [self._frame(sound, frame) for frame in range(frames)]
        hz, voicing = np.array(heard).T
        return np.arange(frames) * self._hop / RATE, hz, voicing

    def _frame(self, sound: Sound, frame: int) -> tuple[float, float]:
        assert self._ahead is not None
        first = max(0, frame - self._past)
        found = self._model.detect(sound[first * self._hop : (frame + self._ahead + 1) * self._hop], RATE, *RANGE)
        return found.pitch_hz[frame - first], found.confidence[frame - first]


class Pesto:
    """pesto-pitch 2.0 (LGPL-3.0): a network without memory on constant-Q spectra, late by half its longest filter."""

    name = "pesto"
    threshold = 0.5
    _step_ms = 8.0

    def __init__(self) -> None:
        stand_in_for_torchaudio()
        import pesto

        self._model = pesto.load_model("mir-1k_g7", step_size=self._step_ms, sampling_rate=RATE)
        longest = self._model.preprocessor.hcqt_kernels.cqt_kernels[0].sqrt_lengths.max() ** 2
        self.delay_ms = 1000 * float(longest) / 2 / RATE

    def track(self, sound: Sound) -> Track:
        """See Tracker."""
        import torch

        with torch.inference_mode():
            heard = torch.from_numpy(sound)
            hz, voicing, _ = self._model(heard, convert_to_freq=True, return_activations=False)
        return np.arange(len(hz)) * self._step_ms / 1000, hz.double().numpy(), voicing.double().numpy()


def ours() -> Iterator[Tracker]:
    """Yield the live tracker as it is by default, waiting less and longer, and believing each frame by itself."""
    lowest, highest = RANGE
    for ahead in (1, 0, 3):
        name = "ours" if ahead == 1 else f"ours, {ahead} ahead"
        yield Live(name, lowest=lowest, highest=highest, ahead=ahead)
    hops = RATE / 128
    forgetful = kernel.PITCH_MODEL._replace(onset_rate=hops / 2, offset_rate=hops / 2, jump_rate=hops)
    yield Live("ours, no memory", lowest=lowest, highest=highest, ahead=0, model=forgetful)


def peers() -> Iterator[Tracker]:
    """Yield the peers that are installed."""
    if importlib.util.find_spec("swift_f0"):
        yield SwiftF0()
        yield SwiftF0(ahead=1)
    if importlib.util.find_spec("pesto"):
        yield Pesto()
