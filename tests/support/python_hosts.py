"""Hosts of the plug-in in Python, alike: pedalboard and DawDreamer (VST3), the CLAP and the LV2 host of these tests.

`python -m support.python_hosts HOST PLUGIN FOLDER` does the jobs in FOLDER/jobs.json in their order: each may load a
plug-in, restore another's state, set parameters, let free ones take knobs that were moved by OSC, and play a sound.
"""

import json
import socket
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import ClassVar

import numpy as np

NAMES = ["bypass", "mix", "preset", *(f"macro_{i}" for i in range(1, 9)), *(f"free_{i}" for i in range(1, 6))]
"""The parameters in the order of their numbers; `offline` and `page` come after them."""
_INDEX = {name: index for index, name in enumerate([*NAMES, "offline", "page"])}
PRESETS = 127
"""The highest number of a preset, which is 1 as a normalised value."""


class _Pedalboard:
    """One instance in pedalboard, which compensates its latency."""

    def __init__(self, path, _rate, _block):
        import pedalboard

        self._plugin = pedalboard.load_plugin(path)

    def set(self, name, value):
        self._plugin.parameters[name].raw_value = value / (PRESETS if name == "preset" else 1)

    def get(self, name):
        return self._plugin.parameters[name].raw_value * (PRESETS if name == "preset" else 1)

    def text(self, name):
        return self._plugin.parameters[name].string_value

    def play(self, sound, rate, block):
        return self._plugin(sound, rate, buffer_size=block)

    def save(self):
        return self._plugin.preset_data

    def load(self, state):
        self._plugin.preset_data = state

    def close(self):
        del self._plugin  # which unloads it


class _DawDreamer:
    """One instance in DawDreamer; its latency is taken off here.

    All instances of one rate and block length belong to one engine, since DawDreamer renders in the main thread only:
    in another it never ends, without any plug-in as well.
    """

    _ENGINES: ClassVar[dict[tuple[float, int], object]] = {}

    def __init__(self, path, rate, block):
        import dawdreamer

        self._kind = rate, block
        if self._kind not in self._ENGINES:
            self._ENGINES[self._kind] = dawdreamer.RenderEngine(rate, block)
        self._engine = self._ENGINES[self._kind]
        self._name = f"gramophone-{id(self)}"
        self._plugin = self._engine.make_plugin_processor(self._name, path)
        rows = self._plugin.get_parameters_description()
        self._indices = {row["name"].lower().replace(" ", "_"): row["index"] for row in rows}

    def set(self, name, value):
        self._plugin.set_parameter(self._indices[name], value / (PRESETS if name == "preset" else 1))

    def get(self, name):
        return self._plugin.get_parameter(self._indices[name]) * (PRESETS if name == "preset" else 1)

    def text(self, name):
        return self._plugin.get_parameter_text(self._indices[name])

    def play(self, sound, rate, _block):
        return self.play_together([self], [sound], rate)[0]

    @staticmethod
    def play_together(hosts, sounds, rate):
        """Return what instances of one engine make of a sound each, in one graph."""
        engine, frames, graph = hosts[0]._engine, max(sound.shape[1] for sound in sounds), []
        for host, sound in zip(hosts, sounds, strict=True):
            padded = np.pad(sound, ((0, 0), (0, frames - sound.shape[1] + 16384)))
            clip = f"{host._name}-sound"
            graph += [(engine.make_playback_processor(clip, padded), []), (host._plugin, [clip])]
            host._plugin.record = True
        engine.load_graph(graph)
        engine.render((frames + 16384) / rate)
        found = []
        for host, sound in zip(hosts, sounds, strict=True):
            late = host._plugin.get_latency_samples()
            found.append(engine.get_audio(host._name)[:, late : late + sound.shape[1]])
        return found

    def load(self, state):
        """Load a .vstpreset: DawDreamer writes none, and loads its own states only into plug-ins with a window."""
        with tempfile.NamedTemporaryFile(suffix=".vstpreset") as file:
            Path(file.name).write_bytes(state)
            assert self._plugin.load_vst3_preset(file.name)

    def close(self):
        """Unload all instances of the engine: DawDreamer keeps each as long as its engine."""
        self._ENGINES.pop(self._kind, None)
        del self._engine, self._plugin


class _Clap:
    """One instance in the CLAP host of these tests, which takes its latency off."""

    def __init__(self, path, _rate, _block):
        from support.clap_host import ClapHost

        self._host = ClapHost(path)

    def set(self, name, value):
        self._host.set(_INDEX[name], value)
        self._host.flush()

    def get(self, name):
        return self._host.value(_INDEX[name])

    def text(self, name):
        return self._host.text(_INDEX[name], self.get(name))

    def play(self, sound, rate, block):
        return self._host.play(sound, rate, block)

    def save(self):
        return self._host.save()

    def load(self, state):
        assert self._host.load(state)

    def close(self):
        self._host.close()


class _Lv2:
    """One instance in the LV2 host of these tests; its latency is taken off here."""

    def __init__(self, path, rate, _block):
        from support.lv2_host import Lv2Host

        self._host = Lv2Host(path, rate)
        self._host.set("offline", 1)

    def set(self, name, value):
        self._host.set(*(("lv2_enabled", 1 - value) if name == "bypass" else (name, value)))

    def get(self, name):
        return 1 - self._host.get("lv2_enabled") if name == "bypass" else self._host.get(name)

    def text(self, name):
        return f"http://127.0.0.1:{self.get(name):.0f}" if name == "page" else str(self.get(name))

    def save(self):
        with tempfile.TemporaryDirectory() as folder:
            self._host.save(folder)
            return (Path(folder) / "state.ttl").read_text()

    def load(self, state):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "state.ttl").write_text(state)
            self._host.load(folder)

    def play(self, sound, _rate, block):
        played = self._host.play(np.pad(sound, ((0, 0), (0, 16384))), block)
        late = round(self._host.get("lv2_latency"))
        return played[:, late : late + sound.shape[1]]

    def close(self):
        self._host.close()


HOSTS = {"pedalboard": _Pedalboard, "dawdreamer": _DawDreamer, "clap": _Clap, "lilv": _Lv2}
FILES = {"pedalboard": "vst3", "dawdreamer": "vst3", "clap": "clap", "lilv": "lv2"}


def take(host, job, name, address, position):
    """Move a knob by OSC, then a free parameter in the host, which takes it; VST3 passes values on with blocks only."""
    from gramophone.realtime.osc.packet import encode

    page = "http://" + host.text("page").removeprefix("http://").partition("/")[0]
    path = "/gramophone/" + address.replace(".", "/")

    def read(query):
        with urllib.request.urlopen(page + query, timeout=20) as answer:
            return json.load(answer)

    before = read(path + "?VALUE")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", read("/?HOST_INFO")["OSC_PORT"]))
        moved = encode(path, [before["VALUE"][0] * 0.9])
        _until(lambda: sender.send(moved) and read(path + "?VALUE") != before)
    host.set(name, position)
    play_silence(host, job)


def play_silence(host, job):
    """Play a few blocks of silence, by which there is an engine with all that was set."""
    host.play(np.zeros((2, 4 * job["block"]), np.float32), job["rate"], job["block"])


def _until(is_so, seconds=60.0):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def main(name, plugin, folder):
    """Do all jobs; write each one's sound, and what the plug-in shows of its parameters after it."""
    folder = Path(folder)
    plan = json.loads((folder / "jobs.json").read_text())
    instances = {}

    def make(job):
        return HOSTS[job.get("host", name)](plugin, job["rate"], job["block"])

    def prepare(job):
        host = instances[job["instance"]] = instances.get(job["instance"]) or make(job)
        if "restore" in job:
            host.load(instances[job["restore"]].save())
        for symbol, value in job.get("values", {}).items():
            host.set(symbol, value)
        if "free" in job:
            play_silence(host, job)  # so that there is an engine
            for symbol, (address, position) in job["free"].items():
                take(host, job, symbol, address, position)

    def sound_of(number):
        return np.load(folder / f"in-{number}.npy")

    def play(number, job):
        keep(number, job, instances[job["instance"]].play(sound_of(number), job["rate"], job["block"]))

    def keep(number, job, played):
        host = instances[job["instance"]]
        np.save(folder / f"out-{number}.npy", played)
        shown = {name: (host.get(name), host.text(name)) for name in NAMES}
        (folder / f"shown-{number}.json").write_text(json.dumps(shown))

    if plan["together"]:
        for job in plan["jobs"]:
            prepare(job)
            play_silence(instances[job["instance"]], job)  # after which the host knows the latency
    if plan["together"] and name == "dawdreamer":
        hosts = [instances[job["instance"]] for job in plan["jobs"]]
        sounds = map(sound_of, range(len(hosts)))
        for number, played in enumerate(_DawDreamer.play_together(hosts, [*sounds], plan["jobs"][0]["rate"])):
            keep(number, plan["jobs"][number], played)
    elif plan["together"]:
        threads = [threading.Thread(target=play, args=each) for each in enumerate(plan["jobs"])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        for number, job in enumerate(plan["jobs"]):
            prepare(job)
            play(number, job)


if __name__ == "__main__":
    main(*sys.argv[1:])
