"""The system's receive buffer of a UDP socket: its size, and how many packets it had to drop."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys

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
