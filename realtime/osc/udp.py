"""A UDP socket to receive on, and the peers that may send to it."""

from __future__ import annotations

import socket
from collections.abc import Collection

from gramophone.realtime.osc.allow_list import AllowList, AllowListError, is_loopback


class ListenError(OSError):
    """A port cannot be opened; the message says which and why."""


def allow_list(host: str, allow: Collection[str]) -> AllowList:
    """Return the peers whose packets are taken on `host`: beyond this machine, at least one must be named.

    Raises:
        AllowListError: none is named, or a name is neither an address nor a network.
    """
    if not is_loopback(host) and not allow:
        raise AllowListError(
            f"{host} is open to others: name the peers that may send with --allow: "
            "an address (192.168.1.20) or a network (192.168.1.0/24)"
        )
    return AllowList(allow)


def listen(host: str, port: int) -> socket.socket:
    """Return a bound UDP socket that never blocks.

    Raises:
        ListenError: the system refuses the port.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind((host, port))
    except (OSError, OverflowError) as error:
        sock.close()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ListenError(f"cannot listen on {host} port {port}: {reason}") from None
    sock.setblocking(False)
    return sock
