"""Singing and instruments as somebody: `python -m gramophone.offline.evaluate.off_speech MODEL --target CLIP`.

The clips that come with Gramophone, and recordings of speech beside them, go hop by hop through the code that plays.
Printed for each: the mean confidence that it is speech, and the share of its audible frames with .9 or more; of the
result, by the confidence and with content alone, how pitch, harmony, spectral motion and loudness follow the input's.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from gramophone.models.checkpoint import card_of, load
from gramophone.models.nets.anyone import Anyone
from gramophone.models.parameters import Value
from gramophone.offline.data.corpora import JUDGES, UNSEEN
from gramophone.offline.data.corpora import load as load_sound
from gramophone.offline.data.corpus import gather, sound
from gramophone.offline.data.mono_audio import RATE, Sound, levelled
from gramophone.offline.data.recording import spread_evenly
from gramophone.offline.evaluate.base import Column, Row, print_rows
from gramophone.offline.judges.campplus import filter_bank
from gramophone.offline.judges.interval import bootstrap
from gramophone.offline.judges.music import chroma_correlation
from gramophone.presets import CLIPS
from gramophone.realtime.dsp.pitch.tracker import pitch_contour
from gramophone.realtime.stages.voice.confidence import SpeechConfidence
from gramophone.realtime.stages.voice.converter import VoiceConverter, converter_parts
from gramophone.realtime.stages.voice.parameters import parameters_of
from gramophone.realtime.stages.voice.target import target_of

SPEECH = ("telephone", "vocals", "voice")
"""Clips in which somebody speaks."""
_SETTLED_S, _SURE = 3.0, 0.9
_SETTINGS = ("", " by content alone")
_COLUMNS = (
    Column("name", "sound"),
    Column("speech", "confidence", ".2f"),
    Column("sure", ">= .9", ".2f"),
    *(
        Column(f"{key}{setting}", f"{title}{setting}", form)
        for key, title, form in (
            ("pitch", "pitch", ".2f"),
            ("chroma", "chroma", ".2f"),
            ("motion", "motion", ".2f"),
            ("loudness", "dB", "+.1f"),
        )
        for setting in _SETTINGS
    ),
)


def sounds(people: Sequence[str]) -> Iterator[tuple[str, Sound]]:
    """Yield the clips, and some held-out recordings of people one after the other."""
    for path in sorted(CLIPS.glob("*.flac")):
        yield path.stem, levelled(load_sound(path, RATE))
    if not people:
        return
    corpus = gather([f"voice:{name}" for name in people], RATE)
    for name in people:
        own = [one for one in corpus.held_out if one.speaker == name and one.heard.audible >= RATE]
        yield name, np.concatenate([sound(one) for one in spread_evenly(own, 10)])


def followed(recorded: Sound, said: Sound) -> Row:
    """Return how a result follows a recording of its length, both at 16 kHz.

    `pitch` is the correlation of the pitches in octaves where both are voiced, `chroma` that of the pitch classes,
    `motion` that of 80 mel bands less their means over time, in dB; `loudness` the difference in dB.
    """
    contours = [pitch_contour(one, RATE, 128) for one in (recorded, said)]
    both = (contours[0][:, 1] >= 0.5) & (contours[1][:, 1] >= 0.5)
    octaves = [contour[both, 0] for contour in contours]
    bands = [filter_bank(one) for one in (recorded, said)]
    loud = bands[0].mean(1) > bands[0].mean(1).max() - 6
    return {
        "pitch": _correlation(octaves[0], octaves[1]) if both.sum() > 50 else float("nan"),
        "chroma": chroma_correlation(recorded, said, RATE),
        "motion": _correlation(*((band[loud] - band[loud].mean(0)).ravel() for band in bands)),
        "loudness": 10 * float(np.log10(np.square(said).mean() / np.square(recorded).mean())),
        "finite": float(np.isfinite(said).all()),
    }


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    return float(np.corrcoef(first, second)[0, 1])


def played(
    model: Anyone,
    values: dict[str, Value],
    weights: NDArray[np.float32],
    recorded: Sound,
    blended: bool,
    target: object,
) -> tuple[Sound, NDArray[np.float32]]:
    """Return a recording as it is played, of its length, and the confidence in each frame, NaN where nothing sounds."""
    converter = VoiceConverter(converter_parts(model))
    converter.voices.set_target(target.voice)  # type: ignore[attr-defined]
    converter.refresh()
    if not blended:
        converter.confidence = SpeechConfidence(converter.hop / converter.rate, -9, -8)
    padded = np.pad(recorded, (0, converter.delay + converter.hop))
    said, speech = [], []
    for hop in padded[: len(padded) // converter.hop * converter.hop].reshape(-1, converter.hop):
        found = converter.analyse(converter.measure(hop))
        speech.append(found.speech if found.level > -4 and found.rms > 1e-4 else np.nan)
        said.append(converter.synthesise(found, weights, values))
    return np.concatenate(said)[converter.delay :][: len(recorded)], np.array(speech, np.float32)


def main() -> None:
    """Print a row for each sound, and means with intervals of speech and of the rest."""
    parser = argparse.ArgumentParser(description="Judge singing and instruments as somebody.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--target", required=True, help="a clip of a voice or an instrument, or an enrolled voice")
    parser.add_argument("--people", nargs="*", default=[*UNSEEN, *JUDGES], help="whose speech besides")
    parser.add_argument("--sounds", nargs="*", default=[], help="which of all by name; else all")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each at most")
    arguments = parser.parse_args()
    model, card = cast(Anyone, load(arguments.model, "anyone")[0]), card_of(arguments.model)
    target = target_of(arguments.model, arguments.target)
    values = {knob.name: knob.default for knob in parameters_of(card)}
    weights = np.eye(len(card.speakers) + 1, dtype=np.float32)[-1]
    rows = []
    for name, recorded in sounds(arguments.people):
        if arguments.sounds and name not in arguments.sounds:
            continue
        recorded = recorded[: round(arguments.seconds * RATE)]
        row: dict[str, object] = {"name": name, "spoken": name in (*SPEECH, *arguments.people)}
        for setting in _SETTINGS:
            said, speech = played(model, values, weights, recorded, not setting, target)
            if not setting:
                settled = speech[round(_SETTLED_S * RATE / 128) :]
                settled = settled[~np.isnan(settled)]
                row |= {"speech": float(settled.mean()), "sure": float((settled >= _SURE).mean())}
            row |= {f"{key}{setting}": value for key, value in followed(recorded, said).items()}
        rows.append(row)
    print_rows(_COLUMNS, rows, f"as {arguments.target}", 160)
    for spoken, title in ((True, "speech"), (False, "singing and instruments")):
        own = [row for row in rows if row["spoken"] == spoken]
        for key in rows[0]:
            if key not in ("name", "spoken"):
                print(f"{title}, {key}: {bootstrap([float(cast(float, row[key])) for row in own])}")


if __name__ == "__main__":
    main()
