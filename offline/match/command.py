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
from gramophone.offline.match.knobs import SearchSpace, choose
from gramophone.offline.match.ladder import Rung, climb, explanation
from gramophone.offline.match.matching import Match, match
from gramophone.offline.match.picture import draw_match
from gramophone.offline.match.prior import USUAL_WEIGHT_DB, factory_prior
from gramophone.offline.match.search import Budget
from gramophone.offline.match.style_distance import overall
from gramophone.offline.match.task import LEVEL, leveller, make_task
from gramophone.offline.match.trial import Task
from gramophone.offline.plotting.picture_file import demand_place
from gramophone.offline.progress import LossProgress
from gramophone.presets import Preset, load, save
from gramophone.realtime.files import read
from gramophone.realtime.parameter_table import concise

_READ_S = 600.0
"""Of longer files the first ten minutes are used."""


@dataclass(frozen=True)
class Options:
    """How to search: parameters by pattern, seconds of each sound that are used, processes, and the random seed.

    `prior_db`: how much the factory presets' usual values count, in dB for each squared standard deviation.
    """

    free: Sequence[str] = ()
    fixed: Sequence[str] = ()
    excerpt_s: float = 8.0
    reference_s: float = 30.0
    jobs: int = 0
    seed: int = 0
    prior_db: float = USUAL_WEIGHT_DB


def run(
    dry: Path,
    reference: Path,
    chain: Preset | None,
    out: Path,
    budget: Budget,
    options: Options,
    *,
    overwrite: bool,
    json: bool,
) -> None:
    """Match the complete preset `chain` to `reference`, and write it to `out` with a picture beside it.

    Without a chain, those of the ladder are tried.

    Raises:
        MissingLibraryError: the extra `offline` is not installed.
        SoundFileError: a sound cannot be read.
        NothingToHearError: a sound is silent, too short or broken.
        MatchError: a stage of the chain fails.
        PictureError: the folder cannot be written.
        ResultError: there is no folder, or the picture is there already, and not to be overwritten.
        PresetError: the chain has no parameter to search, or the preset cannot be written.
    """
    need("matplotlib", "cma")
    picture = demand_place(out, overwrite=overwrite)
    prior = factory_prior(options.prior_db)

    def task_of(knobs: SearchSpace) -> Task:
        return make_task(*sounds, knobs, options.excerpt_s, options.reference_s, prior)

    def search_chain(knobs: SearchSpace, share: Budget) -> Match:
        with LossProgress("matching", "dB", quiet=json) as progress:
            return match(task_of(knobs), share, options.jobs or os.cpu_count() or 1, progress, options.seed)

    knobs = _space(chain, options) if chain else None
    sounds = read(dry, _READ_S), read(reference, _READ_S)
    rungs = [] if knobs else climb(search_chain, budget)
    found = search_chain(knobs, budget) if knobs else rungs[0].match
    save(concise(found.preset, load(chain.path) if chain and chain.path else None), out)
    draw_match(task_of(knobs or choose(found.preset)), found, picture)
    if json:
        ladder = {"ladder": [rung.as_dict() for rung in rungs]} if rungs else {}
        print_json({"preset": str(out), **found.as_dict(), **ladder})
    else:
        _show(found, rungs)
        wrote(out, picture)
        if found.found.stopped:
            print(f"stopped; call again with --chain {out} to go on from there")


def _space(chain: Preset, options: Options) -> SearchSpace:
    own = (f"{leveller(chain)}.*",) if leveller(chain) else ()
    return choose(chain, options.free, (*options.fixed, *own))


def _show(found: Match, rungs: Sequence[Rung]) -> None:
    if rungs:
        print(explanation(rungs))
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
