"""Authentication: which requests are accepted. Those of other servers' web pages, and those without the token, are not.

A page of another server can reach this one through its reader's browser. Its `Origin` differs from ours; a page whose
own name resolves to this machine (DNS rebinding) sends that name as `Host`.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Mapping


class Authentication:
    """Accepts requests by their `Host`, their `Origin` and, where one is set, the `token`."""

    def __init__(self, token: str = "") -> None:
        self._token = token
        name = socket.gethostname().lower()
        self._names = {"localhost", name, f"{name.partition('.')[0]}.local"}

    def refusal(self, headers: Mapping[str, str], token: str) -> str:
        """Return why a request with these headers (by lower-case name) and token is refused; "" if it is accepted."""
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
