"""The plug-in's core against engines that send anything: valgrind finds no access beyond its own memory, no leak."""

import subprocess
import sys

import pytest

from gramophone.offline.commands.bridge import command

pytestmark = [pytest.mark.peer, pytest.mark.slow]

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


@pytest.mark.parametrize("tool", ["memcheck", "helgrind"])
@pytest.mark.parametrize("seed", [1, 2])
def test_an_engine_that_sends_anything_reaches_no_memory_but_the_shared(core_driver, tmp_path, tool, seed):
    (tmp_path / "gramophone").mkdir()
    (tmp_path / "fuzzer.py").write_text(FUZZER)
    words = (sys.executable, str(tmp_path / "fuzzer.py"), str(seed))
    (tmp_path / "gramophone" / "bridge.command").write_text(command(words))
    checks = ["--leak-check=full", "--errors-for-leak-kinds=definite"] if tool == "memcheck" else []
    done = subprocess.run(
        ["valgrind", f"--tool={tool}", "--error-exitcode=9", "-q", *checks, str(core_driver), "250"],
        env={"XDG_CONFIG_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "sound\n"
