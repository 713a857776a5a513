"""What validators ask of a CLAP plug-in beside its sound: the time of a scan, subnormal numbers, rules of threads."""

import json
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.peer
REVERB = Path("/usr/lib/clap/ZamVerb.clap")
SCAN = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from support.clap_host import ClapHost
took = []
for _ in range(3):
    began = time.process_time(), time.perf_counter()
    host = ClapHost(*sys.argv[2:])
    host.infos()
    host.close()
    took.append([1e3 * (time.process_time() - began[0]), 1e3 * (time.perf_counter() - began[1])])
print(json.dumps(took))
"""


@pytest.mark.skipif(not REVERB.exists(), reason="needs /usr/lib/clap/ZamVerb.clap (apt install zam-plugins)")
def test_a_scan_takes_less_processor_time_than_that_of_a_reverb_of_debian(installed):
    """What a scanner does: load, create, initialise, read all parameters, destroy. `bench bridge` prints the time."""
    tests = str(Path(__file__).parents[2])
    found = []
    for path, name in ((installed.folder / "Gramophone.clap", "gramophone.bridge"), (REVERB, "com.zamaudio.ZamVerb")):
        done = installed.run([sys.executable, "-c", SCAN, tests, str(path), name])
        found.append(json.loads(done.stdout.splitlines()[-1]))
    print("ms of processor time, and by the clock:", found)
    ours, theirs = ([processor_ms for processor_ms, _ in each] for each in found)
    assert max(ours) < min(theirs)


def test_no_number_that_comes_out_is_subnormal(clap):
    """Neither in tails that die away, nor dry; the first preset's own tail is full of them."""
    clap("""
def subnormal(sound):
    return ((sound != 0) & (np.abs(sound) < np.finfo(np.float32).tiny)).any()

sound = np.pad(noise(0.2), ((0, 0), (0, 3 * 44100)))
host.set(2, number("old-record")); host.flush()
assert subnormal(Engine.load("old-record", rate=44100, channels=2).render(sound))
assert not subnormal(host.play(sound, 44100, 512))
faint = np.full((2, 8192), 1e-40, np.float32)
for bypass in (0, 1):
    host.set(0, bypass); host.flush()
    found = host.play(faint, 44100, 512)
    assert not subnormal(found) and np.abs(found).max() < 1e-30
""")


def test_each_thread_calls_what_is_allowed_to_it_and_is_called_back_as_is_allowed(clap):
    """Sound, values and a preset with another latency in one thread, texts, values and states in the main one."""
    clap("""
import threading
main, done = threading.get_ident(), threading.Event()
host.render.set(0)
host.set(2, number("hall")); host.flush()
assert host.plugin.activate(44100, 1, 512)
state, late = host.save(), host.latency()

def play():
    audio.append(threading.get_ident())
    assert host.plugin.start()
    part, block = noise(512 / 44100), 0
    while not done.is_set():
        if block % 50 == 20:
            host.set(2, number(("choir", "hall")[block // 50 % 2]))
        host.set(3 + block % 8, block % 100 / 100)
        host.process(part)
        block += 1
        time.sleep(0.003)
    host.plugin.stop()

audio = []
thread = threading.Thread(target=play)
thread.start()
end = time.monotonic() + 60
while not any(name == "request_restart" for name, _ in host.calls) and time.monotonic() < end:
    for info in host.infos():
        host.text(info.id, info.low), host.value(info.id)
    state = host.save()
    host.latency()
    time.sleep(0.01)
done.set()
thread.join()
host.plugin.on_main_thread()
host.plugin.deactivate()
assert host.load(state)
host.close()
assert any(name == "request_restart" for name, _ in host.calls), "the latency has changed while it played"
for name, where in host.calls:
    if not name.startswith("request_"):  # those may come from any thread
        assert where == main, name
    if name == "params.request_flush":
        assert where not in audio, name
""")
