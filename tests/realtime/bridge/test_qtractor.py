"""Qtractor's scan of plug-ins, which runs without its window."""

import subprocess
from pathlib import Path

import pytest

SCAN = Path("/usr/lib/x86_64-linux-gnu/qtractor/qtractor_plugin_scan")
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
