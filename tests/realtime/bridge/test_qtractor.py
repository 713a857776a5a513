"""Qtractor: its scan of plug-ins, and a session that it opens without a screen, with JACK, without a MIDI sequencer."""

import json
import os
import re
import shutil
import socket
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from support.ardour import own_cache
from support.bridge import HALF, compile_default, noise
from support.engines import engines
from support.jack_listener import Listener
from support.jack_server import start_server, stop, until

from gramophone.realtime.engine import Engine
from gramophone.realtime.osc.packet import encode

SCAN = Path("/usr/lib/x86_64-linux-gnu/qtractor/qtractor_plugin_scan")
SERVER = f"gramophone-qtractor-{os.getpid()}"
RATE, BLOCK = 48_000, 256
LONGEST = 1024
"""The block that Qtractor announces to plug-ins, whatever JACK's is."""
SESSION = """<!DOCTYPE qtractor-session>
<session name="inserted" version="0.9.31">
 <properties><directory>{folder}</directory><sample-rate>48000</sample-rate></properties>
 <devices>
  <audio-engine>
   <audio-bus name="Master" mode="duplex">
    <monitor>1</monitor>
    <channels>2</channels>
    <output-plugins>
     <plugin type="CLAP">
      <filename>{plugin}</filename>
      <index>0</index>
      <label>Gramophone</label>
      <activated>1</activated>
     </plugin>
    </output-plugins>
   </audio-bus>
  </audio-engine>
 </devices>
</session>
"""
pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not SCAN.exists(), reason="needs Qtractor (Debian: apt install qtractor)"),
]


@pytest.mark.parametrize(("name", "ports"), [("Gramophone", "2:2"), ("GramophoneMono", "1:1")])
def test_qtractor_scans_the_clap_plug_in_with_its_ports_and_controls(installed, name, ports):
    done = subprocess.run(
        [str(SCAN)],
        input=f"CLAP:{installed.folder}/{name}.clap\n",
        env=installed.environment | {"QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    kind, shown, audio, midi, controls, *_ = done.stdout.strip().split("|")
    assert (kind, shown.replace(" ", ""), audio, midi, controls) == ("CLAP", name, ports, "0:0", "17:1")


@pytest.fixture
def qtractor(installed, tmp_path):
    """Open a session with the plug-in on the master bus."""
    library = tmp_path / "no_sequencer.so"
    source = Path(__file__).with_name("no_sequencer.c")
    subprocess.run(["cc", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    with ExitStack() as stack:

        def open_session():
            file = tmp_path / "inserted.qtr"
            plugin = installed.folder / "Gramophone.clap"
            file.write_text(SESSION.format(folder=tmp_path, plugin=plugin))
            server = start_server(SERVER)
            more = {"LD_PRELOAD": str(library), "JACK_DEFAULT_SERVER": SERVER, "HOME": str(tmp_path)}
            more["XDG_CACHE_HOME"] = str(own_cache())  # of code that is compiled already
            words = ["qtractor", "-platform", "offscreen", str(file)]
            host = subprocess.Popen(words, env=installed.environment | more, stderr=subprocess.DEVNULL)
            stack.callback(host.wait, 30)
            stack.callback(host.kill)
            stack.callback(stop, server)  # first: it waits for a client that has been killed

        yield open_session


def call_preset(runtime_folder, name):
    """Call a preset as the page of the only engine does; return whether there is one that takes it."""
    started = {process for process, _ in engines(runtime_folder)}
    listening = subprocess.run(["ss", "-ltnp"], capture_output=True, text=True, check=True).stdout
    pages = re.findall(r"127\.0\.0\.1:(\d+) .*pid=(\d+)", listening)
    for page in [port for port, process in pages if int(process) in started]:
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/?HOST_INFO", timeout=20) as answer:
            port = json.load(answer)["OSC_PORT"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(encode("/gramophone/preset", [name]), ("127.0.0.1", port))
        return True
    return False


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("jackd") and shutil.which("cc")), reason="needs jackd and a C compiler")
def test_qtractor_opens_a_session_with_the_plug_in_and_plays_through_it_in_line(qtractor, own, runtime_folder):
    """Live a busy machine may leave blocks dry, as late as is stated: half of them are enough."""
    preset, sound = own(HALF), noise(0.5, rate=RATE)
    compile_default()
    qtractor()
    ports = [[f"Qtractor:Master/{way}_{i}" for i in (1, 2)] for way in ("in", "out")]
    silence = ["jack_connect", "-s", SERVER, "system:capture_1", ports[0][0]]
    until(lambda: not subprocess.run(silence, capture_output=True, check=False).returncode, 60)
    until(lambda: call_preset(runtime_folder, Path(preset).stem), 150)
    late = LONGEST + Engine.load(preset, rate=RATE, channels=2).chain.delay + BLOCK  # JACK's own loop is a block
    with Listener(SERVER, sound, *ports) as listener:

        def plays():
            played = listener.play()[:, late : late + sound.shape[1]]
            return np.mean(np.abs(played - 0.5 * sound) < 1e-5) > 0.5

        until(plays, 90)
