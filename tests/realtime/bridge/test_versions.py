"""Projects and engines of other versions, in a CLAP host: a clear message, dry sound in line, and nothing is lost."""

import sys

import pytest

pytestmark = pytest.mark.peer
TEXTS = """
import base64, json, re, zlib
from gramophone.realtime.bridge.project_state import from_text

TEXT = re.compile(rb"(?:[0-9]+/){4}[A-Za-z0-9+/=]{100,}")

def text_of(state):
    return TEXT.search(state)[0].decode()

def with_text(state, text):
    return state.replace(text_of(state).encode(), text.encode())

def changed(text, **more):
    numbers, packed = re.fullmatch(r"((?:[0-9]+/){4})(.*)", text).groups()
    document = json.loads(zlib.decompress(base64.b64decode(packed))) | more
    return numbers + base64.b64encode(zlib.compress(json.dumps(document).encode())).decode()

def stored():
    host.set(2, number("choir")); host.set(3, 0.3); host.flush()
    host.play(noise(0.2), 44100, 512)
    return host.save()

def dry(other):
    played = other.play(sound, 44100, 512)
    assert np.array_equal(played, sound), np.abs(played - sound).max()

sound = noise(0.4)
"""
OTHER_ENGINE = """
import socket
from gramophone.realtime.bridge import host_session, protocol
protocol.VERSION += 1
host_session.play(socket.socket(fileno=3), (4, 5))
"""


@pytest.mark.slow
def test_a_newer_projects_state_is_named_kept_when_it_is_saved_again_and_given_up_for_another_preset(clap):
    said = clap(
        TEXTS
        + """
state = stored()
newer = with_text(state, changed(text_of(state), version=2, preset={"more": "than we know"}))
assert newer != state
other = ClapHost(sys.argv[1])
assert other.load(newer)
dry(other)
assert other.save() == newer
dry(other)
assert text_of(other.save()) == text_of(newer)
other.set(2, number("hall")); other.flush()
assert from_text(text_of(other.save())).preset.name == "hall"
assert other.load(state)
expected = Engine.load("choir", rate=44100, channels=2, settings=["macro.1=0.3"]).render(sound)
assert np.abs(other.play(sound, 44100, 512) - expected).max() <= 1e-6
"""
    )
    assert said.count("another version of Gramophone, in form 2; this one reads form 1; the sound is dry") == 1


def test_a_project_of_the_first_version_has_no_numbers_before_its_state_and_plays(clap):
    clap(
        TEXTS
        + """
state = stored()
text = text_of(state)
older = state.replace(text.encode(), re.sub(r"^([0-9]+/){4}", "", text).encode())
other = ClapHost(sys.argv[1])
assert other.load(older)
expected = Engine.load("choir", rate=44100, channels=2, settings=["macro.1=0.3"]).render(sound)
assert np.abs(other.play(sound, 44100, 512) - expected).max() <= 1e-6
"""
    )


@pytest.mark.slow
def test_an_engine_of_another_version_leaves_the_sound_dry_and_the_state_as_it_was(clap, installed):
    own, told = installed.command, "engine and plug-in speak other versions of the protocol"
    other = (sys.executable, "-c", OTHER_ENGINE)
    said = clap(
        TEXTS
        + f"""
from pathlib import Path
from gramophone.offline.commands.bridge import command
script = Path(os.environ["XDG_CONFIG_HOME"]) / "gramophone" / "bridge.command"
state = stored()
script.write_text(command({other!r}))
other = ClapHost(sys.argv[1])
assert other.load(state)
dry(other)
assert other.save() == state
assert {told!r} in other.text(17, 0) or "engines end before they play" in other.text(17, 0), other.text(17, 0)
script.write_text(command({own!r}))
while not other.text(17, 0).startswith("http"):
    time.sleep(0.05)
expected = Engine.load("choir", rate=44100, channels=2, settings=["macro.1=0.3"]).render(sound)
assert np.abs(other.play(sound, 44100, 512) - expected).max() <= 1e-6
"""
    )
    assert told in said


def test_what_the_host_sets_is_in_the_state_that_it_saves_at_once(clap):
    clap(
        TEXTS
        + """
stored()
for step in range(1, 21):
    host.set(3, step / 32); host.flush()
    kept = from_text(text_of(host.save())).preset
    assert kept.macros[0].value == step / 32, (step, kept.macros[0])
host.set(2, number("hall")); host.flush()
assert from_text(text_of(host.save())).preset.name == "hall"
"""
    )
