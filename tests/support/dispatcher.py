"""An OSC dispatcher without sockets."""

from gramophone.realtime.control.osc.dispatcher import Dispatcher
from gramophone.realtime.osc.packet import decode, encode
from support.osc import Setup

WALL = 1.8e9


class DispatcherSetup(Setup):
    """A dispatcher with any number of peers, on a clock that the test sets."""

    def __init__(self, preset=None, meters=None, surfaces=False):
        super().__init__(preset, meters, surfaces)
        self.now = 0.0
        self.dispatcher = Dispatcher(self.space, lambda peer, port: f"{peer}:{port}", lambda: WALL + self.now)

    def send(self, address, *arguments, peer="a"):
        self.receive(encode(address, arguments), peer)

    def receive(self, packet, peer="a"):
        self.dispatcher.receive(packet, peer, self.now)

    def advance(self, seconds=0.0):
        """Let time pass, do what is due, and return the replies as pairs of peer and message."""
        self.now += seconds
        self.dispatcher.advance(self.now)
        replies = [(peer, decode(packet)) for packet, peer in self.dispatcher.outgoing]
        self.dispatcher.outgoing.clear()
        return replies

    def replies(self, seconds=0.0, peer="a"):
        return {message.address: message.arguments for each, message in self.advance(seconds) if each == peer}
