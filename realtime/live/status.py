"""Figures of the running engine in shared memory: each is written by one process and read by any.

The latency budget: how many blocks of time the worker has.

One block at least, and more if that is asked for or the chain needs it: a stage whose hop does not divide the block
does nothing for some blocks and a whole hop's work in another, which may then take its time.

Figures and meters made of the status of the live engine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import zip_longest

from gramophone.realtime.dsp.fifo import fifo_delay
from gramophone.realtime.dsp.meters import SILENCE_DB
from gramophone.realtime.system.shared_memory import SharedArrays, SharedPart

PACKETS = ("received", "lost", "late", "reordered", "duplicate", "concealed", "refused")
"""What became of the packets of a device that is a network; see `osc.jitter.Arrivals`."""

REDUCTIONS = tuple(f"reduction_{number}" for number in range(1, 9))
"""Of so many stages the reduction is shown."""

HOPS = tuple(f"hop_{number}_s" for number in range(1, 9))
"""The different hops of the stages that play, the longest first, in seconds; 0 where there are no more."""

_FIELDS = (
    # the audio process
    "rate",  # Hz; 0 while there is no device
    "rate_from",  # number of the first block that has this rate
    "block",  # frames
    "blocks",  # that the device has asked for
    "underruns",  # blocks that the worker's sound came too late for
    "xruns",  # as the device or its server counts them
    "non_finite",  # input samples that were taken as silence
    "limited",  # input samples that were above +48 dBFS
    "errors",  # exceptions in the callback: bugs
    "held",  # samples in the device's own jitter buffer
    "ending",  # `ENDING` once a process without a controller is to end, `ENDED` once the sound has been faded out
    "probe_done",  # measurements of the device's own way that have been answered
    "probe_samples",  # the last answer, -1 where no click came back
    *PACKETS,
    # the control process
    "probe",  # measurements of the device's own way that have been asked for
    "bounces",  # whether a host waits for every block: blocks that wait are played as one, and none is left out
    "awaits_sound",  # whether the chain is to begin with the first sound; the worker ends that
    # the worker
    *HOPS,
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
    *REDUCTIONS,  # in dB, of the stages that turn sounds down, in the order of the chain
    "reduced_generation",  # the preset generation whose stages they are
)
_PLACES = {name: place for place, name in enumerate(_FIELDS)}


ENDING, ENDED = 1.0, 2.0


class Status(SharedPart):
    """Numbers by name, 0 at first; levels are those of silence, since nothing has been played yet."""

    def __init__(self) -> None:
        self.__setstate__(SharedArrays({"values": ("float64", (len(_FIELDS),))}))
        for name in _FIELDS:
            if name.endswith("_db"):
                self[name] = SILENCE_DB

    def __getitem__(self, name: str) -> float:
        """Return the newest value."""
        return self._values[_PLACES[name]]

    def __setitem__(self, name: str, value: float) -> None:
        """Write a value; only the process that the field belongs to may."""
        self._values[_PLACES[name]] = value

    def __getstate__(self) -> SharedArrays:
        return self._memory

    def __setstate__(self, memory: SharedArrays) -> None:
        self._memory = memory
        self._values: memoryview[float] = memory.numbers("values")


_COUNTS = ("blocks", "underruns", "xruns", "errors", "non_finite", "limited")
_LEVELS = ("peak_db", "rms_db")


def latency(status: Status, spare: int | None) -> int:
    """Return the latency in samples, with `spare` blocks for the worker (None: what its chain needs)."""
    block = int(status["block"])
    return int((1 + budget_blocks(status, spare, max(block, 1))) * block + status["delay"] + status["held"])


def report(status: Status, spare: int | None) -> dict[str, object]:
    """Return the figures of now, by name."""
    rate, late = int(status["rate"]), latency(status, spare)
    packets = {name: int(status[name]) for name in PACKETS}
    return {
        "rate": rate,
        "block": int(status["block"]),
        "latency_samples": late,
        "latency_ms": round(late / rate * 1000, 2) if rate else None,
        "load": round(status["load"], 4),
        "median_ms": status["median_ms"],
        "p95_ms": status["p95_ms"],
        **{name: int(status[name]) for name in _COUNTS},
        "real_time": bool(status["real_time"]),
        "input": {name: round(status[f"in_{name}"], 1) for name in _LEVELS},
        "output": {name: round(status[f"out_{name}"], 1) for name in _LEVELS},
        **({"packets": packets} if any(packets.values()) else {}),
    }


def meters(status: Status, spare: int | None) -> dict[str, float]:
    """Return meters by name: levels in dB, load (1 is all of the time), dropouts, latency in samples and ms."""
    sides = (("input", "in"), ("output", "out"))
    levels = {f"{side}.{name}": round(status[f"{short}_{name}"], 1) for side, short in sides for name in _LEVELS}
    late, rate = latency(status, spare), status["rate"]
    counts = {"underruns": status["underruns"], "xruns": status["xruns"], "latency_samples": float(late)}
    return {**levels, "load": status["load"], **counts, "latency_ms": 1000 * late / rate if rate else 0.0}


_WHOLE = 1e-6
MOVE_SAMPLES = 480
"""How long the callback takes to fade to another budget: 10 ms at 48 kHz."""


def budget_blocks(status: Status, spare: int | None, block: int) -> int:
    """Return the worker's time, 1 or more, in blocks of `block` frames.

    `spare` blocks are added to the one; None adds what the chain that plays now needs for the hops of its stages.
    """
    if spare is not None:
        return 1 + spare
    return blocks_of_time([hop_s * status["rate"] for hop_s in read_hops(status)], block)


def read_hops(status: Status) -> frozenset[float]:
    """Return the hops of the stages that play, in seconds."""
    return frozenset(hop_s for name in HOPS if (hop_s := status[name]))


def write_hops(status: Status, hops_s: Iterable[float]) -> None:
    """Write the hops of the stages that play, in seconds; of more than there is room for, the longest."""
    for name, hop_s in zip_longest(HOPS, sorted(hops_s, reverse=True)[: len(HOPS)], fillvalue=0.0):
        status[str(name)] = float(hop_s)


def blocks_of_time(hops: Iterable[float], block: int) -> int:
    """Return how many blocks of time a chain needs so that none of `block` frames is late, if it keeps up at all.

    `hops` of its stages in samples. It is one where all divide the block: then each block is as much work. Derived, and
    proven by a simulation, in `tests/realtime/bridge/test_latency.py`.
    """
    return 1 + math.ceil(max((_most_waiting(hop, block) for hop in hops), default=0) / block)


def _most_waiting(hop: float, block: int) -> int:
    """Return how many samples may wait for the end of a hop; at other rates than the stage's it ends anywhere."""
    return fifo_delay(round(hop), block) if abs(hop - round(hop)) < _WHOLE else math.ceil(hop)
