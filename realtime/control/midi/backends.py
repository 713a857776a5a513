"""MIDI backends: the operating system's interfaces that RtMidi was built with, and the devices that they list.

A client of the JACK server that knows when the server is gone, and what is connected to what.

RtMidi does not: it goes on listing the ports of the dead server, and prints to the terminal whenever it finds none.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class JackWatch:
    """A client, without ports, of the server that runs now; `has_gone` is true once that server has ended."""

    def __init__(self, client: Any) -> None:
        self.has_gone = False
        self._client = client
        client.set_shutdown_callback(self._note)
        client.activate()

    @classmethod
    def start(cls) -> JackWatch | None:
        """Return a watch of the running server; None if there is none. Prints nothing.

        Raises:
            ImportError: JACK-Client or the JACK library is not installed.
        """
        try:
            import jack
        except OSError as error:
            raise ImportError(str(error)) from None
        jack.set_error_function(lambda message: None)
        try:
            return cls(jack.Client("gramophone-watch", no_start_server=True))
        except jack.JackError:
            return None
        finally:
            jack.set_error_function(None)

    def connected_to(self, port: str) -> set[str]:
        """Return the names of the ports that are connected to `port`; none if it is not there."""
        import jack

        try:
            return {other.name for other in self._client.get_all_connections(port)}
        except jack.JackError:
            return set()

    def connect_to_clients(self, output: str, prefix: str) -> None:
        """Connect a MIDI output port to every MIDI input of the clients whose name begins with `prefix`."""
        import jack

        with contextlib.suppress(jack.JackError):  # ports may go at any time; the next scan tries again
            connected = self.connected_to(output)
            for port in self._client.get_ports(f"^{prefix}", is_midi=True, is_input=True):
                if port.name not in connected:
                    self._client.connect(output, port)

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def _note(self, status: object, reason: str) -> None:
        self.has_gone = True


PORT = "gramophone"
_ALSA = Path("/dev/snd/seq")
INPUT_CLIENT, OUTPUT_CLIENT = "gramophone-midi", "gramophone-lamps"
_DIRECTION = re.compile(r"capture|playback|(?<=midi)(in|out)|(?<![a-z])(in|out)(put)?(?![a-z])")

Key = tuple[str, int]
"""A port by its name and which one of that name it is."""


class MidiError(RuntimeError):
    """MIDI cannot be used on this machine; the message says why."""


def backends() -> list[str]:
    """Return the names of the interfaces that rtmidi was built with, `LINUX_ALSA`, `UNIX_JACK` and so on."""
    return [name for name, _ in _compiled()]


def system_backend() -> str | None:
    """Return the operating system's own interface, by which no client joins a JACK server; None if there is none."""
    with contextlib.suppress(MidiError):
        for name in backends():
            if name != "UNIX_JACK" and (name != "LINUX_ALSA" or _ALSA.exists()):
                return name
    return None


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
        if api == rtmidi.API_LINUX_ALSA and not _ALSA.exists():
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
    # NotImplementedError is python-rtmidi's, of what the system's MIDI cannot do, such as virtual inputs on Windows.
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
