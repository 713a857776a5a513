"""A UDP socket to listen on, and who may speak to it."""

from __future__ import annotations

import socket
from collections.abc import Collection

from gramophone.realtime.osc.allow_list import AllowList, AllowListError, is_loopback


class ListenError(OSError):
    """An address cannot be listened on; the message says which and why."""


def allow_list(host: str, allow: Collection[str]) -> AllowList:
    """Return who is heard on `host`: beyond this machine, somebody must be named.

    Raises:
        AllowanceError: nobody is, or a name is neither an address nor a network.
    """
    if not is_loopback(host) and not allow:
        raise AllowListError(
            f"{host} is open to others: say who may speak with --allow: "
            "an address (192.168.1.20) or a network (192.168.1.0/24)"
        )
    return AllowList(allow)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that never blocks.

    Raises:
        ListenError: the system does not let us have it.
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
