"""What the OSC tests share: a desk whose sink writes down what it is told, and a UDP peer of our own."""

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
    """What plays, as far as these tests go: it keeps what it is told, and when."""

    def __init__(self):
        self.calls = []
        self.together = []
        self.times = []
        self._told = threading.Condition()

    def set(self, address, value):
        self._keep("set", address, value)

    def set_many(self, changes):
        self.together.append(dict(changes))
        for address, value in changes.items():
            self._keep(*(("set", address, value) if "." in address else (address, value)[: 1 + (address != "panic")]))

    def change(self, preset):
        self._keep("change", preset.name)

    def mute(self, muted):
        self._keep("mute", muted)

    def bypass(self, bypassed):
        self._keep("bypass", bypassed)

    def panic(self):
        self._keep("panic")

    def wait_for(self, found, seconds=20):
        """Wait until `found(calls)` is true."""
        with self._told:
            assert self._told.wait_for(lambda: found(self.calls), seconds), self.calls[-5:]

    def _keep(self, *call):
        with self._told:
            self.calls.append(call)
            self.times.append(time.monotonic())
            self._told.notify_all()


class Setup:
    """A desk, its sink and its address space; with `surfaces`, also a surface for MIDI and a saver."""

    def __init__(self, preset=None, meters=None, surfaces=False):
        self.shown, self.spoken = [], []
        self.sink = Sink()
        self.controller = Controller(preset or make_preset(), self.sink)
        self.controller_map = ControllerMap(self.controller) if surfaces else None
        self.saver = PresetSaver(self.controller, lambda: self.controller.preset, self._tell) if surfaces else None
        errors = ErrorLog(self.shown.append)
        self.space = AddressSpace(
            self.controller, meters, errors=errors, controller_map=self.controller_map, saver=self.saver
        )

    def _tell(self, text):
        self.spoken.append(text)
        self.space.news.say(text)

    def saved(self):
        """Return what was said of saving, once that is done."""
        self.saver._thread.submit(lambda: None).result(20)
        return self.spoken

    @property
    def errors(self):
        return self.space.errors.counts


class Peer:
    """A UDP socket that talks to a server on this machine."""

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
    return pytest.mark.skipif(not shutil.which(program), reason=f"needs {program}: apt-get install {package}")


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
