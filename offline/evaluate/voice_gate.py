"""What the knob `gate` does to a voice as it is played: what it costs speech, and how far it lowers what is no voice.

Both with the preset `default` at the gate's own depth and at 0, on the same input. Speech: held-out English phrases,
each played from silence, as a first sentence is. Noises are synthetic, at levels that microphones have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from gramophone.offline.data.corpus import Corpus, gather, sound
from gramophone.offline.data.mono_audio import RATE, Sound
from gramophone.offline.evaluate.base import Column, print_rows
from gramophone.offline.extras import need
from gramophone.offline.judges.interval import Interval, bootstrap
from gramophone.offline.judges.speech import recognise, speech_quality, word_errors, words
from gramophone.presets import Preset, load
from gramophone.realtime.engine import Engine

_PRESET, _STAGE = "default", "voice"
_PLACE = "voice:english"
_DEPTH_DB = 40.0
_FEWEST_WORDS, _LONGEST_S = 3, 12.0
_NOISE_S, _SETTLED_S = 4.0, 1.5
_SEEDS = 5
_LEVELS_DB = (-60.0, -50.0, -40.0, -30.0)
_BREATH_S, _BREATHS_EVERY_S = 0.8, 2.0

Noise = Callable[[NDArray[np.float64], np.random.Generator], NDArray[np.float64]]


@dataclass(frozen=True)
class GateSpeech:
    """Word error rate and DNSMOS with the gate at 0 and closed, and the paired differences.

    `n` of an interval counts phrases; `words` there are in all of them.
    """

    words: int
    wrong_open: Interval
    wrong_gated: Interval
    wrong_added: Interval
    quality_open: Interval
    quality_gated: Interval
    quality_added: Interval


def gate_speech(model: Path, progress: Callable[[int, int], None] = lambda _done, _of: None) -> GateSpeech:
    """Return what the gate costs held-out English speech, converted by a voice.

    Raises:
        MissingLibraryError: a judge is not installed.
        CorporaError: the recordings cannot be had.
    """
    need("pocketsphinx", "speechmos")
    phrases = list(_phrases(gather([_PLACE], RATE)))
    rows = []
    with _Gated(model, 0.0) as left_open, _Gated(model, _DEPTH_DB) as gated:
        for number, (text, phrase) in enumerate(phrases, start=1):
            row: list[float] = [len(words(text))]
            for said in (left_open(phrase), gated(phrase)):
                row += [word_errors(text, recognise(said, RATE))[0], speech_quality(said, RATE)]
            rows.append(row)
            progress(number, len(phrases))
    of, wrong, quality, wrong_gated, quality_gated = np.array(rows, np.float64).T
    return GateSpeech(
        int(of.sum()),
        bootstrap(wrong, of),
        bootstrap(wrong_gated, of),
        bootstrap(wrong_gated - wrong, of),
        bootstrap(quality),
        bootstrap(quality_gated),
        bootstrap(quality_gated - quality),
    )


def gate_noises(model: Path) -> list[dict[str, float | str]]:
    """Return the level in dBFS that comes out for each noise and level, gated and not: a row each, means over seeds."""
    with _Gated(model, 0.0) as left_open, _Gated(model, _DEPTH_DB) as gated:
        return list(starmap(lambda name, level: _noise_row(name, level, left_open, gated), _noise_cases()))


def print_gate(speech: GateSpeech, noises: Sequence[Mapping[str, float | str]]) -> None:
    """Print both."""
    print(f"gate: {speech.words} words in {speech.wrong_open.n} phrases")
    for name in ("wrong", "quality"):
        left_open, gated, added = (getattr(speech, f"{name}_{which}") for which in ("open", "gated", "added"))
        print(f"  {name}: gate 0 {left_open}  gate 40 {gated}  added {added}")
    columns = [Column("noise", "noise"), Column("level_db", "in, dBFS", ".0f"), Column("open_db", "gate 0", ".0f")]
    print_rows([*columns, Column("gated_db", "gate 40", ".0f"), Column("spread_db", "spread", ".1f")], noises)


class _Gated:
    """The preset `default` with a voice, its gate at a depth, at 16 kHz."""

    def __init__(self, model: Path, depth_db: float) -> None:
        self._engine = Engine(_preset(model, depth_db), RATE, 1, "cpu")

    def __enter__(self) -> _Gated:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()

    def __call__(self, phrase: Sound) -> Sound:
        """Return a phrase as it is played from silence, of its length."""
        said: Sound = self._engine.render(phrase[None])[0]
        return said


def _preset(model: Path, depth_db: float) -> Preset:
    return load(_PRESET).with_values({(_STAGE, "model"): str(model.resolve()), (_STAGE, "gate"): depth_db})


def _phrases(corpus: Corpus) -> Iterator[tuple[str, Sound]]:
    """Yield text and sound of the held-out recordings that say some words."""
    for recording in corpus.held_out:
        text = recording.found.text
        if text and len(words(text)) >= _FEWEST_WORDS and recording.heard.frames <= _LONGEST_S * RATE:
            yield text, sound(recording)


def _noise_row(name: str, level_db: float, left_open: _Gated, gated: _Gated) -> dict[str, float | str]:
    found = np.array(
        [[_level_db(play(_noise(name, level_db, seed))) for play in (left_open, gated)] for seed in range(_SEEDS)]
    )
    (open_db, gated_db), spread = found.mean(axis=0), found.std(axis=0)[1]
    return {"noise": name, "level_db": level_db, "open_db": open_db, "gated_db": gated_db, "spread_db": spread}


def _noise_cases() -> Iterator[tuple[str, float]]:
    yield "silence", -np.inf
    for name in _NOISES:
        yield from ((name, level) for level in _LEVELS_DB)


def _noise(name: str, level_db: float, seed: int) -> Sound:
    t = np.arange(round(_NOISE_S * RATE)) / RATE
    if name == "silence":
        return np.zeros(len(t), np.float32)
    made = _NOISES[name](t, np.random.default_rng(seed))
    level = np.sqrt(np.square(made[made != 0]).mean())
    return np.asarray(made / level * 10 ** (level_db / 20), np.float32)


def _level_db(said: Sound) -> float:
    late = said[round(_SETTLED_S * RATE) :].astype(np.float64)
    return max(10 * float(np.log10(np.square(late).mean() + 1e-14)), -120.0)


def _hum(hz: float) -> Noise:
    """Return mains hum: the harmonics that transformers and rectifiers make, in random phases."""
    return lambda t, rng: np.asarray(
        sum(np.sin(2 * np.pi * (hz * k * t + rng.random())) / k for k in (1, 2, 3, 4, 5, 7, 9))
    )


def _coloured(power: float) -> Noise:
    """Return noise whose power falls as a power of frequency, above 20 Hz."""

    def make(t: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        hz = np.fft.rfftfreq(len(t), 1 / RATE)
        made: NDArray[np.float64] = np.fft.irfft(np.fft.rfft(rng.normal(size=len(t))) / (hz + 20) ** (power / 2))
        return made

    return make


def _breath(t: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return breaths: noise of the throat's band that swells and falls, and silence between."""
    made = sosfilt(butter(2, [400, 5_000], "bandpass", fs=RATE, output="sos"), rng.normal(size=len(t)))
    phase = np.minimum((t + _BREATHS_EVERY_S - 0.5) % _BREATHS_EVERY_S / _BREATH_S, 1.0)
    return np.asarray(made * np.sin(np.pi * phase) ** 2)


_NOISES: Mapping[str, Noise] = {
    "hum, 50 Hz": _hum(50.0),
    "hum, 60 Hz": _hum(60.0),
    "offset": lambda t, _rng: np.ones_like(t),
    "room (brown)": _coloured(2.0),
    "pink": _coloured(1.0),
    "breath": _breath,
}
