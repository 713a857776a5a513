"""MIDI backends: the operating system's interfaces that RtMidi was built with, and the devices that they list."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gramophone.realtime.control.midi.jack_watch import JackWatch

PORT = "gramophone"
INPUT_CLIENT, OUTPUT_CLIENT = "gramophone-midi", "gramophone-lamps"
_DIRECTION = re.compile(r"capture|playback|(?<=midi)(in|out)|(?<![a-z])(in|out)(put)?(?![a-z])")

Key = tuple[str, int]
"""A port by its name and which one of that name it is."""


class MidiError(RuntimeError):
    """MIDI cannot be used on this machine; the message says why."""


def backends() -> list[str]:
    """Return the names of the interfaces that rtmidi was built with, `LINUX_ALSA`, `UNIX_JACK` and so on."""
    return [name for name, _ in _compiled()]


def devices(backend: str | None = None) -> list[str]:
    """Return the names of the devices whose messages could be received.

    Raises:
        MidiError: there is no MIDI on this machine, or no such backend.
    """
    import rtmidi

    api = api_of(backend)
    with named_errors():
        midi = rtmidi.MidiIn(rtapi=api, name=INPUT_CLIENT)
        try:
            return [name for name in midi.get_ports() if name != PORT and not name.startswith(OUTPUT_CLIENT)]
        finally:
            delete(midi)


def device_of(name: str) -> str:
    """Return what the names of a device's input and output have in common.

    >>> device_of("system:midi_capture_3") == device_of("system:midi_playback_3")
    True
    >>> device_of("MIDIIN2 (Launchpad) 1") == device_of("MIDIOUT2 (Launchpad) 4")
    True
    """
    bare = re.sub(r"(?<=[ :])[\d:]+$", "", name.lower().strip())
    return _DIRECTION.sub("", bare).strip()


def _compiled() -> list[tuple[str, int]]:
    try:
        import rtmidi
    except ImportError:
        raise MidiError("MIDI needs the package python-rtmidi: pip install python-rtmidi") from None
    by_id = {getattr(rtmidi, name): name[4:] for name in dir(rtmidi) if name.startswith("API_")}
    return [(by_id[api], api) for api in rtmidi.get_compiled_api()]


def api_of(backend: str | None) -> int:
    """Return RtMidi's number of the interface of that name, or of the first one that works.

    Raises:
        MidiError: there is none, or none of that name.
    """
    compiled = dict(_compiled())
    if backend is not None:
        if backend not in compiled:
            raise MidiError(f"no MIDI backend {backend!r}; expected one of {', '.join(compiled)}")
        return compiled[backend]
    import rtmidi

    for api in compiled.values():
        if api == rtmidi.API_LINUX_ALSA and not Path("/dev/snd/seq").exists():
            continue  # RtMidi would print that to the terminal
        with contextlib.suppress(rtmidi.RtMidiError, MidiError):
            if api == rtmidi.API_UNIX_JACK and (watch := watch_jack()):
                watch.close()
            delete(rtmidi.MidiIn(rtapi=api, name=INPUT_CLIENT))
            return api
    raise MidiError(f"no MIDI on this machine: tried {', '.join(compiled)}")


def watch_jack() -> JackWatch | None:
    """Return a watch of the JACK server; None where JACK-Client is not installed.

    Raises:
        MidiError: no server runs.
    """
    try:
        watch = JackWatch.start()
    except ImportError:
        return None
    if watch is None:
        raise MidiError("MIDI cannot be opened: no JACK server runs")
    return watch


@contextlib.contextmanager
def named_errors() -> Iterator[None]:
    """Raise errors of RtMidi as `MidiError`."""
    import rtmidi

    try:
        yield
    except (rtmidi.RtMidiError, NotImplementedError) as error:
        raise MidiError(f"MIDI cannot be opened: {error}") from None


def listed(midi: Any) -> dict[Key, int]:
    """Return the index of every port that can be opened, by name and which of that name."""
    seen: Counter[str] = Counter()
    ports = {}
    for index, name in enumerate(midi.get_ports()):
        ports[name, seen[name]] = index
        seen[name] += 1
    return ports


def delete(midi: Any) -> None:
    """Close a port of RtMidi and free its client."""
    midi.close_port()
    midi.delete()
