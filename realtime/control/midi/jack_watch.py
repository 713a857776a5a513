"""Notices when the JACK server is gone and when it is back.

RtMidi does not: it goes on listing the ports of the dead server, and says so on the terminal whenever it finds none.
"""

from __future__ import annotations

from typing import Any


class JackWatch:
    """A client, without ports, of the server that runs now."""

    def __init__(self, client: Any) -> None:
        self.has_gone = False
        self._client = client
        client.set_shutdown_callback(self._note)
        client.activate()

    @classmethod
    def start(cls) -> JackWatch | None:
        """Watch the server; None if there is none. Silent.

        Raises:
            ImportError: JACK-Client or the JACK library is not there; then nothing can be noticed.
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

    def close(self) -> None:
        """Watch no more."""
        self._client.close()

    def _note(self, status: object, reason: str) -> None:
        self.has_gone = True
