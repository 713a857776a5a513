"""Which engine runs the calls of a command: this process, or a Ray cluster."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from gramophone.offline.cluster.calls import Caller, InTurn

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class EngineChoice:
    """What runs the calls: `local` or `ray`; with `ray`, a cluster's address (empty: one on this machine alone).

    `jobs` is how many calls run at a time, at most (0: as many as there are cores), and `gpus` how much of a GPU one
    call takes.
    """

    name: str = "local"
    address: str = ""
    jobs: int = 0
    gpus: float = 0.0


def caller(choice: EngineChoice) -> AbstractContextManager[Caller]:
    """Return what runs the calls, for a `with` block.

    Raises:
        ClusterError: there is no cluster at the address, or it lacks what one call takes.
        MissingLibraryError: Ray is not installed.
    """
    if choice.name == "local":
        return nullcontext(InTurn())
    from gramophone.offline.cluster.ray_cluster import RayCluster

    return RayCluster(choice.address, choice.jobs, choice.gpus)
