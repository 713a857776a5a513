"""Rows of the table of peers: messages by OSC and MIDI, from bytes to the value or handler they are for."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import ExitStack

import mido

from gramophone.offline.bench.contest import Contest, Duel, NotInstalledError
from gramophone.presets import load
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.midi.ports import messages_in
from gramophone.realtime.control.osc.address_space import AddressSpace
from gramophone.realtime.control.osc.dispatcher import Dispatcher
from gramophone.realtime.midi.decoder import MidiDecoder
from gramophone.realtime.osc.packet import encode

_MESSAGES = 2000
_ADDRESS = "/gramophone/level/gain"


class _Sink:
    """Takes a controller's values and does nothing with them."""

    def set_many(self, values: object) -> None:
        """Take values."""

    def change(self, *_: object) -> None:
        """Take a preset."""


def _packets() -> list[bytes]:
    return [encode(_ADDRESS, [-float(number % 24)]) for number in range(_MESSAGES)]


def _ours(stack: ExitStack) -> Callable[[], object]:
    """Return what takes packets as the server does: decoded, checked, and the newest value set after each burst."""
    controller = Controller(load("hall"), _Sink())
    space = AddressSpace(controller)
    stack.callback(space.close)
    dispatcher: Dispatcher[str] = Dispatcher(space)
    packets = _packets()

    def take() -> None:
        for packet in packets:
            dispatcher.receive(packet, "peer", 0.0)
        dispatcher.advance(0.0)
        dispatcher.outgoing.clear()

    return take


def _python_osc(stack: ExitStack) -> Contest:
    from pythonosc.dispatcher import Dispatcher as Peer

    peer = Peer()
    peer.map(_ADDRESS, lambda _address, _value: None)
    packets, client = _packets(), ("127.0.0.1", 0)

    def take() -> None:
        for packet in packets:
            peer.call_handlers_for_packet(packet, client)

    return Contest(_ours(stack), take, _MESSAGES, calls=1)


def _liblo(stack: ExitStack) -> Contest:
    """Return liblo as Python programs have it: its C server with a handler in Python."""
    try:
        lo = ctypes.CDLL("liblo.so.7")
    except OSError:
        raise NotInstalledError("liblo is not installed (Debian: apt install liblo7)") from None
    lo.lo_server_new.restype = ctypes.c_void_p
    lo.lo_server_new.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    handler = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(ctypes.POINTER(ctypes.c_float)), ctypes.c_int,
        ctypes.c_void_p, ctypes.c_void_p,
    )  # fmt: skip
    lo.lo_server_add_method.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, handler, ctypes.c_void_p]
    lo.lo_server_dispatch_data.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    lo.lo_server_free.argtypes = [ctypes.c_void_p]
    server = lo.lo_server_new(None, None)
    stack.callback(lo.lo_server_free, server)
    called = handler(lambda _path, _types, values, _count, _message, _user: int(values[0][0] > 0) * 0)
    lo.lo_server_add_method(server, _ADDRESS.encode(), b"f", called, None)
    packets = _packets()

    def take() -> None:
        for packet in packets:
            lo.lo_server_dispatch_data(server, packet, len(packet))
        assert called

    return Contest(_ours(stack), take, _MESSAGES, calls=1)


def _mido(stack: ExitStack) -> Contest:
    """Return bytes to events of controls, and mido's parser alone, on which nothing is decoded yet."""
    packets = [[0xB0, number % 32, number % 128] for number in range(_MESSAGES)]
    decoder, parser = MidiDecoder(), mido.Parser()

    def ours() -> None:
        for packet in packets:
            for message in messages_in(packet)[0]:
                decoder.decode(message)

    def theirs() -> None:
        for packet in packets:
            parser.feed(packet)
            list(parser)

    return Contest(ours, theirs, _MESSAGES, calls=1)


_OSC = "OSC packets to a checked, set value; the peer's to a handler"
DUELS = (
    Duel("osc-python", _OSC, "messages a second", "python-osc {}", "python-osc", _python_osc),
    Duel("osc-liblo", _OSC, "messages a second", "liblo.so.7, handler in Python", "", _liblo),
    Duel(
        "midi",
        "MIDI bytes to a control's event; the peer's to a message",
        "messages a second",
        "mido {}",
        "mido",
        _mido,
    ),
)
