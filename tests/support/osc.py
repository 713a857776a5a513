"""What the OSC tests share: a controller whose sink records its calls, and a UDP peer."""

import contextlib
import select
import shutil
import socket
import threading
import time

import pytest
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message import OscMessage

from gramophone.presets import Preset, StageSettings
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.midi.controller_map import ControllerMap
from gramophone.realtime.control.osc import AddressSpace, ErrorLog
from gramophone.realtime.control.performance.actions import Performance
from gramophone.realtime.control.performance.history import History
from gramophone.realtime.control.preset_saver import PresetSaver
from gramophone.realtime.osc.packet import Bundle, decode

STAGES = (
    ("drive", "distortion", {"drive": 12.0}),
    ("filter", "ladder", {"frequency": 1000.0}),
    ("hall", "reverb", {}),
    ("space", "convolution", {}),
    ("level", "gain", {}),
)


def make_preset(name="test", stages=STAGES):
    return Preset(name, tuple(StageSettings(*stage) for stage in stages))


class Sink:
    """A sink that records its calls, and when they came."""

    def __init__(self):
        self.calls = []
        self.together = []
        self.times = []
        self._called = threading.Condition()

    def set_many(self, changes):
        self.together.append(dict(changes))
        for address, value in changes.items():
            self._keep(*(("set", address, value) if "." in address else (address, value)[: 1 + (address != "panic")]))

    def change(self, preset):
        self._keep("change", preset.name)

    def wait_for(self, found, seconds=20):
        """Wait until `found(calls)` is true."""
        with self._called:
            assert self._called.wait_for(lambda: found(self.calls), seconds), self.calls[-5:]

    def _keep(self, *call):
        with self._called:
            self.calls.append(call)
            self.times.append(time.monotonic())
            self._called.notify_all()


class Setup:
    """A controller, its sink and its address space; with `surfaces`, also a controller map for MIDI and a saver.

    With `performs` its actions are done; `spectra` are for those who listen.
    """

    def __init__(self, preset=None, meters=None, surfaces=False, performs=False, spectra=None):
        self.shown, self.notices = [], []
        self.sink = Sink()
        self.controller = Controller(preset or make_preset(), self.sink, patience_s=60)
        self.controller_map = ControllerMap(self.controller) if surfaces else None
        self.saver = PresetSaver(self.controller, lambda: self.controller.preset, self._publish) if surfaces else None
        errors = ErrorLog(self.shown.append)
        self.space = AddressSpace(
            self.controller,
            meters,
            errors=errors,
            controller_map=self.controller_map,
            saver=self.saver,
            spectra=spectra,
        )
        if performs:
            Performance(self.controller, self.space.library, self.space.morpher, self.controller_map)
            History(self.controller)

    def _publish(self, text):
        self.notices.append(text)
        self.space.notices.publish(text)

    def saved(self):
        """Return the notices, once all saving is done."""
        self.saver._thread.submit(lambda: None).result(20)
        return self.notices

    @property
    def errors(self):
        return self.space.errors.counts


class Peer:
    """A UDP socket that sends to a server on this machine."""

    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.port = self.socket.getsockname()[1]

    def send(self, packet):
        self.socket.send(packet)

    def receive(self, seconds=10):
        """Return the next message, or None if none comes."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return None
        message = decode(self.socket.recv(65_536))
        assert not isinstance(message, Bundle)
        return message

    def receive_until(self, address, seconds=10):
        """Return the next message to an address."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = self.receive(1)
            if message and message.address == address:
                return message
        raise AssertionError(f"nothing came to {address}")


@contextlib.contextmanager
def peer_of(port):
    peer = Peer(port)
    try:
        yield peer
    finally:
        peer.socket.close()


def bundle(wall_s, *packets):
    """Return the bundle of messages and bundles, whole packets, that is due at `wall_s`, in seconds since 1970."""
    builder = OscBundleBuilder(wall_s)
    for packet in packets:
        builder.add_content(OscBundle(packet) if packet.startswith(b"#bundle") else OscMessage(packet))
    return builder.build().dgram


def needs(program, package):
    """Mark a test that talks to a program, which Debian has in a package."""
    skip = pytest.mark.skipif(not shutil.which(program), reason=f"needs {program}: apt-get install {package}")
    return lambda test: pytest.mark.peer(skip(test))


def own_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("needs a network besides loopback")
        address = probe.getsockname()[0]
    if address in ("192.0.2.254", "127.0.0.1"):
        pytest.skip("needs a network besides loopback")
    return address


def free_port() -> int:
    """Return a number that is free as a UDP and as a TCP port of this machine now."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            port = int(udp.getsockname()[1])
            with contextlib.suppress(OSError):
                tcp.bind(("127.0.0.1", port))
                return port
