"""A Ray cluster, its own or one that is there: calls are made once, and again where a process or machine is lost.

Through Ray's object store go the function, once, and what calls return; sound goes from file to file. A store of its
own is therefore as small as Ray allows, so that a container's 64 MB of /dev/shm do for it, and spills nothing.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self, TypeVar

from gramophone.offline.cluster.calls import ClusterError, LostCall
from gramophone.offline.extras import need
from gramophone.realtime.stages.one_thread import keep_torch_to_one_thread

T = TypeVar("T")
R = TypeVar("R")

_STORE_BYTES = 80 << 20
"""Ray refuses less than 75 MB."""
_CRASHES, _NODES_LOST = 3, 20
"""Attempts at a call whose process ended, and at one whose machine went away, which says less against the call."""
_AHEAD = 2
"""Calls handed to Ray for each that can run: none waits for this process, and few are handed out in vain."""
_LOOK_S = 1.0
"""How often to ask what the cluster has, which costs it more than a call does."""
_CONNECT_S = 5.0
_BARREN_S = 60.0
"""How long a cluster may have no machine that can take a call."""


class RayCluster:
    """Calls functions on a Ray cluster. For a `with` block.

    Args:
        address: of a cluster, `HOST:PORT`, `ray://HOST:PORT` or `auto`; empty: the one that `RAY_ADDRESS` or a Ray job
            gives, or else one on this machine for as long as this object.
        jobs: most calls at a time; 0: as many as the cluster has cores.
        gpus: of a GPU for each call, 0.25 for a quarter.

    Raises:
        ClusterError: there is no cluster at the address, or no machine of it has what a call takes.
        MissingLibraryError: Ray is not installed.
    """

    def __init__(self, address: str = "", jobs: int = 0, gpus: float = 0.0) -> None:
        need("ray")
        import ray

        self._jobs, self._gpus = jobs, gpus
        self._is_own = not ray.is_initialized()
        if self._is_own:
            _connect(address, jobs)
        try:
            self._barren_since: float | None = None
            self._counted, self._counted_s = 0, -math.inf
            if address and not self._slots():
                raise ClusterError(f"{address}: {self._lacking()}; start one of its machines with what is missing")
            if not address and gpus and not self._slots():
                raise ClusterError(f"this machine: {self._lacking()}; --device cpu needs none")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster, and end it if it is this object's own."""
        import ray

        if self._is_own:
            ray.shutdown()

    def results(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, R | LostCall]]:
        """Yield each item with what `function` returned for it, in the order in which they are done.

        A call whose process or machine ended is made again elsewhere, some times; then it is a `LostCall`. `function`
        and items travel by pickle; a machine must have this version of Gramophone.

        Raises:
            ClusterError: no machine is left, or one has another version.
        """
        import ray

        shared = ray.put(function)
        call: Any = ray.remote(num_cpus=1, num_gpus=self._gpus, max_retries=0)(_call)
        waiting = deque((item, _Attempts()) for item in items)
        running: dict[Any, tuple[T, _Attempts]] = {}
        try:
            while waiting or running:
                room = self._room()
                while waiting and len(running) < room:
                    item, attempts = waiting.popleft()
                    running[call.remote(shared, item, version("gramophone"))] = item, attempts
                ready, _ = ray.wait(list(running), num_returns=1, timeout=_LOOK_S) if running else ([], [])
                for reference in ready:
                    item, attempts = running.pop(reference)
                    found = _result(reference, attempts)
                    if found is attempts:
                        waiting.append((item, attempts))
                    else:
                        yield item, found
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def _room(self) -> int:
        """Return how many calls may be with Ray at present.

        Raises:
            ClusterError: no machine has been able to take one for a minute.
        """
        now = time.monotonic()
        if now - self._counted_s > _LOOK_S:
            self._counted, self._counted_s = self._slots(), now
        slots = self._counted
        if slots:
            self._barren_since = None
            return self._jobs if 0 < self._jobs < slots else _AHEAD * slots
        self._barren_since = now if self._barren_since is None else self._barren_since
        if now - self._barren_since > _BARREN_S:
            raise ClusterError(f"the cluster: {self._lacking()}; what is done is kept, and the same call goes on")
        return 1

    def _slots(self) -> int:
        """Return how many calls the machines that are there can run at a time."""
        there = _resources()
        by_gpu = int(there.get("GPU", 0.0) / self._gpus) if self._gpus else None
        cores = int(there.get("CPU", 0.0))
        return cores if by_gpu is None else min(cores, by_gpu)

    def _lacking(self) -> str:
        there = _resources()
        wanted = f"1 core{f' and {self._gpus:g} of a GPU' if self._gpus else ''}"
        found = f"{there.get('CPU', 0):g} cores and {there.get('GPU', 0):g} GPUs"
        return f"no machine that has {wanted} for a call ({found} in all)"


class _Attempts:
    """How often the process or machine of one call has ended."""

    def __init__(self) -> None:
        self.crashes = self.nodes = 0

    @property
    def are_over(self) -> bool:
        return self.crashes >= _CRASHES or self.nodes >= _NODES_LOST

    @property
    def why(self) -> str:
        ended = [f"its process ended {self.crashes} times"] * bool(self.crashes)
        ended += [f"its machine went away {self.nodes} times"] * bool(self.nodes)
        return f"{' and '.join(ended)} (out of memory, killed, or crashed); given up"


def _result(reference: Any, attempts: _Attempts) -> Any:
    """Return a call's result, or `attempts` if it is to be made again, or a `LostCall`."""
    import ray
    from ray import exceptions

    try:
        return ray.get(reference)
    except exceptions.RayTaskError as error:
        raise (error.cause if isinstance(error.cause, Exception) else error) from None
    except (exceptions.WorkerCrashedError, exceptions.OutOfMemoryError):
        attempts.crashes += 1
    except (exceptions.NodeDiedError, exceptions.ObjectLostError, exceptions.LocalRayletDiedError):
        attempts.nodes += 1
    return LostCall(attempts.why) if attempts.are_over else attempts


def _call(function: Callable[[T], R], item: T, expected: str) -> R:
    """Call a function with an item, in a worker process of Ray's."""
    found = version("gramophone")
    if found != expected:
        raise ClusterError(
            f"{socket.gethostname()} has gramophone {found}, this machine {expected}; install one version on all"
        )
    keep_torch_to_one_thread()  # Ray gives each call one core
    return function(item)


def _resources() -> dict[str, float]:
    import ray

    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found


def _connect(address: str, jobs: int) -> None:
    import ray

    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False, "include_dashboard": False}
    given = address or os.environ.get("RAY_ADDRESS", "")
    if given:
        _demand_listener(given)
        options.pop("include_dashboard")
    else:
        options |= {"num_cpus": jobs or os.cpu_count() or 1, "object_store_memory": _STORE_BYTES}
    try:
        ray.init(address=given or "local", **options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        where = f"no Ray cluster can be used at {given}" if given else "no Ray cluster can be started here"
        raise ClusterError(f"{where}: {str(error).splitlines()[0]}{_HELP if given else ''}") from None


_HELP = "; start one with `ray start --head`, or leave --address out for one on this machine alone"


def _demand_listener(address: str) -> None:
    """Check that something listens at an address: Ray itself would try for minutes.

    Raises:
        ClusterError: nothing does, or it is no address.
    """
    if address in ("auto", "local"):
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        raise ClusterError(f"{address}: no address of a cluster; expected HOST:PORT, ray://HOST:PORT or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"no Ray cluster at {address}: {getattr(error, 'strerror', None) or error}{_HELP}") from None
