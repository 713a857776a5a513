"""`gramophone render`: files through a preset, several at once, each one whole or not at all."""

from __future__ import annotations

import glob
import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gramophone.offline.extras import need
from gramophone.presets import Preset
from gramophone.realtime.files import EXTENSIONS, AudioReader, AudioWriter, SoundFileError
from gramophone.realtime.live.replay import is_recording

Tick = Callable[[float], None]
"""Called with the seconds of sound done since the last call."""


@dataclass(frozen=True)
class RenderPlan:
    """What to do with every input: `render` into a target; `done` before; `failed` already, with the reason."""

    render: tuple[tuple[Path, Path], ...]
    done: tuple[Path, ...]
    failed: dict[Path, str]


@dataclass
class Outcome:
    """What became of the inputs. `warnings` are about files that were rendered all the same."""

    rendered: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)
    warnings: dict[Path, str] = field(default_factory=dict)
    seconds: float = 0.0
    """Sound rendered."""


@dataclass(frozen=True)
class RenderRequest:
    """How every file of a run is rendered; travels to the worker processes."""

    preset: Preset
    block: int = 4096
    device: str = "auto"
    picture: bool = False


def find_inputs(names: Iterable[str]) -> tuple[list[Path], dict[Path, str]]:
    """Return the sound files that `names` (files, folders, globs) stand for, each once, and the names in vain with why.

    A file named outright is taken whatever its ending; folders are searched to the bottom, but for one that
    `gramophone play --record` made: that is one input, to be played again.
    """
    found: dict[Path, Path] = {}
    failed: dict[Path, str] = {}
    for name in names:
        path = Path(name)
        # Path.glob knows no absolute patterns.
        matches = [path] if path.exists() else map(Path, sorted(glob.glob(name, recursive=True)))  # noqa: PTH207
        files = [file for match in matches for file in _sounds(match)]
        if not files:
            failed[path] = f"no sound file there; expected a file, folder or pattern of {', '.join(EXTENSIONS)}"
        for file in files:
            found.setdefault(file.resolve(), file)
    return list(found.values()), failed


def plan(inputs: Sequence[Path], out: Path, *, suffix: str | None = ".wav", overwrite: bool = False) -> RenderPlan:
    """Decide the target `out/<stem><suffix>` of every input (`suffix=None`: the input's own ending).

    Inputs that would become one file are refused, every one of them: whichever were taken, the other would be lost.
    """
    targets: dict[Path, list[Path]] = defaultdict(list)
    for path in inputs:
        ending = ".wav" if path.is_dir() else suffix or path.suffix.lower()
        targets[out / (path.stem + ending)].append(path)
    render: list[tuple[Path, Path]] = []
    done: list[Path] = []
    failed: dict[Path, str] = {}
    for target, sources in targets.items():
        if len(sources) > 1:
            both = " and ".join(map(str, sources))
            failed |= dict.fromkeys(sources, f"{both} would both become {target}; rename one or use two folders")
        elif target.resolve() == sources[0].resolve():
            failed[sources[0]] = f"{target} is the input itself; choose another --out"
        elif target.suffix not in EXTENSIONS:
            failed[sources[0]] = f"{target}: cannot write {target.suffix!r}; expected {', '.join(EXTENSIONS)}"
        elif target.exists() and not overwrite:
            done.append(sources[0])
        else:
            render.append((sources[0], target))
    return RenderPlan(tuple(render), tuple(done), failed)


def announced_seconds(work: RenderPlan) -> float:
    """Return how much sound the headers of the files to render announce, in s; those that cannot be read count 0."""
    total = 0.0
    for source, _ in work.render:
        with suppress(SoundFileError), AudioReader(source) as reader:
            total += reader.frames / reader.rate
    return total


def render_all(work: RenderPlan, request: RenderRequest, jobs: int, tick: Tick) -> Outcome:
    """Render every file of `work` with `jobs` processes; what fails is named in the outcome and the others go on.

    KeyboardInterrupt ends the workers and leaves no part of a file behind.

    Raises:
        MissingLibraryError: pictures are wanted, and matplotlib is not installed.
    """
    if request.picture:
        need("matplotlib")
    outcome = Outcome(skipped=list(work.done), failed=dict(work.failed))
    results = (
        _in_turn(work, request, tick) if jobs == 1 or len(work.render) < 2 else _side_by_side(work, request, jobs, tick)
    )
    for source, target, result in results:
        if isinstance(result, Exception):
            outcome.failed[source] = str(result) or type(result).__name__
        else:
            outcome.rendered.append(target)
            outcome.seconds += result.seconds
            if result.non_finite:
                outcome.warnings[source] = f"{result.non_finite} samples were NaN or infinite and were taken as silence"
    return outcome


@dataclass(frozen=True)
class Rendered:
    """One file done."""

    seconds: float
    non_finite: int


def render_file(source: Path, target: Path, request: RenderRequest, tick: Tick) -> Rendered:
    """Render one file block by block: of its length, rate and channels, lined up to the sample.

    A recording of `gramophone play` is played again with its own preset, to the samples that were heard.

    Raises:
        SoundFileError: the input cannot be read to its end or the output not be written; no output is left.
        PresetError: the preset does not fit this file's format.
    """
    if source.is_dir():
        return _replay(source, target, tick)

    from gramophone.realtime.engine import Engine

    with AudioReader(source) as reader:
        engine = Engine(request.preset, reader.rate, reader.channels, request.device)
        try:
            with AudioWriter(target, reader.rate, reader.channels, reader.frames) as writer:
                for block in engine.aligned(reader.blocks(request.block)):
                    writer.write(block)
                    tick(block.shape[1] / reader.rate)
            if request.picture:
                from gramophone.offline.plotting.spectrograms import draw_render

                draw_render(source, target, engine.preset, target.with_suffix(".png"))
            return Rendered(reader.frames / reader.rate, engine.report().non_finite)
        finally:
            engine.close()


def _replay(recording: Path, target: Path, tick: Tick) -> Rendered:
    from gramophone.realtime.live.replay import replay

    replay(recording, target)
    with AudioReader(target) as reader:
        seconds = reader.frames / reader.rate
    tick(seconds)
    return Rendered(seconds, 0)


_Result = tuple[Path, Path, Rendered | Exception]


def _in_turn(work: RenderPlan, request: RenderRequest, tick: Tick) -> Iterator[_Result]:
    for source, target in work.render:
        try:
            yield source, target, render_file(source, target, request, tick)
        except Exception as error:  # one bad file must not cost the others
            yield source, target, error


def _side_by_side(work: RenderPlan, request: RenderRequest, jobs: int, tick: Tick) -> Iterator[_Result]:
    # spawn: a fork would copy the parent's threads' locks; macOS and Windows spawn anyway.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(work.render)), context, initializer=_start_worker)
    futures: dict[Future[Rendered], tuple[Path, Path]] = {}
    try:
        # The longest first, so that no worker is left alone with a long file at the end.
        for source, target in sorted(work.render, key=lambda pair: -_size(pair[0])):
            futures[pool.submit(_render_in_worker, source, target, request)] = (source, target)
        for future in as_completed(futures):
            source, target = futures[future]
            error = future.exception()
            if error is None:
                tick(future.result().seconds)
                yield source, target, future.result()
            else:
                yield source, target, error if isinstance(error, Exception) else RuntimeError(str(error))
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    import signal

    import torch

    torch.set_num_threads(1)  # one process a core: more threads only get in each other's way
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the workers
    signal.signal(signal.SIGTERM, _end_worker)


def _end_worker(*_: object) -> None:
    raise SystemExit(1)  # unwinds the open Writer, which removes its part


def _render_in_worker(source: Path, target: Path, request: RenderRequest) -> Rendered:
    return render_file(source, target, request, lambda seconds: None)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _sounds(path: Path) -> list[Path]:
    if is_recording(path):
        return [path]
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.suffix.lower() in EXTENSIONS and file.is_file())
    return [path]
