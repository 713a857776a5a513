"""`make bench`: measure the project's figures, print them beside their targets and keep them as JSON.

`python -m gramophone.offline.bench endurance --minutes 10 --block 128` and `... set --hours 4` take as long as
asked, and so run only when they are named.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import importlib.metadata
import json
import os
import platform
from pathlib import Path

from rich.console import Console
from rich.table import Table


def describe() -> dict[str, str | int]:
    """Return the date, processor, cores and versions."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("torch", "numpy", "onnxruntime", "pedalboard")},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


_PARTS = ("decoder", "captures", "live", "wavenet", "latent", "descent", "training", "start", "batch")
_LONG = {"endurance": ("minutes", "blocks", "chains"), "set": ("hours", "preset")}
"""Parts that run only when named, and the options that they take."""


def main() -> None:
    """Run the parts asked for (all but the long ones, if none is named)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*_PARTS, *_LONG, []], help="what to measure")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), help="where to keep the figures")
    parser.add_argument("--minutes", type=float, default=10.0, help="endurance: how long each case plays")
    parser.add_argument("--block", dest="blocks", type=int, nargs="+", default=[128, 256], help="endurance: frames")
    parser.add_argument("--chain", dest="chains", nargs="+", default=["default", "light", "wavenet"], help="endurance")
    parser.add_argument("--hours", type=float, default=4.0, help="set: how much sound is played")
    parser.add_argument("--preset", help="set: what it starts with, if not a light chain")
    options = parser.parse_args()
    figures: dict[str, object] = {"machine": describe()}
    for part in options.parts or _PARTS:
        measure = importlib.import_module(f"gramophone.offline.bench.{part}").measure
        figures[part] = measure(**{name: getattr(options, name) for name in _LONG.get(part, ())})
        _show(part, figures[part])
        options.out.write_text(json.dumps(figures, indent=1) + "\n")
    _show("machine", figures["machine"])
    print(f"kept in {options.out}")


def _show(title: str, figures: object) -> None:
    table = Table(title=title, title_justify="left", box=None, show_header=False)
    for key, value in figures.items() if isinstance(figures, dict) else ():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        table.add_row(key, shown)
    Console().print(table)


if __name__ == "__main__":
    main()
