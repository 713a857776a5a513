"""MIDI ports that come and go, and the one thread that serves them all.

The operating system's MIDI thread only queues messages (in C++: on JACK that thread is the audio graph's, where Python
must not run). The thread here collects them every millisecond while messages arrive, looks for new devices every
second, and sends feedback 50 times a second. Clock ticks have the time of their arrival, not of their collection.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import mido

from gramophone.realtime.control.midi.backends import (
    INPUT_CLIENT,
    OUTPUT_CLIENT,
    PORT,
    JackWatch,
    Key,
    MidiError,
    api_of,
    delete,
    device_of,
    listed,
    named_errors,
    watch_jack,
)
from gramophone.realtime.control.midi.controller_map import ControllerMap, Outgoing
from gramophone.realtime.midi.decoder import MidiDecoder

_COLLECT_S, _IDLE_S, _SHOW_S, _SCAN_S = 0.001, 0.003, 0.02, 1.0
_STILL_S = 1.0
_END_SYSEX_S = 0.1
_SYSEX_END = 0xF7
_TERMINATOR = "end of sysex"
_QUEUE = 65_536
_AT_ONCE = 1024
_OWN = -1


class MidiControls:
    """MIDI ports that set a controller's parameters, until `close`; made by `midi_controls`."""

    def __init__(self, controller_map: ControllerMap, names: Sequence[str] | None, backend: str | None) -> None:
        self.controller_map = controller_map
        self.on_change: Callable[[], None] = lambda: None
        """Called, in the thread of the ports, when inputs have come or gone."""
        self._names = names
        self._backend = backend
        self._inputs: tuple[str, ...] = ()
        self._present: tuple[str, ...] = ()
        self._chosen = names
        self._has_chosen = False
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
        """The names of the inputs that are open now, our own port `gramophone` among them."""
        return self._inputs

    @property
    def present(self) -> tuple[str, ...]:
        """The names of the inputs of others that there are, open or not."""
        return self._present

    def choose(self, names: Sequence[str] | None) -> None:
        """Open the inputs whose names contain one of `names` from now on, and no others; None opens all."""
        self._chosen = names
        self._has_chosen = True

    def close(self) -> None:
        """Close every port."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            ports = _Ports(self.controller_map, self._names, api_of(self._backend))
        except Exception as error:  # raised again by `__init__`, in the thread of the caller
            self._error = error
            return
        finally:
            self._opened.set()
        next_show = next_scan = next_end = last_came = 0.0
        while not self._stop.is_set():
            now = time.monotonic()
            if self._has_chosen or now >= next_scan:
                self._has_chosen, ports.names = False, self._chosen
                self._try(ports.scan)
                self._note(ports)
                next_scan = now + _SCAN_S
            if now >= next_end:
                self._try(ports.end_sysex)
                next_end = now + _END_SYSEX_S
            if self._try(ports.collect):
                last_came = now
            if now >= next_show:
                self._try(lambda: ports.send(self.controller_map.tick()))
                next_show = now + _SHOW_S
            time.sleep(_COLLECT_S if now - last_came < _STILL_S else _IDLE_S)
        ports.close()

    def _note(self, ports: _Ports) -> None:
        before, self._inputs, self._present = (self._inputs, self._present), ports.inputs, ports.present
        if before != (self._inputs, self._present):
            self.on_change()

    def _try(self, work: Callable[[], object]) -> object:
        try:
            return work()
        except Exception as error:  # a device that fails must not stop the others
            self.controller_map.add_error(f"{type(error).__name__}: {error}")
            return None


def messages_in(packet: Sequence[int]) -> tuple[list[mido.Message], bool]:
    """Return the messages in what RtMidi delivers at once, and whether all its bytes belong to messages.

    RtMidi delivers whole messages, with one exception: it joins an unfinished system-exclusive message (SysEx) and all
    that follows, up to the next 0xF7, into one packet. mido's parser ends a SysEx at any status byte, as MIDI 1.0 does.
    A packet that begins with a data byte or 0xF7 is the rest of a SysEx that was ended early; it is left out.
    """
    if packet[0] < 0x80 or packet[0] == _SYSEX_END:
        return [], True
    try:
        messages = [mido.Message.from_bytes(packet)]  # much faster than the parser, but lenient about the length
    except ValueError:
        messages = []
    if sum(map(len, messages)) != len(packet):
        messages = mido.parse_all(packet)
    return messages, sum(map(len, messages)) == len(packet)


class _Input:
    """An open input: its queue in C++, its decoder, and its clock."""

    def __init__(self, midi: Any, name: str) -> None:
        self.midi = midi
        self.name = name
        self._decoder = MidiDecoder()
        self._time_s: float | None = None
        midi.ignore_types(sysex=False, timing=False, active_sense=True)  # for the messages behind an unfinished SysEx

    def collect(self, controller_map: ControllerMap) -> bool:
        """Pass on the messages that have come; return whether there were any."""
        have_come = False
        for _ in range(_AT_ONCE):
            if not (arrived := self.midi.get_message()):
                break
            packet, since_last_s = arrived
            self._time_s = time.monotonic() if self._time_s is None else self._time_s + since_last_s
            messages, is_whole = messages_in(packet)
            for message in messages:
                have_come = True
                for event in self._decoder.decode(message):
                    controller_map.receive(event, self.name, self._time_s)
            if not is_whole:
                controller_map.add_error(f"{self.name}: bytes that are no MIDI message")
        return have_come

    def close(self, controller_map: ControllerMap) -> None:
        """Release the keys that are down and close the port."""
        for event in self._decoder.release():
            controller_map.receive(event, self.name)
        delete(self.midi)


class _Ports:
    """Every open port. Used by one thread only, as some systems require."""

    def __init__(self, controller_map: ControllerMap, names: Sequence[str] | None, api: int) -> None:
        self._controller_map = controller_map
        self.names = names
        """Parts of the names of the devices to open; None opens all."""
        self.present: tuple[str, ...] = ()
        """The names of the inputs of others that the last scan has found."""
        self._api = api
        self._inputs: dict[Key, _Input] = {}
        self._outputs: dict[Key, Any] = {}
        self._is_open = False
        self._watch: JackWatch | None = None
        self._open_own()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the open inputs."""
        own = (PORT,) if self._has_virtual and self._is_open else ()
        return (*own, *(name for name, _ in self._inputs))

    def scan(self) -> None:
        """Open what was plugged in, close what was pulled out; after a restart of JACK, open everything again."""
        if self._watch and self._watch.has_gone:
            self.close()
        if not self._is_open:
            with contextlib.suppress(MidiError):
                self._open_own()
            if not self._is_open:
                return
        patched = self._watch.connected_to(f"{INPUT_CLIENT}:{PORT}") if self._watch else set()
        found = listed(self._own.midi)
        self.present = tuple(name for name, _ in found if not _is_own(name))
        present = {key: found[key] for key in found if self._is_wanted(key[0]) and key[0] not in patched}
        for key in [key for key in self._inputs if key not in present]:
            self._inputs.pop(key).close(self._controller_map)
        for key in [key for key in present if key not in self._inputs]:
            if midi := self._opened(self._new_input(), key, present[key]):
                self._inputs[key] = _Input(midi, key[0])
        self._scan_outputs()
        if self._watch:
            self._watch.connect_to_clients(f"{self._terminator_client}:{_TERMINATOR}", INPUT_CLIENT)

    def collect(self) -> bool:
        """Pass on what has come on every port; return whether anything has."""
        ports = (self._own, *self._inputs.values()) if self._is_open else ()
        return sum(port.collect(self._controller_map) for port in ports) > 0

    def end_sysex(self) -> None:
        """End a system-exclusive message that its sender left unfinished.

        RtMidi over JACK delivers nothing more until it sees 0xF7; a port of our own that is connected to every input
        sends it. What has come since is then delivered as well.
        """
        if self._is_open and self._watch:
            self._terminator.send_message([_SYSEX_END])

    def send(self, outgoing: Iterable[Outgoing]) -> None:
        """Send messages to the controllers that they are for."""
        for message in outgoing:
            for (name, _), midi in self._outputs.items():
                if message.port.lower() in name.lower():
                    self._send(midi, name, message.message)

    def close(self) -> None:
        """Close every port."""
        if not self._is_open:
            return
        self._is_open = False
        for port in (*self._inputs.values(), self._own):
            port.close(self._controller_map)
        for midi in (*self._outputs.values(), self._probe, self._terminator):
            delete(midi)
        self._inputs.clear()
        self._outputs.clear()
        if self._watch:
            self._watch.close()
            self._watch = None

    def _open_own(self) -> None:
        """Open the port `gramophone` both ways, where the system allows it (all but Windows)."""
        import rtmidi

        self._has_virtual = self._api != rtmidi.API_WINDOWS_MM
        watch = watch_jack() if self._api == rtmidi.API_UNIX_JACK else None
        try:
            with named_errors():
                self._open_clients(has_terminator=watch is not None)
        except MidiError:
            if watch:
                watch.close()
            raise
        self._watch = watch
        self._is_open = True
        self._controller_map.show_all()

    def _open_clients(self, has_terminator: bool) -> None:
        midi, output, self._probe = self._new_input(), self._new_output(), self._new_output()
        self._terminator_client = f"{OUTPUT_CLIENT}-{os.getpid()}"
        self._terminator = self._new_output(self._terminator_client)
        if has_terminator:
            self._terminator.open_virtual_port(_TERMINATOR)
        if self._has_virtual:
            midi.open_virtual_port(PORT)
            output.open_virtual_port(PORT)
            self._outputs[PORT, _OWN] = output
        self._own = _Input(midi, PORT)

    def _scan_outputs(self) -> None:
        """Keep open the outputs of the devices whose inputs are open."""
        devices = {device_of(name) for name, _ in self._inputs}
        present = {key: index for key, index in listed(self._probe).items() if device_of(key[0]) in devices}
        for key in [key for key in self._outputs if key not in present and key[1] != _OWN]:
            delete(self._outputs.pop(key))
        for key in [key for key in present if key not in self._outputs]:
            if midi := self._opened(self._new_output(), key, present[key]):
                self._outputs[key] = midi
                self._controller_map.show_all()

    def _opened(self, midi: Any, key: Key, index: int) -> Any | None:
        """Return `midi` connected to a port; None, and counted, if another program has it or it is gone."""
        import rtmidi

        try:
            midi.open_port(index)
        except rtmidi.RtMidiError as error:
            self._controller_map.add_error(f"{key[0]}: cannot be opened: {error}")
            delete(midi)
            return None
        return midi

    def _send(self, midi: Any, name: str, message: mido.Message) -> None:
        import rtmidi

        try:
            midi.send_message(message.bytes())
        except rtmidi.RtMidiError as error:
            self._controller_map.add_error(f"{name}: cannot be sent to: {error}")

    def _is_wanted(self, name: str) -> bool:
        if _is_own(name):
            return False
        if self.names is None:
            return not name.startswith("Midi Through")
        return any(wanted.lower() in name.lower() for wanted in self.names)

    def _new_input(self) -> Any:
        import rtmidi

        return rtmidi.MidiIn(rtapi=self._api, name=INPUT_CLIENT, queue_size_limit=_QUEUE)

    def _new_output(self, client: str = OUTPUT_CLIENT) -> Any:
        import rtmidi

        return rtmidi.MidiOut(rtapi=self._api, name=client)


def _is_own(name: str) -> bool:
    return name == PORT or name.startswith((INPUT_CLIENT, OUTPUT_CLIENT))


@contextlib.contextmanager
def midi_controls(
    controller_map: ControllerMap, names: Sequence[str] | None = None, backend: str | None = None
) -> Iterator[MidiControls]:
    """Let MIDI devices set the parameters of the map's controller while the context lasts.

    `names`: parts of the names of the devices to open, all unless given; they may be plugged in later. `backend`: one
    of `backends()`, the first that works unless given.

    Raises:
        MidiError: there is no MIDI on this machine, or no such backend.
    """
    controls = MidiControls(controller_map, names, backend)
    try:
        yield controls
    finally:
        controls.close()
