"""Replaying a live recording: the same preset, sound and events make the same samples, bit for bit."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gramophone.models.parameters import lookup
from gramophone.presets import Preset, StageSettings, load
from gramophone.realtime.chain import Chain
from gramophone.realtime.files import AudioReader, AudioWriter
from gramophone.realtime.live.player import Player
from gramophone.realtime.live.record import EVENTS, INPUT, PRESET, RecordError
from gramophone.realtime.parameter_table import complete
from gramophone.realtime.stage import Audio, Format
from gramophone.realtime.switches import SWITCHES


def is_recording(folder: Path) -> bool:
    """Return whether `folder` is what `gramophone play --record` makes."""
    return (folder / EVENTS).is_file() and (folder / INPUT).is_file()


def segments_of(recording: Path) -> list[Path]:
    """Return the folders of a recording: itself, and those of the rates that the device came back at, in order."""
    later = {
        int(path.name.rpartition("-")[2]): path for path in recording.glob("*-segment-[0-9]*") if is_recording(path)
    }
    return [recording, *(later[number] for number in sorted(later))]


def replay(folder: Path, target: Path, device: str = "cpu") -> None:
    """Play the recording in `folder` again, into the sound file `target`: the samples of its `output.wav`.

    Raises:
        RecordError: the folder is no recording.
        SoundFileError: a file cannot be read or written.
        PresetError: a preset in it cannot be played here.
    """
    with (
        AudioReader(_checked(folder) / INPUT) as source,
        AudioWriter(target, source.rate, source.channels, source.frames) as out,
    ):
        for block in replayed(folder, device):
            out.write(block)


def replayed(folder: Path, device: str = "cpu") -> Iterator[Audio]:
    """Yield the recording's output block by block, `(channels, frames)`, as it was played.

    Raises:
        As `replay`.
    """
    events = deque(_read_events(_checked(folder)))
    with AudioReader(folder / INPUT) as source, _one_thread():
        form = Format(source.rate, source.channels, device)
        replayer = _Replayer(complete(load(folder / PRESET)), form)
        sound = _Cutter(source)
        sample = 0
        while sample < source.frames:
            while events and events[0]["sample"] <= sample:
                replayer.apply(events.popleft())
            block = sound.take(min(replayer.block, source.frames - sample))
            yield replayer.process(block)
            sample += block.shape[1]
        replayer.player.close()


class _Replayer:
    """A player to which the recorded events happen replay."""

    def __init__(self, preset: Preset, form: Format) -> None:
        self.block = 0
        self._form = form
        self.player = self._play(preset)
        self._gap = 0
        self._fresh: Chain | None = None

    def apply(self, line: dict[str, Any]) -> None:
        """Apply a line of the events file."""
        player = self.player
        value: Any = line.get("value")
        match line["event"]:
            case "block":
                self.block = line["frames"]
            case "gap":
                self._gap += line["frames"]
            case "start":
                player.close()
                self.player = self._play(_preset(value))
            case "set":
                player.set(line["address"], lookup(player.parameters, line["address"]).check(value))
            case "change":
                player.change(self._prepare(_preset(value)))
            case name if name in SWITCHES:
                if SWITCHES[name].momentary:
                    self._fresh = self._prepare(player.engine.preset)
                player.switch(name, value)
            case "refresh":
                player.refresh(self._fresh if value else None)
            case "take":
                player.engine.chain.take(line["address"], value)
            case unknown:
                raise RecordError(f"event {unknown!r}: not known to this version")

    def process(self, block: Audio) -> Audio:
        """Return the output for `block`, `(channels, frames)`; silence where no worker played."""
        if self._gap:
            self._gap -= block.shape[1]
            return np.zeros_like(block)
        return self.player.process(block)

    def _play(self, preset: Preset) -> Player:
        player = Player(preset, self._form)
        player.engine.chain.hold()
        return player

    def _prepare(self, preset: Preset) -> Chain:
        """Return a chain that takes over what it makes ready in the background only when it did so before."""
        chain = self.player.prepare(preset)
        chain.hold()
        return chain


class _Cutter:
    """A sound file in pieces of any length."""

    def __init__(self, source: AudioReader) -> None:
        self._pieces = source.blocks(1 << 16)
        self._held = np.zeros((source.channels, 0), np.float32)

    def take(self, frames: int) -> Audio:
        """Return the next `frames` samples, an array of its own."""
        while self._held.shape[1] < frames:
            self._held = np.concatenate((self._held, next(self._pieces)), axis=1)
        taken, self._held = self._held[:, :frames].copy(), self._held[:, frames:]
        return taken


def _checked(folder: Path) -> Path:
    if not is_recording(folder):
        raise RecordError(f"{folder}: not a recording; expected {INPUT} and {EVENTS} in it")
    return folder


def _read_events(folder: Path) -> list[dict[str, Any]]:
    path = folder / EVENTS
    try:
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except ValueError as error:
        raise RecordError(f"{path}: not a list of events: {error}") from None


def _preset(value: Any) -> Preset:
    stages = tuple(StageSettings(stage["name"], stage["kind"], stage["values"]) for stage in value["stages"])
    return complete(Preset(value["name"], stages))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch sum in the order in which the worker, with its one thread, sums."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
