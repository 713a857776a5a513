"""`gramophone doctor`: looks at all that playing needs on this machine, and says what to do where it is missing."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from gramophone.offline.console import print_json, say

_NEEDED = ("torch", "numpy", "pedalboard", "soundfile", "soxr", "numba", "librosa", "python-osc", "mido")
_OPTIONAL = ("matplotlib", "cma", "av", "onnxruntime", "lightning")
_RATE, _BLOCK = 48_000, 256
_MEGABYTE = 1 << 20


class _MissingError(Exception):
    """Something is not there; the text says what that means and what to do."""


@dataclass(frozen=True)
class Check:
    """One finding: what was looked at, whether it is there, whether playing needs it, and what was found or to do."""

    name: str
    ok: bool
    needed: bool
    found: str

    @property
    def failed(self) -> bool:
        """Whether Gramophone cannot play as it is."""
        return self.needed and not self.ok


def examine() -> list[Check]:
    """Return every check; none raises."""
    needed: dict[str, Callable[[], str]] = {
        "python": lambda: f"{platform.python_version()} on {platform.platform()}",
        **{name: _version_of(name) for name in _NEEDED},
        "device": _device,
        "formats": _formats,
        "presets": _presets,
        "compiler": _compiler,
        "osc": _osc,
        "speed": _speed,
    }
    optional: dict[str, Callable[[], str]] = {
        "sound card": _sound_card,
        "jack": _jack,
        "midi": _midi,
        "plug-ins": _plugins,
        "caches": _caches,
        **{name: _version_of(name) for name in _OPTIONAL},
    }
    return [_check(name, look, True) for name, look in needed.items()] + [
        _check(name, look, False) for name, look in optional.items()
    ]


def show(checks: list[Check], *, json: bool) -> None:
    """Print the findings: a line each, `ok`, `missing` (Gramophone plays without it) or `FAIL`."""
    if json:
        print_json([asdict(check) for check in checks])
        return
    for check in checks:
        state = "ok" if check.ok else "FAIL" if check.needed else "missing"
        print(f"{state:8} {check.name:12} {check.found}")


def show_warming(*, quiet: bool) -> None:
    """Compile ahead, with a bar on a terminal, and say in a line what was done."""
    from gramophone.offline.commands.warm import warm
    from gramophone.offline.progress import StepProgress

    with StepProgress("compiling ahead", quiet) as progress:
        done = warm(progress)
    for name, why in done.failed.items():
        say(f"warning: preset {name} does not run here: {why}")
    say(f"{done.presets} presets ran, {done.compiled} functions compiled, {done.seconds:.0f} s")


def _check(name: str, look: Callable[[], str], needed: bool) -> Check:
    try:
        return Check(name, True, needed, look())
    except _MissingError as missing:
        return Check(name, False, needed, str(missing))
    except Exception as error:  # whatever is wrong is what the user wants to know
        return Check(name, False, needed, f"{type(error).__name__}: {error}")


def _version_of(package: str) -> Callable[[], str]:
    def look() -> str:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            from gramophone.offline.extras import PIP

            line = f"pip install {PIP.get(package, package)}"
            raise _MissingError(f"not installed; some commands need it: {line}") from None

    return look


def _sound_card() -> str:
    from gramophone.realtime.live.devices.list import find_devices

    found, reasons = find_devices()
    cards = [device for device in found if device.audio != "jack"]
    if not found:
        raise _MissingError(
            f"none found ({'; '.join(reasons)}): connect one and see `gramophone devices`; "
            "`render` and `play --audio file` need none"
        )
    default = next((device for device in found if device.default), found[0])
    return f"{len(cards)} by PortAudio; `play` takes {default.audio}, {default.rate} Hz"


def _jack() -> str:
    from gramophone.realtime.live.devices.backend import AudioError
    from gramophone.realtime.live.devices.list import jack_devices

    try:
        (device,) = jack_devices(True)
    except AudioError as error:
        raise _MissingError(f"{error}; without it `play` takes PortAudio, which is a little later") from None
    return f"{device.name}, {device.rate} Hz, {device.inputs} inputs and {device.outputs} outputs"


def _midi() -> str:
    from gramophone.realtime.control.midi import backends, devices
    from gramophone.realtime.control.midi.backends import MidiError

    try:
        found = devices()
    except MidiError as error:
        raise _MissingError(f"{error}; on Linux `modprobe snd-seq` or a JACK server brings it") from None
    if not found:
        raise _MissingError(f"no controller is connected ({', '.join(backends())}); one connected later is found then")
    return ", ".join(found)


def _plugins() -> str:
    from gramophone.realtime.stages.plugins.scan import folders, installed

    found = installed()
    places = ", ".join(str(place) for place in folders() if place.is_dir())
    if not found:
        first = folders()[0]
        raise _MissingError(f"none in the standard folders; put VST3 plug-ins into {first}, or name one by its path")
    return f"{len(found)} in {places}"


def _compiler() -> str:
    """Compile and run a function as the kernels do, and say whether compiled code is kept for the next start."""
    from gramophone.offline.commands.warm import compiled_folder, compiled_functions, compiles
    from gramophone.realtime.kernels.jit import runs_prebuilt

    compiles()
    folder = compiled_folder()
    if folder is None:
        raise RuntimeError("compiled code cannot be kept: set NUMBA_CACHE_DIR to a folder of yours")
    kept = compiled_functions()
    state = f"{kept} functions kept" if kept else "nothing kept yet: `gramophone doctor --warm` compiles ahead"
    if runs_prebuilt():
        state = f"{kept} functions kept beside those of the wheel"
    return f"numba {importlib.metadata.version('numba')}; {state} in {folder}"


def _caches() -> str:
    from gramophone.presets.atomic import atomic_write
    from gramophone.realtime.system.cache_folder import cache_folder

    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / "doctor") as part:
            part.write_text("can be written", "utf-8")
        (folder / "doctor").unlink()
    except OSError as error:
        raise _MissingError(
            f"{folder} cannot be written ({error.strerror}), so plug-ins are asked and models exported at every start: "
            "set XDG_CACHE_HOME to a folder of yours"
        ) from None
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{folder}, {size / _MEGABYTE:.0f} MB; it may be deleted at any time"


def _device() -> str:
    from gramophone.realtime.kernels.executor import choose_device

    return f"models run on {choose_device('auto')}"


def _formats() -> str:
    import soundfile

    from gramophone.realtime.files import FORMATS

    known = soundfile.available_formats()
    missing = [ending for ending, (name, _) in FORMATS.items() if name not in known]
    if missing:
        raise OSError(
            f"libsndfile {soundfile.__libsndfile_version__} cannot read {', '.join(missing)}; update soundfile"
        )
    return ", ".join(ending[1:] for ending in FORMATS)


def _presets() -> str:
    from gramophone.presets import PresetError, load, names
    from gramophone.realtime.parameter_table import complete

    broken = []
    for name in names():
        try:
            complete(load(name))
        except PresetError as error:
            broken.append(str(error))
    if broken:
        raise _MissingError("; ".join(broken))
    return f"{len(names())} presets, all fit the parameter table"


def _osc() -> str:
    from gramophone.realtime.osc.udp import describe

    return describe()


def _speed() -> str:
    import numpy as np

    from gramophone.presets import DEFAULT
    from gramophone.realtime.engine import Engine

    engine = Engine.load(DEFAULT, _RATE)
    noise = np.random.default_rng(0).normal(0, 0.1, (2, _BLOCK)).astype(np.float32)
    engine.process(noise)  # what is compiled at first use is not what is measured
    blocks = 400
    started, worked = time.perf_counter(), time.thread_time()
    for _ in range(blocks):
        engine.process(noise)
    sound_s = blocks * _BLOCK / _RATE
    speed, by_clock = sound_s / (time.thread_time() - worked), sound_s / (time.perf_counter() - started)
    engine.close()
    return speed_found(speed, by_clock)


def speed_found(speed: float, by_clock: float) -> str:
    """Return in words how many times real time the default preset runs, by processor time and by the clock.

    Raises:
        RuntimeError: this machine is too slow to play it live, even if it does nothing else.
    """
    if speed < 1:
        raise RuntimeError(
            f"the default preset runs at {speed:.1f}x real time at block {_BLOCK}: too slow to play live; "
            "try `--preset quick` or a larger `--block`"
        )
    found = f"the default preset runs at {speed:.0f}x real time, 48 kHz stereo, block {_BLOCK}"
    if by_clock < 0.5 * speed:
        found += f"; {by_clock:.1f}x by the clock, as other programs use the processor now: end them before you play"
    return found
