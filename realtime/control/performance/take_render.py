"""A take rendered with a preset, aligned to the sample, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from gramophone.presets import Preset
from gramophone.realtime.files import AudioReader, AudioWriter, SoundFileError
from gramophone.realtime.parameter_table import complete

_BLOCK = 4096
_SHOW_S = 0.1


def render_take(source: Path, target: Path, preset: Preset, progress: Callable[[float], None]) -> None:
    """Render `source` through `preset` into `target`, a WAV of its length; `progress` is called with the share done.

    It takes one core, so that what plays has the others.

    Raises:
        ValueError: the input cannot be read, the output not be written, or the preset not be played.
    """
    from gramophone.realtime.engine import Engine
    from gramophone.realtime.stages.one_thread import keep_torch_to_one_thread

    keep_torch_to_one_thread()
    shown_s = 0.0
    try:
        with (
            AudioReader(source) as reader,
            AudioWriter(target, reader.rate, reader.channels, reader.frames) as out,
        ):
            engine = Engine(complete(preset), reader.rate, reader.channels, "cpu")
            done = 0
            for block in engine.aligned(reader.blocks(_BLOCK)):
                out.write(block)
                done += block.shape[1]
                if time.monotonic() - shown_s > _SHOW_S:
                    shown_s = time.monotonic()
                    progress(done / reader.frames)
            engine.close()
    except SoundFileError as error:
        raise ValueError(str(error)) from None
