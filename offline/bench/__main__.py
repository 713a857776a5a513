"""`make bench`: measure the project's figures, print them beside their targets and keep them as JSON."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gramophone.offline.bench.machine import describe

_PARTS = ("decoder", "live", "batch")


def main() -> None:
    """Run the parts asked for (all, if none is named)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*_PARTS, []], help="what to measure")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), help="where to keep the figures")
    options = parser.parse_args()
    figures: dict[str, object] = {"machine": describe()}
    for part in options.parts or _PARTS:
        figures[part] = importlib.import_module(f"gramophone.offline.bench.{part}").measure()
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
