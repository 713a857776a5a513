"""What is taken from a session while it plays on: its input for some seconds, and takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from gramophone.presets import Preset
from gramophone.presets.clips import ClipError
from gramophone.realtime.live.messages import Event
from gramophone.realtime.live.record import RecordError, RecordingProcess
from gramophone.realtime.live.shared_state import SharedState
from gramophone.realtime.stage import Audio, Format

_LOOK_S = 0.02
_PATIENCE_LOOKS = 150
"""So often nothing new may be found: a device that gives no block for 3 s is gone."""


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


def capture_input(
    shared: SharedState, seconds: float, stopped: threading.Event, progress: Callable[[float], None]
) -> tuple[Audio, int]:
    """Return the chain's input of the next `seconds`, `(channels, frames)`, and its rate; less if `stopped` is set.

    `progress` is called with the seconds that are there. A block that came and went unseen is silent.

    Raises:
        ClipError: no device is open, or it has gone meanwhile.
    """
    rate = int(shared.status["rate"])
    if not rate:
        raise ClipError("no sound device is open")
    blocks: list[Audio] = []
    number, frames, idle = shared.inputs.newest + 1, 0, 0
    while frames < seconds * rate and not stopped.wait(_LOOK_S):
        idle = 0 if number <= shared.inputs.newest else idle + 1
        if idle > _PATIENCE_LOOKS or int(shared.status["rate"]) not in (0, rate):
            raise ClipError("the sound device has gone")
        for each in range(number, shared.inputs.newest + 1):
            taken = shared.inputs.read(each)
            if taken or blocks:
                blocks.append(taken.sound if taken else np.zeros_like(blocks[-1]))
                frames += blocks[-1].shape[1]
            number = each + 1
        progress(frames / rate)
    if not blocks:
        raise ClipError("nothing was recorded")
    return np.concatenate(blocks, axis=1)[:, : round(seconds * rate)], rate


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
    status, inputs = session.shared.status, session.shared.inputs
    first = int(status["done"]) + 1
    recording = RecordingProcess(folder, session.shared, replayable=False)
    recording.wait_until_ready()
    # In short blocks the rings may not reach back to where it began.
    recording.take(Event(max(first, inputs.newest - inputs.slots // 2), "start", value=preset))
    with recording.writing(session.format):
        yield
    if recording.trouble:
        show_news(recording.trouble)
