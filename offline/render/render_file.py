"""One file through a preset: of its length, rate and channels, aligned to the sample, with its metadata."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gramophone.offline.plotting.picture_file import picture_of
from gramophone.offline.render.provenance import provenance, settings_digest
from gramophone.presets import Preset
from gramophone.realtime.files import AudioReader, AudioWriter, Metadata, Remark, collected_remarks
from gramophone.realtime.stage import Audio

Tick = Callable[[float], None]
"""Called with the seconds of sound done since the last call."""

AUTO = "auto"
_QUIET = 10 ** (-80 / 20)
_QUIET_S = 2.0
"""A tail has ended when nothing above -80 dBFS was heard for so long: echoes come in between."""
_LONGEST_TAIL_S = 60.0


class RenderError(RuntimeError):
    """A file cannot be rendered as the preset says; the message tells why."""


@dataclass(frozen=True)
class RenderRequest:
    """How every file of a run is rendered; travels to the worker processes.

    `tail` is how long to go on behind the input's end, in seconds, or `auto`: until a reverb has died away.
    """

    preset: Preset
    block: int = 16_384
    device: str = "auto"
    picture: bool = False
    tail: str = "0"
    allow_missing: bool = False
    """Whether stages that cannot play may be left out of the sound."""
    keep_format: bool = False
    """Whether a result has its input's container and sample type, not WAV of floats."""

    @property
    def settings(self) -> str:
        """A digest of all that is heard of it."""
        words = ["allow missing"] * self.allow_missing + ["format"] * self.keep_format
        return settings_digest(self.preset, self.tail, words)


@dataclass(frozen=True)
class Rendered:
    """One file done: seconds of sound, what is to be known about it, how it is marked, and the seconds that it took.

    `picture`: whether one lies beside it, where `picture_of` says. `on_others`: what is to be known about other files
    that were read, such as the preset's clips.
    """

    seconds: float
    picture: bool = False
    remarks: tuple[str, ...] = ()
    made: str = ""
    took_s: float = 0.0
    on_others: tuple[Remark, ...] = ()


def render_file(source: Path, target: Path, request: RenderRequest, tick: Tick) -> Rendered:
    """Render one file block by block.

    A recording of `gramophone play` is played again with its own preset, to the samples that were heard.

    Raises:
        SoundFileError: the input cannot be read to its end or the output not be written; no output is left.
        PresetError: the preset does not fit this file's format.
        RenderError: a stage was left out, the file's rate is beyond what stages are made for, or the file was written
            to meanwhile; no output is left.
    """
    began, stamp = time.monotonic(), _stamp(source)
    made = str(provenance(source, request.settings))
    with collected_remarks(of_all_threads=True) as remarks:
        done = (
            _replay(source, target, made, tick)
            if source.is_dir()
            else _through_chain(source, target, request, made, tick, stamp)
        )
    ours = (str(source), str(target))
    own = tuple(text for path, text in remarks if path in ours)
    others = tuple(remark for remark in remarks if remark[0] not in ours)
    return replace(done, remarks=(*own, *done.remarks), made=made, took_s=time.monotonic() - began, on_others=others)


_Stamp = tuple[int, int, int]
"""What tells a file from another, and from itself once it was written to: its number, size, and time of change."""


def _stamp(source: Path) -> _Stamp | None:
    """Return a file's stamp; None if it is gone, which costs those nothing who have it open."""
    try:
        found = source.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _demand_unchanged(source: Path, before: _Stamp | None) -> None:
    if _stamp(source) not in (None, before):
        raise RenderError(f"{source}: changed while it was read; render it again when nothing writes it any more")


def _through_chain(
    source: Path, target: Path, request: RenderRequest, made: str, tick: Tick, stamp: _Stamp | None
) -> Rendered:
    from gramophone.realtime.engine import Engine

    with AudioReader(source) as reader:
        demand_rate(source, reader.rate)
        metadata = reader.metadata
        engine = Engine(request.preset, reader.rate, reader.channels, request.device)
        try:
            tail = _Tail(request.tail, reader.rate)
            frames = reader.frames + tail.longest
            like = reader.subtype if request.keep_format else ""
            with AudioWriter(target, reader.rate, reader.channels, frames, metadata.made_by(made), like) as writer:
                sound = engine.aligned(_followed(reader, request.block, tail.longest))
                for block in tail.trimmed(sound, reader.frames):
                    _demand_all(engine.chain.status, request)
                    writer.write(block)
                    tick(block.shape[1] / reader.rate)
                _demand_all(engine.chain.status, request)
                _demand_unchanged(source, stamp)
            if request.picture:
                from gramophone.offline.plotting.spectrograms import draw_render

                draw_render(source, target, engine.preset, picture_of(target), made)
            report = engine.report()
            return Rendered(reader.frames / reader.rate, request.picture, report.remarks)
        finally:
            engine.close()


def demand_rate(source: Path, rate: int) -> None:
    """Refuse a file's rate that stages are not made for.

    Raises:
        RenderError: it is too low or too high.
    """
    from gramophone.realtime.engine import RATES

    if rate not in RATES:
        raise RenderError(f"{source}: a rate of {rate} Hz; expected {RATES.start} to {RATES.stop - 1} Hz")


def parse_tail(text: str) -> str:
    """Return a tail as `RenderRequest` takes it.

    Raises:
        ValueError: it is neither `auto` nor seconds from 0 to 3600.
    """
    if text == AUTO:
        return AUTO
    seconds = float(text)
    if not 0 <= seconds <= 3600:
        raise ValueError(text)
    return f"{seconds:g}"


class _Tail:
    """What comes behind the end of the input: `longest` frames at most."""

    def __init__(self, tail: str, rate: int) -> None:
        self._auto = tail == AUTO
        self._quiet_frames = round(_QUIET_S * rate)
        self.longest = round((_LONGEST_TAIL_S if self._auto else float(tail)) * rate)

    def trimmed(self, sound: Iterator[Audio], frames: int) -> Iterator[Audio]:
        """Yield blocks; with `auto`, those behind the first `frames` only to the last sample before a long pause."""
        if not self._auto:
            yield from sound
            return
        held: list[Audio] = []
        done, sent, end = 0, 0, frames
        for block in sound:
            loud = done + np.flatnonzero(np.abs(block).max(axis=0, initial=0) > _QUIET)
            ends = np.concatenate(([end], loud[loud >= frames] + 1))
            pauses = np.flatnonzero(np.diff(ends) > self._quiet_frames)
            end = int(ends[pauses[0] if pauses.size else -1])
            done += block.shape[1]
            held.append(block)
            if (heard := min(end, done) - sent) > 0:
                waiting = np.concatenate(held, axis=1)
                yield waiting[:, :heard]
                held, sent = [waiting[:, heard:]], sent + heard
            if pauses.size or done - end >= self._quiet_frames:
                return


def _followed(reader: AudioReader, block: int, tail: int) -> Iterator[Audio]:
    """Yield a file's blocks, and silence behind them."""
    yield from reader.blocks(block)
    for start in range(0, tail, block):
        yield np.zeros((reader.channels, min(block, tail - start)), np.float32)


def _demand_all(left_out: dict[str, str], request: RenderRequest) -> None:
    if left_out and not request.allow_missing:
        stages = "; ".join(f"stage {name!r} was left out: {why}" for name, why in left_out.items())
        raise RenderError(f"{stages} (--allow-missing renders without it)")


def _replay(recording: Path, target: Path, made: str, tick: Tick) -> Rendered:
    from gramophone.realtime.live.record import INPUT
    from gramophone.realtime.live.replay import replayed

    with AudioReader(recording / INPUT) as reader:
        rate, channels, frames = reader.rate, reader.channels, reader.frames
    with AudioWriter(target, rate, channels, frames, Metadata(software=made)) as writer:
        for block in replayed(recording):
            writer.write(block)
            tick(block.shape[1] / rate)
    return Rendered(frames / rate)
