"""Plug-ins play as in any other host, in any blocks, and none can take the sound down."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gramophone.models.parameters import Value
from gramophone.presets import Preset, PresetError, StageSettings, load, save
from gramophone.realtime.chain import Chain
from gramophone.realtime.engine import Engine
from gramophone.realtime.live.supervisor import HANGING_S
from gramophone.realtime.parameter_table import complete, overridden, table
from gramophone.realtime.stage import Audio, Format, StageError
from gramophone.realtime.stages.plugins import scan
from gramophone.realtime.stages.plugins import scan as probe
from gramophone.realtime.stages.plugins.child_main import PluginSource
from gramophone.realtime.stages.plugins.description import PluginError, PluginFailedError
from gramophone.realtime.stages.plugins.host import TIMEOUT_S, PluginHost
from gramophone.realtime.stages.plugins.pipe_signal import POLLS
from gramophone.realtime.stages.plugins.stage import PluginStage
from gramophone.realtime.system.cache_folder import cache_folder

RATE = 48000
ZAM = {plugin.name: plugin.path for plugin in scan.installed() if plugin.name.startswith("Za")}
needs_zam = pytest.mark.skipif(
    not {"ZamCompX2", "ZaMaximX2", "ZamTube", "ZamDelay"} <= ZAM.keys(),
    reason="needs zam-plugins as VST3 (apt install zam-plugins)",
)
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
COMP = {"threshold": -30.0, "ratio": 8.0, "makeup": 6.0, "attack": 1.0}


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("plugins")))
        yield


def noise(channels: int, frames: int, seed: int = 0) -> Audio:
    return (0.3 * np.random.default_rng(seed).standard_normal((channels, frames))).astype(np.float32)


def preset_of(plugin: str, values: Mapping[str, Value] | None = None, path: Path | None = None) -> Preset:
    return Preset("test", (StageSettings("fx", "plugin", {"plugin": plugin, **(values or {})}),), path=path)


@contextmanager
def chain_of(preset: Preset, channels: int = 2) -> Iterator[Chain]:
    chain = Chain(preset, Format(RATE, channels))
    try:
        yield chain
    finally:
        chain.close()


def stage_of(chain: Chain) -> PluginStage:
    stage = chain.slots["fx"].stage
    assert isinstance(stage, PluginStage)
    return stage


def played(chain: Chain, sound: Audio, sizes: list[int]) -> Audio:
    """The chain's output for a sound in blocks of `sizes`, again and again."""
    pieces, start, turn = [], 0, 0
    while start < sound.shape[1]:
        block = np.ascontiguousarray(sound[:, start : start + sizes[turn % len(sizes)]])
        kept = block.copy()
        pieces.append(chain.process(block))
        np.testing.assert_array_equal(block, kept)
        assert pieces[-1].shape == block.shape
        assert pieces[-1].dtype == np.float32
        start, turn = start + block.shape[1], turn + 1
    return np.concatenate(pieces, axis=1)


def peer(folder: Path, code: str, sound: Audio) -> Audio:
    """What `code`, in a process of its own, makes of `sound`: `x` becomes `y`."""
    np.save(folder / "x.npy", sound)
    program = f"import os, numpy as np\nx = np.load('x.npy')\n{textwrap.dedent(code)}\nnp.save('y.npy', y)\nos._exit(0)"
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, capture_output=True)
    result: Audio = np.load(folder / "y.npy")
    return result


@pytest.mark.peer
@needs_zam
@pytest.mark.parametrize(
    ("plugin", "channels", "delay", "values", "direct"),
    [
        ("ZamCompX2", 2, 0, COMP, {"threshold_db": -30.0, "ratio": 8.0, "makeup_db": 6.0, "attack_ms": 1.0}),
        ("ZaMaximX2", 2, 480, {"threshold": -20.0}, {"threshold_db": -20.0}),
        ("ZamTube", 1, 0, {"tube-drive": 3.0, "insane-boost": True}, {"tube_drive": 3.0, "insane_boost": 1.0}),
        ("ZamDelay", 1, 0, {"time": 50.0, "feedback": 0.5}, {"time_ms": 50.0, "feedback": 0.5}),
    ],
)
def test_a_hosted_plugin_sounds_as_in_pedalboard_in_any_blocks(
    tmp_path: Path, plugin: str, channels: int, delay: int, values: Mapping[str, Value], direct: Mapping[str, float]
) -> None:
    sound = noise(channels, 24000)
    code = f"""
    import pedalboard
    plugin = pedalboard.load_plugin({str(ZAM[plugin])!r})
    for key, value in {dict(direct)!r}.items():
        setattr(plugin, key, value)
    plugin._reload_type = type(plugin._reload_type).PersistsAudioOnReset  # forgets the noise of loading for sure
    silence = np.zeros((x.shape[0], 47 * 1024), np.float32)  # ZamTube fades in, ZamDelay moves to its values
    plugin(silence, {RATE}.0, 1024)
    y = plugin(x, {RATE}.0, 1024, reset=False)
    """
    expected = peer(tmp_path, code, sound)
    with chain_of(preset_of(plugin, values), channels) as chain:
        assert chain.delay == delay
        once = played(chain, sound, [1, 700, 2, 64, 256, 5000, 3])
    np.testing.assert_array_equal(once[:, :delay], 0)
    np.testing.assert_array_equal(once, expected)


@pytest.mark.peer
@needs_zam
def test_a_hosted_plugin_sounds_as_in_dawdreamer(tmp_path: Path) -> None:
    pytest.importorskip("dawdreamer", reason="needs dawdreamer (pip install dawdreamer)")
    sound = noise(2, 24064)
    code = f"""
    import dawdreamer
    engine = dawdreamer.RenderEngine({RATE}, 512)
    comp = engine.make_plugin_processor("comp", {str(ZAM["ZamCompX2"])!r})
    index = {{row["name"]: row["index"] for row in comp.get_plugin_parameters_description()}}
    comp.set_parameter(index["Threshold"], 0.625)  # -30 dB of -80 to 0
    comp.set_parameter(index["Makeup"], 0.2)  # 6 dB of 0 to 30
    engine.load_graph([(engine.make_playback_processor("x", x), []), (comp, ["x"])])
    engine.render(x.shape[1] / {RATE})
    y = engine.get_audio()[:, :x.shape[1]]
    """
    expected = peer(tmp_path, code, sound)
    with chain_of(preset_of("ZamCompX2", {"threshold": -30.0, "makeup": 6.0})) as chain:
        ours = played(chain, sound, [256])
    assert np.abs(ours - sound).max() > 0.1
    np.testing.assert_allclose(ours[:, : expected.shape[1]], expected, rtol=0, atol=1e-6)


@pytest.mark.peer
@needs_zam
def test_a_mono_plugin_plays_every_channel_and_a_stereo_plugin_a_single_one() -> None:
    sound = noise(3, 12000)
    with chain_of(preset_of("ZamTube", {"tube-drive": 5.0}), 3) as many:
        together = played(many, sound, [512])
    for channel in (0, 2):
        with chain_of(preset_of("ZamTube", {"tube-drive": 5.0}), 1) as one:
            np.testing.assert_array_equal(
                together[channel : channel + 1], played(one, sound[channel : channel + 1], [512])
            )
    same = np.repeat(sound[:1], 2, axis=0)
    with chain_of(preset_of("ZamCompX2", COMP)) as stereo, chain_of(preset_of("ZamCompX2", COMP), 1) as mono:
        both = played(stereo, same, [512])
        np.testing.assert_array_equal(played(mono, sound[:1], [512]), both.mean(axis=0, keepdims=True))


@pytest.mark.peer
@needs_zam
def test_moving_knobs_do_not_depend_on_the_blocks() -> None:
    sound = noise(2, 9000)
    results = []
    for sizes in ([1000], [7, 250, 743], [8]):
        with chain_of(preset_of("ZamCompX2", COMP)) as chain:
            pieces = []
            for at, (key, value) in enumerate([("makeup", 20.0), ("threshold", -50.0), ("stereo-detection", True)]):
                pieces.append(played(chain, sound[:, 3000 * at : 3000 * at + 1000], sizes))
                chain.set(f"fx.{key}", value)
                pieces.append(played(chain, sound[:, 3000 * at + 1000 : 3000 * at + 3000], sizes))
            results.append(np.concatenate(pieces, axis=1))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.peer
@needs_zam
def test_a_moving_parameter_clicks_a_tenth_of_what_a_step_does(tmp_path: Path) -> None:
    """A click: the greatest fourth difference, which a slow sine hardly has."""
    sine = np.tile(0.2 * np.cos(2 * np.pi * 200 / RATE * np.arange(24000)), (2, 1)).astype(np.float32)
    code = f"""
    import pedalboard
    comp = pedalboard.load_plugin({str(ZAM["ZamCompX2"])!r})
    first = comp(x[:, :12000], {RATE}.0)
    comp.makeup_db = 12.0
    y = np.concatenate((first, comp.process(x[:, 12000:], {RATE}.0, reset=False)), axis=1)
    """
    stepped = peer(tmp_path, code, sine)
    with chain_of(preset_of("ZamCompX2")) as chain:
        first = played(chain, sine[:, :12000], [256])
        chain.set("fx.makeup", 12.0)
        turned = np.concatenate((first, played(chain, sine[:, 12000:], [256])), axis=1)
    np.testing.assert_allclose(turned[:, 14000:], stepped[:, 14000:], rtol=0, atol=1e-6)
    assert np.abs(np.diff(turned, 4)).max() < 0.1 * np.abs(np.diff(stepped, 4)).max()


@pytest.mark.peer
@needs_zam
def test_values_reach_the_plugin_as_pedalboard_would_set_them(tmp_path: Path) -> None:
    code = f"""
    import pedalboard
    from gramophone.realtime.stages.plugins.parameters import converter, load, read_knobs
    y = []
    for path in {[str(ZAM[name]) for name in ("ZamCompX2", "ZamDelay", "ZamTube")]!r}:
        plugin = load(path, "", b"")
        for knob in read_knobs(plugin):
            parameter = plugin.parameters[knob.key]
            way = converter(knob, parameter)
            for position in x[0]:
                value = knob.parameter.value_at(float(position))
                theirs = parameter.get_raw_value_for(float(value) if isinstance(value, bool) else value)
                y.append(way(knob.encode(value)) - theirs)
    y = np.array(y)
    """
    positions = np.linspace(0, 1, 23)[None]
    differences = peer(tmp_path, code, positions)
    assert differences.size > 500
    np.testing.assert_array_equal(differences, 0)


@pytest.mark.peer
@needs_zam
def test_parameters_are_knobs_with_units_ranges_and_defaults() -> None:
    knobs = table(preset_of("ZamCompX2"))
    threshold = knobs["fx.threshold"]
    assert (threshold.unit, threshold.range, threshold.default) == ("dB", (-80.0, 0.0), 0.0)
    assert knobs["fx.current-program"].choices == ("Zero", "PoppySnare", "VocalLeveller")
    assert knobs["fx.sidechain"].default is False
    assert "fx.gain-reduction" not in knobs  # a meter
    changed = overridden(preset_of("ZamCompX2"), ["fx.threshold=-20dB", "fx.stereo-detection=on"])
    assert complete(changed).stage("fx").values["threshold"] == -20.0
    with pytest.raises(PresetError, match="threshold"):
        overridden(preset_of("ZamCompX2"), ["fx.treshold=-20"])
    with pytest.raises(PresetError, match="-80 to 0 dB"):
        complete(preset_of("ZamCompX2", {"threshold": 3.0}))


@pytest.mark.peer
@needs_zam
def test_a_saved_preset_sounds_the_same_with_values_and_state(tmp_path: Path) -> None:
    sound = noise(2, 12000)
    with chain_of(preset_of("ZamCompX2", COMP)) as chain:
        first = played(chain, sound, [512])
        save(chain.snapshot(), tmp_path / "kept.toml")
    kept = load(tmp_path / "kept.toml")
    assert kept.stage("fx").values["state"]
    with chain_of(kept) as chain:
        np.testing.assert_array_equal(played(chain, sound, [512]), first)

    bare = preset_of("ZamCompX2", {"state": kept.stage("fx").values["state"]})
    assert {key: complete(bare).stage("fx").values[key] for key in COMP} == COMP  # the state's, not the plug-in's own
    with chain_of(bare) as chain:
        np.testing.assert_array_equal(played(chain, sound, [512]), first)

    on_top = bare.with_values({("fx", "makeup"): 0.0})
    with chain_of(on_top) as chain, chain_of(preset_of("ZamCompX2", {**COMP, "makeup": 0.0})) as same:
        np.testing.assert_array_equal(played(chain, sound, [512]), played(same, sound, [512]))


@pytest.mark.peer
@needs_zam
def test_render_lines_up_whatever_the_plugins_latency() -> None:
    sound = np.zeros((2, 4000), np.float32)
    sound[:, 1000] = 0.25
    with closing(Engine(preset_of("ZaMaximX2"), RATE)) as engine:
        assert engine.delay == 480
        rendered = engine.render(sound)
    np.testing.assert_array_equal(np.abs(rendered).argmax(axis=1), 1000)


@pytest.mark.peer
@needs_zam
@pytest.mark.parametrize("polls", [False, True] if POLLS else [False])
def test_both_kinds_of_signal_wake_the_other_process(polls: bool) -> None:
    sound = noise(2, 9000)
    host = PluginHost("comp", PluginSource(str(ZAM["ZamCompX2"])), Format(RATE, 2), COMP, 20.0, polls=polls)
    with closing(host), chain_of(preset_of("ZamCompX2", COMP)) as chain:
        np.testing.assert_array_equal(host.process(sound), chain.process(sound))


@pytest.mark.skipif("ZamVerb" not in ZAM, reason="needs ZamVerb, which hangs while loading (apt install zam-plugins)")
def test_a_plugin_that_hangs_while_loading_is_given_up_named_and_bypassed() -> None:
    sound = noise(2, 1000)
    preset = preset_of("ZamVerb", {"load_timeout": 3.0, "room": 0.5})
    with chain_of(preset) as chain:
        assert "ZamVerb: while loading: no answer after 3 s" in chain.status["fx"]
        assert chain.delay == 0
        np.testing.assert_array_equal(played(chain, sound, [256]), sound)
    assert complete(preset).stage("fx").values["room"] == 0.5


@pytest.mark.skipif(not shutil.which("cc") or sys.platform != "linux", reason="needs a C compiler and Linux")
def test_a_plugin_that_crashes_while_loading_is_given_up_named_and_bypassed(tmp_path: Path) -> None:
    binary = tmp_path / "Crash.vst3/Contents/x86_64-linux/Crash.so"
    binary.parent.mkdir(parents=True)
    code = b"#include <signal.h>\n__attribute__((constructor)) void crash(void) { raise(SIGSEGV); }"
    subprocess.run(["cc", "-shared", "-fPIC", "-xc", "-", "-o", binary], input=code, check=True)
    sound = noise(2, 1000)
    with chain_of(preset_of("Crash.vst3", path=tmp_path / "crash.toml")) as chain:
        assert "Crash.vst3: while loading: crashed (SIGSEGV)" in chain.status["fx"]
        np.testing.assert_array_equal(played(chain, sound, [256]), sound)


@pytest.mark.peer
@needs_zam
@needs_signals
@pytest.mark.parametrize(("signal_name", "reason"), [("SIGSEGV", "crashed (SIGSEGV)"), ("SIGSTOP", "no answer after")])
def test_a_plugin_that_dies_while_playing_leaves_the_dry_sound_in_line(signal_name: str, reason: str) -> None:
    sine = np.tile(0.2 * np.cos(2 * np.pi * 200 / RATE * np.arange(20000)), (2, 1)).astype(np.float32)
    with chain_of(preset_of("ZaMaximX2", {"threshold": -30.0})) as chain:
        alive = played(chain, sine[:, :10000], [250])
        pid = stage_of(chain).pid
        assert pid is not None
        assert not chain.status
        os.kill(pid, getattr(signal, signal_name))
        dry = played(chain, sine[:, 10000:], [250])
        assert reason in chain.status["fx"]
        assert "ZaMaximX2" in chain.status["fx"]
        assert chain.delay == 480
    np.testing.assert_allclose(dry[:, 1500:], sine[:, 11020:19520], rtol=0, atol=1e-5)
    joined = np.concatenate((alive, dry), axis=1)[:, 9000:12000]
    assert np.abs(np.diff(joined)).max() < 2 * np.abs(np.diff(alive[:, 5000:])).max()  # no step


@pytest.mark.peer
@needs_zam
@needs_signals
def test_a_plugin_that_hangs_while_returning_its_state_is_given_up_before_the_worker_is() -> None:
    assert TIMEOUT_S < HANGING_S
    sound = noise(2, 1000)
    with chain_of(preset_of("ZamCompX2", {"makeup": 6.0})) as chain:
        pid = stage_of(chain).pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        assert not chain.slots["fx"].held()
        assert f"ZamCompX2: while returning its state: no answer after {TIMEOUT_S:g} s; bypassed" in chain.status["fx"]
        np.testing.assert_array_equal(played(chain, sound, [256]), sound)


@pytest.mark.peer
@needs_zam
def test_a_plugin_that_returns_nan_is_bypassed(caplog: pytest.LogCaptureFixture) -> None:
    with chain_of(preset_of("ZamCompX2", {"makeup": 30.0})) as chain:
        huge = np.full((2, 256), 3e38, np.float32)
        assert np.isfinite(chain.process(huge)).all()
    assert "ZamCompX2: while playing: sent out NaN or infinity; bypassed" in caplog.text


@pytest.mark.peer
@needs_zam
def test_a_cached_description_is_renewed_only_when_the_plugin_changes(tmp_path: Path) -> None:
    copy = shutil.copytree(ZAM["ZamTube"], tmp_path / "ZamTube.vst3")
    source = PluginSource(str(copy))
    before = set(cache_folder("plugins").glob("*"))
    assert probe.describe("Tube", source).widths == (1,)
    (kept,) = set(cache_folder("plugins").iterdir()) - before
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "maker": "the cache"}))
    assert probe.describe("Tube", source).maker == "the cache"
    kept.write_text("half a fi")
    assert probe.describe("Tube", source).maker == "Damien Zammit"
    binary = next(copy.glob("Contents/*/*"))
    os.utime(binary, ns=(0, scan.stamp(copy) + 10**9))
    probe.describe("Tube", source)
    assert len(set(cache_folder("plugins").iterdir()) - before) == 2


@pytest.mark.peer
@needs_zam
def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match="ZamCompX2"):
        complete(preset_of("ZamCompX"))
    with pytest.raises(PresetError, match=r"stage 'fx'.*missing"):
        complete(preset_of(""))
    with pytest.raises(PresetError, match="no such file"):
        complete(preset_of("./None.vst3", path=tmp_path / "p.toml"))
    with pytest.raises(PresetError, match="base64"):
        complete(preset_of("ZamCompX2", {"state": "!"}))
    with pytest.raises(PresetError, match="load_timeout"):
        complete(preset_of("ZamCompX2", {"load_timeout": "long"}))
    with chain_of(preset_of("ZamCompX2")) as chain, pytest.raises(StageError, match="is a setting of the stage"):
        stage_of(chain).set("plugin", "ZamTube")


def test_a_file_that_is_no_plugin_is_bypassed_and_named(tmp_path: Path) -> None:
    (tmp_path / "Not.vst3").write_bytes(b"not a plug-in")
    with chain_of(preset_of("./Not.vst3", path=tmp_path / "p.toml")) as chain:
        assert "Not.vst3" in chain.status["fx"]
        np.testing.assert_array_equal(chain.process(noise(2, 100)), noise(2, 100))


def test_plugins_are_found_in_subfolders_and_bundles_are_not_searched(tmp_path: Path) -> None:
    for name in ("Maker/Deep.vst3/Contents/x86_64-win/Deep.vst3", "Flat.vst3", "Read.me", "Unit.component/Contents/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {plugin.name: plugin.path.relative_to(tmp_path).as_posix() for plugin in scan.installed([tmp_path])}
    assert found == {"Deep": "Maker/Deep.vst3", "Flat": "Flat.vst3", "Unit": "Unit.component"}
    assert scan.find("deep", [tmp_path]).name == "Deep.vst3"
    with pytest.raises(PluginError, match="Flat"):
        scan.find("flatt", [tmp_path])
    assert scan.folders("darwin")[0].parts[-3:] == ("Audio", "Plug-Ins", "VST3")
    assert scan.folders("win32", {"COMMONPROGRAMFILES": "C:/Common"})[1] == Path("C:/Common/VST3")


def test_a_preset_on_a_machine_without_the_plugin_says_so() -> None:
    with pytest.raises(PresetError, match="no plug-in of that name is installed"):
        complete(replace(preset_of("A Plug-in That Nobody Has"), name="x"))


def test_a_plugin_that_failed_is_not_waited_for_again_here_or_in_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "Bad.vst3"
    path.write_bytes(b"bad")
    with pytest.raises(PluginFailedError):
        probe.describe("Bad", PluginSource(str(path)))
    monkeypatch.setattr(probe, "PluginProcess", None)  # asking again would be a TypeError
    for known in (probe._FAILED, {}):
        monkeypatch.setattr(probe, "_FAILED", known)
        with pytest.raises(PluginFailedError, match="Bad"):
            probe.describe("Bad", PluginSource(str(path)))


@pytest.mark.peer
@needs_zam
def test_a_daemonic_worker_can_host_plugins_and_they_end_with_it(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(f"""
        import multiprocessing, os, signal
        import numpy as np

        def work(line):
            from gramophone.realtime.stages.plugins.child_main import PluginSource
            from gramophone.realtime.stages.plugins.host import PluginHost
            from gramophone.realtime.stage import Format
            host = PluginHost("comp", PluginSource({str(ZAM["ZamCompX2"])!r}), Format(48000, 2), {{}}, 20.0)
            host.process(np.zeros((2, 64), np.float32))
            line.send(host.pid)
            line.recv()

        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe()
            worker = context.Process(target=work, args=(theirs,), daemon=True)
            worker.start()
            print(ours.recv(), flush=True)
            worker.kill()
        """)
    )
    printed = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True).stdout
    if sys.platform == "linux":
        with suppress(ProcessLookupError):
            assert select.select([os.pidfd_open(int(printed))], [], [], 20.0)[0]
