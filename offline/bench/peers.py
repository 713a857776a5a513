"""Bench: the table of peers. Each row is the same work by us and by a peer, in turn; above one, we are quicker."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from gramophone.offline.bench import peer_cluster, peer_control, peer_models, peer_sound
from gramophone.offline.bench.contest import BenchRow, NotInstalledError, measured
from gramophone.offline.bench.machine import describe
from gramophone.presets.atomic import atomic_write

DUELS = {duel.name: duel for duel in (*peer_sound.DUELS, *peer_models.DUELS, *peer_control.DUELS, *peer_cluster.DUELS)}
FIGURES = Path("docs/figures")
"""Where a checkout keeps the table, its picture, and the ratios that a test holds later ones against."""


_EXPLAINED = """\
Written by `make bench`; a row alone by `python -m gramophone.offline.bench peers --only NAME`.

The same work is done by us and by the peer, in turn. The ratio is how many times quicker we are: the median of the
turns, and the least and the greatest. Times are processor time of one thread; in `chain-dawdreamer` and `cluster`, of
the clock. Live means block by block with the state kept. A peer marked *whole* cannot do that and has all of the sound
at once.
DawDreamer cannot stream: each of its renders begins from silence. The row `nn-tilde` is a small model in the form of
RAVE's exports, where what surrounds the model weighs most; one of RAVE's own is measured by `bench torchscript`."""


def measure(only: Sequence[str] = (), keep: bool = False) -> dict[str, object]:
    """Return the rows as figures by name; those of peers that are not here as the reason.

    With `keep`, table, picture and ratios are written to `docs/figures` below the current folder.
    """
    rows: list[BenchRow] = []
    missing: dict[str, str] = {}
    before = os.getloadavg()[0]
    for name in only or DUELS:
        try:
            rows.append(measured(DUELS[name]))
        except NotInstalledError as error:
            missing[name] = str(error)
    if keep:
        load = f"{before:.1f} to {os.getloadavg()[0]:.1f}"
        write(rows, missing, FIGURES, load)
    shown: dict[str, object] = {row.name: _line(row) for row in rows}
    return shown | {name: f"not measured: {why}" for name, why in missing.items()}


def write(rows: Sequence[BenchRow], missing: Mapping[str, str], folder: Path, load: str) -> None:
    """Write `bench.md`, `bench.png` and `bench.json` to a folder.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    machine = describe()
    _draw(rows, folder / "bench.png")
    with atomic_write(folder / "bench.json") as part:
        kept = {"machine": machine, "load": load, "rows": {row.name: asdict(row) for row in rows}}
        part.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    with atomic_write(folder / "bench.md") as part:
        part.write_text(_page(rows, missing, machine, load), "utf-8")


def _page(rows: Sequence[BenchRow], missing: Mapping[str, str], machine: Mapping[str, object], load: str) -> str:
    shown = [
        f"| {row.work} | {row.peer} | {row.ours:,g} | {row.theirs:,g} | {row.unit} "
        f"| **{row.ratio:g}** ({row.low:g} to {row.high:g}, n = {row.runs}) | `--only {row.name}` |"
        for row in rows
    ]
    left_out = [f"- `{name}`: {why}" for name, why in missing.items()]
    return "\n".join(
        [
            "# Beside its peers",
            "",
            f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, load {load}; {machine['system']},",
            f"Python {machine['python']}, torch {machine['torch']}, one thread.",
            *_EXPLAINED.splitlines(),
            "",
            "| work | peer | ours | the peer's | in | ratio | row |",
            "|---|---|---|---|---|---|---|",
            *shown,
            "",
            *(["Not measured here:", "", *left_out, ""] if left_out else []),
            "![The ratios as bars, with the least and the greatest as lines](bench.png)",
            "",
        ]
    )


def _draw(rows: Sequence[BenchRow], picture: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.38 * len(rows) + 1.4), layout="constrained")
    axis = figure.subplots()
    places = range(len(rows))
    axis.barh(
        places,
        [row.ratio for row in rows],
        xerr=[[row.ratio - row.low for row in rows], [row.high - row.ratio for row in rows]],
        color=["C0" if row.ratio >= 1 else "C3" for row in rows],
        ecolor="0.3",
        capsize=3,
    )
    axis.set_yticks(places, [f"{row.name}: {row.peer}" for row in rows])
    axis.invert_yaxis()
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter("{x:g}")
    axis.margins(x=0.12)
    axis.axvline(1, color="0.2", linewidth=1)
    axis.set_xlabel("how many times quicker than the peer")
    for place, row in zip(places, rows, strict=True):
        axis.annotate(f" {row.ratio:g}", (row.high, place), va="center")
    with atomic_write(picture) as part:
        figure.savefig(part, format="png", dpi=110)


def _line(row: BenchRow) -> str:
    return (
        f"{row.ratio:g} ({row.low:g} to {row.high:g}, n = {row.runs}): "
        f"{row.ours:,g} against {row.theirs:,g} {row.unit} of {row.peer}"
    )
