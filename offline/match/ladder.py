"""Chains from simple to full, for those who have none: each is searched, and a longer one is taken only if it pays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gramophone.offline.match.knobs import SearchSpace, choose
from gramophone.offline.match.matching import Match
from gramophone.offline.match.search import Budget
from gramophone.presets import Preset, StageSettings
from gramophone.realtime.parameter_table import complete

LADDER: tuple[tuple[str, ...], ...] = (
    ("lowshelf", "highshelf"),
    ("lowshelf", "highshelf", "reverb"),
    ("compressor", "lowshelf", "peak", "highshelf", "reverb"),
    ("compressor", "distortion", "lowshelf", "peak", "highshelf", "delay", "reverb"),
)
"""Tone; tone in a room; a usual vocal chain; and one with grit and echoes."""

STAGE_DB = 0.1
"""What each effect has to bring: by so much the objective must fall for it."""

SearchChain = Callable[[SearchSpace, Budget], Match]
"""From the parameters of a chain and its share of the budget to the best match."""


@dataclass(frozen=True)
class Rung:
    """A chain that was searched: its effects, and its match."""

    chain: tuple[str, ...]
    match: Match

    @property
    def score(self) -> float:
        """The objective in dB and `STAGE_DB` for each effect; the chain with the least is taken."""
        return self.match.found.distance + STAGE_DB * len(self.chain)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain data, for JSON."""
        found = self.match.found
        return {
            "chain": list(self.chain),
            "objective": found.distance,
            "score": self.score,
            "evaluations": found.evaluations,
        }


def climb(search_chain: SearchChain, budget: Budget, chains: Sequence[tuple[str, ...]] = LADDER) -> list[Rung]:
    """Search each chain with a share of the budget in proportion to its parameters; return them, the best first.

    A search that is interrupted is the last.
    """
    spaces = [choose(chain_of(chain)) for chain in chains]
    whole = sum(len(space.turned) for space in spaces)
    rungs = []
    for chain, space in zip(chains, spaces, strict=True):
        rungs.append(Rung(chain, search_chain(space, budget.share(len(space.turned) / whole))))
        if rungs[-1].match.found.stopped:
            break
    return sorted(rungs, key=lambda rung: rung.score)


def chain_of(effects: Sequence[str]) -> Preset:
    """Return the complete preset of these effects, each with its default values.

    Raises:
        PresetError: there is no such effect.
    """
    return complete(Preset("auto", tuple(StageSettings(kind, kind) for kind in effects), title="Matched"))


def explanation(rungs: Sequence[Rung]) -> str:
    """Return in lines of text which chain was taken, and why; `rungs` has the best first."""
    why = f"the least, with the prior and {STAGE_DB:g} dB for each effect" if rungs[1:] else "the only one searched"
    others = sorted(rungs[1:], key=lambda rung: len(rung.chain))
    return "\n".join([f"took {_scored(rungs[0])}, {why}", *(f"not {_scored(rung)}" for rung in others)])


def _scored(rung: Rung) -> str:
    return f"{' > '.join(rung.chain)}: {rung.score:.2f} dB"
