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
plug.recv(24, socket.MSG_WAITALL)
memories = 4, 5
for memory in memories:
    size = os.fstat(memory).st_size
    for wrong in (0, size + 4096):
        try:
            os.ftruncate(memory, wrong)
        except PermissionError:
            continue
        os._exit(print("its size is not sealed", file=sys.stderr))
head = 3 * 64 + 3 * 8 * 256
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
plug.recv(24, socket.MSG_WAITALL)
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


SULKER = """
import mmap, socket, struct, threading, time
plug = socket.socket(fileno=3)
plug.recv(24, socket.MSG_WAITALL)
given, back = (mmap.mmap(memory, 0) for memory in (4, 5))
starts, slots, head = 0, 256, 6336

def number(kind, value):
    plug.sendall(struct.pack("<IId", kind, 8, value))

def answer():
    # every block of the second bounce with a sound of its own, and none of any other
    done = -1
    while True:
        time.sleep(0.0005)
        newest, = struct.unpack_from("<q", given, 128)
        for block in range(done + 1, newest + 1):
            slot = block % slots
            if starts == 2:
                length = 192 + 8 * (slots + slot)
                back[length : length + 8] = given[length : length + 8]
                for channel in (0, 1):
                    at = head + 4 * 4096 * (2 * slot + channel)
                    back[at : at + 1024] = struct.pack("<f", 0.5) * 256
                struct.pack_into("<q", back, 192 + 8 * slot, block)
                struct.pack_into("<q", back, 128, block)
        done = newest

threading.Thread(target=answer, daemon=True).start()
number(23, 1.0)
number(24, 0.0)
while header := plug.recv(8, socket.MSG_WAITALL):
    kind, size = struct.unpack("<II", header)
    plug.recv(size, socket.MSG_WAITALL)
    starts += kind == 19
    if kind == 22:
        number(22, 0.0)
"""


@pytest.fixture
def run_core(core_driver, tmp_path):
    """Let the plug-in's core play so many blocks with an engine that is a Python program; `tool` may watch it."""

    def run(program, blocks, *arguments, tool=(), does=()):
        (tmp_path / "gramophone").mkdir()
        (tmp_path / "engine.py").write_text(program)
        words = (sys.executable, str(tmp_path / "engine.py"), *map(str, arguments))
        (tmp_path / "gramophone" / "bridge.command").write_text(command(words))
        return subprocess.run(
            [*tool, str(core_driver), str(blocks), *does],
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


def test_an_engine_that_answers_no_block_holds_a_bounce_up_once_and_the_next_bounce_tries_it_again(run_core):
    done = run_core(SULKER, 300, does=["bounce"])
    assert done.stdout.split() == ["0.25", "0.50", "0.25", "sound"], done.stdout + done.stderr
    assert done.stderr.count("the engine does not answer; the rest of the bounce is dry") == 1


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["memcheck", "helgrind"])
@pytest.mark.parametrize("seed", [1, 2])
def test_an_engine_that_sends_anything_reaches_no_memory_but_the_shared(run_core, tool, seed):
    checks = ["--leak-check=full", "--errors-for-leak-kinds=definite"] if tool == "memcheck" else []
    done = run_core(FUZZER, 250, seed, tool=("valgrind", f"--tool={tool}", "--error-exitcode=9", "-q", *checks))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "sound\n"
