"""The plug-in in real hosts: it plays what `render` gives, to the sample; without an engine the aligned dry sound."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gramophone.offline.commands.bridge import build
from gramophone.presets import names
from gramophone.realtime.engine import Engine

DPF = Path("/usr/share/dpf")
RATE = 44_100

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not (DPF / "Makefile.plugins.mk").exists(), reason="needs DPF: apt install dpf-source"),
    pytest.mark.skipif(not shutil.which("c++"), reason="needs a C++ compiler"),
]

HOST = """
import sys
import numpy as np
import pedalboard

plugin = pedalboard.load_plugin(sys.argv[1])
sound = np.load(sys.argv[2])
settings = dict(pair.split("=") for pair in sys.argv[5:])
for name, value in settings.items():
    setattr(plugin, name, float(value))
np.save(sys.argv[3], plugin(sound, {rate}, buffer_size=int(sys.argv[4])))
"""


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    return build(tmp_path_factory.mktemp("bridge"), DPF)


@pytest.fixture
def host(tmp_path, plugins):
    """Play a sound through the plug-in in pedalboard, with the engine that `command` starts."""

    def play(sound, block, command=(sys.executable, "-m", "gramophone.realtime.bridge.engine_process"), **settings):
        folder = tmp_path / "config" / "gramophone"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bridge.command").write_text("\n".join(command) + "\n")
        np.save(tmp_path / "in.npy", sound)
        places = [str(plugins / "Gramophone.vst3"), str(tmp_path / "in.npy"), str(tmp_path / "out.npy"), str(block)]
        wanted = [f"{name}={value}" for name, value in settings.items()]
        environment = os.environ | {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_RUNTIME_DIR": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", HOST.format(rate=RATE), *places, *wanted],
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
        return np.load(tmp_path / "out.npy"), done.stderr

    return play


def noise(seconds):
    generator = np.random.default_rng(1)
    return (0.1 * generator.standard_normal((2, round(seconds * RATE)))).astype(np.float32)


@pytest.mark.parametrize("block", [100, 1024])
def test_a_bounce_is_what_render_gives(host, block):
    sound = noise(1.5)
    rendered = Engine.load("choir", rate=RATE, channels=2).render(sound)
    bounced, _ = host(sound, block, preset=names().index("choir") + 1)
    np.testing.assert_allclose(bounced, rendered, atol=1e-6)


@pytest.mark.parametrize("settings", [{"mix": 0.0}, {"bypass": 1.0}])
def test_bypass_and_mix_leave_the_sound_as_it_is_and_in_line(host, settings):
    sound = noise(0.5)
    settings |= {"preset": names().index("choir") + 1}
    np.testing.assert_allclose(host(sound, 512, **settings)[0], sound, atol=1e-6)


def test_without_an_engine_it_is_dry_and_says_what_to_do(host):
    sound = noise(0.5)
    played, said = host(sound, 512, command=())
    np.testing.assert_array_equal(played, sound)
    assert "gramophone bridge install" in said


LIAR = """
import os, socket, struct, sys
plug = socket.socket(socket.AF_UNIX)
plug.connect(sys.argv[-1])
kind = sys.argv[-2]
memory = os.memfd_create("short")
os.ftruncate(memory, 4096)
place = struct.pack("<QQQQQQIIII", 1 << 40, 0, 64, 128, 192, 1 << 39, 1024, 2, 4096, 0)
hello = struct.pack("<II", 0x4D415247, 99 if kind == "version" else 1) + place * 2
if kind == "garbage":
    plug.sendall(os.urandom(4096))
elif kind == "huge":
    plug.sendall(struct.pack("<II", 3, 0xFFFFFFFF))
elif kind == "early":
    plug.sendall(struct.pack("<IIII", 6, 8, 0xFFFFFFFF, 0xFFFFFFFF))
else:
    socket.send_fds(plug, [struct.pack("<II", 8, len(hello)) + hello], [memory] * 3)
try:
    plug.recv(1 << 16)
    plug.recv(1 << 16)
except OSError:
    pass
"""


@pytest.mark.parametrize("kind", ["garbage", "huge", "early", "layout", "version"])
def test_a_peer_that_lies_leaves_the_sound_dry(host, kind):
    sound = noise(0.3)
    played, _ = host(sound, 256, command=(sys.executable, "-c", LIAR, kind))
    np.testing.assert_array_equal(played, sound)


def test_an_lv2_host_finds_its_ports_and_the_one_for_bounces(plugins):
    if not shutil.which("lv2info"):
        pytest.skip("needs lv2info: apt install lilv-utils")
    environment = os.environ | {"LV2_PATH": f"{plugins}:/usr/lib/lv2"}
    done = subprocess.run(["lv2info", "urn:gramophone:bridge"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "http://lv2plug.in/ns/lv2core#freeWheeling" in done.stdout
    assert "Has latency:       yes" in done.stdout
    assert all(f"macro_{number}" in done.stdout for number in range(1, 9))
