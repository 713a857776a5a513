"""`gramophone match`: files in, a preset, a picture and a report out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gramophone.offline.console import print_json, wrote
from gramophone.offline.extras import need
from gramophone.offline.match.knobs import choose
from gramophone.offline.match.matching import Match, match
from gramophone.offline.match.picture import draw_match
from gramophone.offline.match.search import Budget
from gramophone.offline.match.style_distance import overall
from gramophone.offline.match.task import LEVEL, leveller, make_task
from gramophone.offline.match.trial import MatchError
from gramophone.offline.progress import LossProgress
from gramophone.presets import Preset, load, save
from gramophone.realtime.files import read
from gramophone.realtime.parameter_table import concise

_READ_S = 600.0
"""Of longer files the first ten minutes are used."""


@dataclass(frozen=True)
class Options:
    """How to search: parameters by pattern, seconds of each sound that are used, processes, and the random seed."""

    free: Sequence[str] = ()
    fixed: Sequence[str] = ()
    excerpt_s: float = 8.0
    reference_s: float = 30.0
    jobs: int = 0
    seed: int = 0


def run(dry: Path, reference: Path, chain: Preset, out: Path, budget: Budget, options: Options, *, json: bool) -> None:
    """Match the complete preset `chain` to `reference`, and write it to `out` with a picture beside it.

    Raises:
        MissingLibraryError: the extra `offline` is not installed.
        SoundFileError: a sound cannot be read.
        NothingToHearError: a sound is silent, too short or broken.
        MatchError: a stage of the chain fails.
        PresetError: the chain has no parameter to search, or the preset cannot be written.
    """
    need("matplotlib", "cma")
    if not out.parent.is_dir():
        raise MatchError(f"{out}: no folder {out.parent} to write into")
    own = (f"{leveller(chain)}.*",) if leveller(chain) else ()
    knobs = choose(chain, options.free, (*options.fixed, *own))
    sounds = read(dry, _READ_S), read(reference, _READ_S)
    task = make_task(*sounds, knobs, options.excerpt_s, options.reference_s)
    with LossProgress("matching", "dB", quiet=json) as progress:
        found = match(task, budget, options.jobs or os.cpu_count() or 1, progress, options.seed)
    save(concise(found.preset, load(chain.path) if chain.path else None), out)
    draw_match(task, found, out.with_suffix(".png"))
    if json:
        print_json({"preset": str(out), **found.as_dict()})
    else:
        _show(found)
        wrote(out, out.with_suffix(".png"))
        if found.found.stopped:
            print(f"stopped; call again with --chain {out} to go on from there")


def _show(found: Match) -> None:
    table = Table("distance in dB", *found.matched, "all", box=None, pad_edge=False)
    for name, views in (("dry", found.dry), ("knobs as they were", found.start), ("matched", found.matched)):
        table.add_row(name, *(f"{distance:.2f}" for distance in views.values()), f"{overall(views):.2f}")
    console = Console()
    console.print(table)
    for stage, worth in sorted(found.worth.items(), key=lambda item: -item[1]):
        if stage != LEVEL:
            console.print(f"without {stage}: {worth:+.2f} dB")
    stopped = ", stopped" if found.found.stopped else ""
    console.print(
        f"{found.reduction:.0%} of the way, {found.found.evaluations} trials in {found.found.runs} runs{stopped}"
    )
