"""Auditions: a clip of the library is played in place of the input while the switch `audition` is on.

So presets can be tried when nothing is plugged in. The clip is read in a thread of its own, again whenever another one
is chosen or the device comes back at another rate.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from gramophone.models.parameters import Value
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.osc.address_space import ROOT, AddressSpace
from gramophone.realtime.control.performance.commands import TextMethod
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.stage import Audio, StageError

USUAL = "vocals.flac"
_LOOK_S = 0.25
"""How often the rate is looked at while a clip plays."""
_FADE_S = 0.15
"""The time between two clips: more than the fade from one to the other takes at 8 kHz."""
_NOTHING = np.zeros(0, np.float32)


class AuditionClip:
    """Plays the clip `name` in place of the input, by `put`, at the device's rate in Hz: `rate` returns it, or 0.

    `space` gets the address where another clip is chosen. Any thread may call, and no call waits but `close`.
    """

    def __init__(
        self, controller: Controller, space: AddressSpace, put: Callable[[Audio], None], rate: Callable[[], int]
    ) -> None:
        self.name = USUAL
        self._controller, self._space, self._put, self._rate = controller, space, put, rate
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None
        self._plays = self._closed = False
        description = "the clip that is played in place of the input while audition is on"
        choose = TextMethod(f"{ROOT}/audition-clip", description, lambda: self.name, self.choose, self._choices)
        space.add([choose])
        controller.perform({"audition": self._switch})

    def choose(self, name: str) -> None:
        """Play another clip of the library, if one is played; a name that it does not have is refused when it plays."""
        self.name = name
        self._changed.set()
        self._space.changed()

    def close(self) -> None:
        """Give the chain its input back."""
        self._closed = True
        self._changed.set()
        if self._thread:
            self._thread.join()

    def _choices(self) -> list[str]:
        return self._space.library.clips

    def _switch(self, on: Value) -> None:
        with self._lock:
            self._plays = bool(on)
            self._changed.set()
            if on and not self._thread:
                self._thread = threading.Thread(target=self._follow, name="audition", daemon=True)
                self._thread.start()

    def _follow(self) -> None:
        """Keep what plays as it is wanted, until `close`."""
        played: tuple[str, int] | None = None
        closed = False
        while not closed:
            closed = self._closed
            wanted = (self.name, self._rate()) if self._plays and not closed else None
            if wanted != played and (wanted is None or wanted[1]):
                self._put(self._sound(*wanted) if wanted else _NOTHING)
                time.sleep(_FADE_S)
                played = wanted
            if not closed:
                self._changed.wait(_LOOK_S if self._plays else None)
                self._changed.clear()

    def _sound(self, name: str, rate: int) -> Audio:
        """Return a clip, `(frames,)` at `rate`; none, and the switch off, where it cannot be read."""
        from gramophone.realtime.dsp.resampler import mono, read_clip

        try:
            sound: Audio = mono(read_clip(self._space.library.clip(name), rate))
        except (RefusedError, StageError):
            self._space.notices.publish(f"audition: {name} cannot be read; choose another clip")
            self._plays = False
            self._controller.show("audition", False)
            return _NOTHING
        return sound
