"""Layouts for other programs: they read as those programs read them, and each address in them is one that plays."""

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
import zlib

import pytest
from support.dispatcher import DispatcherSetup

from gramophone.offline.cli.layout import LayoutError, write_layout
from gramophone.presets import load, names
from gramophone.realtime.parameter_table import complete

PRESETS = ("default", "stack", "robot")


def written(program, name, folder):
    path = folder / f"layout-{program}"
    write_layout(program, complete(load(name)), path, "192.168.1.9", 9001)
    return path


def widgets(node):
    """Every widget of an Open Stage Control session, as its own converters walk it."""
    yield node
    for key in ("widgets", "tabs"):
        for child in node.get(key, ()):
            yield from widgets(child)


def plays(setup, address, *arguments):
    """Whether a message is taken, without an error, or the address can be asked."""
    setup.send(address, *arguments)
    setup.advance()
    return not setup.errors


@pytest.mark.parametrize("name", PRESETS)
def test_open_stage_controls_widgets_have_types_of_its_own_and_addresses_that_play(name, tmp_path):
    whole = json.loads(written("open-stage-control", name, tmp_path).read_text())
    assert (whole["createdWith"], whole["type"], whole["content"]["type"]) == ("Open Stage Control", "session", "root")
    found = list(widgets(whole["content"]))
    assert {each["type"] for each in found} <= {"root", "tab", "fader", "button", "dropdown", "text"}
    assert len({each["id"] for each in found}) == len(found)
    setup = DispatcherSetup(load(name))
    for each in found:
        if "address" not in each or each.get("bypass") or each["id"] == "preset":
            continue
        assert each["target"] == "192.168.1.9:9001"
        sent = {"fader": 0.25, "button": each.get("on", 1), "dropdown": (each.get("values") or [""])[-1]}
        arguments = [sent[each["type"]]] if each["type"] in sent else []
        assert plays(setup, each["address"], *arguments), (each["address"], setup.errors)
    for target, address in re.findall(r'send\("([^"]+)", "([^"]+)"', whole["content"]["onCreate"]):
        assert target == "192.168.1.9:9001"
        assert plays(setup, address, 30.0)
    preset = next(each for each in found if each["id"] == "preset")
    assert preset["values"] == names()


@pytest.mark.peer
@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
def test_the_script_of_open_stage_control_runs_and_sends_at_once(tmp_path):
    whole = json.loads(written("open-stage-control", "default", tmp_path).read_text())
    program = (
        "const sent = []; const send = (...a) => sent.push(a); const setInterval = (f, ms) => sent.push(['every', ms]);"
        f"{whole['content']['onCreate']}; console.log(JSON.stringify(sent))"
    )
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True)
    sent = json.loads(done.stdout)
    assert [each[1] for each in sent[:3]] == ["/gramophone/subscribe", "/gramophone/n/subscribe", "/refresh"]
    assert sent[3] == ["every", 30_000]


@pytest.mark.parametrize("name", PRESETS)
def test_touchosc_finds_every_control_within_its_page_and_its_addresses_play(name, tmp_path):
    root = ET.fromstring(zlib.decompress(written("touchosc", name, tmp_path).read_bytes()))
    assert (root.tag, root.get("version"), len(root)) == ("lexml", "3", 1)
    nodes = list(root.iter("node"))
    assert len({node.get("ID") for node in nodes}) == len(nodes)
    assert {node.get("type") for node in nodes} <= {"GROUP", "PAGER", "BUTTON", "FADER", "LABEL"}
    setup = DispatcherSetup(load(name))
    for node in nodes:
        properties = {p.findtext("key"): p for p in node.find("properties")}
        assert {"name", "frame", "color"} <= properties.keys()
        for child in node.findall("children/node"):
            inner = child.find("properties/property[key='frame']/value")
            x, y, w, h = (int(inner.findtext(part)) for part in "xywh")
            frame = properties["frame"].find("value")
            assert w > 20
            assert h > 10
            assert x + w <= int(frame.findtext("w"))
            assert y + h <= int(frame.findtext("h")) + 40
        for osc in node.findall("messages/osc"):
            address = osc.findtext("path/partial/value")
            is_whole = osc.findtext("arguments/partial/conversion") == "INTEGER"
            assert plays(setup, address, 1 if is_whole else 0.25), (address, setup.errors)


@pytest.mark.parametrize("name", PRESETS)
def test_reapers_patterns_are_flags_and_addresses_that_play(name, tmp_path):
    lines = written("reaper", name, tmp_path).read_text().splitlines()
    settings = [line.split() for line in lines if line and not line.startswith("#")]
    assert all(len(words) == 2 for words in settings)
    patterns = {key: value for key, value in settings if "/" in value}
    assert set(patterns) == {"TEMPO", "FX_PARAM_VALUE", "FX_BYPASS"}
    count = int(dict(settings)["DEVICE_FX_PARAM_COUNT"])
    setup = DispatcherSetup(load(name), surfaces=True)
    for key, pattern in patterns.items():
        flag, address = pattern[0], pattern[1:]
        assert flag in "nfbrtsi"
        for number in range(1, count + 1 if "@" in address else 2):
            value = {"TEMPO": 132.0, "FX_BYPASS": 1.0}.get(key, 0.75)
            assert plays(setup, address.replace("@", str(number)), value), (address, setup.errors)
    assert setup.controller.get("macro.1") == 0.75


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(LayoutError, match="missing"):
        write_layout("reaper", complete(load("hall")), tmp_path / "missing" / "x.ReaperOSC", "h", 1)


@pytest.mark.peer
@pytest.mark.parametrize("name", PRESETS)
def test_a_library_of_others_reads_every_control_of_the_touchosc_layout(name, tmp_path):
    tosclib = pytest.importorskip("tosclib", reason="needs tosclib: pip install tosclib")

    def below(control):
        yield control
        for child in control.children:
            yield from below(tosclib.ElementTOSC(child))

    root = tosclib.load(str(written("touchosc", name, tmp_path)))
    controls = list(below(tosclib.ElementTOSC(root[0])))
    ours = list(root.iter("node"))
    assert [control.node for control in controls] == ours
    for control in controls:
        assert control.getPropertyValue("name").text
        x, y, width, height = (float(control.getPropertyParam("frame", side).text) for side in "xywh")
        assert min(x, y) >= 0
        assert min(width, height) > 0
    labels = {c.getValueParam("text", "default").text for c in controls if c.isControlType(tosclib.ControlType.LABEL)}
    assert {macro.name for macro in load(name).macros} <= labels
