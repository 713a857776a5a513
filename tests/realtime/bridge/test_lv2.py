"""The plug-in's LV2 bundles: valid, and played by the hosts of files that there are."""

import subprocess

import numpy as np
import pytest
import soundfile
from support.bridge import RATE, in_line, noise, rendered

from gramophone.presets import names

pytestmark = pytest.mark.peer
PRESET = str(1 + names().index("choir"))
SET = {"preset": PRESET, "offline": "1", "macro_1": "0.3"}

HOSTS = {
    "lv2apply": lambda files, set_: ["lv2apply", *_flat("-c", set_, " "), "-i", files[0], "-o", files[1]],
    "lv2file": lambda files, set_: ["lv2file", "-b", "64", *_flat("-p", set_, ":"), "-i", files[0], "-o", files[1]],
}
"""Hosts that play a file: the first a frame a block, with no feature and no event ports, the second in blocks of 64."""


def _flat(option, values, sign):
    return [word for name, value in values.items() for word in (option, *f"{name}{sign}{value}".split(" "))]


@pytest.mark.parametrize(("uri", "inputs"), [("urn:gramophone:bridge", 2), ("urn:gramophone:bridge-mono", 1)])
def test_an_lv2_host_finds_ports_presets_latency_and_what_it_sets_in_bounces(installed, uri, inputs):
    shown = installed.run(["lv2info", uri]).stdout
    assert "http://lv2plug.in/ns/lv2core#freeWheeling" in shown
    assert "Has latency:       yes" in shown
    assert all(f"macro_{number}" in shown for number in range(1, 9))
    assert shown.count("http://lv2plug.in/ns/lv2core#AudioPort") == 2 * inputs
    assert "choir" in shown or "(default)" in shown


def test_the_description_is_valid(installed):
    plugins = ("Gramophone", "GramophoneMono")
    files = [f"{installed.folder}/{name}.lv2/{file}.ttl" for name in plugins for file in ("manifest", f"{name}_dsp")]
    said = installed.run(["lv2_validate", *files])
    assert "Found 0 errors" in said.stdout, said.stdout + said.stderr


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("channels", [2, 1])
def test_a_host_of_files_gives_what_render_gives_a_constant_time_later(installed, tmp_path, host, channels):
    sound = noise(0.25, channels=channels)
    files = str(tmp_path / "in.wav"), str(tmp_path / "out.wav")
    soundfile.write(files[0], np.pad(sound, ((0, 0), (0, 8192))).T, RATE, subtype="FLOAT")
    uri = "urn:gramophone:bridge" if channels == 2 else "urn:gramophone:bridge-mono"
    installed.run([*HOSTS[host](files, SET), uri])
    played, _ = soundfile.read(files[1], dtype="float32", always_2d=True)
    expected = rendered("choir", sound, "macro.1=0.3")
    np.testing.assert_allclose(in_line(played.T, expected), expected, atol=1e-6)


def test_lv2bench_measures_it_in_blocks_that_no_engine_can_follow(installed):
    done = installed.run(["lv2bench", "-b", "256", "-n", "65536", "urn:gramophone:bridge"])
    assert float(done.stdout.split()[0]) > 0.0


def test_lv2proc_names_the_event_port_that_it_does_not_know_although_it_may_stay_open(installed, tmp_path):
    """Should a later version play the plug-in, this fails, and docs/bridge.md has good news to tell."""
    soundfile.write(tmp_path / "in.wav", noise(0.1).T, RATE)
    command = ["lv2proc", "-i", str(tmp_path / "in.wav"), "-o", str(tmp_path / "out.wav"), "urn:gramophone:bridge"]
    done = subprocess.run(command, env=installed.environment, capture_output=True, text=True, timeout=60)
    assert "port 'lv2_events_in' has a port type this program does not understand" in done.stderr
