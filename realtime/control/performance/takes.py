"""Takes: what was played, recorded while it plays on, listed, rendered again with another preset, put into the bin.

A take is a folder of the user's own, called by its date and time: `input.wav`, `output.wav` and `preset.toml` as a
recording of `gramophone play --record` has them, `take.json` with what is known of it, and `render-<preset>.wav` for
each preset that it was rendered with since. Its chain was not made anew when it began, so it is not replayed.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gramophone.models.parameters import Value
from gramophone.presets import Preset, PresetError, read
from gramophone.presets.atomic import atomic_write
from gramophone.presets.bin import Bin
from gramophone.presets.clips import data_folder
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.osc.address_space import ROOT, AddressSpace
from gramophone.realtime.control.osc.method import OscMethod
from gramophone.realtime.control.performance.commands import CommandMethod, ProgressMethod, WatchedBin
from gramophone.realtime.control.performance.take_render import render_take
from gramophone.realtime.files import AudioReader, SoundFileError
from gramophone.realtime.system.child_call import ChildCallError, call_in_child

INPUT, OUTPUT, PRESET, FACTS, RENDER = "input.wav", "output.wav", "preset.toml", "take.json", "render-"
_NAME = re.compile(r"\d{4}-\d\d-\d\d-\d{6}(-\d+)?")
_SOUND = re.compile(r"(input|output|render-[a-z0-9][a-z0-9-]{0,63})\.wav")
_LOOK_S = 0.5
_SILENT_S = 300.0
"""So long a render may show no progress: a preset may have to compile first."""

StartRecording = Callable[[Path], AbstractContextManager[None]]
"""Records what is played into a folder while its context lasts."""


class TakeError(ValueError):
    """There is no such take, or it cannot be made; the message says why."""


@dataclass(frozen=True)
class Take:
    """A take: its name, preset, length in seconds and rate in Hz; `sounds` are the names of its files."""

    name: str
    preset: str
    seconds: float
    rate: int
    sounds: tuple[str, ...] = ()


def takes_folder() -> Path:
    """Return the folder of the user's takes; it need not be there yet."""
    return data_folder() / "takes"


def take_bin() -> Bin:
    """Return the bin to which removed takes go."""
    return Bin(takes_folder() / "bin")


def takes() -> list[Take]:
    """Return the takes, the newest first."""
    found = (_read(folder) for folder in takes_folder().glob("*") if _NAME.fullmatch(folder.name))
    return sorted((take for take in found if take), key=lambda take: take.name, reverse=True)


def sound_of(name: str, file: str) -> Path | None:
    """Return a sound file of a take; None if there is none of this name."""
    path = takes_folder() / name / file
    return path if _NAME.fullmatch(name) and _SOUND.fullmatch(file) and path.is_file() else None


class Takes:
    """Records takes of a controller's performance by `start`; its address `space` shows what is done.

    Any thread may call, and no call waits but `close`.
    """

    def __init__(self, controller: Controller, space: AddressSpace, start: StartRecording) -> None:
        self.progress = ProgressMethod(f"{ROOT}/takes/status", "takes", space)
        self._controller, self._space, self._start = controller, space, start
        self._lock, self._rendering = threading.Lock(), threading.Lock()
        self._stopped: threading.Event | None = None
        self._recording: threading.Thread | None = None
        self._bin = WatchedBin(take_bin, self._spawn, space.changed)
        space.add(self._methods())
        controller.perform({"record": self._switch})
        self._bin.tidy()

    def remove(self, name: str) -> None:
        """Move a take to the bin beside the others.

        Raises:
            TakeError: there is no such take, or it cannot be moved.
        """
        _demanded(name)
        try:
            take_bin().put(takes_folder() / name)
        except OSError as error:
            raise TakeError(f"take {name}: cannot be moved to the bin: {error.strerror}") from None
        self._bin.tidy()
        self.progress.end(f"{name} is in the bin")

    def render(self, name: str, preset: str) -> None:
        """Render the input of a take with a preset of the library, in a process behind everything that plays.

        Raises:
            TakeError: there is no such take.
            RefusedError, PresetError: there is no such preset.
        """
        take, found = _demanded(name), self._space.library.preset(preset)
        self._spawn(lambda: self._render(take, found))

    def close(self) -> None:
        """End the take that is being recorded."""
        if self._stopped:
            self._stopped.set()
        if self._recording:
            self._recording.join()

    def _methods(self) -> Iterator[OscMethod]:
        root = f"{ROOT}/takes"
        yield self.progress
        yield CommandMethod(f"{root}/remove", "s", "move a take to the bin", self.remove, choices=_names)
        yield CommandMethod(
            f"{root}/render", "ss", "render a take with another preset: take, preset", self.render, choices=_names
        )
        yield from self._bin.methods(root)

    def _switch(self, on: Value) -> None:
        with self._lock:
            if not on and self._stopped:
                self._stopped.set()
            elif on and not self._stopped:
                self._stopped = stopped = threading.Event()
                self._recording = self._spawn(lambda: self._record(stopped))

    def _record(self, stopped: threading.Event) -> None:
        try:
            folder = _new_folder()
            began = time.monotonic()
            with self._start(folder):
                self.progress.show("recording")
                while not stopped.wait(_LOOK_S):
                    self.progress.show(f"recording {_clock(time.monotonic() - began)}")
            take = self._kept(folder)
            self.progress.end(f"recorded {take.name}, {_clock(take.seconds)}")
        except (OSError, ValueError, RuntimeError) as error:
            self.progress.end(f"not recorded: {str(error).replace(str(takes_folder()), 'takes')}")
        finally:
            self._stopped = None
            self._controller.show("record", False)

    def _kept(self, folder: Path) -> Take:
        """Write down what is known of a take that is complete."""
        take = _of_files(folder, self._controller.name)
        if not take:
            raise TakeError("nothing was played")
        with atomic_write(folder / FACTS) as part:
            part.write_text(json.dumps(asdict(take)), "utf-8")
        return take

    def _render(self, take: Take, preset: Preset) -> None:
        what = f"{take.name} with {preset.name}"
        source, target = (takes_folder() / take.name / file for file in (INPUT, f"{RENDER}{preset.name}.wav"))
        with self._rendering:
            self.progress.show(f"rendering {what}", 0.0)
            try:
                call_in_child(
                    render_take,
                    source,
                    target,
                    preset,
                    timeout_s=_SILENT_S,
                    most_bytes=None,
                    progress=lambda share: self.progress.show(f"rendering {what}", share),
                )
            except (ValueError, ChildCallError) as error:
                self.progress.end(f"{what}: {str(error).replace(str(takes_folder()), 'takes')}")
            else:
                self.progress.end(f"rendered {what}")

    def _spawn(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, name="takes", daemon=True)
        thread.start()
        return thread


def _names() -> list[str]:
    return [take.name for take in takes()]


def _demanded(name: str) -> Take:
    found = _read(takes_folder() / name) if _NAME.fullmatch(name) else None
    if not found:
        known = ", ".join(_names()) or "those that were recorded, of which there are none"
        raise TakeError(f"take {name[:80]!r}: expected one of {known}")
    return found


def _read(folder: Path) -> Take | None:
    take: Take | None
    try:
        facts = json.loads((folder / FACTS).read_text("utf-8"))
        take = Take(folder.name, str(facts["preset"]), float(facts["seconds"]), int(facts["rate"]))
    except FileNotFoundError:  # it was recorded when the control process was killed, or is being recorded
        take = _of_files(folder)
    except (OSError, ValueError, KeyError, TypeError):
        take = None
    sounds = sorted(path.name for path in folder.glob("*.wav") if _SOUND.fullmatch(path.name))
    return replace(take, sounds=tuple(sounds)) if take else None


def _of_files(folder: Path, preset: str = "") -> Take | None:
    """Return what the files of a take say of it; None where they are not complete. Without `preset` its own name."""
    try:
        with AudioReader(folder / OUTPUT) as reader:
            seconds = round(reader.frames / reader.rate, 2)
            return Take(folder.name, preset or read(folder / PRESET).title, seconds, reader.rate)
    except (SoundFileError, PresetError):
        return None


def _new_folder() -> Path:
    """Make the folder of a take that begins now."""
    takes_folder().mkdir(parents=True, exist_ok=True)
    name = time.strftime("%Y-%m-%d-%H%M%S")
    for suffix in ("", *(f"-{number}" for number in range(2, 100))):
        try:
            (folder := takes_folder() / f"{name}{suffix}").mkdir()
        except FileExistsError:
            continue
        return folder
    raise TakeError("a hundred takes in one second")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
