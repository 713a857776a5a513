"""The allow-list of peers: this machine, and beyond it only the addresses and networks that were named."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable


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
