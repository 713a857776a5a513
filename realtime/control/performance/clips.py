"""The user's own clips while it plays: uploaded, recorded from the input, cut, named, learned by a stage, removed.

What takes time happens in threads of its own; how it goes is shown by `progress`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from gramophone.models.parameters import ParameterError, Value
from gramophone.presets.atomic import create_part
from gramophone.presets.clips import (
    ClipError,
    OwnClip,
    clip_bin,
    clip_called,
    clip_name,
    clips_folder,
    demand_clip,
    discard,
    keep_clip,
    own_clips,
    remove_clip,
    rename_clip,
    shown_name,
)
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.osc.address_space import ROOT, AddressSpace
from gramophone.realtime.control.osc.method import OscMethod
from gramophone.realtime.control.performance.actions import clip_addresses
from gramophone.realtime.control.performance.clip_import import import_clip
from gramophone.realtime.control.performance.commands import CommandMethod, ProgressMethod, WatchedBin
from gramophone.realtime.files import AudioWriter, SoundFileError
from gramophone.realtime.stage import Audio
from gramophone.realtime.system.child_call import ChildCallError, call_in_child

LONGEST_RECORDING_S = 60.0
_USUAL_RECORDING_S = 20.0
_IMPORT_S = 60.0

Capture = Callable[[float, threading.Event, Callable[[float], None]], tuple[Audio, int]]
"""Returns the input of so many seconds, or until the event is set, with its rate; calls back with the seconds done."""


class OwnClips:
    """The user's own clips, for the stages of a controller, whose address `space` shows what is done with them.

    With `capture` they can be recorded. Any thread may call, and no call waits but `close`.
    """

    def __init__(self, controller: Controller, space: AddressSpace, capture: Capture | None = None) -> None:
        self.progress = ProgressMethod(f"{ROOT}/sounds/status", "clips", space)
        self._controller, self._space, self._capture = controller, space, capture
        self._work = ThreadPoolExecutor(2, "clips")
        self._work.submit(lambda: None)  # so that its threads are not those of a caller with real-time priority
        self._stopped: threading.Event | None = None
        self._learning: dict[str, str] = {}
        self._end = controller.listen(self._note_value)
        self._bin = WatchedBin(clip_bin, self._later, space.changed)
        space.add(self._methods())
        self._bin.tidy()

    @property
    def names(self) -> list[str]:
        """The clips by name."""
        return list(own_clips())

    def new_part(self) -> Path:
        """Return an empty new file for an upload, which `add` takes.

        Raises:
            ClipError: the folder of the clips cannot be written.
        """
        try:
            clips_folder().mkdir(parents=True, exist_ok=True)
            return create_part(clips_folder() / "upload")
        except OSError as error:
            raise ClipError(f"the folder of the clips cannot be written: {error.strerror}") from None

    def add(self, part: Path, name: str, start_s: float = 0.0, end_s: float | None = None) -> Future[OwnClip]:
        """Make a clip of a file, or of a stretch of it; the file is removed. The future raises `ClipError`."""
        return self._work.submit(self._add, part, name, start_s, end_s)

    def record(self, name: str = "", seconds: float = _USUAL_RECORDING_S) -> None:
        """Record the input as a clip; `stop` ends it before its time.

        Raises:
            ClipError: it is being recorded already, the time is out of range, or the name is none.
        """
        if not self._capture:
            raise ClipError("nothing can be recorded here")
        if not 1 <= seconds <= LONGEST_RECORDING_S:
            raise ClipError(f"{seconds:g} s: expected 1 to {LONGEST_RECORDING_S:g} s")
        name = clip_name(name) if name else "recording"
        if self._stopped:
            raise ClipError("a clip is being recorded already")
        self._stopped = threading.Event()
        self.progress.show(f"recording {name}", 0.0)
        self._work.submit(self._record, name, seconds, self._stopped)

    def stop(self) -> None:
        """End the recording; what there is of it becomes the clip."""
        if self._stopped:
            self._stopped.set()

    def trim(self, name: str, start_s: float, end_s: float) -> None:
        """Cut a clip to a stretch of it; the whole goes to the bin.

        Raises:
            ClipError: there is no such clip, or the stretch is not within it.
        """
        clip = demand_clip(name)
        if not 0 <= start_s < end_s <= clip.seconds + 0.01:
            raise ClipError(f"{start_s:g} to {end_s:g} s: expected a stretch of {clip.seconds:g} s")
        self._work.submit(self._trim, clip, start_s, end_s)

    def rename(self, name: str, wanted: str) -> None:
        """Call a clip otherwise.

        Raises:
            ClipError: there is no such clip, or no name can be made of `wanted`.
        """
        self.progress.end(f"{name} is called {rename_clip(name, wanted).name}")

    def remove(self, name: str) -> None:
        """Move a clip to the bin.

        Raises:
            ClipError: there is no such clip.
        """
        remove_clip(name)
        self._bin.tidy()
        self.progress.end(f"{name} is in the bin")

    def learned(self, stage: str) -> None:
        """Take note that a stage has begun to play what it has made of its clips."""
        self._later(lambda: self._show_learned(stage))

    def remarked(self, text: str) -> bool:
        """Take note of a sentence of a stage; return whether it is about a clip that is being learned."""
        for stage, name in self._learning.items():
            clip = clip_called(name)
            file = clip.file.name if clip else name
            if file in text:
                remark = text[text.index(file) + len(file) :].lstrip(": ")
                self.progress.end(f"{stage}: {name}: {remark}")
                return True
        return False

    def close(self) -> None:
        """End a recording, and finish what is being stored."""
        self.stop()
        self._end()
        self._work.shutdown()

    def _methods(self) -> Iterator[OscMethod]:
        """Yield the OSC methods below `/gramophone/sounds`."""
        root = f"{ROOT}/sounds"
        yield self.progress
        yield CommandMethod(
            f"{root}/record", "sf", "record the input as a clip: name, and seconds (20)", self.record, least=0
        )
        yield CommandMethod(f"{root}/stop", "", "end the recording of a clip", self.stop)
        yield CommandMethod(f"{root}/trim", "sff", "cut a clip: name, from, to, in s", self.trim, choices=self._choices)
        yield CommandMethod(f"{root}/rename", "ss", "call a clip otherwise", self.rename, choices=self._choices)
        yield CommandMethod(f"{root}/remove", "s", "move a clip to the bin", self.remove, choices=self._choices)

        yield from self._bin.methods(root)

    def _later(self, work: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # closed meanwhile: the next session does it
            self._work.submit(work)

    def _show_learned(self, stage: str) -> None:
        # The worker may have learned a clip before the controller has called its listeners with the value. Reading the
        # controller waits until it has, which the thread that brings the worker's messages must not do.
        _ = self._controller.preset
        if name := self._learning.pop(stage, ""):
            self.progress.show(f"{stage} plays {name}", 1.0)

    def _choices(self) -> list[str]:
        return self.names

    def _add(self, part: Path, name: str, start_s: float, end_s: float | None) -> OwnClip:
        try:
            self.progress.show(f"reading {name}")
            clip = keep_clip(call_in_child(import_clip, part, clip_name(name), start_s, end_s, timeout_s=_IMPORT_S))
        except (ValueError, ChildCallError) as error:
            self.progress.end(f"{name}: {error}")
            raise ClipError(str(error)) from None
        finally:
            with suppress(OSError):
                part.unlink()
        self.progress.end(f"{clip.name}: {clip.seconds:.1f} s" + "".join(f"; {warning}" for warning in clip.warnings))
        return clip

    def _record(self, name: str, seconds: float, stopped: threading.Event) -> None:
        assert self._capture
        try:
            sound, rate = self._capture(
                seconds, stopped, lambda done: self.progress.show(f"recording {name}", min(done / seconds, 1.0))
            )
            clips_folder().mkdir(parents=True, exist_ok=True)
            part = clips_folder() / f".{token_hex(4)}.wav"
            with AudioWriter(part, rate, len(sound)) as out:
                out.write(sound)
        except (ValueError, OSError, SoundFileError) as error:
            self.progress.end(f"{name} is not recorded: {error}")
            return
        finally:
            self._stopped = None
        with suppress(ClipError):  # the status says so
            self._add(part, name, 0.0, None)

    def _trim(self, clip: OwnClip, start_s: float, end_s: float) -> None:
        try:
            self.progress.show(f"cutting {clip.name}")
            cut = call_in_child(import_clip, clip.file, clip.name, start_s, end_s, timeout_s=_IMPORT_S)
            if cut.key != clip.key:
                self._replace(clip, cut)
        except (ValueError, ChildCallError) as error:
            self.progress.end(f"{clip.name}: {error}")
            return
        self.progress.end(f"{clip.name}: {cut.seconds:.1f} s" + "".join(f"; {warning}" for warning in cut.warnings))

    def _replace(self, clip: OwnClip, cut: OwnClip) -> None:
        """Put a clip in the place of another, in what plays too."""
        playing = [address for address in clip_addresses(self._controller.parameters) if self._plays(address, clip)]
        keep_clip(cut, instead=clip)
        discard(clip)
        self._bin.tidy()
        with suppress(ParameterError):  # another preset has come since
            self._controller.set_many({address: str(cut.file) for address in playing})

    def _plays(self, address: str, clip: OwnClip) -> bool:
        return self._controller.get(address) == str(clip.file)

    def _note_value(self, address: str, value: Value) -> None:
        if isinstance(value, str) and value and address in clip_addresses(self._controller.parameters):
            stage = address.partition(".")[0]
            self._learning[stage] = shown_name(value)
            self.progress.show(f"{stage} is learning {self._learning[stage]}")
