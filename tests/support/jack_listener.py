"""A JACK client that keeps what a plug-in in another client makes of a sound."""

import threading

import jack
import numpy as np


class Listener:
    """A client of a JACK server that plays a sound into two ports, and keeps what comes back from two others."""

    def __init__(self, server, sound, into, back):
        self._client = _opened(server)
        self._into, self._back = into, back
        self._outputs = [self._client.outports.register(f"out_{i}") for i in (1, 2)]
        self._inputs = [self._client.inports.register(f"in_{i}") for i in (1, 2)]
        self._sound, self._at, self._heard = sound, None, []
        self._done = threading.Event()
        self._client.set_process_callback(self._process)

    def __enter__(self):
        self._client.activate()
        for i, into, back in zip((1, 2), self._into, self._back, strict=True):
            self._client.connect(f"listener:out_{i}", into)
            self._client.connect(back, f"listener:in_{i}")
        return self

    def __exit__(self, *_):
        self._client.deactivate()
        self._client.close()

    def run_freely(self, on):
        """Let JACK run without regard to time, or with."""
        self._client.set_freewheel(on)

    def play(self):
        """Return what came back while the sound and a second of silence were played."""
        self._heard, self._at = [], 0
        self._done.clear()
        assert self._done.wait(60)
        return np.concatenate(self._heard, axis=1)

    def _process(self, frames):
        part = np.zeros((2, frames), np.float32)
        if self._at is not None and not self._done.is_set():
            given = self._sound[:, self._at : self._at + frames]
            part[:, : given.shape[1]] = given
            self._heard.append(np.stack([port.get_array().copy() for port in self._inputs]))
            self._at += frames
            if self._at > self._sound.shape[1] + self._client.samplerate:
                self._done.set()
        for port, row in zip(self._outputs, part, strict=True):
            port.get_array()[:] = row


def _opened(server):
    """Open the client; once more where the server refuses it.

    When a plug-in's latency changes, jalv asks the server to compute all of them anew, from within its process
    callback. A server that is opening a client just then waits for that callback to end, which waits for the server:
    after 5 s it gives the client up (jalv 1.6.6, jackd 1.9.21).
    """
    try:
        return jack.Client("listener", no_start_server=True, servername=server)
    except jack.JackOpenError:
        return jack.Client("listener", no_start_server=True, servername=server)
