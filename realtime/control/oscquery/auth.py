"""The guard: which requests are let in. Web pages of strangers, and strangers themselves, are not.

A page from elsewhere can reach a server on this machine through its reader's browser. It is told from ours by its
`Origin`; one that has its own name point here (DNS rebinding) by the `Host` that it then asks for.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Mapping


class Authentication:
    """Lets requests in: by their `Host`, `Origin` and, where there is one, the `token`."""

    def __init__(self, token: str = "") -> None:
        self._token = token
        name = socket.gethostname().lower()
        self._names = {"localhost", name, f"{name.partition('.')[0]}.local"}

    def refusal(self, headers: Mapping[str, str], token: str) -> str:
        """Return why a request with these headers (by lower-case name) and token is not let in; "" where it is."""
        host = headers.get("host", "")
        if not self._is_ours(_without_port(host)):
            return "this server answers to addresses and to the name of its machine only"
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
            return "pages of other servers may not come in"
        return self.refusal_of_token(headers, token)

    def refusal_of_token(self, headers: Mapping[str, str], token: str) -> str:
        """Return why a token, in the query or as `Authorization: Bearer`, does not fit; "" where it does."""
        given = token or headers.get("authorization", "").removeprefix("Bearer ")
        if self._token and not hmac.compare_digest(given.encode(), self._token.encode()):
            return "the token is missing or wrong: open the address that gramophone printed, with its ?token="
        return ""

    def _is_ours(self, host: str) -> bool:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return host.lower() in self._names
        return True


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
