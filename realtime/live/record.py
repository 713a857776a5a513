"""Recording what is played live, in a way that it can be played again bit for bit (`replay.py`).

A recording is a folder: `input.wav` and `output.wav`, the player's input and output; `preset.toml`, the preset
at its start; `events.jsonl`, a line for everything that happened to the player, with the sample at which it did.
Nothing else decides what a player plays (`player.py`). Where no worker was there to play, `output.wav` is silent and
an event `gap` says so; the dry sound that was played then is in `input.wav`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.presets import Preset, save
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.files import AudioWriter
from gramophone.realtime.live.messages import Event
from gramophone.realtime.live.shared_state import SharedState
from gramophone.realtime.stage import Format

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
        if (folder / EVENTS).exists():
            raise RecordError(f"{folder}: holds a recording already; choose another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordError(f"{folder}: cannot be made: {error.strerror}") from None
        self._folder, self._shared = folder, shared
        self._events: list[Event] = []
        self._blocks: list[dict[str, Any]] = []
        self._gaps: list[dict[str, Any]] = []
        self._runs: list[tuple[int, int, int]] = []
        self._next: int | None = None
        self._ended = threading.Event()
        self._room = self._sample = self._lost = 0

    @property
    def trouble(self) -> str:
        """What the recording lacks, for people; empty if nothing."""
        if self._lost:
            return f"{self._folder}: {self._lost} blocks could not be written in time and are silent"
        if self._sample >= self._room > 0:
            return f"{self._folder}: the files are as long as they can be; what came later is not in them"
        return ""

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
        announced = round((duration_s or 0) * form.rate)
        self._channels = form.channels
        self._room = max(_LONGEST_BYTES // (4 * form.channels), 2 * announced)
        with ExitStack() as files:
            self._input, self._output = (
                files.enter_context(AudioWriter(self._folder / name, form.rate, form.channels, announced))
                for name in (INPUT, OUTPUT)
            )
            thread = threading.Thread(target=self._follow, name="recorder", daemon=True)
            thread.start()
            try:
                yield
            finally:
                self._ended.set()
                thread.join()
                self._write_events()

    def _follow(self) -> None:
        """Write blocks as the worker finishes them."""
        while not self._ended.wait(_LOOK_S):
            self._catch_up()
        self._catch_up()

    def _catch_up(self) -> None:
        if self._next is None:
            starts = [event for event in self._events if event.name == "start"]
            if not starts:
                return
            self._next = starts[0].block
        done = int(self._shared.status["done"])
        while self._next <= done and self._sample < self._room:
            self._write(self._next)
            self._next += 1

    def _write(self, number: int) -> None:
        source, made = self._shared.inputs.read(number), self._shared.outputs.read(number)
        frames = self._runs[-1][2] if self._runs else int(self._shared.status["block"])
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

    def _note_gap(self, frames: int) -> None:
        last = self._gaps[-1] if self._gaps else None
        if last and last["sample"] + last["frames"] == self._sample:
            last["frames"] += frames
        else:
            self._gaps.append({"sample": self._sample, "event": "gap", "frames": frames})

    def _write_events(self) -> None:
        """Write preset and events, those of the player in the order in which they came."""
        starts = [event for event in self._events if event.name == "start"]
        if not starts:
            raise RecordError(f"{self._folder}: nothing was played, so nothing is recorded")
        assert isinstance(starts[0].value, Preset)
        save(starts[0].value, self._folder / PRESET)
        lines = self._blocks + self._gaps + [self._line(event) for event in self._events if event is not starts[0]]
        lines.sort(key=_when)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        with atomic_write(self._folder / EVENTS) as part:
            part.write_text(text, "utf-8")

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


def _when(line: dict[str, Any]) -> tuple[int, bool]:
    """Sort key: at one sample, lines about the sound come before events of the player."""
    return line["sample"], line["event"] not in ("block", "gap")
