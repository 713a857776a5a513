"""The plug-in in VST3 hosts: it plays what `render` gives, to the sample; without an engine the aligned dry sound."""

import json
import sys

import numpy as np
import pytest
from support.bridge import RATE, noise, rendered

from gramophone.presets import CLIPS, load, names
from gramophone.realtime.files import read

pytestmark = pytest.mark.peer

TOGETHER = """
import json, sys, threading
import numpy as np
import pedalboard

plugin_path, folder, jobs = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
plugins = [pedalboard.load_plugin(plugin_path) for _ in jobs]
for job, plugin in zip(jobs, plugins):
    plugin.preset = job["settings"]["preset"]
    plugin(np.zeros((2, job["rate"]), np.float32), job["rate"], buffer_size=job["block"])  # now it knows the latency

def play(number):
    job = jobs[number]
    sound = np.load(f"{folder}/{job['sound']}.npy")
    np.save(f"{folder}/out-{number}.npy", plugins[number](sound, job["rate"], buffer_size=job["block"]))

threads = [threading.Thread(target=play, args=(number,)) for number in range(len(jobs))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""

PEDALBOARD = """
import json, sys
import numpy as np
import pedalboard

plugin_path, folder, jobs = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
plugins = [pedalboard.load_plugin(plugin_path) for _ in range(max(job.get("instance", 0) for job in jobs) + 1)]
for number, job in enumerate(jobs):
    plugin = plugins[job.get("instance", 0)]
    if "restore" in job:
        plugin.raw_state = plugins[job["restore"]].raw_state
    for name, value in job.get("settings", {}).items():
        if name.startswith("macro"):
            plugin.parameters[name].raw_value = value
        else:
            setattr(plugin, name, value)
    sound = np.load(f"{folder}/{job['sound']}.npy")
    np.save(f"{folder}/out-{number}.npy", plugin(sound, job["rate"], buffer_size=job["block"]))
    shown = {name: parameter.string_value for name, parameter in plugin.parameters.items()}
    json.dump(shown, open(f"{folder}/shown-{number}.json", "w"))
"""

DAWDREAMER = """
import json, sys
import numpy as np
import dawdreamer

plugin_path, folder, jobs = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
for number, job in enumerate(jobs):
    engine = dawdreamer.RenderEngine(job["rate"], job["block"])
    sound = np.load(f"{folder}/{job['sound']}.npy")
    plugin = engine.make_plugin_processor("gramophone", plugin_path)
    indices = {row["name"]: row["index"] for row in plugin.get_parameters_description()}
    for name, value in job.get("settings", {}).items():
        plugin.set_parameter(indices[name], value)
    padded = np.pad(sound, ((0, 0), (0, 16384)))
    engine.load_graph([(engine.make_playback_processor("sound", padded), []), (plugin, ["sound"])])
    engine.render(padded.shape[1] / job["rate"])
    late = plugin.get_latency_samples()
    np.save(f"{folder}/out-{number}.npy", engine.get_audio()[:, late : late + sound.shape[1]])
"""


@pytest.fixture
def host(tmp_path, installed):
    """Play sounds through the plug-in in a host of its own process; return the sounds, and what the host wrote."""

    def play(jobs, sounds, script=PEDALBOARD, plugin="Gramophone.vst3"):
        for name, sound in sounds.items():
            np.save(tmp_path / f"{name}.npy", sound)
        done = installed.run(
            [sys.executable, "-c", script, str(installed.folder / plugin), str(tmp_path), json.dumps(jobs)]
        )
        return [np.load(tmp_path / f"out-{number}.npy") for number in range(len(jobs))], done.stderr

    return play


def job(block=512, rate=RATE, sound="in", **more):
    return {"block": block, "rate": rate, "sound": sound, **more}


@pytest.mark.slow
def test_a_bounce_is_what_render_gives_at_any_block_length(host):
    """One instance after the other, of presets with three latencies: default, a style, a model of its own."""
    sound = noise(1.0)
    presets = ["default", "choir", "someone-else"]
    blocks = [6000, 32, 4096, 100]
    jobs = [
        job(block, settings={"preset": preset}, instance=instance)
        for instance, preset in enumerate(presets)
        for block in blocks
    ]
    played, _ = host(jobs, {"in": sound})
    for number, bounced in enumerate(played):
        expected = rendered(presets[number // len(blocks)], sound)
        np.testing.assert_allclose(bounced, expected, atol=1e-6, err_msg=str(jobs[number]))


def test_a_host_that_changes_the_block_length_from_one_bounce_to_the_next_stays_in_line(host):
    sound = noise(0.3)
    blocks = [64, 256, 1024, 100, 4096, 256]
    played, _ = host([job(block, settings={"preset": "hall"}) for block in blocks], {"in": sound})
    for block, bounced in zip(blocks, played, strict=True):
        np.testing.assert_allclose(bounced, rendered("hall", sound), atol=1e-6, err_msg=str(block))


def test_macros_are_set_by_their_names_before_anything_plays_and_a_stored_state_brings_all_back(host):
    sound = noise(0.6)
    settings = {"preset": "choir", "macro_1": 0.3, "macro_3": 0.9}
    jobs = [job(settings=settings, instance=0), job(instance=1, restore=0)]
    played, _ = host(jobs, {"in": sound})
    expected = rendered("choir", sound, "macro.1=0.3", "macro.3=0.9")
    np.testing.assert_allclose(played[0], expected, atol=1e-6)
    np.testing.assert_allclose(played[1], expected, atol=1e-6)


def test_a_parameter_shows_the_macro_that_it_is_and_one_the_address_of_the_page(host, tmp_path):
    host([job(settings={"preset": "choir"})], {"in": noise(0.1)})
    shown = json.loads((tmp_path / "shown-0.json").read_text())
    assert shown["macro_1"].endswith(f" {load('choir').macros[0].name}")
    assert shown["preset"] == "choir"
    assert shown["page"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("rate", [48_000, 192_000, 44_123])
def test_rates_and_one_channel(host, rate):
    sound = noise(0.4, channels=1, rate=rate)
    played, _ = host([job(rate=rate, settings={"preset": "choir"})], {"in": sound}, plugin="GramophoneMono.vst3")
    np.testing.assert_allclose(played[0], rendered("choir", sound, rate=rate), atol=1e-6)


@pytest.mark.slow
def test_half_a_minute_of_music_through_three_instances_at_once_is_what_render_gives(host):
    music, rate = read(CLIPS / "organ.flac")
    sound = np.tile(music[:1], (2, 1 + 30 * rate // music.shape[1]))[:, : 30 * rate]
    presets = {"choir": 256, "wide": 4096, "old-record": 1000}
    jobs = [job(block, rate, settings={"preset": name}) for name, block in presets.items()]
    played, _ = host(jobs, {"in": sound}, script=TOGETHER)
    for name, bounced in zip(presets, played, strict=True):
        expected = rendered(name, sound, rate=rate)
        np.testing.assert_allclose(bounced, expected, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("script", [PEDALBOARD, DAWDREAMER], ids=["pedalboard", "dawdreamer"])
def test_silence_at_the_beginning_is_part_of_a_bounce(host, script):
    """A stage that looks back has had the silence, as with `render`; both hosts state that their transport stands."""
    sound = np.pad(noise(0.4), ((0, 0), (5_000, 0)))
    preset = {"preset": "choir"} if script is PEDALBOARD else {"Preset": (1 + names().index("choir")) / 127}
    played, _ = host([job(settings=preset)], {"in": sound}, script=script)
    np.testing.assert_allclose(played[0], rendered("choir", sound), atol=1e-6)


def test_dawdreamer_sets_a_preset_before_it_renders_and_compensates_its_latency(host):
    sound = noise(0.6)
    jobs = [
        job(64, settings={"Preset": (1 + names().index("choir")) / 127}),
        job(512, settings={"Preset": (1 + names().index("someone-else")) / 127, "Macro 1": 0.25}),
    ]
    played, _ = host(jobs, {"in": sound}, script=DAWDREAMER)
    np.testing.assert_allclose(played[0], rendered("choir", sound), atol=1e-6)
    np.testing.assert_allclose(played[1], rendered("someone-else", sound, "macro.1=0.25"), atol=1e-6)


@pytest.mark.parametrize("settings", [{"mix": 0.0}, {"bypass": True}])
def test_bypass_and_mix_leave_the_sound_as_it_is_and_in_line(host, settings):
    sound = noise(0.3)
    played, _ = host([job(settings=settings | {"preset": "choir"})], {"in": sound})
    np.testing.assert_allclose(played[0], sound, atol=1e-6)


def test_without_an_engine_it_is_dry_and_says_what_to_do(host, installed):
    installed.use(())
    sound = noise(0.3)
    played, said = host([job()], {"in": sound})
    np.testing.assert_array_equal(played[0], sound)
    assert "gramophone bridge install" in said


LIAR = """
import os, socket, struct, sys
plug = socket.socket(fileno=3)
plug.settimeout(1)
kind = sys.argv[1]
plug.recv(24, socket.MSG_WAITALL)
if kind == "garbage":
    plug.sendall(os.urandom(4096))
elif kind == "huge":
    plug.sendall(struct.pack("<II", 3, 0xFFFFFFFF))
elif kind == "early":
    plug.sendall(struct.pack("<IIdIId", 23, 8, 1e300, 24, 8, -1e300))
elif kind == "silent":
    sys.exit()
else:
    os.pwrite(5, b"\\x7f" * 6336, 0)
    plug.sendall(struct.pack("<IIdIIdIId", 23, 8, 1.0, 24, 8, 0.0, 22, 8, 0.0))
try:
    plug.recv(1 << 16)
    plug.recv(1 << 16)
except OSError:
    pass
"""


@pytest.mark.parametrize("kind", ["garbage", "huge", "early", "silent", "numbers"])
def test_a_peer_that_lies_leaves_the_sound_dry(host, installed, tmp_path, kind):
    (tmp_path / "liar.py").write_text(LIAR)
    installed.use((sys.executable, str(tmp_path / "liar.py"), kind))
    sound = noise(0.2)
    played, _ = host([job(256)], {"in": sound})
    after = 256 if kind == "numbers" else 0  # it plays for all that is known, until the first block is missing
    np.testing.assert_array_equal(played[0][:, after:], sound[:, after:])
