"""The web application: the OSCQuery tree, WebSockets, and the control page.

Authentication: which requests are accepted. Those of other servers' web pages, and those without the token, are not.

A page of another server can reach this one through its reader's browser. Its `Origin` differs from ours; a page whose
own name resolves to this machine (DNS rebinding) sends that name as `Host`.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from gramophone.realtime.control.osc.address_space import AddressSpace
from gramophone.realtime.control.oscquery.tree import ATTRIBUTES, Node, node_at
from gramophone.realtime.control.oscquery.websockets import WebSocketClient, WebSocketClients


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


PAGE = Path(__file__).parent / "page"
_PARTS = (".css", ".js", ".svg", ".png")
"""The parts of the page, by how their names end, hold no secrets: they come without a token."""
_POLICY_VIOLATION, _TRY_AGAIN_LATER = 1008, 1013
_SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; "
    "img-src 'self' data: blob:; media-src 'self' blob:; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


Handler = Callable[[Request], Awaitable[Response]]
Guard = Callable[[Handler], Handler]
"""Lets a request through to its handler, or refuses it."""
MoreRoutes = Callable[[Guard, Mapping[str, str]], list[Route]]
"""Returns routes whose handlers are guarded, and whose answers have the headers."""


def make_app(
    space: AddressSpace, clients: WebSocketClients, auth: Authentication, info: Node, more: Iterable[MoreRoutes] = ()
) -> Starlette:
    """Return the application; `info` is HOST_INFO, `more` makes routes beside the tree."""

    async def page(request: Request) -> Response:
        return _refused(request) or FileResponse(PAGE / "index.html", headers=_SAFE)

    async def presets(request: Request) -> Response:
        return _refused(request) or JSONResponse(space.library.catalogue(), headers=_SAFE)

    async def manifest(request: Request) -> Response:
        return _refused(request) or JSONResponse(
            _manifest(request.query_params.get("token", "")), headers=_SAFE, media_type="application/manifest+json"
        )

    async def query(request: Request) -> Response:
        return _refused(request) or _answer(space, info, request.url.path, _attributes(request))

    async def websocket(socket: WebSocket) -> None:
        if _refusal(auth, socket) or clients.is_full:
            await socket.close(_TRY_AGAIN_LATER if clients.is_full else _POLICY_VIOLATION)
            return
        await socket.accept()
        await _serve(clients, socket)

    def guard(handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            return _refused(request) or await handler(request)

        return guarded

    def _refused(request: Request) -> Response | None:
        refusal = _refusal(auth, request)
        return PlainTextResponse(f"Gramophone: {refusal}\n", 403, headers=_SAFE) if refusal else None

    parts = [Route(f"/ui/{file.name}", _part(file)) for file in sorted(PAGE.iterdir()) if file.suffix in _PARTS]
    added = [route for make in more for route in make(guard, _SAFE)]
    own = [Route("/ui", page), Route("/ui/presets", presets), Route("/ui/manifest", manifest)]
    whole = [Route("/{path:path}", query), WebSocketRoute("/{path:path}", websocket)]
    return Starlette(routes=[*own, *parts, *added, *whole])


def _manifest(token: str) -> dict[str, object]:
    """Return what a browser needs to install the page, which then opens with the token that it has now."""
    colour = "#14110e"
    pictures = [("icon-192.png", "192x192"), ("icon-512.png", "512x512"), ("icon.svg", "any")]
    return {
        "name": "Gramophone",
        "short_name": "Gramophone",
        "description": "Plays one sound in the style of another, live",
        "start_url": f"/ui?token={quote(token)}" if token else "/ui",
        "scope": "/ui",
        "display": "standalone",
        "background_color": colour,
        "theme_color": colour,
        "icons": [{"src": f"/ui/{name}", "sizes": size} for name, size in pictures],
    }


def _part(file: Path) -> Handler:
    """Return what serves a part of the page."""

    async def part(_request: Request) -> Response:
        return FileResponse(file, headers=_SAFE)

    return part


def _refusal(auth: Authentication, connection: HTTPConnection) -> str:
    return auth.refusal(connection.headers, connection.query_params.get("token", ""))


def _attributes(request: Request) -> list[str]:
    return [name for name, _ in parse_qsl(request.url.query, keep_blank_values=True) if name != "token"]


def _answer(space: AddressSpace, info: Node, path: str, attributes: list[str]) -> Response:
    if "HOST_INFO" in attributes:
        return JSONResponse(info, headers=_SAFE)
    for name in attributes:
        if name not in ATTRIBUTES:
            return PlainTextResponse(f"attribute {name[:40]!r}: expected {', '.join(ATTRIBUTES)}\n", 400, headers=_SAFE)
    node = node_at(space, path)
    if node is None:
        return PlainTextResponse("there is no such address\n", 404, headers=_SAFE)
    if "VALUE" in attributes and not node["ACCESS"] & 1:
        return Response(status_code=204, headers=_SAFE)
    return JSONResponse({name: node[name] for name in attributes or node if name in node}, headers=_SAFE)


async def _serve(clients: WebSocketClients, socket: WebSocket) -> None:
    client = clients.add()
    jobs = (_receive(clients, client, socket), _send(client, socket), client.closing.wait())
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        clients.remove(client)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _receive(clients: WebSocketClients, client: WebSocketClient, socket: WebSocket) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        frame = message.get("bytes")
        clients.receive(client, message["text"] if frame is None else frame)
        await asyncio.sleep(0)  # let the other clients run


async def _send(client: WebSocketClient, socket: WebSocket) -> None:
    while True:
        frame = await client.queue.get()
        await (socket.send_text(frame) if isinstance(frame, str) else socket.send_bytes(frame))
