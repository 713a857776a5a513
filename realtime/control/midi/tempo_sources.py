"""Where the tempo comes from beside MIDI clock: JACK's transport and Ableton Link, asked ten times a second.

`--tempo` takes `jack`, or `jack:SERVER`, and `link`.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from gramophone.realtime.control.midi.controller_map import ControllerMap

KINDS = ("jack", "link")
_ASK_S = 0.1
_RETRY_S = 2.0
_START_BPM = 120.0


class TempoError(RuntimeError):
    """A source of the tempo cannot be used; the message says why and what to do."""


class SourceTempo(NamedTuple):
    """A tempo in quarter notes a minute, and whether the source's transport runs."""

    bpm: float
    runs: bool


class TempoSource(ABC):
    """A source of the tempo, called `name`."""

    name: str

    @abstractmethod
    def ask(self) -> SourceTempo | None:
        """Return the tempo of now; None where there is none."""

    @abstractmethod
    def close(self) -> None:
        """Leave the source."""


class JackTransport(TempoSource):
    """The transport of a JACK server (the usual one unless named): the tempo that its timebase master gives, if any.

    Raises:
        TempoError: JACK is not installed, or no server runs.
    """

    name = "JACK transport"

    def __init__(self, server: str = "") -> None:
        try:
            import jack
        except (ImportError, OSError) as error:
            raise TempoError(f"tempo of JACK: JACK is not installed ({error})") from None
        self._jack, self._server = jack, server
        self._client: Any = None
        self._gone = threading.Event()
        self._retry_at = 0.0
        if not self._opened():
            where = f" {server!r}" if server else ""
            raise TempoError(f"tempo of JACK: no JACK server{where} runs (start one with jackd or qjackctl)")

    def ask(self) -> SourceTempo | None:
        """Return the transport's tempo, where a timebase master gives beats; after a restart of JACK it is asked anew.

        JACK's beats are those of the time signature: of a bar of 6/8, eighths.
        """
        if (self._gone.is_set() or not self._client) and not self._opened():
            return None
        state, position = self._client.transport_query()
        bpm = position.get("beats_per_minute")
        if not bpm:
            return None
        quarters = 4.0 / (position.get("beat_type") or 4.0)
        return SourceTempo(bpm * quarters, state == self._jack.ROLLING)

    def close(self) -> None:
        """Leave the server."""
        if self._client and not self._gone.is_set():
            self._client.deactivate()
            self._client.close()
        self._client = None

    def _opened(self) -> bool:
        """Return whether a client of the server is open now; it is tried every two seconds at most."""
        now = time.monotonic()
        if now < self._retry_at:
            return False
        self._retry_at = now + _RETRY_S
        jack = self._jack
        jack.set_error_function(lambda _message: None)
        try:
            client = jack.Client("gramophone-tempo", no_start_server=True, servername=self._server or None)
            client.set_shutdown_callback(lambda _status, _reason: self._gone.set())
            client.activate()
        except jack.JackError:
            return False
        self._client = client
        self._gone.clear()
        return True


class AbletonLink(TempoSource):
    """A peer of an Ableton Link session on the local network: the tempo that all its members share.

    Alone it has no tempo, and changes that of no one.

    Raises:
        TempoError: the package is not installed.
    """

    name = "Ableton Link"

    def __init__(self) -> None:
        try:
            import link
        except ImportError:
            raise TempoError(
                "tempo of Ableton Link: needs LinkPython-extern: run: pip install 'gramophone[link]'"
            ) from None
        self._link = link.Link(_START_BPM)
        self._link.startStopSyncEnabled = True
        self._link.enabled = True

    def ask(self) -> SourceTempo | None:
        """Return the session's tempo; None while no one else takes part."""
        if not self._link.numPeers():
            return None
        state = self._link.captureSessionState()
        return SourceTempo(state.tempo(), state.isPlaying())

    def close(self) -> None:
        """Leave the session."""
        self._link.enabled = False


def open_source(choice: str) -> TempoSource:
    """Return the source that a word of `--tempo` stands for.

    Raises:
        TempoError: it is none of `KINDS`, or cannot be used.
    """
    kind, _, name = choice.partition(":")
    if kind == "jack":
        return JackTransport(name)
    if kind == "link" and not name:
        return AbletonLink()
    raise TempoError(f"tempo {choice!r}: expected jack, jack:SERVER or link; MIDI clock is always followed")


@contextmanager
def following(controller_map: ControllerMap, choices: Sequence[str]) -> Iterator[None]:
    """Follow these sources, each a word of `--tempo`, while the context lasts.

    Raises:
        TempoError: one of them cannot be used.
    """
    ended = threading.Event()
    with ExitStack() as stack:
        sources = [open_source(choice) for choice in choices]
        for source in sources:
            stack.callback(source.close)

        def ask() -> None:
            while not ended.wait(_ASK_S):
                for source in sources:
                    if found := source.ask():
                        controller_map.follow_tempo(source.name, found.bpm, found.runs, time.monotonic())

        thread = threading.Thread(target=ask, name="gramophone-tempo", daemon=True)
        if sources:
            thread.start()
            stack.callback(thread.join)
            stack.callback(ended.set)
        yield
