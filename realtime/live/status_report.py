"""Figures and meters made of the status of the live engine."""

from __future__ import annotations

from gramophone.realtime.live.latency_budget import budget_blocks
from gramophone.realtime.live.status import PACKETS, Status

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
    """Return meters by name: levels in dB, load (1 is all of the time), underruns, latency in samples."""
    sides = (("input", "in"), ("output", "out"))
    levels = {f"{side}.{name}": round(status[f"{short}_{name}"], 1) for side, short in sides for name in _LEVELS}
    counts = {"underruns": status["underruns"], "latency_samples": float(latency(status, spare))}
    return {**levels, "load": status["load"], **counts}
