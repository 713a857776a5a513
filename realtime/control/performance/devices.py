"""The devices that it plays on, chosen while it plays: audio device, block, MIDI inputs; and what that costs.

Which devices there are is looked up in a process of its own when it is asked for: drivers may take seconds, or crash.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from gramophone.realtime.control.osc.address_space import ROOT, AddressSpace
from gramophone.realtime.control.osc.method import OscMethod
from gramophone.realtime.control.osc.parameter_methods import ReadOnlyMethod
from gramophone.realtime.control.performance.commands import CommandMethod, TextMethod

OWN, AUTO, ALL, NONE = "own", "auto", "all", "none"
_BLOCKS = (OWN, *(str(16 << power) for power in range(9)))
_SPARES = (AUTO, *map(str, range(17)))


class Rig(Protocol):
    """What it is played on: the session, as this file sees it. Only `find` and `measure` take long."""

    def now(self) -> tuple[str, int | None, int | None]:
        """Return the audio device as it is chosen, block and spare blocks; None is the device's own, or automatic."""

    def use(self, choice: str, block: int | None, spare: int | None) -> None:
        """Go over to another device, block or number of spare blocks."""

    def find(self) -> Sequence[tuple[str, str]]:
        """Return the choices of audio devices, each with its name for people."""

    def device(self) -> str:
        """Return the name of the device that is open, with its rate."""

    def parts_ms(self) -> Mapping[str, float]:
        """Return the parts of the latency and their `sum`."""

    def choices(self) -> Mapping[str, tuple[int, int | None, float]]:
        """Return the choices between quality and delay: block, spare blocks and the latency in ms, by name."""

    def measure(self) -> tuple[float, str]:
        """Return the way from mouth to ear in ms, -1 where it cannot be measured, and a sentence about it."""


class MidiInputs(Protocol):
    """The MIDI inputs."""

    @property
    def present(self) -> tuple[str, ...]:
        """The names of all that there are."""

    def choose(self, names: Sequence[str] | None) -> None:
        """Open those of these names from now on; None opens all."""


class Devices:
    """The choice of devices at `/gramophone/device`. Any thread may call, and no call waits."""

    def __init__(self, rig: Rig, space: AddressSpace) -> None:
        self._rig, self._space = rig, space
        self._found: tuple[tuple[str, str], ...] = ()
        self._midi: MidiInputs | None = None
        self._midi_chosen = ALL
        self._measured: tuple[float, str] = (-1.0, "")
        self._busy = threading.Lock()
        self.status = ""
        space.add(self._methods())

    def serve_midi(self, midi: MidiInputs, names: Sequence[str] | None) -> None:
        """Let the MIDI inputs be chosen; `names` are those open now, None for all."""
        self._midi, self._midi_chosen = midi, ", ".join(names) if names else ALL
        now = f"{ROOT}/device/midi"
        self._space.add(
            [TextMethod(now, "the MIDI input that is open", lambda: self._midi_chosen, self._choose_midi, self._midis)]
        )

    def scan(self) -> None:
        """Look for devices, in a thread of its own; then there are other choices."""
        self._in_background("looking for devices", self._scan)

    def measure(self) -> None:
        """Measure the way from mouth to ear, in a thread of its own; the sound stops for three seconds at most."""
        self._in_background("measuring: three clicks", self._measure)

    def show(self, status: str) -> None:
        """Show a sentence about the devices."""
        self.status = status
        self._space.changed()

    def _methods(self) -> Iterator[OscMethod]:
        root, rig = f"{ROOT}/device", self._rig
        yield TextMethod(
            f"{root}/audio", "the audio system and device", lambda: rig.now()[0], self._choose_audio, self._audios
        )
        yield TextMethod(
            f"{root}/block",
            "frames per block",
            lambda: str(rig.now()[1] or OWN),
            self._choose_block,
            lambda: list(_BLOCKS),
        )
        yield TextMethod(
            f"{root}/spare",
            "extra blocks against stalls",
            lambda: _spare_text(rig.now()[2]),
            self._choose_spare,
            lambda: list(_SPARES),
        )
        yield TextMethod(
            f"{root}/quality",
            "quality or delay: the shorter the delay, the sooner there are drop-outs",
            self._quality,
            self._choose_quality,
            lambda: [*rig.choices(), OWN],
        )
        for name in rig.choices():
            yield _ms(f"{root}/cost/{name}", f"the delay of {name}", partial(self._cost_ms, name))
        for part in rig.parts_ms():
            yield _ms(f"{root}/latency/{part}", _PARTS[part], partial(self._part_ms, part))
        yield ReadOnlyMethod(f"{root}/now", "s", "the device that is open", lambda: (rig.device(),))
        yield ReadOnlyMethod(f"{root}/names", "s", "the devices found, a line each", lambda: (self._names(),))
        yield ReadOnlyMethod(f"{root}/status", "s", "what is done with devices now", lambda: (self.status,))
        yield ReadOnlyMethod(
            f"{root}/mouth-to-ear", "fs", "the measured delay in ms, -1 if unknown, in words", lambda: self._measured
        )
        yield CommandMethod(f"{root}/scan", "", "look for devices", self.scan)
        yield CommandMethod(f"{root}/measure", "", "measure the delay from mouth to ear by clicks", self.measure)

    def _cost_ms(self, name: str) -> float:
        return self._rig.choices()[name][2]

    def _part_ms(self, part: str) -> float:
        return self._rig.parts_ms()[part]

    def _audios(self) -> list[str]:
        return list(dict.fromkeys((AUTO, self._rig.now()[0], *(choice for choice, _ in self._found))))

    def _names(self) -> str:
        return "\n".join(f"{choice}\t{name}" for choice, name in self._found)

    def _choose_audio(self, choice: str) -> None:
        _, block, spare = self._rig.now()
        self._use(choice, block, spare)

    def _choose_block(self, text: str) -> None:
        choice, _, spare = self._rig.now()
        self._use(choice, None if text == OWN else int(text), spare)

    def _choose_spare(self, text: str) -> None:
        choice, block, _ = self._rig.now()
        self._use(choice, block, None if text == AUTO else int(text))

    def _quality(self) -> str:
        _, *now = self._rig.now()
        return next((name for name, (*asked, _) in self._rig.choices().items() if asked == now), OWN)

    def _choose_quality(self, name: str) -> None:
        choice, *_ = self._rig.now()
        block, spare, _ = self._rig.choices().get(name, (None, None, 0.0))
        self._use(choice, block, spare)

    def _use(self, choice: str, block: int | None, spare: int | None) -> None:
        self._measured = (-1.0, "")
        self._rig.use(choice, block, spare)
        self.show("changing the device")

    def _midis(self) -> list[str]:
        present = self._midi.present if self._midi else ()
        return list(dict.fromkeys((ALL, NONE, self._midi_chosen, *present)))

    def _choose_midi(self, chosen: str) -> None:
        assert self._midi
        self._midi_chosen = chosen
        self._midi.choose(None if chosen == ALL else () if chosen == NONE else (chosen,))

    def _scan(self) -> str:
        self._found = tuple(self._rig.find())
        self._space.choices_changed()
        return f"{len(self._found)} device{'s' * (len(self._found) != 1)} found"

    def _measure(self) -> str:
        self._measured = self._rig.measure()
        return self._measured[1]

    def _in_background(self, doing: str, work: Callable[[], str]) -> None:
        """Do one thing at a time; what is asked for meanwhile is left out."""
        if not self._busy.acquire(blocking=False):
            return
        self.show(doing)

        def finish() -> None:
            try:
                self.show(work())
            except Exception as error:  # drivers are other people's code
                self.show(f"{type(error).__name__}: {error}")
            finally:
                self._busy.release()

        threading.Thread(target=finish, name="devices", daemon=True).start()


_PARTS = {
    "block": "collecting a block",
    "work": "the time to work on it",
    "stages": "the stages' own delay",
    "device": "the device's buffer",
    "sum": "all of them",
}


def _ms(path: str, description: str, value: Callable[[], float]) -> ReadOnlyMethod:
    method = ReadOnlyMethod(path, "f", description, lambda: (value(),))
    method.unit = "ms"
    return method


def _spare_text(spare: int | None) -> str:
    return AUTO if spare is None else str(spare)
