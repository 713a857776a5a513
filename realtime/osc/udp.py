"""A UDP socket to receive on, the allow-list of its peers, and the system's receive buffer.

This machine is on the allow-list, and beyond it only the addresses and networks that were named. The size of the
receive buffer can be enlarged, and the packets that the system dropped are counted.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import socket
import struct
import sys
from collections.abc import Collection, Iterable


class AllowListError(ValueError):
    """A peer is neither an address nor a network, or none is named; the message says what was found and expected."""


class AllowList:
    """The peers that may send: loopback, and `allow`, addresses (`192.168.1.20`) or networks (`192.168.1.0/24`).

    Raises:
        AllowListError: one is neither an address nor a network.
    """

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._networks = [_network(text) for text in allow]
        self._known = functools.lru_cache(1024)(self._find)

    def __contains__(self, host: str) -> bool:
        return self._known(host)

    def _find(self, host: str) -> bool:
        address = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return address.is_loopback or any(address in network for network in self._networks)


def is_loopback(host: str) -> bool:
    """Return whether a host to listen on (an address or `localhost`) is this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise AllowListError(
            f"peer {text!r}: expected an address (192.168.1.20) or a network (192.168.1.0/24)"
        ) from None


_WANTED_BYTES = 32 << 20
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_DROPS = 8
"""Which of the 32-bit numbers of SO_MEMINFO counts dropped datagrams (linux/sock_diag.h, SK_MEMINFO_DROPS)."""


_ENOUGH_BYTES = 4 << 20


def describe() -> str:
    """Return a sentence on how large a buffer this system allows, and how to get more where it is small."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        size = enlarge(sock)
    if size >= _ENOUGH_BYTES or sys.platform != "linux":
        return f"the system holds {size} bytes of packets"
    return f"the system holds only {size} bytes of packets: sysctl -w net.core.rmem_max={_ENOUGH_BYTES} for floods"


def enlarge(sock: socket.socket) -> int:
    """Make the buffer as large as the system allows and return its size in bytes."""
    options = [_SO_RCVBUFFORCE] if sys.platform == "linux" else []
    sizes = [_WANTED_BYTES >> halvings for halvings in range(8)]
    for option, size in [(option, _WANTED_BYTES) for option in options] + [(socket.SO_RCVBUF, size) for size in sizes]:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, size)
            break
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def dropped(sock: socket.socket) -> int:
    """Return how many datagrams the system has dropped since the socket was opened; 0 where it does not count them."""
    if sys.platform != "linux":
        return 0
    try:
        numbers = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_DROPS + 1))
    except OSError:
        return 0
    return int(struct.unpack(f"={len(numbers) // 4}I", numbers)[_DROPS])


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
