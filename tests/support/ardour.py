"""Sessions of Ardour 7 without a screen: tracks with a sound and a plug-in, a bare track, and what Ardour exports.

The bare track shows what is Ardour's own: 7.3 exports a session without any plug-in 16 samples early now and then (2 of
39 exports; so late is its ports' resampler), and dies of a double free at the end of others (7 of 46). Both are tried
again.
"""

import itertools
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import fftconvolve

from support.bridge import compile_default

_TICKS = 282_240_000  # of Ardour's clock in a second
_SESSION = """
session = {opened}
assert(session)
function wait(reached)
  for _ = 1, 4000 do
    if reached() then return end
    ARDOUR.LuaAPI.usleep(10000)
  end
  error("waited in vain")
end
{steps}
close_session()
quit()
"""
_TRACK = """
do
  local track = session:new_audio_track(2, 2, nil, 1, "{name}", ARDOUR.PresentationInfo.max_order,
    ARDOUR.TrackMode.Normal, true):front()
  wait(function() return track:output():nth(0):connected() and track:output():nth(1):connected() end)
  local plugin = ARDOUR.LuaAPI.new_plugin(session, "{plugin}", ARDOUR.PluginType.{kind}, "")
  assert(not plugin:isnil())
  assert(track:add_processor_by_index(plugin, 0, nil, true) == 0)
  local insert = plugin:to_insert()
  local description = insert:plugin(0)
  local wanted = {{ {values} }}
  local number = 0
  for index = 0, description:parameter_count() - 1 do
    if description:parameter_is_control(index) then
      local value = wanted[description:parameter_label(index)]
      if value then ARDOUR.LuaAPI.set_processor_param(plugin, number, value) end
      number = number + 1
    end
  end
  wait(function() return insert:signal_latency() == {latency} end)
end
"""
_BARE = """
do
  local track = session:new_audio_track(2, 2, nil, 1, "Bare", ARDOUR.PresentationInfo.max_order,
    ARDOUR.TrackMode.Normal, true):front()
  wait(function() return track:output():nth(0):connected() and track:output():nth(1):connected() end)
end
ARDOUR.LuaAPI.usleep(2000000) -- the plug-in has the state to store some time after the last change
session:save_state("")
"""
_ATTEMPTS = 6
_FAR = 8192
"""Samples behind the beginning of a sound, where it is not like itself any more."""
_SHOW = """
local plugin = session:route_by_name("Audio 1"):nth_plugin(0)
local description = plugin:to_insert():plugin(0)
local number = 0
for index = 0, description:parameter_count() - 1 do
  if description:parameter_is_control(index) then
    local value = ARDOUR.LuaAPI.get_processor_param(plugin, number, true)
    print("VALUE|" .. description:parameter_label(index) .. "|" .. value)
    number = number + 1
  end
end
"""
_FLAGS = "position-locked hidden import external sync-marked left-of-split right-of-split valid-transients automatic"
_FLAGS += " whole-file muted locked video-locked envelope-active default-fade-in default-fade-out fade-in-active"
_FLAGS += " fade-out-active layering-index"


@dataclass(frozen=True)
class Ardour:
    """A user of Ardour with a home folder of its own, in which `vst3` is the only plug-in of that format."""

    home: Path
    environment: dict[str, str]

    @classmethod
    def at(cls, home, environment, vst3):
        """Make the folder, and let Ardour scan the plug-in."""
        compile_default()
        (home / ".vst3").mkdir(parents=True)
        (home / ".vst3" / vst3.name).symlink_to(vst3)
        found = cls(home, environment | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")})
        libraries = {"LD_LIBRARY_PATH": "/usr/lib/ardour7"}
        found._run(["/usr/lib/ardour7/ardour-vst3-scanner", "-q", str(home / ".vst3" / vst3.name)], libraries)
        return found

    def vst3_id(self):
        """Return the number by which Ardour knows the plug-in."""
        return re.search(r'uid="(\w+)"', next((self.home / "cache").rglob("*.v3i")).read_text())[1]

    def make_session(self, sound, rate, kind, plugin, values, latency, more=()):
        """Save a session with the plug-in on a track, its parameters set by name, once its latency is as given.

        `more` has values and latency of the plug-ins on further tracks, which play the same sound.
        """
        folder = self.home / "test"
        steps = [
            _TRACK.format(
                name=f"Audio {number}",
                plugin=plugin,
                kind=kind,
                values=", ".join(f'["{name}"] = {value}' for name, value in each.items()),
                latency=late,
            )
            for number, (each, late) in enumerate([(values, latency), *more], 1)
        ]
        self._script(f'create_session("{folder}", "test", {rate})', "".join(steps) + _BARE)
        _put_in(folder, sound, rate)
        return folder

    def values(self, folder):
        """Return the values of the plug-in's parameters by name in a session that is opened anew."""
        lines = self._script(f'load_session("{folder}", "test")', _SHOW).stdout.splitlines()
        rows = (line.split("|") for line in lines if line.startswith("VALUE|"))
        return {name: float(value) for _, name, value in rows}

    def export(self, folder):
        """Return what Ardour exports of a session, `(channels, frames)`, and what was said."""
        target = self.home / "export.wav"
        sound = soundfile.read(folder / "interchange" / "test" / "audiofiles" / "in-0.wav", dtype="float32")[0]
        for _ in range(_ATTEMPTS):
            said = self._run(["ardour7-export", "-b", "float", "-o", str(target), str(folder), "test"]).stderr
            exported = soundfile.read(target, dtype="float32", always_2d=True)[0].T
            likeness = np.abs(fftconvolve(exported[0], sound[::-1]))[len(sound) + _FAR :]
            if np.argmax(likeness) == len(sound) - 1 - _FAR:
                return exported[:, : len(sound)], said
        raise AssertionError("the bare track is never where it should be")

    def _script(self, opened, steps):
        script = self.home / "steps.lua"
        script.write_text(_SESSION.format(opened=opened, steps=steps))
        return self._run(["ardour7-lua", str(script)])

    def _run(self, command, more=None):
        environment = self.environment | (more or {})
        for _ in range(_ATTEMPTS):
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=180, errors="replace"
            )
            if done.returncode >= 0:
                break
        assert done.returncode == 0, done.stdout + done.stderr
        return done


def _put_in(folder, sound, rate):
    """Put a sound at the beginning of every track, and behind it on the bare one: headless, Ardour has no import."""
    frames = round(sound.shape[1] * _TICKS / rate)
    for channel, samples in enumerate(sound):
        path = folder / "interchange" / "test" / "audiofiles" / f"in-{channel}.wav"
        soundfile.write(path, samples, rate, subtype="FLOAT")
    names = range(len(sound))
    sources = "".join(f'<Source name="in-{i}.wav" type="audio" flags="" id="{9000 + i}" channel="0"/>' for i in names)
    flags = " ".join(f'{flag}="0"' for flag in _FLAGS.split())
    of = " ".join(f'source-{i}="{9000 + i}" master-source-{i}="{9000 + i}"' for i in names)
    region = (
        f'<Region name="in" id="%d" type="audio" {flags} opaque="1" start="a0" length="a{frames}@a%d" '
        f'sync-position="a0" ancestral-start="a0" ancestral-length="a{frames}@a%d" stretch="1" shift="1" '
        f'first-edit="nothing" scale-amplitude="1" channels="{len(sound)}" {of}/>'
    )
    whole = f'<Location id="9200" name="session" start="a0" end="a{2 * frames}" flags="IsSessionRange" locked="0"/>'
    path = folder / "test.ardour"
    text = path.read_text().replace("<Sources/>", f"<Sources>{sources}</Sources>")
    text = text.replace("<Locations/>", f"<Locations>{whole}</Locations>")
    ids = itertools.count(9100)

    def filled(found):
        begin = frames if 'name="Bare' in found[1] else 0
        return f"{found[1]}>{region % (next(ids), begin, begin)}</Playlist>"

    path.write_text(re.sub(r"(<Playlist [^>]*)/>", filled, text))


def own_cache():
    """Return the cache folder of this program's user, which Ardour's is not."""
    return os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
