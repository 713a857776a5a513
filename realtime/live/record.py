"""Recording what is played live, in a way that it can be played again bit for bit (`replay.py`).

A recording is a folder: `input.wav` and `output.wav`, the player's input and output; `preset.toml`, the preset
at its start; `events.jsonl`, a line for everything that happened to the player, with the sample at which it did.
Nothing else decides what a player plays (`player.py`). Where no worker was there to play, `output.wav` is silent and
an event `gap` says so; the dry sound that was played then is in `input.wav`.

`RecordingProcess` writes in a process of its own, which finishes the files when the control process has gone, however
it went.

A file has one rate. Where a device goes away and comes back at another, the recording goes on in a segment, a folder in
the folder (`take/take-segment-2`) that is a recording by itself.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.presets import Preset, save
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.files import AudioWriter, SoundFileError
from gramophone.realtime.live.messages import Event
from gramophone.realtime.live.shared_state import SharedState, Taken
from gramophone.realtime.stage import Format
from gramophone.realtime.system.process_handle import ChildProcess, Stop
from gramophone.realtime.system.realtime_priority import belong_to_parent

INPUT, OUTPUT, PRESET, EVENTS = "input.wav", "output.wav", "preset.toml", "events.jsonl"
_LOOK_S = 0.02
_LONGEST_BYTES = 3_900_000_000
"""What a WAV file can hold; with a known duration the file may be of a kind that holds more."""


class RecordError(RuntimeError):
    """A recording cannot be made or played again; the message names the folder and what is wrong."""


class Recorder:
    """Writes what a session plays into `folder`: events from the beginning, and sound while `writing`.

    Raises:
        RecordError: the folder cannot be made, or holds a recording.
    """

    def __init__(self, folder: Path, shared: SharedState) -> None:
        _demand_free(folder)
        self._folder, self._shared = folder, shared
        self._events: list[Event] = []
        self._segments: list[_Segment] = []
        self._next: int | None = None
        self._ended = threading.Event()
        self._error: SoundFileError | None = None
        self.catches_up = True
        """Whether the end waits for the last blocks; not where events of theirs may be missing."""

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
                if self._error:
                    raise self._error
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
        try:
            while not self._ended.wait(_LOOK_S):
                self._catch_up()
            if self.catches_up:
                self._catch_up()
        except SoundFileError as error:  # the disk is full
            self._error = error

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


@dataclass(frozen=True)
class _Begin:
    """To the recorder's process: write from now on, as `Recorder.writing`."""

    form: Format
    duration_s: float | None


@dataclass(frozen=True)
class _Finished:
    """From the recorder's process: the files are there; the folders of the segments, and what they lack."""

    folders: list[Path]
    trouble: str


class RecordingProcess:
    """A `Recorder` in a process of its own. If this process is killed, that one finishes the files.

    What is not `replayable` is written without its events.

    Raises:
        RecordError: the folder cannot be made, or holds a recording.
    """

    def __init__(self, folder: Path, shared: SharedState, *, replayable: bool = True) -> None:
        _demand_free(folder)
        self.trouble = ""
        self.folders = [folder]
        self._process = ChildProcess("gramophone recorder", run_recorder, folder, shared, replayable)

    def take(self, event: Event) -> None:
        """Note an event; the first start begins the recording."""
        self._process.send(event)

    def wait_until_ready(self) -> None:
        """Return once the process can write.

        Raises:
            RecordError: it cannot be started.
        """
        self._answer()

    @contextmanager
    def writing(self, form: Format, duration_s: float | None = None) -> Iterator[None]:
        """Write while the `with` block lasts, and the events at its end; raises as `Recorder.writing`."""
        self._process.send(_Begin(form, duration_s))
        try:
            yield
        finally:
            self._process.send(Stop())
            finished = self._answer()
            assert isinstance(finished, _Finished)
            self.folders, self.trouble = finished.folders, finished.trouble

    def _answer(self) -> object:
        try:
            answer = self._process.connection.recv()
        except (EOFError, OSError):
            raise RecordError(f"{self.folders[0]}: the process that records has died") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def run_recorder(folder: Path, shared: SharedState, replayable: bool, control: Connection) -> None:
    """Record what is sent over `control`, until `Stop`, SIGTERM, or until no one is there any more to send it."""
    belong_to_parent(outlives=lambda: True)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: control.close())
    finished: object = None
    with suppress(OSError, EOFError):  # the control process has gone
        try:
            recorder = Recorder(folder, shared)
            control.send(None)
            _record(recorder, control)
            for each in [] if replayable else recorder.folders:
                (each / EVENTS).unlink()
            finished = _Finished(recorder.folders, recorder.trouble)
        except (RecordError, SoundFileError) as error:
            finished = error
        control.send(finished)


def _record(recorder: Recorder, control: Connection) -> None:
    with ExitStack() as writing:
        while True:
            try:
                message = control.recv()
            except (EOFError, OSError):
                recorder.catches_up = False
                return
            match message:
                case Event():
                    recorder.take(message)
                case _Begin(form, duration_s):
                    writing.enter_context(recorder.writing(form, duration_s))
                case Stop():
                    return


def _demand_free(folder: Path) -> None:
    if (folder / EVENTS).exists():
        raise RecordError(f"{folder}: holds a recording already; choose another folder")
    _make(folder)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"{folder}: cannot be made: {error.strerror}") from None


def _when(line: dict[str, Any]) -> tuple[int, bool]:
    """Sort key: at one sample, lines about the sound come before events of the player."""
    return line["sample"], line["event"] not in ("block", "gap")
