"""A corpus: the recordings that passed every check, those that did not and why, and the one split."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gramophone.offline.data import corpora
from gramophone.offline.data.decoded import FULL_SCALE, decoded
from gramophone.offline.data.layouts import DataSource, find
from gramophone.offline.data.recording import DataError, Dropped, Found, Heard, Recording
from gramophone.realtime.files import SoundFileError

_SHOWN = 5
"""How many dropped recordings of each kind the printed report names; the JSON report has all."""


@dataclass(frozen=True)
class Limits:
    """What a recording must have: audible seconds, level in dBFS; and a speaker: minutes of them for training."""

    shortest_s: float = 0.4
    quietest_db: float = -60.0
    least_minutes: float = 0.5


@dataclass(frozen=True)
class Corpus:
    """Checked recordings at one rate in Hz; `sources` says where they came from, with licences."""

    rate: int
    recordings: tuple[Recording, ...]
    dropped: tuple[Dropped, ...]
    sources: tuple[str, ...]
    licences: tuple[str, ...]

    @property
    def licence(self) -> str:
        """All licences of what it holds, each once."""
        return ", ".join(dict.fromkeys(self.licences))

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers' names, sorted."""
        return tuple(sorted({recording.speaker for recording in self.recordings}))

    @property
    def training(self) -> tuple[Recording, ...]:
        """The recordings to train on."""
        return tuple(recording for recording in self.recordings if not corpora.is_held_out(recording.name))

    @property
    def held_out(self) -> tuple[Recording, ...]:
        """The recordings to evaluate on, never trained on."""
        return tuple(recording for recording in self.recordings if corpora.is_held_out(recording.name))

    @property
    def examples(self) -> dict[str, Recording]:
        """The first held-out recording of each speaker that has one, in the order of the alphabet."""
        first = {recording.speaker: recording for recording in reversed(self.held_out)}
        return {speaker: first[speaker] for speaker in self.speakers if speaker in first}

    @property
    def fingerprint(self) -> str:
        """A hash of all that is trained and judged on, the same for the same sound by the same speakers."""
        lines = sorted(
            f"{recording.speaker} {recording.name} {recording.heard.digest}" for recording in self.recordings
        )
        return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()

    def minutes(self, recordings: Iterable[Recording]) -> dict[str, float]:
        """Return the audible minutes per speaker in `recordings`."""
        frames: Counter[str] = Counter()
        for recording in recordings:
            frames[recording.speaker] += recording.heard.audible
        return {speaker: frames[speaker] / self.rate / 60 for speaker in self.speakers}

    def as_dict(self) -> dict[str, Any]:
        """Return the report as data."""
        training, held_out = self.minutes(self.training), self.minutes(self.held_out)
        return {
            "rate": self.rate,
            "sources": self.sources,
            "speakers": {
                speaker: {"training_minutes": training[speaker], "held_out_minutes": held_out[speaker]}
                for speaker in self.speakers
            },
            "recordings": {"training": len(self.training), "held_out": len(self.held_out)},
            "remarks": {str(item.found.path): item.heard.remarks for item in self.recordings if item.heard.remarks},
            "dropped": [{**asdict(item), "path": str(item.path)} for item in self.dropped],
        }

    def report(self) -> Iterator[str]:
        """Yield the report for people, line by line."""
        training, held_out = self.minutes(self.training), self.minutes(self.held_out)
        yield f"{len(self.training)} recordings to train on, {len(self.held_out)} held out, at {self.rate} Hz"
        for speaker in self.speakers:
            yield f"  {speaker or '(no speaker)'}: {training[speaker]:.1f} min, {held_out[speaker]:.1f} held out"
        for kind, count in Counter(item.kind for item in self.dropped).most_common():
            yield f"dropped, {kind}: {count}"
            items = [item for item in self.dropped if item.kind == kind]
            yield from (f"  {item.path}: {item.why}" for item in items[:_SHOWN])
            yield from _more(count)
        remarks = [(item.found.path, text) for item in self.recordings for text in item.heard.remarks]
        if remarks:
            yield f"read all the same, with a remark: {len(remarks)}"
            yield from (f"  {path}: {text}" for path, text in remarks[:_SHOWN])
            yield from _more(len(remarks))


def _more(count: int) -> Iterator[str]:
    if count > _SHOWN:
        yield f"  and {count - _SHOWN} more"


def sound(recording: Recording, start: int = 0, end: int | None = None) -> NDArray[np.float32]:
    """Return a recording's sound, or the frames `start` to `end` of it, at -20 dBFS."""
    samples = np.load(recording.sound, mmap_mode="r")[start:end]
    levelled: NDArray[np.float32] = np.multiply(samples, recording.gain / FULL_SCALE, dtype=np.float32)
    return levelled


def gather(
    places: Sequence[str],
    rate: int,
    limits: Limits | None = None,
    speakers: Sequence[str] = (),
    layout: str = "auto",
    progress: Callable[[float], None] = lambda _seconds: None,
) -> Corpus:
    """Find, decode and check all recordings in `places`; with `speakers`, of those only.

    `progress` is called with the seconds of sound done.

    Raises:
        DataError: nothing usable is left; the message says what was dropped and why.
        CorporaError: a package of recordings cannot be had.
    """
    limits = limits or Limits()
    sources = [find(place, layout) for place in places]
    found = _wanted(sources, speakers)
    recordings, dropped = _checked(found, rate, limits, progress)
    recordings, poor = _spoken_enough(recordings, rate, limits)
    corpus = Corpus(
        rate,
        tuple(recordings),
        (*dropped, *poor),
        tuple(f"{source.name}: {source.licence}" for source in sources),
        tuple(source.licence for source in sources),
    )
    if not corpus.training:
        raise DataError(
            "\n".join(
                [f"{', '.join(places)}: no usable recording of {len(found)} is left to train on", *corpus.report()]
            )
        )
    return corpus


def _wanted(sources: Iterable[DataSource], speakers: Sequence[str]) -> list[Found]:
    found = [item for source in sources for item in source.found]
    there = {item.speaker for item in found}
    unknown = [speaker for speaker in speakers if speaker not in there]
    if unknown:
        raise DataError(f"no speaker {', '.join(unknown)}; expected some of {', '.join(sorted(there))}")
    return [item for item in found if not speakers or item.speaker in speakers]


def _checked(
    found: Sequence[Found], rate: int, limits: Limits, progress: Callable[[float], None]
) -> tuple[list[Recording], list[Dropped]]:
    """Return the usable recordings and the dropped ones.

    Of one sound under several names one is kept, held out if any of them is: it must not be trained on by another name.
    """
    recordings: list[Recording] = []
    dropped: list[Dropped] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for item, outcome in zip(found, pool.map(lambda item: _attempt(item, rate), found), strict=True):
            if isinstance(outcome, Dropped):
                dropped.append(outcome)
                continue
            progress(outcome.heard.frames / rate)
            if fault := _fault(outcome.heard, rate, limits):
                dropped.append(Dropped(item.path, *fault))
            else:
                recordings.append(outcome)
    kept: dict[str, Recording] = {}
    for recording in sorted(recordings, key=lambda recording: not corpora.is_held_out(recording.name)):
        first = kept.setdefault(recording.heard.digest, recording)
        if first is not recording:
            dropped.append(Dropped(recording.found.path, "duplicate", f"the same sound as {first.found.path}"))
    return [recording for recording in recordings if kept[recording.heard.digest] is recording], dropped


def _attempt(item: Found, rate: int) -> Recording | Dropped:
    try:
        return Recording(item, *decoded(item.path, rate))
    except (SoundFileError, corpora.CorporaError) as error:
        return Dropped(item.path, "unreadable", str(error).removeprefix(f"{item.path}: "))


def _fault(heard: Heard, rate: int, limits: Limits) -> tuple[str, str] | None:
    """Return what is wrong with a recording: its kind, a word, and a phrase."""
    if heard.rate < rate:
        return "low rate", f"recorded at {heard.rate} Hz; expected at least {rate}"
    decibels = 20 * np.log10(max(heard.level, 1e-9))
    if decibels < limits.quietest_db:
        return "silent", f"{decibels:.0f} dBFS where it is loudest; expected at least {limits.quietest_db:.0f}"
    seconds = heard.audible / rate
    if seconds < limits.shortest_s:
        return "short", f"{seconds:.2f} s of audible sound; expected at least {limits.shortest_s}"
    return None


def _spoken_enough(recordings: Sequence[Recording], rate: int, limits: Limits) -> tuple[list[Recording], list[Dropped]]:
    """Leave out speakers with too little to train on."""
    seconds: Counter[str] = Counter()
    for recording in recordings:
        if not corpora.is_held_out(recording.name):
            seconds[recording.speaker] += recording.heard.audible / rate  # type: ignore[assignment]
    kept, dropped = [], []
    for recording in recordings:
        minutes = seconds[recording.speaker] / 60
        if minutes >= limits.least_minutes:
            kept.append(recording)
        else:
            has = f"{minutes:.2f} min to learn from, beside what is held out to judge by"
            why = f"speaker {recording.speaker!r} has {has}; expected at least {limits.least_minutes}"
            dropped.append(Dropped(recording.found.path, "speaker with too little", why))
    return kept, dropped
