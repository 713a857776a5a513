"""The terminal's view: where control surfaces are reached, and an address as a QR code that another program reads."""

import io
import re
import shutil
import subprocess

import numpy as np
import pytest
from rich.console import Console

from gramophone.presets import load
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.live.console_view import TerminalView, qr_code
from gramophone.realtime.parameter_table import complete

URL = "http://192.168.178.123:9001/ui?token=kV3zq0Yb1x-Qw_7hN2mR8sT5uLpE4aJd"
_LEVEL = {"peak_db": -3.0, "rms_db": -20.0}
REPORT = {
    "device": "jack", "rate": 48_000, "block": 256, "latency_samples": 512, "latency_ms": 10.67, "load": 0.1,
    "underruns": 0, "xruns": 0, "playing": True, "status": "", "left_out": {}, "input": _LEVEL, "output": _LEVEL,
}  # fmt: skip


@pytest.fixture
def console():
    return Console(file=io.StringIO(), force_terminal=True, width=200, color_system="truecolor")


def drawn(console):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())


def picture(text):
    """Return what a terminal shows for a text of upper half blocks with colours of their own, as 8 bit grey."""
    rows = []
    for line in text.rstrip("\n").split("\n"):
        cells = re.findall(r"\x1b\[38;2;(\d+);\d+;\d+;48;2;(\d+);\d+;\d+m(▀+)", line)
        colours = [pair for upper, lower, run in cells for pair in [(int(upper), int(lower))] * len(run)]
        rows += [[upper for upper, _ in colours], [lower for _, lower in colours]]
    return np.kron(np.array(rows, np.uint8), np.ones((6, 6), np.uint8))


@pytest.mark.peer
@pytest.mark.parametrize("url", ["http://10.0.0.2:9001/ui?token=a", URL, URL.replace("192.168.178.123", "[fe80::1]")])
def test_a_phone_reads_the_address_whatever_the_terminals_colours(console, url, tmp_path):
    if not shutil.which("zbarimg"):
        pytest.skip("needs zbarimg: apt install zbar-tools")
    TerminalView(console).show_code(url)
    grey = picture(console.file.getvalue())
    path = tmp_path / "code.pgm"
    path.write_bytes(b"P5 %d %d 255\n" % (grey.shape[1], grey.shape[0]) + grey.tobytes())
    read = subprocess.run(["zbarimg", "--raw", "--quiet", path], capture_output=True, text=True, check=True)
    assert read.stdout.strip() == url


def test_the_code_of_an_address_with_its_token_fits_a_terminal():
    code = qr_code(URL).plain.split("\n")
    assert len(code[0]) <= 48
    assert len(code) <= 24


def test_preset_page_port_and_midi_devices_are_shown_as_they_are_now(console):
    controller, inputs = Controller(complete(load("default")), None), []
    with TerminalView(console) as view:
        view.show_surface("page", lambda: "http://127.0.0.1:9001/ui")
        view.show_surface("OSC", lambda: "port 9000")
        view.show_surface("MIDI", lambda: ", ".join(inputs) or "no device")
        view.show(REPORT, controller)
        reached = "page http://127.0.0.1:9001/ui  OSC port 9000  MIDI no device"
        assert f"preset 'As someone else'  {reached}" in drawn(console)
        inputs.append("nanoKONTROL2")
        view.show(REPORT, controller)
    assert "MIDI nanoKONTROL2" in drawn(console)


def test_what_is_compiled_is_shown_while_it_is_and_no_longer(console):
    controller = Controller(complete(load("default")), None)
    words = "compiling the voice for this machine, you hear yourself dry, about 12 s left"
    with TerminalView(console) as view:
        view.show(REPORT | {"playing": False, "status": words}, controller)
        assert words in drawn(console)
        console.file.truncate(0)
        view.show(REPORT, controller)
        assert "compiling" not in drawn(console)
