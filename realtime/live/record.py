"""Recording what is played live, in a way that it can be played again bit for bit (`replay.py`).

A recording is a folder: `input.wav` and `output.wav`, the player's input and output; `preset.toml`, the preset
at its start; `events.jsonl`, a line for everything that happened to the player, with the sample at which it did.
Nothing else decides what a player plays (`player.py`). Where no worker was there to play, `output.wav` is silent and
an event `gap` says so; the dry sound that was played then is in `input.wav`.

A file has one rate. Where a device goes away and comes back at another, the recording goes on in a segment, a folder in
the folder (`take/take-segment-2`) that is a recording by itself.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gramophone.presets import Preset, save
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.files import AudioWriter
from gramophone.realtime.live.messages import Event
from gramophone.realtime.live.shared_state import SharedState, Taken
from gramophone.realtime.stage import Format

INPUT, OUTPUT, PRESET, EVENTS = "input.wav", "output.wav", "preset.toml", "events.jsonl"
_LOOK_S = 0.02
_LONGEST_BYTES = 3_900_000_000
"""What a WAV file can hold; with a known duration the file may be of a kind that holds more."""


class RecordError(RuntimeError):
    """A recording cannot be made or played again; the message names the folder and what is wrong."""


class TakenFrom(Protocol):
    """What a take is recorded from: a session."""

    @property
    def preset(self) -> Preset | None:
        """The preset that plays."""

    @property
    def playing(self) -> bool:
        """Whether anything does."""

    @property
    def format(self) -> Format:
        """The rate and channels."""

    @property
    def shared(self) -> SharedState:
        """The memory with the sound."""


class Recorder:
    """Writes what a session plays into `folder`: events from the beginning, and sound while `writing`.

    Raises:
        RecordError: the folder cannot be made, or holds a recording.
    """

    def __init__(self, folder: Path, shared: SharedState) -> None:
        if (folder / EVENTS).exists():
            raise RecordError(f"{folder}: holds a recording already; choose another folder")
        _make(folder)
        self._folder, self._shared = folder, shared
        self._events: list[Event] = []
        self._segments: list[_Segment] = []
        self._next: int | None = None
        self._ended = threading.Event()

    @property
    def trouble(self) -> str:
        """What the recording lacks, for people; empty if nothing."""
        return "; ".join(segment.trouble for segment in self._segments if segment.trouble)

    @property
    def folders(self) -> list[Path]:
        """The folders of the segments: the recording's own, and one for each time that the device's rate changed."""
        return [segment.folder for segment in self._segments]

    @property
    def written(self) -> int:
        """The number of the last block that is in the files; -1 before the first."""
        return -1 if self._next is None else self._next - 1

    def take(self, event: Event) -> None:
        """Note an event; the first start begins the recording."""
        self._events.append(event)

    @contextmanager
    def writing(self, form: Format, duration_s: float | None = None) -> Iterator[None]:
        """Write while the `with` block lasts, and the events at its end.

        Raises:
            RecordError: nothing was played.
            SoundFileError: the disk cannot be written.
        """
        self._channels, self._duration_s = form.channels, duration_s or 0.0
        with ExitStack() as self._files:
            self._begin(form.rate, 0)
            thread = threading.Thread(target=self._follow, name="recorder", daemon=True)
            thread.start()
            try:
                yield
            finally:
                self._ended.set()
                thread.join()
                if not self._starts():
                    raise RecordError(f"{self._folder}: nothing was played, so nothing is recorded")
                for segment in self._segments:
                    segment.write_events(self._events)

    def _begin(self, rate: int, first: int) -> None:
        """Go on in a segment of its own: a file has one rate."""
        count = len(self._segments)
        folder = self._folder / f"{self._folder.name}-segment-{count + 1}" if count else self._folder
        _make(folder)
        announced = round(self._duration_s * rate)
        source, made = (
            self._files.enter_context(AudioWriter(folder / name, rate, self._channels, announced))
            for name in (INPUT, OUTPUT)
        )
        room = max(_LONGEST_BYTES // (4 * self._channels), 2 * announced)
        self._segments.append(_Segment(folder, rate, first, self._channels, room, source, made))

    def _follow(self) -> None:
        """Write blocks as the worker finishes them."""
        while not self._ended.wait(_LOOK_S):
            self._catch_up()
        self._catch_up()

    def _catch_up(self) -> None:
        if self._next is None:
            if not (starts := self._starts()):
                return
            self._next = starts[0].block
        inputs, status = self._shared.inputs, self._shared.status
        # What is that far behind no worker plays any more. `done` is read before the rate: its blocks are of that rate.
        done = max(int(status["done"]), inputs.newest - inputs.slots // 2)
        rate, begins = int(status["rate"]), int(status["rate_from"])
        if rate and rate != self._segments[-1].rate:
            self._write_until(begins - 1)
            self._segments[-1].write_events(self._events)  # whatever happens to what follows
            self._begin(rate, begins)
        self._write_until(done)

    def _write_until(self, last: int) -> None:
        assert self._next is not None
        for number in range(self._next, last + 1):
            source, made = self._shared.inputs.read(number), self._shared.outputs.read(number)
            self._segments[-1].write(number, source, made, int(self._shared.status["block"]))
        self._next = max(self._next, last + 1)

    def _starts(self) -> list[Event]:
        return [event for event in self._events if event.name == "start"]


class _Segment:
    """A part of a recording with one rate: a folder that is a recording by itself, from block `first` on."""

    def __init__(
        self,
        folder: Path,
        rate: int,
        first: int,
        channels: int,
        room: int,
        source: AudioWriter,
        made: AudioWriter,
    ) -> None:
        self.folder, self.rate = folder, rate
        self._first, self._channels, self._room = first, channels, room
        self._input, self._output = source, made
        self._blocks: list[dict[str, Any]] = []
        self._gaps: list[dict[str, Any]] = []
        self._runs: list[tuple[int, int, int]] = []
        self._end = first
        self._sample = self._lost = 0

    @property
    def trouble(self) -> str:
        """What the segment lacks, for people; empty if nothing."""
        if self._lost:
            return f"{self.folder}: {self._lost} blocks could not be written in time and are silent"
        if self._sample >= self._room:
            return f"{self.folder}: the files are as long as they can be; what came later is not in them"
        return ""

    def write(self, number: int, source: Taken | None, made: Taken | None, usual: int) -> None:
        """Append block `number`: what came in, and what the worker made of it; None where that is not there (any more).

        `usual` is the length in frames of a first block that is not there.
        """
        if self._sample >= self._room:
            return
        frames = self._runs[-1][2] if self._runs else usual
        if source is None:
            self._lost += 1
        else:
            frames = source.sound.shape[1]
        silence = np.zeros((self._channels, frames), np.float32)
        if not self._runs or frames != self._runs[-1][2]:
            self._runs.append((number, self._sample, frames))
            self._blocks.append({"sample": self._sample, "event": "block", "frames": frames})
        if made is None:
            self._note_gap(frames)
        self._input.write(source.sound if source else silence)
        self._output.write(made.sound if made else silence)
        self._sample += frames
        self._end = number + 1

    def write_events(self, events: list[Event]) -> None:
        """Write the preset at the start, and of all events those of this segment in the order in which they came."""
        own = [event for event in events if self._first <= event.block < self._end]
        starts = [event for event in events if event.name == "start"]
        begun = next((event for event in starts if event in own), starts[-1])
        assert isinstance(begun.value, Preset)
        save(begun.value, self.folder / PRESET)
        lines = self._blocks + self._gaps
        lines += [self._line(event) for event in own if event is not begun or self._sample_of(event.block)]
        lines.sort(key=_when)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        with atomic_write(self.folder / EVENTS) as part:
            part.write_text(text, "utf-8")

    def _note_gap(self, frames: int) -> None:
        last = self._gaps[-1] if self._gaps else None
        if last and last["sample"] + last["frames"] == self._sample:
            last["frames"] += frames
        else:
            self._gaps.append({"sample": self._sample, "event": "gap", "frames": frames})

    def _line(self, event: Event) -> dict[str, object]:
        value: Any = event.value
        if isinstance(value, Preset):
            value = {"name": value.name, "stages": [asdict(stage) for stage in value.stages]}
        line: dict[str, object] = {"sample": self._sample_of(event.block), "event": event.name}
        if event.address:
            line["address"] = event.address
        return line | {"value": value}

    def _sample_of(self, number: int) -> int:
        """Return the sample at which a block begins; the end for one that was not written."""
        for first, sample, frames in reversed(self._runs):
            if number >= first:
                return min(sample + (number - first) * frames, self._sample)
        return 0


@contextmanager
def record_take(session: TakenFrom, show_news: Callable[[str], None], folder: Path) -> Iterator[None]:
    """Record what a session plays into `folder` while the context lasts, from the next block on.

    Its chain plays already, so that sound and preset are kept and no events: a take is not replayed. `show_news` is
    called with what it lacks, if anything.

    Raises:
        RecordError, SoundFileError: it cannot be recorded.
    """
    preset = session.preset
    if not session.playing or not preset:
        raise RecordError("nothing plays")
    recorder = Recorder(folder, session.shared)
    recorder.take(Event(int(session.shared.status["done"]) + 1, "start", value=preset))
    with recorder.writing(session.format):
        yield
    for each in recorder.folders:
        (each / EVENTS).unlink()
    if recorder.trouble:
        show_news(recorder.trouble)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"{folder}: cannot be made: {error.strerror}") from None


def _when(line: dict[str, Any]) -> tuple[int, bool]:
    """Sort key: at one sample, lines about the sound come before events of the player."""
    return line["sample"], line["event"] not in ("block", "gap")
