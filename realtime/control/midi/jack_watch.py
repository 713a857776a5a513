"""A client of the JACK server that knows when the server is gone, and what is connected to what.

RtMidi does not: it goes on listing the ports of the dead server, and prints to the terminal whenever it finds none.
"""

from __future__ import annotations

import contextlib
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
