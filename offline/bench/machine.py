"""What a figure was measured on."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from contextlib import suppress
from pathlib import Path

_NAMED = ("torch", "numpy", "numba", "onnxruntime", "pedalboard")


def describe() -> dict[str, str | int]:
    """Return the date, processor, cores and versions."""
    versions = {}
    for name in _NAMED:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "system": platform.platform(),
        "python": platform.python_version(),
        **versions,
    }


def _processor() -> str:
    """Return the processor's name, on Linux with family and model: virtual machines give several the same name."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor() or platform.machine()
    fields: dict[str, str] = {}
    for line in info.read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    numbers = {"family": fields.get("cpu family"), "model": fields.get("model")}
    known = " ".join(f"{name} {number}" for name, number in numbers.items() if number)
    return ", ".join(filter(None, (fields.get("model name", platform.machine()), known)))
