"""The plug-in's core against engines that send anything: valgrind finds no access beyond its own memory, no leak."""

import subprocess
import sys

import pytest

from gramophone.offline.commands.bridge import command

pytestmark = pytest.mark.peer

FUZZER = """
import os, random, socket, struct, sys, time
chance = random.Random(int(sys.argv[1]))
plug = socket.socket(fileno=3)
plug.settimeout(5)
_, memories, _, _ = socket.recv_fds(plug, 24, 2, socket.MSG_WAITALL)
for memory in memories:
    size = os.fstat(memory).st_size
    for wrong in (0, size + 4096):
        try:
            os.ftruncate(memory, wrong)
        except PermissionError:
            continue
        os._exit(print("its size is not sealed", file=sys.stderr))
head = 3 * 64 + 3 * 8 * 1024
def number(kind, value):
    plug.sendall(struct.pack("<IId", kind, 8, value))
try:
    number(23, chance.uniform(-10, 1e9))
    number(24, chance.uniform(-10, 1e9))
    for _ in range(60):
        for memory in memories:
            os.pwrite(memory, chance.randbytes(head), 0)
        kind, size = chance.choice([*range(40), 49, 50, 64, 65, 66, 99]), chance.choice([0, 8, 8, 136, 300])
        payload = chance.randbytes(size)
        plug.sendall(struct.pack("<II", kind, len(payload)) + payload)
        number(22, float("nan") if chance.random() < 0.1 else 0.0)
        time.sleep(0.01)
    plug.sendall(chance.choice([b"\\1\\0", struct.pack("<II", 3, 2**32 - 1)]))
except OSError:
    pass
"""


KEEPER = """
import socket, struct, sys, time
plug = socket.socket(fileno=3)
socket.recv_fds(plug, 24, 2, socket.MSG_WAITALL)
def number(kind, value):
    plug.sendall(struct.pack("<IId", kind, 8, value))
number(23, 1.0)
number(24, 0.0)
answered, end = 0, time.monotonic() + 2
plug.settimeout(0.2)
while time.monotonic() < end:
    try:
        if not plug.recv(1 << 16):
            break
        number(22, 0.0)
        answered += 1
        plug.sendall(struct.pack("<II", 32 + 15, 0))
    except TimeoutError:
        pass
with open(sys.argv[1], "a") as told:  # another engine follows
    print("kept" if answered and time.monotonic() >= end else "dropped", file=told)
"""


@pytest.fixture
def run_core(core_driver, tmp_path):
    """Let the plug-in's core play so many blocks with an engine that is a Python program; `tool` may watch it."""

    def run(program, blocks, *arguments, tool=()):
        (tmp_path / "gramophone").mkdir()
        (tmp_path / "engine.py").write_text(program)
        words = (sys.executable, str(tmp_path / "engine.py"), *map(str, arguments))
        (tmp_path / "gramophone" / "bridge.command").write_text(command(words))
        return subprocess.run(
            [*tool, str(core_driver), str(blocks)],
            env={"XDG_CONFIG_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=170,
        )

    return run


def test_an_engine_that_sends_an_empty_text_and_nothing_more_is_kept(run_core, tmp_path):
    assert run_core(KEEPER, 1800, tmp_path / "end").returncode == 0
    assert (tmp_path / "end").read_text().startswith("kept\n")


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["memcheck", "helgrind"])
@pytest.mark.parametrize("seed", [1, 2])
def test_an_engine_that_sends_anything_reaches_no_memory_but_the_shared(run_core, tool, seed):
    checks = ["--leak-check=full", "--errors-for-leak-kinds=definite"] if tool == "memcheck" else []
    done = run_core(FUZZER, 250, seed, tool=("valgrind", f"--tool={tool}", "--error-exitcode=9", "-q", *checks))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "sound\n"
