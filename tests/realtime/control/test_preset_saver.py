"""One's own presets: saved whole, by name and never by path, beside the factory's and never over them."""

import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.osc import Setup, make_preset

from gramophone.presets import CLIPS, PresetError, load, name_of, names, own_folder, path_of, save, save_own
from gramophone.realtime.control.midi import ControlMapping, with_mappings
from gramophone.realtime.control.osc.dispatcher import Dispatcher
from gramophone.realtime.osc.packet import encode
from gramophone.realtime.parameter_table import complete, mappings_of

WICKED = (
    "../evil",
    "..",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:\\evil",
    "nul\0byte",
    "line\nbreak",
    "\u202eevil/",
    "x" * 100_000,
    "con",
    "NUL",
    "///",
    "...",
    "~",
    "音",
)


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return own_folder()


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("name", WICKED, ids=range(len(WICKED)))
def test_no_name_leads_anywhere_else(own, tmp_path, name):
    setup = Setup(make_preset(stages=[("level", "gain", {})]), surfaces=True)
    with pytest.raises(PresetError, match="name "):
        save_own(setup.controller.preset, name)
    setup.saver.save(name)
    assert setup.saved()[0].startswith("not saved: name ")
    assert files_below(tmp_path) == []


@given(st.text(max_size=80))
def test_every_name_is_one_plain_word_or_refused(text):
    try:
        name = name_of(text)
    except PresetError:
        return
    assert name.isascii()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert 1 <= len(name) <= 64
    assert name_of(name) == name


def test_a_link_is_replaced_when_saved_over_and_not_followed_when_read(own, tmp_path):
    outside = tmp_path / "outside.toml"
    outside.write_text("precious")
    own.mkdir(parents=True)
    (own / "mine.toml").symlink_to(outside)
    assert "mine" not in names()
    save_own(load("wide"), "mine")
    assert outside.read_text() == "precious"
    assert not (own / "mine.toml").is_symlink()
    assert "mine" in names()


def test_a_factory_preset_is_never_written_over(own):
    before = path_of("default").read_bytes()
    assert [save_own(load("default"), wanted).name for wanted in ("", "default", "Default")] == ["my-default"] * 3
    assert path_of("default").read_bytes() == before
    own_default = own / "default.toml"
    own_default.write_text((own / "my-default.toml").read_text())  # put there by hand
    assert load("default").path != own_default
    assert names().count("default") == 1
    assert names()[-1] == "my-default"


def test_what_plays_comes_back_with_values_mappings_and_clips(own):
    setup = Setup(load("hall"), surfaces=True)
    setup.controller.set("hall.wet", 0.33)
    setup.controller_map.mappings = [ControlMapping("style.strength", number=21, channel=3, mode="pickup")]
    setup.saver.save("Late Night")
    assert setup.saved() == ["saved as late-night"]
    assert setup.controller.name == "late-night"
    back = complete(load("late-night"))
    assert back.stages == setup.controller.preset.stages
    assert mappings_of(back) == setup.controller_map.mappings
    assert back.title == "Late Night"
    text = (own / "late-night.toml").read_text()
    assert str(CLIPS) not in text
    assert "# any audio file does" in text  # the factory's comments
    assert "bypass" not in text  # what would be so unsaid is not said


def test_saving_over_a_preset_can_be_ruled_out(own):
    setup = Setup(make_preset(stages=[("level", "gain", {"gain": -3.0})]), surfaces=True)
    dispatcher = Dispatcher(setup.space)

    def save(*arguments):
        dispatcher.receive(encode("/gramophone/save", arguments), "peer", 0.0)
        dispatcher.advance(0.0)
        return setup.saved()[-1]

    assert save("Mine", False) == "saved as mine"
    setup.controller.set("level.gain", 2.0)
    assert save("MINE", False) == "not saved: mine is there already"
    assert load("mine").stage("level").values["gain"] == -3
    assert save("mine", True) == save("mine") == "saved as mine"
    assert load("mine").stage("level").values["gain"] == 2
    assert not setup.errors
    assert len(setup.saved()) == 4
    save("mine", "yes")
    assert setup.errors == {"mistyped": 1}
    assert len(setup.saved()) == 4


def test_a_learned_mapping_is_kept_in_ones_own_preset_and_nothing_else_of_it_changes(own):
    save_own(load("wide"), "mine")
    setup = Setup(load("mine"), surfaces=True)
    knob = next(address for address, knob in setup.controller.parameters.items() if knob.is_number)
    setup.controller.set_0to1(knob, 0.123)
    setup.controller_map.mappings = [ControlMapping(knob, number=9)]
    setup.space._learned(knob, "CC 9")
    setup.saved()
    assert load("mine") == replace(load("mine"), midi=({"knob": knob, "control": "cc", "number": 9},))
    assert load("mine").stages == load("wide").stages


def test_a_preset_that_is_saved_is_there_to_be_recalled_at_once(own):
    setup = Setup(surfaces=True)
    setup.saver.save("one")
    setup.saved()
    assert "one" in setup.space.library.presets
    assert setup.space.library.preset("one").stages
    (own / "one.toml").write_text((own / "one.toml").read_text().replace("1000", "2000"))
    assert setup.space.library.preset("one").stage("filter").values["frequency"] == 2000


def test_where_files_lie_is_not_told(own, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "gramophone").write_text("in the way")
    setup = Setup(surfaces=True)
    setup.saver.save("one")
    assert "cannot be made" in setup.saved()[0]
    assert str(tmp_path) not in setup.saved()[0]


def test_a_kill_while_saving_leaves_the_old_preset_or_the_new_one(own):
    """Another process saves again and again, each time another value twice, and is killed at some moment."""
    code = (
        "import itertools\n"
        "from gramophone.presets import Preset, StageSettings, save_own\n"
        "for k in itertools.count():\n"
        "    stage = lambda name: StageSettings(name, 'gain', {'gain': k / 1e6})\n"
        "    save_own(Preset('mine', (stage('a'), *map(stage, (f'x{n}' for n in range(50))), stage('b'))))\n"
        "    print(k, flush=True)\n"
    )
    for moment in range(4):
        saver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(1 + 3 * moment):
            newest = int(saver.stdout.readline())
        saver.kill()
        saver.communicate()
        back = load("mine")
        assert len(back.stages) == 52
        (value,) = {stage.values["gain"] for stage in back.stages}
        assert value >= newest / 1e6


def test_a_full_disk_leaves_the_old_preset_and_no_rests(own):
    resource = pytest.importorskip("resource", reason="needs limits on the size of files, which this system has not")
    save_own(make_preset("mine", [("level", "gain", {"gain": -3.0})]))
    before = (own / "mine.toml").read_bytes()
    big = make_preset("mine", [(f"x{k}", "gain", {"gain": -4.0}) for k in range(300)])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, limits[1]))
    try:
        with pytest.raises(PresetError, match="cannot be written"):
            save_own(big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (own / "mine.toml").read_bytes() == before
    assert [path.name for path in own.iterdir()] == ["mine.toml"]


def test_saving_over_the_network_goes_by_name_only(own, tmp_path):
    setup = Setup(surfaces=True)
    dispatcher = Dispatcher(setup.space)
    for name in WICKED:
        if "\0" not in name and len(name) < 60_000:
            dispatcher.receive(encode("/gramophone/save", (name,)), "peer", 0.0)
            dispatcher.advance(0.0)
    assert setup.saved() == []
    assert files_below(tmp_path) == []
    dispatcher.receive(encode("/gramophone/save", ("Grüße 2",)), "peer", 0.0)
    dispatcher.advance(0.0)
    assert setup.saved() == ["saved as grusse-2"]
    dispatcher.receive(encode("/gramophone/preset", ("../../etc/passwd",)), "peer", 0.0)
    dispatcher.advance(0.0)
    assert setup.errors["unknown preset"] == 1


def test_files_beside_a_preset_stay_named_as_seen_from_there(own, tmp_path):
    """A clip beside the preset that was read is somewhere else as seen from one's own folder."""
    (tmp_path / "mine.wav").write_bytes((CLIPS / "choir.flac").read_bytes())
    path = tmp_path / "made.toml"
    path.write_text('title = "Made"\n[[stages]]\nkind = "style"\nclip = "mine.wav"\nclip2 = "choir.flac"\n')
    preset = complete(load(path))
    save(preset, tmp_path / "again.toml")
    assert 'clip = "mine.wav"' in (tmp_path / "again.toml").read_text()
    saved = save_own(with_mappings(preset, []), "moved")
    assert complete(load(saved.path)).stages == preset.stages
