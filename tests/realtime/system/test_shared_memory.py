"""Memory of processes that were killed is given back, and no other."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gramophone.realtime.live.shared_state import SharedState
from gramophone.realtime.system.shared_memory import SharedArrays, remove_orphans

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a list of shared memory")

FOLDER = Path("/dev/shm")
CODE = """
from gramophone.realtime.live.shared_state import SharedState
import time
SharedState.new(2)
print("made", flush=True)
time.sleep(600)
"""


def pieces_of(pid):
    return {
        path.name for path in FOLDER.iterdir() if f"-{pid}-" in path.name and path.name.startswith("gramophone.shared-")
    }


def start():
    process = subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout.readline() == b"made\n"
    return process


def kill_all(process):
    """Kill the process and the one that Python starts to watch over its memory."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_the_next_start_gives_back_what_killed_processes_left_and_leaves_the_living_alone():
    dead, living = start(), start()
    try:
        left, used = pieces_of(dead.pid), pieces_of(living.pid)
        assert len(left) == len(used) >= 4
        kill_all(dead)
        assert pieces_of(dead.pid) == left
        SharedState.new(2).close()
        assert not pieces_of(dead.pid)
        assert pieces_of(living.pid) == used
    finally:
        kill_all(living)
        remove_orphans()
        assert not pieces_of(living.pid)


def test_names_that_are_not_ours_and_a_pid_that_another_process_has_now():
    arrays = SharedArrays({"values": ("float64", (4,))})
    (own,) = pieces_of(os.getpid())
    prefix, namespace, pid, start_time, token = own.split("-")
    names = {
        f"{prefix}-{namespace}-{pid}-{int(start_time) - 1}-{token}": True,  # the pid was another process's before
        f"{prefix}-1-{pid}-{int(start_time) - 1}-{token}": False,  # another container's
        f"{prefix}-test-{token}": False,
        f"{prefix}-{namespace}-x-1-{token}": False,
        f"other-{namespace}-{pid}-1-{token}": False,
    }
    try:
        for name in names:
            (FOLDER / name).touch()
        removed = remove_orphans()
        assert {name for name in names if not (FOLDER / name).exists()} == {n for n, gone in names.items() if gone}
        assert own not in removed
        arrays.array("values")[:] = 1
    finally:
        for name in names:
            (FOLDER / name).unlink(missing_ok=True)
        arrays.close()


def test_memory_that_there_is_not_is_refused_by_a_message_and_leaves_nothing():
    """Else the process that writes there first would be killed."""
    before = pieces_of(os.getpid())
    with pytest.raises(OSError, match=r"bytes of shared memory.*/dev/shm"):
        SharedArrays({"all": ("float64", (1 << 44,))})
    assert pieces_of(os.getpid()) == before
