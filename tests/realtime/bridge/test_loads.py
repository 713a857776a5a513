"""Plug-ins that are loaded, played and unloaded again and again leave nothing behind: not in the host, not elsewhere.

`BRIDGE_LOADS=200 pytest -s` loads so often in each host, and prints what was used.
"""

import json
import os
import sys
from pathlib import Path

import pytest
from support.engines import engines, memory_of
from support.jack_server import until
from support.python_hosts import FILES

pytestmark = [pytest.mark.peer, pytest.mark.slow]
TESTS = Path(__file__).parents[2]
LOADS = {"pedalboard": 8, "dawdreamer": 8, "clap": 16, "lilv": 16}
"""How often each host loads in the suite; the first two activate what they load, which starts an engine each time."""
MANY = int(os.environ.get("BRIDGE_LOADS", "0"))
PLAYS_EACH = 4
GROWTH_KIB = 8192
"""What host or server may have more at the end than after half of the loads: an allocator's moods, and no leak.

The first four may take 18 MB; 41 more take none.
"""
PROGRAM = """
import gc, json, os, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from support.engines import engines, server, used
from support.jack_server import until
from support.python_hosts import HOSTS

host, plugin, loads, each = sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
folder, sound, rows, started = os.environ["XDG_RUNTIME_DIR"], np.zeros((2, 2048), np.float32), [], set()
for load in range(loads):
    instance = HOSTS[host](plugin, 44100, 256)
    if load % each == 0:
        instance.play(sound, 44100, 256)
        started.update(process for process, _ in engines(folder))
    instance.close()
    del instance
    gc.collect()
    until(lambda: not engines(folder), 60)
    rows.append([*used(), *used(server(folder))])
print(json.dumps([rows, sorted(started)]))
"""


@pytest.mark.parametrize("host", LOADS)
def test_loads_leave_no_memory_descriptors_threads_or_processes(installed, host):
    loads = MANY or LOADS[host]
    words = [TESTS, host, installed.folder / f"Gramophone.{FILES[host]}", loads, PLAYS_EACH]
    done = installed.run([sys.executable, "-c", PROGRAM, *map(str, words)], 60.0 + 20.0 * loads)
    rows, started = json.loads(done.stdout.splitlines()[-1])
    assert len(started) >= len(rows[::PLAYS_EACH])
    names = [f"{of} {what}" for of in ("host", "server") for what in ("KiB", "descriptors", "threads")]
    found = {name: (row[loads // 2], row[-1]) for name, row in zip(names, zip(*rows, strict=True), strict=True)}
    print(host, loads, found)
    for name, (first, last) in found.items():
        assert last <= first + (GROWTH_KIB if "KiB" in name else 0), found
    folder = installed.environment["XDG_RUNTIME_DIR"]
    until(lambda: not engines(folder), 60)
    until(lambda: not memory_of(started), 60)
