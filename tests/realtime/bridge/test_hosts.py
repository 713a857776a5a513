"""The same in hosts that bounce: every parameter, stored states, three instances at once, killed engines.

`BRIDGE_MUSIC_S=30` plays so many seconds of music at all block lengths, and takes the hosts that need a quiet machine.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soxr
from support.bridge import HALF, in_line, noise, rendered
from support.eight_macros import EIGHT, FREE, SET, expected_of
from support.plugin_hosts import HOSTS, ArdourHost, Part
from support.python_hosts import NAMES

from gramophone.presets import CLIPS
from gramophone.realtime.files import read

pytestmark = [pytest.mark.peer, pytest.mark.slow]
ENGINE = (sys.executable, "-m", "gramophone.realtime.bridge.engine_process")
TESTS = Path(__file__).parents[2]
MUSIC_S = float(os.environ.get("BRIDGE_MUSIC_S", "0"))
BLOCKS = [32, 64, 100, 256, 1000, 1024, 4096] if MUSIC_S else [100]
NEEDS = {"ardour-lv2": ("ardour7-lua",), "ardour-vst3": ("ardour7-lua",)}


def host(*names, quiet=()):
    """Run a test in these hosts; those of `quiet` need a machine with nothing else to do."""
    return pytest.mark.parametrize("name", [*names, *(quiet if MUSIC_S else ())])


@pytest.fixture
def played(installed, tmp_path, name):
    """Play parts in the host `name`; return the sounds in line with what was expected of each."""
    for program in NEEDS.get(name, ()):
        if not shutil.which(program):
            pytest.skip(f"needs {program}")

    def play(parts, expected, **more):
        sounds = HOSTS[name].play(installed, tmp_path, parts, **more)
        if len(sounds) < len(expected):
            expected = [np.sum(expected, 0)]
        return [(in_line(sound, each), each) for sound, each in zip(sounds, expected, strict=True)]

    return play


@pytest.mark.parametrize(
    ("setter", "other"),
    [("pedalboard",) * 2, ("clap",) * 2, ("lilv",) * 2, ("dawdreamer", "pedalboard"), ("pedalboard", "dawdreamer")],
)
def test_all_sixteen_parameters_are_set_and_restored_in_another_instance(installed, tmp_path, own, setter, other):
    """Free parameters take the knobs that OSC moves; bypass is the last to be set, and leaves the sound as it is."""
    preset = own(EIGHT)
    sound = noise(0.4)
    part, here = Part(sound, preset, SET), HOSTS[setter]
    common = {"rate": here.rate, "block": 512}
    restored = {"host": other, "instance": 1}
    jobs = [
        common | {"instance": 0, "values": part.all_values, "free": FREE},
        common | restored | {"restore": 0},
        common | restored | {"values": {"bypass": 1.0}},
    ]
    if setter == "dawdreamer":
        del jobs[1:]  # it stores no state that may be loaded without a window
    here.do(installed, tmp_path, [sound] * len(jobs), {"jobs": jobs, "together": False})
    expected = expected_of(preset, SET, FREE, sound, here.rate)
    values = part.all_values | {free: position for free, (_, position) in FREE.items()}
    for number, (wanted, bypass) in enumerate([(expected, 0.0), (expected, 0.0), (sound, 1.0)][: len(jobs)]):
        np.testing.assert_allclose(np.load(tmp_path / f"out-{number}.npy"), wanted, atol=1e-6, err_msg=str(number))
        shown = json.loads((tmp_path / f"shown-{number}.json").read_text())
        assert {each: shown[each][0] for each in NAMES} == pytest.approx(values | {"bypass": bypass}, abs=1e-5)


@host("lv2apply", "lv2file")
def test_all_parameters_that_mean_something_without_a_state_are_set(played, own, name):
    """These hosts store nothing, and a free parameter stands for nothing until a knob has been moved."""
    preset = own(EIGHT)
    sound = noise(0.25)
    free = {free: position for free, (_, position) in FREE.items()}
    parts = [Part(sound, preset, SET | free), Part(sound, preset, SET | {"bypass": 1})]
    for found, wanted in played(parts, [expected_of(preset, SET, {}, sound, HOSTS[name].rate), sound]):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@host("ardour-lv2", quiet=("ardour-vst3",))
def test_ardour_stores_all_sixteen_parameters_and_exports_with_them(installed, tmp_path, own, name):
    here = HOSTS[name]
    preset = own(EIGHT)
    sound = noise(0.4)
    values = SET | {free: position for free, (_, position) in FREE.items()}
    part = Part(sound, preset, values)
    ardour, session = here.store(installed, tmp_path, [part])
    shown = ardour.values(session)
    for key, value in part.all_values.items():
        assert shown[here.label(key)] == pytest.approx(value, abs=1e-5), (key, shown)
    exported, _ = ardour.export(session)
    np.testing.assert_allclose(exported, expected_of(preset, SET, {}, sound, here.rate), atol=1e-6)


@host("pedalboard", "dawdreamer", "clap", "lv2file", quiet=("ardour-lv2", "ardour-vst3", "lv2apply"))
def test_music_through_three_presets_at_once_is_what_render_gives(played, name):
    """Three instances at once, in one host or in a process each."""
    here = HOSTS[name]
    music, rate = read(CLIPS / "organ.flac")
    music = soxr.resample(music[0], rate, here.rate)
    seconds = MUSIC_S or 0.6
    sound = np.tile(music, (2, 1 + round(seconds * here.rate) // len(music)))[:, : round(seconds * here.rate)]
    sound = np.ascontiguousarray(sound, np.float32)
    presets = ["choir", "wide", "old-record"]
    began = time.perf_counter()
    expected = [rendered(preset, sound, rate=here.rate) for preset in presets]
    alone_s = time.perf_counter() - began
    for block in BLOCKS[:1] if isinstance(here, ArdourHost) or name == "lv2apply" else BLOCKS:
        parts = [Part(sound, preset, block=block) for preset in presets]
        began = time.perf_counter()
        pairs = played(parts, expected, together=True)
        speed = alone_s / (time.perf_counter() - began)  # with the start of host and engines, which `render` has not
        differences = [np.abs(found - wanted).max() for found, wanted in pairs]
        print(name, block, f"{seconds} s: {speed:.2f} times", *differences)
        for number, (found, wanted) in enumerate(pairs):
            np.testing.assert_allclose(found, wanted, atol=2e-6, err_msg=f"{presets[number]} at {block}")


@host("pedalboard", "dawdreamer", "clap", "lv2file", quiet=("lv2apply", "ardour-lv2", "ardour-vst3"))
def test_an_engine_that_is_killed_in_a_bounce_leaves_it_whole_and_in_line(
    installed, runtime_folder, tmp_path, own, played, name
):
    """Half as loud while an engine plays, at first at least; what is lost is dry, and as late."""
    preset = own(HALF)
    dies = tmp_path / "dies"
    words = [word.replace("gramophone.realtime.bridge.engine_process", "support.mortal_engine") for word in ENGINE]
    folder = f"XDG_RUNTIME_DIR={runtime_folder / 'mortal'}"
    installed.use(("env", f"PYTHONPATH={TESTS}", folder, f"DIES_AFTER={dies}", *words))
    here = HOSTS[name]
    sound = noise(1.5, rate=here.rate)
    expected = rendered(preset, sound, rate=here.rate)
    block = {"lv2apply": 1, "ardour-lv2": ArdourHost.BLOCK, "ardour-vst3": ArdourHost.BLOCK}.get(name, 256)
    part = Part(sound, preset, block=max(block, 32))
    ((found, _),) = played([part], [expected], at_bounce=lambda: dies.write_text(str(here.rate // 3)))
    assert not dies.exists(), "no engine has died"
    assert found.shape == sound.shape
    wet = np.abs(found - expected).max(0) < 1e-6
    dry = np.abs(found - sound).max(0) < 1e-6
    assert wet[: here.rate // 10].all()
    assert (~wet & ~dry).sum() <= 4 * max(block, 256), "a fade, and the beginning of a limiter's look-ahead"
