"""Sessions of Ardour 7 without a screen: a track with a sound and a plug-in, and what Ardour exports of it."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import soundfile

_TICKS = 282_240_000  # of Ardour's clock in a second
_TRACK = """
session = create_session("{folder}", "test", {rate})
assert(session)
session:new_audio_track(2, 2, nil, 1, "Audio", ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true)
track = session:route_by_name("Audio 1")
function wait(reached)
  for _ = 1, 2000 do
    if reached() then return end
    ARDOUR.LuaAPI.usleep(10000)
  end
  error("waited in vain; the latency is " .. (insert and insert:signal_latency() or "unknown"))
end
wait(function() return track:output():nth(0):connected() and track:output():nth(1):connected() end)
plugin = ARDOUR.LuaAPI.new_plugin(session, "{plugin}", ARDOUR.PluginType.{kind}, "")
assert(not plugin:isnil())
assert(track:add_processor_by_index(plugin, 0, nil, true) == 0)
insert = plugin:to_insert()
description = insert:plugin(0)
wanted = {{ {values} }}
number = 0
for index = 0, description:parameter_count() - 1 do
  if description:parameter_is_control(index) then
    value = wanted[description:parameter_label(index)]
    if value then ARDOUR.LuaAPI.set_processor_param(plugin, number, value) end
    number = number + 1
  end
end
wait(function() return insert:signal_latency() == {latency} end)
session:save_state("")
close_session()
quit()
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
        (home / ".vst3").mkdir(parents=True)
        (home / ".vst3" / vst3.name).symlink_to(vst3)
        found = cls(home, environment | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")})
        libraries = {"LD_LIBRARY_PATH": "/usr/lib/ardour7"}
        found._run(["/usr/lib/ardour7/ardour-vst3-scanner", "-q", str(home / ".vst3" / vst3.name)], libraries)
        return found

    def vst3_id(self):
        """Return the number by which Ardour knows the plug-in."""
        return re.search(r'uid="(\w+)"', next((self.home / "cache").rglob("*.v3i")).read_text())[1]

    def make_session(self, sound, rate, kind, plugin, values, latency):
        """Save a session with the plug-in on a track, its parameters set by name, once its latency is as given."""
        folder = self.home / "test"
        pairs = ", ".join(f'["{name}"] = {value}' for name, value in values.items())
        script = self.home / "make.lua"
        script.write_text(
            _TRACK.format(folder=folder, rate=rate, plugin=plugin, kind=kind, values=pairs, latency=latency)
        )
        self._run(["ardour7-lua", str(script)])
        _put_in(folder, sound, rate)
        return folder

    def export(self, folder):
        """Return what Ardour exports of a session, `(channels, frames)`, and what was said."""
        target = self.home / "export.wav"
        done = self._run(["ardour7-export", "-b", "float", "-o", str(target), str(folder), "test"])
        return soundfile.read(target, dtype="float32", always_2d=True)[0].T, done.stderr

    def _run(self, command, more=None):
        environment = self.environment | (more or {})
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, errors="replace")
        assert done.returncode == 0, done.stdout + done.stderr
        return done


def _put_in(folder, sound, rate):
    """Put a sound at the beginning of the first track: headless, Ardour has no import."""
    frames = round(sound.shape[1] * _TICKS / rate)
    for channel, samples in enumerate(sound):
        path = folder / "interchange" / "test" / "audiofiles" / f"in-{channel}.wav"
        soundfile.write(path, samples, rate, subtype="FLOAT")
    names = range(len(sound))
    sources = "".join(f'<Source name="in-{i}.wav" type="audio" flags="" id="{9000 + i}" channel="0"/>' for i in names)
    flags = " ".join(f'{flag}="0"' for flag in _FLAGS.split())
    of = " ".join(f'source-{i}="{9000 + i}" master-source-{i}="{9000 + i}"' for i in names)
    region = (
        f'<Region name="in" id="9100" type="audio" {flags} opaque="1" start="a0" length="a{frames}@a0" '
        f'sync-position="a0" ancestral-start="a0" ancestral-length="a{frames}@a0" stretch="1" shift="1" '
        f'first-edit="nothing" scale-amplitude="1" channels="{len(sound)}" {of}/>'
    )
    whole = f'<Location id="9200" name="session" start="a0" end="a{frames}" flags="IsSessionRange" locked="0"/>'
    path = folder / "test.ardour"
    text = path.read_text().replace("<Sources/>", f"<Sources>{sources}</Sources>")
    text = text.replace("<Locations/>", f"<Locations>{whole}</Locations>")
    path.write_text(re.sub(r"(<Playlist [^>]*)/>", rf"\1>{region}</Playlist>", text, count=1))


def own_cache():
    """Return the cache folder of this program's user, which Ardour's is not."""
    return os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
