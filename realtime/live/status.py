"""Figures of the running engine in shared memory: each is written by one process and read by any."""

from __future__ import annotations

from gramophone.realtime.system.shared_memory import SharedArrays

PACKETS = ("received", "lost", "late", "reordered", "duplicate", "concealed", "refused")
"""What became of the packets of a device that is a network; see `osc.jitter.Arrivals`."""

_FIELDS = (
    # the audio process
    "rate",  # Hz; 0 while there is no device
    "block",  # frames
    "blocks",  # that the device has asked for
    "underruns",  # blocks that the worker's sound came too late for
    "xruns",  # as the device or its server counts them
    "non_finite",  # input samples that were taken as silence
    "limited",  # input samples that were above +48 dBFS
    "errors",  # exceptions in the callback: bugs
    "held",  # samples in the device's own jitter buffer
    *PACKETS,
    # the worker
    "hop_s",  # the longest hop of the stages that play, in seconds
    "done",  # number of the block processed last; -1 before the first
    "delay",  # the chain's, in samples
    "load",
    "median_ms",
    "p95_ms",
    "real_time",  # whether the worker runs with real-time priority
    "in_peak_db",
    "in_rms_db",
    "out_peak_db",
    "out_rms_db",
)
_PLACES = {name: place for place, name in enumerate(_FIELDS)}


class Status:
    """Numbers by name, 0 at first."""

    def __init__(self) -> None:
        self.__setstate__(SharedArrays({"values": ("float64", (len(_FIELDS),))}))

    def __getitem__(self, name: str) -> float:
        """Return the newest value."""
        return float(self._values[_PLACES[name]])

    def __setitem__(self, name: str, value: float) -> None:
        """Write a value; only the process that the field belongs to may."""
        self._values[_PLACES[name]] = value

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()

    def __getstate__(self) -> SharedArrays:
        return self._memory

    def __setstate__(self, memory: SharedArrays) -> None:
        self._memory = memory
        self._values = memory.array("values")
