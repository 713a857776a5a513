"""The plug-in in a CLAP host: the check-lists of validators, bounces, and what happens when engines die."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.peer
_ECHOES = """
title = "Echoes in time"
description = "An echo every eighth."

[[stages]]
name = "echo"
kind = "delay"
wet = 0.5

[[midi]]
knob = "echo.time"
control = "clock"
beats = 0.5
"""


def test_parameters_have_ranges_names_and_texts_that_mean_their_values(clap):
    """As clap-validator asks: ids are unique, values in range, what a text shows is read back as the value."""
    clap("""
infos = host.infos()
assert len({info.id for info in infos}) == len(infos) == 18
for info in infos:
    assert info.low <= info.default <= info.high and info.low <= host.value(info.id) <= info.high
    assert info.name and info.module
    if info.name == b"Page":
        continue
    for share in (0.0, 0.3, 1.0):
        value = info.low + share * (info.high - info.low)
        import ctypes
        back = ctypes.c_double()
        shown = host.text(info.id, value)
        assert host.parameters.to_value(info.id, shown.encode(), ctypes.addressof(back))
        assert host.text(info.id, back.value) == shown
""")


def test_it_is_scanned_without_starting_an_engine_and_an_unknown_id_is_refused(clap, installed):
    started = set(Path(installed.environment["XDG_RUNTIME_DIR"]).rglob("*.sock"))
    clap("""
for _ in range(5):
    ClapHost(sys.argv[1]).close()
assert host.factory.count() == 1
assert not host.factory.create(host._host(), b"no.such.plug-in")
""")
    assert started == set(Path(installed.environment["XDG_RUNTIME_DIR"]).rglob("*.sock"))


@pytest.mark.slow
def test_a_bounce_is_what_render_gives_in_place_and_out_of_place_at_odd_rates(clap):
    clap("""
def blocks(in_place):
    host.render.set(1)
    assert host.plugin.activate(44123.45, 1, 256) and host.plugin.start()
    parts = np.split(noise(0.5)[:, :20480], 80, axis=1)
    played = [host.process(part, in_place) for part in parts]
    host.plugin.stop()
    host.plugin.deactivate()
    return np.concatenate(played, axis=1)

for preset, rate, block in (("choir", 44100, 512), ("default", 48000, 100), ("choir", 44123.45, 4096)):
    sound = noise(0.5)
    host.set(2, number(preset))
    host.flush()
    kept = sound.copy()
    played = host.play(sound, rate, block)
    assert np.array_equal(sound, kept) and np.isfinite(played).all()
    expected = Engine.load(preset, rate=round(rate), channels=2).render(sound)
    assert np.abs(played - expected).max() <= 1e-6, (preset, rate, block, np.abs(played - expected).max())
assert np.array_equal(blocks(False), blocks(True))
""")


def test_a_state_in_pieces_of_17_bytes_brings_preset_and_macros_back_and_garbage_changes_nothing(clap):
    clap("""
sound = noise(0.4)
host.set(2, number("choir")); host.set(3, 0.25); host.flush()
first = host.play(sound, 44100, 512)
state = host.save(part=17)
other = ClapHost(sys.argv[1])
assert other.load(state, part=17)
assert np.abs(other.play(sound, 44100, 512) - first).max() <= 1e-6
assert other.value(2) == number("choir") and abs(other.value(3) - 0.25) < 1e-6
other.load(os.urandom(500))
assert np.abs(other.play(sound, 44100, 512) - first).max() <= 1e-6
""")


def test_a_stored_project_is_as_late_without_an_engine_as_with_it(clap):
    """Ardour exports from a later place on when it learns of a latency only after its transport has started."""
    clap("""
from pathlib import Path
host.set(2, number("choir")); host.flush()
host.play(noise(0.2), 44100, 512)
late = host.latency() - 2 * 4096  # of a host that begins with a bounce
processes()
state, end = host.save(), time.monotonic() + 60
while f"44100/512/{late}/2/".encode() not in state:
    assert time.monotonic() < end, state[:400]
    time.sleep(0.05)
    state = host.save()
(Path(os.environ["XDG_CONFIG_HOME"]) / "gramophone" / "bridge.command").unlink()
other = ClapHost(sys.argv[1])
assert other.load(state)
assert other.plugin.activate(44100, 1, 512)
assert other.latency() == late + 2 * 512, "a state that was stored in a bounce does not begin another"
""")


def test_what_is_automated_in_a_bounce_changes_with_the_block_that_it_is_set_for(clap, own):
    """The engine joins blocks that wait: a value is for none of those before. The mix goes with the sound."""
    own('title = "Level"\ndescription = "A gain."\n[[stages]]\nname = "level"\nkind = "gain"')
    clap("""
sound = noise(1.0)[:, :40960]
host.set(2, number("own")); host.flush()

def change(block):
    if block in (20, 21, 40):
        host.set(3, 0.3 + 0.01 * block)
    if block == 50:
        host.set(1, 0.25)

played = host.play(sound, 44100, 512, between=change)
engine, wet = Engine.load("own", rate=44100, channels=2), []
assert engine.delay == 0
for block, part in enumerate(np.split(sound, 80, axis=1)):
    if block in (20, 21, 40):
        engine.set("level.gain", engine.parameters["level.gain"].from_0to1(0.3 + 0.01 * block))
    wet.append(engine.process(part))
share = np.interp(np.arange(40960), [50 * 512 - 1, 51 * 512 - 1], [1.0, 0.25])
expected = sound + share * (np.concatenate(wet, axis=1) - sound)
assert np.abs(played - expected).max() <= 1e-6, np.nonzero(np.abs(played - expected).max(0) > 1e-6)[0][:5] / 512
""")


def test_every_macro_is_automated_in_every_block_and_a_bounce_gives_the_same_each_time(clap):
    clap("""
def automated():
    generator = np.random.default_rng(3)
    host.render.set(1)
    host.set(2, number("choir")); host.flush()
    assert host.plugin.activate(44100, 1, 512) and host.plugin.start()
    parts = []
    for part in np.split(noise(1.0)[:, :40960], 80, axis=1):
        for index in range(3, 11):
            host.set(index, float(generator.random()))
        parts.append(host.process(part))
    host.plugin.stop(); host.plugin.deactivate()
    return np.concatenate(parts, axis=1)

one, two = automated(), automated()
assert np.isfinite(one).all()
assert np.abs(one - two).max() <= 1e-6
""")


def test_killed_engines_leave_the_sound_dry_and_in_line_and_come_back(clap):
    clap("""
host.set(2, number("choir")); host.flush()
host.render.set(0)
assert host.plugin.activate(48000, 1, 256) and host.plugin.start()
part = np.zeros((2, 256), np.float32)
page = ""
for _ in range(2000):
    part[:] = host.process(part) * 0 + 0.1
    if host.text(17, 0).startswith("http"):
        break
    time.sleep(0.01)
port = host.text(17, 0).rpartition(":")[2].partition("/")[0]
late = host.latency()
os.kill(processes()[0], signal.SIGKILL)
dry = []
for _ in range(60):
    out = host.process(part)
    assert np.isfinite(out).all()
    dry.append(np.abs(out - 0.1).max())
    time.sleep(0.005)
assert min(dry) < 1e-6 and host.latency() == late
for _ in range(3000):
    host.process(part)
    if host.text(17, 0).startswith("http") and f":{port}/" not in host.text(17, 0):
        break
    time.sleep(0.01)
assert f":{port}/" not in host.text(17, 0), "another engine has come"
""")


@pytest.mark.parametrize("victim", [0, 1], ids=["engine", "worker"])
def test_a_bounce_whose_process_is_killed_ends_in_line_and_the_log_says_so(clap, installed, victim):
    """Blocks are the engine's or the dry ones, none is late or missing; when it has come back they are the engine's."""
    done = clap(
        """
sound = noise(2.0)
host.set(2, number("telephone")); host.flush()
host.play(sound[:, :4410], 44100, 441)

def kill(block):
    if block == 50:
        os.kill(processes()[VICTIM], signal.SIGKILL)

whole = host.play(sound, 44100, 441)
played = host.play(sound, 44100, 441, between=kill)
blocks = lambda found: np.abs(found[:, :87759]).reshape(2, -1, 441).max((0, 2))
wet = blocks(played - whole) < 1e-4
assert wet[:40].all(), wet
assert np.isfinite(played).all()
for at in range(60 * 441, 80000, 4410):
    likeness = [played[0, at:at + 4410] @ whole[0, at + shift:at + shift + 4410] for shift in range(-20, 21)]
    assert np.argmax(likeness) == 20, ("in line afterwards", at, likeness)
""".replace("VICTIM", str(victim))
    )
    assert ("engine is gone" if victim == 0 else "worker has died") in done


def test_the_hosts_tempo_is_that_of_knobs_which_follow_the_clock(clap):
    clap(
        """
from pathlib import Path
from gramophone.presets.library import own_folder
own_folder().mkdir(parents=True)
(own_folder() / "echoes.toml").write_text(TOML)
assert "echoes" in names()
sound = np.zeros((2, 44100), np.float32)
sound[:, 0] = 0.5
for tempo in (90.0, 141.0):
    other = ClapHost(sys.argv[1])
    other.set(2, number("echoes")); other.flush()
    played = other.play(sound, 44100, 512, tempo=tempo)
    beat = f"echo.time={30e3 / tempo}"
    expected = Engine.load("echoes", rate=44100, channels=2, settings=[beat]).render(sound)
    assert np.abs(played - expected).max() <= 1e-6, tempo
    first = np.nonzero(np.abs(played[0, 100:]) > 0.05)[0][0] + 100
    assert abs(first - 44100 * 30 / tempo) <= 2, (tempo, first)
    other.close()
""".replace("TOML", repr(_ECHOES))
    )


@pytest.mark.slow
@pytest.mark.parametrize("rate", [88_200, 96_000, 176_400, 192_000])
def test_a_bounce_at_high_rates_is_what_render_gives(clap, rate):
    clap(f"""
sound = noise(0.3, {rate})
host.set(2, number("choir")); host.flush()
played = host.play(sound, {rate}, 4096)
assert np.abs(played - Engine.load("choir", rate={rate}, channels=2).render(sound)).max() <= 1e-6
""")
