"""Ray's machines on loopback, each of one core, that a test starts and ends."""

from contextlib import contextmanager

SMALL = {"num_cpus": 1, "object_store_memory": 80 << 20}


@contextmanager
def ray_nodes(**more):
    """Start a machine for the calling process and, with `more` of its resources, another; give their cluster."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**SMALL, "include_dashboard": False})
    try:
        if more:
            cluster.add_node(**{**SMALL, **more})
        yield cluster
    finally:
        cluster.shutdown()
