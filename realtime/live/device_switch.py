"""Going over from one device to another while it plays, and back to the one before where the other cannot be opened.

One is left before the other is opened: few systems let two programs have the same card. The worker stays, unless the
other device has another rate.
"""

from __future__ import annotations

import time
from dataclasses import replace

from gramophone.realtime.live.messages import AudioSettings

_LEAVE_S = 2.0
_OPEN_S = 15.0
"""So long a device may take to open; some drivers never come back."""


class DeviceSwitch:
    """`settings` are those of the device that is open, or is being opened. The supervisor calls, with its lock held."""

    def __init__(self, settings: AudioSettings) -> None:
        self.settings = settings
        self._wanted: AudioSettings | None = None
        self._former: AudioSettings | None = None
        self._until_s = 0.0

    @property
    def leaving(self) -> bool:
        """Whether the device that is open is to be left for another."""
        return self._wanted is not None

    @property
    def overdue(self) -> bool:
        """Whether leaving one device, or opening the other, takes too long."""
        return (self.leaving or self._former is not None) and time.monotonic() > self._until_s

    def ask(self, settings: AudioSettings) -> None:
        """Leave the device for another."""
        self._wanted, self._until_s = settings, time.monotonic() + _LEAVE_S

    def left(self) -> None:
        """Open the other: the one before has been left."""
        assert self._wanted
        if self._former is None:
            self._former = self.settings
        self.settings, self._wanted, self._until_s = self._wanted, None, time.monotonic() + _OPEN_S

    def opened(self) -> bool:
        """Take note that a device is open; return whether it is another than before."""
        changed, self._former = self._former is not None, None
        return changed

    def go_back(self) -> bool:
        """Go back to the device before, and wait for it if need be; return whether there was one."""
        if self._former is None:
            return False
        self.settings, self._former = replace(self._former, patient=True), None
        return True
