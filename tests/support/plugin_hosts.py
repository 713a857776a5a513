"""The hosts that bounce the plug-in, made alike: each plays sounds through plug-ins with parameters of its own.

`play` returns what each part's plug-in makes of its sound, one after the other or all at once, `together`; before the
bounce it calls `at_bounce`. What is returned of a sound may begin later, and last longer, where the host does not
compensate latency: see `in_line`.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from gramophone.presets import names
from gramophone.realtime.engine import Engine
from gramophone.realtime.live.status import blocks_of_time
from support import python_hosts
from support.ardour import Ardour, own_cache
from support.bridge import RATE


def nothing():
    """Do nothing before a bounce."""


@dataclass(frozen=True)
class Part:
    """A sound, `(2, frames)`, for a plug-in with a preset and other values (by the names of `python_hosts.NAMES`).

    A preset that is none of those with a name is a file, the only one of the user's own.
    """

    sound: np.ndarray
    preset: str
    values: dict[str, float] = field(default_factory=dict)
    block: int = 512

    @property
    def all_values(self):
        """What a host sets, with the number of the preset."""
        known = names()
        number = 1 + (known.index(self.preset) if self.preset in known else len(known))
        return {"preset": number} | self.values

    def latency(self, rate, block):
        """Return the latency in samples that the plug-in reports to a host whose longest block this is."""
        chain = Engine.load(self.preset, rate=rate, channels=2).chain
        return blocks_of_time((hop_s * rate for hop_s in chain.hops_s), block) * block + chain.delay


@dataclass(frozen=True)
class PythonHost:
    """A host of `python_hosts`, in a process of its own."""

    name: str
    rate: int = RATE

    def play(self, installed, folder, parts, together=False, at_bounce=nothing):
        """Return the sounds; the bounce begins with the host."""
        at_bounce()
        jobs = [
            {"instance": number, "rate": self.rate, "block": part.block, "values": part.all_values}
            for number, part in enumerate(parts)
        ]
        self.do(installed, folder, [part.sound for part in parts], {"jobs": jobs, "together": together})
        return [np.load(folder / f"out-{number}.npy") for number in range(len(parts))]

    def do(self, installed, folder, sounds, plan):
        """Do a plan of jobs; return what was said. Files for each job lie in `folder` then."""
        for number, sound in enumerate(sounds):
            np.save(folder / f"in-{number}.npy", sound)
        (folder / "jobs.json").write_text(json.dumps(plan))
        plugin = installed.folder / f"Gramophone.{python_hosts.FILES[self.name]}"
        program = (
            f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); from support import python_hosts"
        )
        run = f"{program}; python_hosts.main(*sys.argv[1:])"
        return installed.run([sys.executable, "-c", run, self.name, str(plugin), str(folder)], 500.0).stderr


@dataclass(frozen=True)
class Lv2FileHost:
    """A program that plays a file through an LV2 plug-in: `lv2apply` a frame a block, `lv2file` in blocks."""

    name: str
    rate: int = RATE

    def play(self, installed, folder, parts, together=False, at_bounce=nothing):
        """Return the sounds, late, and what came behind; the bounce begins with the host."""
        at_bounce()
        with ThreadPoolExecutor(len(parts) if together else 1) as pool:
            return [*pool.map(lambda each: self._play(installed, folder / f"{each[0]}", each[1]), enumerate(parts))]

    def _play(self, installed, folder, part):
        folder.mkdir(exist_ok=True)
        files = str(folder / "in.wav"), str(folder / "out.wav")
        soundfile.write(files[0], np.pad(part.sound, ((0, 0), (0, 16384))).T, self.rate, subtype="FLOAT")
        ports = part.all_values | {"offline": 1}
        if "bypass" in ports:
            ports["lv2_enabled"] = 1 - ports.pop("bypass")
        sign, option = (" ", "-c") if self.name == "lv2apply" else (":", "-p")
        words = [word for port, value in ports.items() for word in (option, *f"{port}{sign}{value}".split(" "))]
        block = ["-b", str(part.block)] if self.name == "lv2file" else []
        ends = ["-i", files[0], "-o", files[1], "urn:gramophone:bridge"]
        installed.run([self.name, *block, *words, *ends], 500.0)
        return soundfile.read(files[1], dtype="float32", always_2d=True)[0].T


@dataclass(frozen=True)
class ArdourHost:
    """Ardour without its window: `kind` is LV2 or VST3. It plays blocks of 1,024 only."""

    kind: str
    rate: int = RATE
    BLOCK = 1024

    def play(self, installed, folder, parts, together=False, at_bounce=nothing):
        """Return what each part's track exports; of parts that play at once, on tracks of one session, the sum."""
        if not together and len(parts) > 1:
            each = enumerate(parts)
            return [self.play(installed, folder / f"{at}", [part], at_bounce=at_bounce)[0] for at, part in each]
        ardour, session = self.store(installed, folder, parts)
        at_bounce()
        return [ardour.export(session)[0]]

    def store(self, installed, folder, parts):
        """Return an Ardour, and the folder of its session with a track for each part."""
        installed.use(("env", f"XDG_CACHE_HOME={own_cache()}", *installed.command))
        ardour = Ardour.at(folder / "home", installed.environment, installed.folder / "Gramophone.vst3")
        plugin = "urn:gramophone:bridge" if self.kind == "LV2" else ardour.vst3_id()
        labels = [{self.label(name): value for name, value in part.all_values.items()} for part in parts]
        tracks = [*zip(labels, (part.latency(self.rate, self.BLOCK) for part in parts), strict=True)]
        return ardour, ardour.make_session(parts[0].sound, self.rate, self.kind, plugin, *tracks[0], tracks[1:])

    def label(self, name):
        """Return a parameter's label in Ardour."""
        return "Enabled" if name == "bypass" and self.kind == "LV2" else name.replace("_", " ").title()


HOSTS = {
    "pedalboard": PythonHost("pedalboard"),
    "dawdreamer": PythonHost("dawdreamer"),
    "clap": PythonHost("clap"),
    "lilv": PythonHost("lilv"),
    "lv2apply": Lv2FileHost("lv2apply"),
    "lv2file": Lv2FileHost("lv2file"),
    "ardour-lv2": ArdourHost("LV2"),
    "ardour-vst3": ArdourHost("VST3"),
}
"""Every host that bounces, by the name that its tests have."""
