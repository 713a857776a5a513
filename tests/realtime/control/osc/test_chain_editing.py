"""Editing the chain over OSC: what is asked for plays, what cannot be is refused, and nothing is lost on the way."""

import time

import pytest
from support.osc import Setup, make_preset

from gramophone.presets import load, own_folder
from gramophone.realtime.control.osc.chain_editing import MOST_STAGES, addable
from gramophone.realtime.control.osc.dispatcher import Dispatcher
from gramophone.realtime.control.osc.library import Library
from gramophone.realtime.osc.packet import encode
from gramophone.realtime.parameter_table import complete


class Client:
    """A setup, and a peer that sends it messages."""

    def __init__(self, preset):
        self.setup = Setup(preset, surfaces=True)
        self.dispatcher = Dispatcher(self.setup.space)

    def send(self, address, *values):
        self.put(address, *values)
        self.dispatcher.advance(time.monotonic())

    def put(self, address, *values):
        self.dispatcher.receive(encode(f"/gramophone/chain/{address}", values), "peer", time.monotonic())

    @property
    def chain(self):
        return [stage.name for stage in self.setup.controller.preset.stages]

    @property
    def kinds(self):
        return [stage.kind for stage in self.setup.controller.preset.stages]


@pytest.fixture
def client():
    return Client(make_preset())


def test_each_command_does_what_it_says(client):
    assert client.chain == ["drive", "filter", "hall", "space", "level"]
    client.send("move", "level", 0)
    assert client.chain == ["level", "drive", "filter", "hall", "space"]
    client.send("remove", "space")
    assert client.chain == ["level", "drive", "filter", "hall"]
    client.setup.controller.set("drive.drive", 31.0)
    client.send("duplicate", "drive")
    assert client.chain == ["level", "drive", "drive-2", "filter", "hall"]
    assert client.setup.controller.get("drive-2.drive") == 31.0
    client.setup.controller.set("filter.mix", 0.4)
    client.send("swap", "filter", "phaser")
    assert client.chain == ["level", "drive", "drive-2", "phaser", "hall"]
    assert client.setup.controller.get("phaser.mix") == 0.4
    client.send("add", "delay")
    client.send("add", "delay", 1)
    assert client.chain == ["level", "delay-2", "drive", "drive-2", "phaser", "hall", "delay"]
    assert client.setup.errors == {}
    assert client.setup.sink.calls[-1] == ("change", "test"), "the sink was given every chain"


def test_several_edits_of_one_bundle_are_all_done(client):
    client.put("add", "delay")
    client.put("add", "chorus", 0)
    client.put("remove", "hall")
    client.put("move", "delay", 1)
    client.send("duplicate", "delay")
    assert client.chain == ["chorus", "delay", "delay-2", "drive", "filter", "space", "level"]


def test_values_of_stages_that_stay_stay(client):
    client.setup.controller.set("drive.drive", 7.0)
    client.send("remove", "filter")
    assert client.setup.controller.get("drive.drive") == 7.0
    assert client.setup.controller.written("drive.drive") == 12.0, "as the preset has it"


@pytest.mark.parametrize(
    ("address", "values"),
    [
        ("remove", ("nowhere",)),
        ("remove", ()),
        ("remove", (1.0,)),
        ("add", ("no-such-kind",)),
        ("add", ("plugin",)),
        ("add", ("latent",)),
        ("add", ("../../etc/passwd/x",)),
        ("add", ("/etc/passwd",)),
        ("add", ("hall/nowhere",)),
        ("add", ("delay", -1)),
        ("add", ("delay", 0.5)),
        ("move", ("drive",)),
        ("move", ("drive", "first")),
        ("swap", ("drive", "no-such-kind")),
        ("duplicate", ("nowhere",)),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(client, address, values):
    before = client.setup.controller.preset
    client.send(address, *values)
    assert client.setup.controller.preset == before
    assert sum(client.setup.errors.values()) == 1
    assert "internal" not in client.setup.errors
    client.send("add", "delay")
    assert client.chain[-1] == "delay", "the next edit is not held up"


def test_a_chain_keeps_one_stage_and_has_an_end():
    client = Client(make_preset(stages=(("level", "gain", {}),)))
    client.send("remove", "level")
    assert client.chain == ["level"]
    for _ in range(MOST_STAGES + 3):
        client.send("duplicate", "level")
    assert len(client.chain) == MOST_STAGES
    assert client.setup.errors == {"refused value": 5}


def test_macros_and_mappings_of_a_removed_stage_go_with_it():
    client = Client(load("hall"))
    names = [macro.name for macro in client.setup.controller.preset.macros]
    wet = [
        macro.name
        for macro in client.setup.controller.preset.macros
        if any("hall." in t.parameter for t in macro.targets)
    ]
    client.send("remove", "hall")
    assert "hall" not in client.chain
    left = client.setup.controller.preset.macros
    assert all(not target.parameter.startswith("hall.") for macro in left for target in macro.targets)
    assert wet
    assert [macro.name for macro in left] == [name for name in names if name in {macro.name for macro in left}]
    assert complete(client.setup.controller.preset) == client.setup.controller.preset


def test_a_stage_of_another_preset_comes_with_its_model_and_values():
    client = Client(make_preset())
    client.send("add", "someone-else/voice", 0)
    assert client.kinds[0] == "latent"
    assert client.setup.controller.get("voice.temperature") == 0.7
    assert client.setup.errors == {}


def test_everything_that_is_offered_can_be_added():
    library = Library()
    for what in addable(library):
        client = Client(make_preset(stages=(("level", "gain", {}),)))
        client.send("add", what)
        assert len(client.chain) == 2, what
        assert client.setup.errors == {}


def test_an_edited_preset_is_saved_and_read_back(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    client = Client(load("stack"))
    client.send("remove", "scoop")
    client.send("add", "delay", 2)
    client.send("duplicate", "tight")
    client.setup.saver.save("edited")
    assert client.setup.saved() == ["saved as edited"]
    back = complete(load("edited"))
    assert [(stage.name, stage.kind) for stage in back.stages] == list(zip(client.chain, client.kinds, strict=True))
    assert back.stages == client.setup.controller.preset.stages
    assert (own_folder() / "edited.toml").is_file()
