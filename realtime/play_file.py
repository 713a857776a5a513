"""`gramophone play --audio file`: the engine fed from a file, block by block, as a sound card would feed it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np

from gramophone.presets import Preset
from gramophone.realtime.engine import Engine, EngineReport
from gramophone.realtime.files import AudioReader, AudioWriter, publish_remarks
from gramophone.realtime.stage import Audio

Show = Callable[[dict[str, object]], None]


def play_file(
    preset: Preset,
    source: Path,
    target: Path | None,
    block: int,
    show: Show,
    *,
    duration: float | None = None,
    device: str = "auto",
) -> None:
    """Play `source` through `preset` in blocks of `block` frames, as fast as it goes; repeat it to fill `duration` s.

    What would leave the loudspeaker, latency and all, is written to `target` where one is given. `show` gets one
    report for each second of sound.

    Raises:
        SoundFileError: the source cannot be read or the target not be written.
        PresetError: the preset does not fit.
    """
    with ExitStack() as stack:
        reader = stack.enter_context(AudioReader(source))
        rate, channels = reader.rate, reader.channels
        frames = reader.frames if duration is None else round(duration * rate)
        engine = Engine(preset, rate, channels, device)
        stack.callback(engine.close)
        writer = stack.enter_context(AudioWriter(target, rate, channels, frames)) if target else None
        shown = played = 0
        for sound in _looped(source, block, frames):
            output = engine.process(sound)
            if writer:
                writer.write(output)
            played += sound.shape[1]
            if played // rate > shown or played == frames:
                shown = played // rate
                report = engine.report()
                show({"time_s": round(played / rate, 3), **as_json(report)})
                if played == frames:
                    publish_remarks((str(source), remark) for remark in report.remarks)


def as_json(report: EngineReport) -> dict[str, object]:
    """Return a report as plain numbers by name. A file never runs dry, so `underruns` is 0."""
    plain = asdict(report)
    return {**plain, "input": report.input.as_dict(), "output": report.output.as_dict(), "underruns": 0}


def _looped(source: Path, block: int, frames: int) -> Iterator[Audio]:
    """Yield `frames` frames of `source`, from its start again when it ends, in blocks of `block` (the last shorter)."""
    held: list[Audio] = []
    waiting, left = 0, frames
    while left:
        with AudioReader(source) as reader:
            for piece in reader.blocks(block):
                held.append(piece)
                waiting += piece.shape[1]
                while waiting >= min(block, left) and left:
                    joined = np.concatenate(held, axis=1)
                    size = min(block, left)
                    yield np.ascontiguousarray(joined[:, :size])
                    held, waiting, left = [joined[:, size:]], waiting - size, left - size
