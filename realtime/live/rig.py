"""The session as what it is played on: device, block, latency, for those who choose them while it plays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from gramophone.realtime.live.devices.backend import AudioError
from gramophone.realtime.live.devices.list import Device, find_devices
from gramophone.realtime.live.devices.portaudio import load_portaudio
from gramophone.realtime.live.latency import (
    DELAY_CHOICES,
    MeasureError,
    delay_of_choice_ms,
    delay_parts_ms,
    measure_mouth_to_ear,
)
from gramophone.realtime.live.session import Session
from gramophone.realtime.system.child_call import call_in_child

_FIND_S = 20.0


def _find_all() -> tuple[list[Device], list[str]]:
    """Return what `find_devices` does, and leave every audio system in order: a client of JACK that dies stalls it."""
    found = find_devices()
    with suppress(AudioError):
        load_portaudio()._terminate()
    return found


class SessionRig:
    """See `control.performance.devices.Rig`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def now(self) -> tuple[str, int | None, int | None]:
        """Return the audio device as it is chosen, block and spare blocks."""
        audio = self._session.audio
        return audio.choice, audio.block, audio.spare

    def use(self, choice: str, block: int | None, spare: int | None) -> None:
        """Go over to another device, block or number of spare blocks."""
        self._session.use(choice, block, spare)

    def find(self) -> Sequence[tuple[str, str]]:
        """Return the choices of audio devices that record or play, each with its name for people."""
        devices, _ = call_in_child(_find_all, timeout_s=_FIND_S, most_bytes=None)
        return [
            (device.audio, f"{device.name}: {device.inputs} in, {device.outputs} out, {device.rate} Hz")
            for device in devices
            if device.outputs
        ]

    def device(self) -> str:
        """Return the name of the device that is open, with its rate; empty while there is none."""
        status = self._session.shared.status
        rate, block = int(status["rate"]), int(status["block"])
        return f"{self._session.device_name}, {rate} Hz, block {block}" if rate else ""

    def parts_ms(self) -> Mapping[str, float]:
        """Return the parts of the latency and their `sum`."""
        return delay_parts_ms(self._session.shared.status, self._session.audio.spare)

    def choices(self) -> Mapping[str, tuple[int, int | None, float]]:
        """Return the choices between quality and delay by name."""
        status = self._session.shared.status
        return {each.name: (each.block, each.spare, delay_of_choice_ms(each, status)) for each in DELAY_CHOICES}

    def measure(self) -> tuple[float, str]:
        """Return the way from mouth to ear in ms, -1 where it cannot be measured, and a sentence about it."""
        try:
            found = measure_mouth_to_ear(self._session.shared.status, self._session.audio.spare)
        except MeasureError as error:
            return -1.0, str(error)
        device_ms = round(1000 * found.device / found.rate, 2)
        return found.ms, (
            f"{found.ms:g} ms from mouth to ear, {found.samples} samples; {device_ms:g} ms of it the device's, "
            f"{found.spread} samples between three clicks"
        )
