"""`make bench`: measure us beside our peers, and what a live block costs; print the figures and keep them as JSON.

`--keep` writes the table of peers to `docs/figures`. Other parts run when they are named, some as long as they are
asked to: `python -m gramophone.offline.bench endurance --minutes 10 --block 128`, `... set --hours 4`, `... gpu`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gramophone.offline.bench.machine import describe
from gramophone.realtime.system.interrupts import end_as_on_interrupt

_PARTS = ("peers", "live", "latent", "wavenet")
"""What runs when no part is named: within ten minutes on two cores."""
_NAMED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("decoder", "captures", "descent", "training", "start", "batch", "bridge", "osc"), ()),
    "blocks": ("keep",),
    "cluster": ("files",),
    "endurance": ("minutes", "blocks", "chains"),
    "gpu": ("minutes",),
    "scale": ("keep",),
    "set": ("hours", "preset"),
    "torchscript": ("model",),
    "peers": ("only", "keep"),
}
"""Parts with options, and those that run only when they are named."""
_MINUTES = {"endurance": 10.0, "gpu": 4.0}


def main() -> None:
    """Run the parts asked for, or those of `make bench` if none is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*sorted({*_PARTS, *_NAMED}), []], help="what to measure")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), help="where to keep the figures")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="peers: these rows")
    parser.add_argument("--keep", action="store_true", help="peers, scale, blocks: write to docs/figures")
    parser.add_argument("--files", type=int, default=200, help="cluster: how many")
    parser.add_argument("--minutes", type=float, help="endurance (10): how long each case plays; gpu (4): all of it")
    parser.add_argument("--block", dest="blocks", type=int, nargs="+", default=[128, 256], help="endurance: frames")
    parser.add_argument("--chain", dest="chains", nargs="+", default=["default", "light", "wavenet"], help="endurance")
    parser.add_argument("--hours", type=float, default=4.0, help="set: how much sound is played")
    parser.add_argument("--preset", help="set: what it starts with, if not a light chain")
    parser.add_argument("--model", help="torchscript: a file that has been trusted")
    options = parser.parse_args()
    end_as_on_interrupt()  # what a part has started, such as a server, is ended
    figures: dict[str, object] = {"machine": describe()}
    for part in options.parts or _PARTS:
        measure = importlib.import_module(f"gramophone.offline.bench.{part}").measure
        given = {name: getattr(options, name) for name in _NAMED.get(part, ())}
        if "minutes" in given:
            given["minutes"] = options.minutes or _MINUTES[part]
        figures[part] = measure(**given)
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
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted; what was measured before is kept")
