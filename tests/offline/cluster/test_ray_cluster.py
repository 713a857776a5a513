"""A cluster makes each call once, again where a process or machine is lost, and says what it lacks."""

import os
import signal
import socket
from pathlib import Path

import pytest

pytest.importorskip("ray")

from gramophone.offline.cluster import ray_cluster
from gramophone.offline.cluster.calls import ClusterError, InTurn, LostCall, kept
from gramophone.offline.cluster.choice import EngineChoice, caller
from gramophone.offline.cluster.ray_cluster import RayCluster

pytestmark = pytest.mark.slow


def squared(number):
    return number * number


def refused(number):
    raise ClusterError(f"no {number}")


def ends_once(marker):
    """End the process that it runs in the first time."""
    path = Path(marker)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


def ends(_item):
    os.kill(os.getpid(), signal.SIGKILL)


def gpus(_item):
    import ray

    return ray.get_gpu_ids()


@pytest.fixture(scope="module")
def cluster():
    """Two machines of one core on loopback; the second has two GPUs by name."""
    from support.ray_nodes import ray_nodes  # not above: the machines import this file, without its neighbours

    with ray_nodes(num_gpus=2) as nodes:
        yield nodes


def test_a_cluster_returns_what_calls_in_turn_return(cluster):
    items = list(range(12))
    with RayCluster(cluster.address) as there:
        assert sorted(there.results(squared, items)) == sorted(InTurn().results(squared, items))
        with pytest.raises(ClusterError, match="no 3"):
            list(there.results(refused, [3]))


def test_a_call_whose_process_ended_is_made_again_and_given_up_if_it_ends_each_time(cluster, tmp_path):
    markers = [str(tmp_path / name) for name in "abc"]
    with RayCluster(cluster.address) as there:
        assert dict(there.results(ends_once, markers)) == {marker: Path(marker).name for marker in markers}
        ((_, lost),) = there.results(ends, [0])
        assert isinstance(lost, LostCall)
        assert lost.why.startswith("its process ended 3 times")
        with pytest.raises(ClusterError, match="a: its process ended 3 times"):
            kept("a", lost)


def test_calls_get_the_gpus_that_they_take(cluster):
    with RayCluster(cluster.address, gpus=1) as there:
        assert {tuple(found) for _, found in there.results(gpus, range(8))} <= {(0,), (1,)}
    with RayCluster(cluster.address) as there:
        assert list(there.results(gpus, [0])) == [(0, [])]
    with pytest.raises(ClusterError, match=r"no machine that has 1 core and 3 of a GPU.*2 cores and 2 GPUs in all"):
        RayCluster(cluster.address, gpus=3)


def test_an_address_without_a_cluster_is_named_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ClusterError, match=rf"no Ray cluster at {address}: .*refused; start one with `ray start"):
            caller(EngineChoice("ray", address)).__enter__()
    with pytest.raises(ClusterError, match="expected HOST:PORT"):
        RayCluster("somewhere")


def test_a_machine_with_another_version_is_refused(cluster, monkeypatch):
    with RayCluster(cluster.address) as there:
        monkeypatch.setattr(ray_cluster, "version", lambda _name: "0.0")
        with pytest.raises(ClusterError, match=r"has gramophone .*, this machine 0\.0"):
            list(there.results(squared, [1]))
