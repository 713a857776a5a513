"""The edge: MIDI ports that come and go, and the one thread that turns knobs.

The operating system's MIDI thread only queues (in C++: on JACK that thread is the audio graph's, where Python must not
run); the thread here collects every millisecond while somebody plays, looks for new devices every second, and shows
positions 50 times a second. Times of ticks are those of arrival, not of collection.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gramophone.realtime.control.midi.controller_map import ControllerMap, Outgoing
from gramophone.realtime.control.midi.jack_watch import JackWatch
from gramophone.realtime.midi.decoder import MidiDecoder

PORT = "gramophone"
_INPUT_CLIENT, _OUTPUT_CLIENT = "gramophone-midi", "gramophone-lamps"
_COLLECT_S, _IDLE_S, _SHOW_S, _SCAN_S = 0.001, 0.003, 0.02, 1.0
_STILL_S = 1.0
_QUEUE = 65_536
_AT_ONCE = 1024
_OWN = -1
_DIRECTION = re.compile(r"capture|playback|(?<=midi)(in|out)|(?<![a-z])(in|out)(put)?(?![a-z])")

Key = tuple[str, int]
"""A port by its name and which one of that name it is."""


class MidiError(RuntimeError):
    """MIDI cannot be used on this machine; the message says why."""


class MidiControls:
    """MIDI at work on a desk, until `close`; made by `midi_controls`."""

    def __init__(self, controller_map: ControllerMap, names: Sequence[str] | None, backend: str | None) -> None:
        self.controller_map = controller_map
        self._names = names
        self._backend = backend
        self._inputs: tuple[str, ...] = ()
        self._stop = threading.Event()
        self._opened = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="gramophone-midi", daemon=True)
        self._thread.start()
        self._opened.wait()
        if self._error:
            raise self._error

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the devices that are listened to now, our own port `gramophone` among them."""
        return self._inputs

    def close(self) -> None:
        """Close every port."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            ports = _Ports(self.controller_map, self._names, _api(self._backend))
        except Exception as error:  # to be raised where the controls were asked for
            self._error = error
            return
        finally:
            self._opened.set()
        next_show = next_scan = last_played = 0.0
        while not self._stop.is_set():
            now = time.monotonic()
            if now >= next_scan:
                self._guarded(ports.scan)
                self._inputs = ports.inputs
                next_scan = now + _SCAN_S
            if self._guarded(ports.collect):
                last_played = now
            if now >= next_show:
                self._guarded(lambda: ports.send(self.controller_map.tick()))
                next_show = now + _SHOW_S
            time.sleep(_COLLECT_S if now - last_played < _STILL_S else _IDLE_S)
        ports.close()

    def _guarded(self, work: Callable[[], object]) -> object:
        try:
            return work()
        except Exception as error:  # a device that fails must not stop the others
            self.controller_map.trouble(f"{type(error).__name__}: {error}")
            return None


class _Input:
    """An open input: its queue in C++, its decoder, and its clock."""

    def __init__(self, midi: Any, name: str) -> None:
        self.midi = midi
        self.name = name
        self._decoder = MidiDecoder()
        self._time_s: float | None = None
        midi.ignore_types(sysex=True, timing=False, active_sense=True)

    def collect(self, controller_map: ControllerMap) -> bool:
        """Give the surface what has come; return whether anything has."""
        for number in range(_AT_ONCE):
            if not (arrived := self.midi.get_message()):
                return number > 0
            data, since_last_s = arrived
            self._time_s = time.monotonic() if self._time_s is None else self._time_s + since_last_s
            errors = self._decoder.errors
            for event in self._decoder.packet(data):
                controller_map.receive(event, self.name, self._time_s)
            if self._decoder.errors > errors:
                controller_map.trouble(f"{self.name}: bytes that are no MIDI message")
        return True

    def close(self, controller_map: ControllerMap) -> None:
        """Let go of held keys and close the port."""
        for event in self._decoder.release():
            controller_map.receive(event, self.name)
        _delete(self.midi)


class _Ports:
    """Every open port. Used by one thread only, as some systems demand."""

    def __init__(self, controller_map: ControllerMap, names: Sequence[str] | None, api: int) -> None:
        self._controller_map = controller_map
        self._names = names
        self._api = api
        self._open: dict[Key, _Input] = {}
        self._lamps: dict[Key, Any] = {}
        self._is_open = False
        self._watch: JackWatch | None = None
        self._open_own()

    @property
    def inputs(self) -> tuple[str, ...]:
        own = (PORT,) if self._has_virtual and self._is_open else ()
        return (*own, *(name for name, _ in self._open))

    def scan(self) -> None:
        """Open what was plugged in, close what was pulled out; after a restart of JACK, open everything again."""
        if self._watch and self._watch.has_gone:
            self.close()
        if not self._is_open:
            with contextlib.suppress(MidiError):
                self._open_own()
            if not self._is_open:
                return
        patched = self._watch.connected_to(f"{_INPUT_CLIENT}:{PORT}") if self._watch else set()
        listed = _listed(self._own.midi)
        present = {key: listed[key] for key in listed if self._is_wanted(key[0]) and key[0] not in patched}
        for key in [key for key in self._open if key not in present]:
            self._open.pop(key).close(self._controller_map)
        for key in [key for key in present if key not in self._open]:
            if midi := self._opened(self._new_input(), key, present[key]):
                self._open[key] = _Input(midi, key[0])
        self._scan_lamps()

    def collect(self) -> bool:
        """Take what has come on every port; return whether anything has."""
        ports = (self._own, *self._open.values()) if self._is_open else ()
        return sum(port.collect(self._controller_map) for port in ports) > 0

    def send(self, outgoing: Iterable[Outgoing]) -> None:
        """Send messages to the controllers that they are for."""
        for message in outgoing:
            for (name, _), midi in self._lamps.items():
                if message.port.lower() in name.lower():
                    self._send(midi, name, message.message)

    def close(self) -> None:
        """Close every port."""
        if not self._is_open:
            return
        self._is_open = False
        for port in (*self._open.values(), self._own):
            port.close(self._controller_map)
        for midi in self._lamps.values():
            _delete(midi)
        _delete(self._probe)
        self._open.clear()
        self._lamps.clear()
        if self._watch:
            self._watch.close()
            self._watch = None

    def _open_own(self) -> None:
        """Open the port `gramophone` both ways, where the system allows it (all but Windows)."""
        import rtmidi

        self._has_virtual = self._api != rtmidi.API_WINDOWS_MM
        watch = _watch() if self._api == rtmidi.API_UNIX_JACK else None
        try:
            with _named_errors():
                self._open_clients()
        except MidiError:
            if watch:
                watch.close()
            raise
        self._watch = watch
        self._is_open = True
        self._controller_map.show_all()

    def _open_clients(self) -> None:
        midi, lamps, self._probe = self._new_input(), self._new_output(), self._new_output()
        if self._has_virtual:
            midi.open_virtual_port(PORT)
            lamps.open_virtual_port(PORT)
            self._lamps[PORT, _OWN] = lamps
        self._own = _Input(midi, PORT)

    def _scan_lamps(self) -> None:
        """Keep open the outputs of the devices that are listened to."""
        devices = {device_of(name) for name, _ in self._open}
        present = {key: index for key, index in _listed(self._probe).items() if device_of(key[0]) in devices}
        for key in [key for key in self._lamps if key not in present and key[1] != _OWN]:
            _delete(self._lamps.pop(key))
        for key in [key for key in present if key not in self._lamps]:
            if midi := self._opened(self._new_output(), key, present[key]):
                self._lamps[key] = midi
                self._controller_map.show_all()

    def _opened(self, midi: Any, key: Key, index: int) -> Any | None:
        """Return `midi` connected to a port; None, and counted, if another program has it or it is gone."""
        import rtmidi

        try:
            midi.open_port(index)
        except rtmidi.RtMidiError as error:
            self._controller_map.trouble(f"{key[0]}: cannot be opened: {error}")
            _delete(midi)
            return None
        return midi

    def _send(self, midi: Any, name: str, message: bytes) -> None:
        import rtmidi

        try:
            midi.send_message(list(message))
        except rtmidi.RtMidiError as error:
            self._controller_map.trouble(f"{name}: cannot be sent to: {error}")

    def _is_wanted(self, name: str) -> bool:
        if name == PORT or name.startswith((_INPUT_CLIENT, _OUTPUT_CLIENT)):
            return False
        if self._names is None:
            return not name.startswith("Midi Through")
        return any(wanted.lower() in name.lower() for wanted in self._names)

    def _new_input(self) -> Any:
        import rtmidi

        return rtmidi.MidiIn(rtapi=self._api, name=_INPUT_CLIENT, queue_size_limit=_QUEUE)

    def _new_output(self) -> Any:
        import rtmidi

        return rtmidi.MidiOut(rtapi=self._api, name=_OUTPUT_CLIENT)


@contextlib.contextmanager
def midi_controls(
    controller_map: ControllerMap, names: Sequence[str] | None = None, backend: str | None = None
) -> Iterator[MidiControls]:
    """Let MIDI controllers turn the knobs of the surface's desk while the context lasts.

    `names`: parts of the names of the devices to listen to, all unless given; they may be plugged in later. `backend`:
    one of `backends()`, the first that works unless given.

    Raises:
        MidiError: there is no MIDI on this machine, or no such backend.
    """
    controls = MidiControls(controller_map, names, backend)
    try:
        yield controls
    finally:
        controls.close()


def backends() -> list[str]:
    """Return the names of the interfaces that rtmidi was built with, `LINUX_ALSA`, `UNIX_JACK` and so on."""
    return [name for name, _ in _compiled()]


def devices(backend: str | None = None) -> list[str]:
    """Return the names of the devices that could be listened to.

    Raises:
        MidiError: there is no MIDI on this machine, or no such backend.
    """
    import rtmidi

    api = _api(backend)
    with _named_errors():
        midi = rtmidi.MidiIn(rtapi=api, name=_INPUT_CLIENT)
        try:
            return [name for name in midi.get_ports() if name != PORT and not name.startswith(_OUTPUT_CLIENT)]
        finally:
            _delete(midi)


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


def _api(backend: str | None) -> int:
    """Return the number of the interface of that name, or of the first one that works."""
    compiled = dict(_compiled())
    if backend is not None:
        if backend not in compiled:
            raise MidiError(f"no MIDI backend {backend!r}; expected one of {', '.join(compiled)}")
        return compiled[backend]
    import rtmidi

    for api in compiled.values():
        if api == rtmidi.API_LINUX_ALSA and not Path("/dev/snd/seq").exists():
            continue  # the library would say so on the terminal
        with contextlib.suppress(rtmidi.RtMidiError, MidiError):
            if api == rtmidi.API_UNIX_JACK and (watch := _watch()):
                watch.close()
            _delete(rtmidi.MidiIn(rtapi=api, name=_INPUT_CLIENT))
            return api
    raise MidiError(f"no MIDI on this machine: tried {', '.join(compiled)}")


def _watch() -> JackWatch | None:
    """Return a watch of the JACK server; None where it cannot be watched.

    Raises:
        MidiError: it does not run.
    """
    try:
        watch = JackWatch.start()
    except ImportError:
        return None
    if watch is None:
        raise MidiError("MIDI cannot be opened: no JACK server runs")
    return watch


@contextlib.contextmanager
def _named_errors() -> Iterator[None]:
    import rtmidi

    try:
        yield
    except (rtmidi.RtMidiError, NotImplementedError) as error:
        raise MidiError(f"MIDI cannot be opened: {error}") from None


def _listed(midi: Any) -> dict[Key, int]:
    """Return the index of every port that can be opened, by name and which of that name."""
    seen: Counter[str] = Counter()
    listed = {}
    for index, name in enumerate(midi.get_ports()):
        listed[name, seen[name]] = index
        seen[name] += 1
    return listed


def _delete(midi: Any) -> None:
    midi.close_port()
    midi.delete()
