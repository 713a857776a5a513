"""The plug-in's core against engines that send anything: valgrind finds no access beyond its own memory, no leak."""

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.peer, pytest.mark.slow]

FUZZER = """
import os, random, socket, struct, sys, time
chance = random.Random(int(sys.argv[1]))
plug = socket.socket(fileno=3)
plug.settimeout(0.2)
slots, longest = 16, 256
size = 64 + 3 * 8 * slots + slots * 2 * longest * 4
memories = [os.memfd_create("ring") for _ in range(2)]
for memory in memories:
    os.ftruncate(memory, size)
near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
place = struct.pack("<QQQQQQIIII", size, 0, 64, 64 + 8 * slots, 64 + 16 * slots, 64 + 24 * slots, slots, 2, longest, 0)
hello = struct.pack("<II", 0x4D415247, 2) + place * 2
try:
    socket.send_fds(plug, [struct.pack("<II", 8, len(hello)) + hello], [*memories, far.fileno()])
    plug.sendall(struct.pack("<IIII", 6, 8, chance.randrange(1 << 32), chance.randrange(1 << 32)))
    for _ in range(60):
        os.pwrite(memories[1], chance.randbytes(64 + 24 * slots), 0)
        kind, payload = chance.choice([2, 3, 5, 6, 7, 8, 10, 99]), chance.randbytes(chance.choice([0, 4, 8, 136, 300]))
        plug.sendall(struct.pack("<II", kind, len(payload)) + payload)
        time.sleep(0.01)
    os.ftruncate(memories[0], size) if chance.random() < 0.5 else plug.sendall(b"\\\\1\\\\0")
except OSError:
    pass
"""


@pytest.mark.parametrize("tool", ["memcheck", "helgrind"])
@pytest.mark.parametrize("seed", [1, 2])
def test_an_engine_that_sends_anything_reaches_no_memory_but_the_shared(core_driver, tmp_path, tool, seed):
    (tmp_path / "gramophone").mkdir()
    (tmp_path / "fuzzer.py").write_text(FUZZER)
    words = (sys.executable, str(tmp_path / "fuzzer.py"), str(seed))
    (tmp_path / "gramophone" / "bridge.command").write_text("".join(f"{word}\n" for word in words))
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
