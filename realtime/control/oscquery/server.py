"""The OSCQuery server: one thread with its own loop, around the web application.

The service advertisement: clients find the server by zeroconf, as `_oscjson._tcp` (and plain OSC as `_osc._udp`).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

from gramophone.realtime.control.osc.address_space import AddressSpace
from gramophone.realtime.control.oscquery.app import Authentication, MoreRoutes
from gramophone.realtime.control.oscquery.tree import host_info
from gramophone.realtime.osc.arguments import ErrorLog
from gramophone.realtime.osc.udp import is_loopback

_GOODBYE_S = 0.2


@contextlib.asynccontextmanager
async def advertised(name: str, host: str, http_port: int, osc_port: int, errors: ErrorLog) -> AsyncIterator[None]:
    """Advertise while the context lasts, in the background; on loopback if the server listens there.

    A network that does not allow it is an error that is shown and does not stop the server.
    """
    task = asyncio.create_task(_advertise(name, host, http_port, osc_port, errors))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _advertise(name: str, host: str, http_port: int, osc_port: int, errors: ErrorLog) -> None:
    from zeroconf import Error, InterfaceChoice, IPVersion, ServiceInfo
    from zeroconf.asyncio import AsyncZeroconf

    everywhere = host in ("0.0.0.0", "::", "")
    here = "127.0.0.1" if host == "localhost" else host
    machine = socket.gethostname().partition(".")[0]
    server = f"{machine}-{http_port}.local." if is_loopback(host) else f"{machine}.local."
    address = _own_address() if everywhere else here
    kinds = [("_oscjson._tcp.local.", http_port)] + [("_osc._udp.local.", osc_port)] * bool(osc_port)
    try:
        zeroconf = AsyncZeroconf(
            interfaces=InterfaceChoice.All if everywhere else [here],
            ip_version=IPVersion.V6Only if ":" in here else IPVersion.V4Only,
        )
    except OSError as error:
        errors.add("not advertised", f"zeroconf on {host}: {error.strerror or error}")
        return
    try:
        for kind, port in kinds:
            service = ServiceInfo(kind, f"{name}.{kind}", port=port, server=server, parsed_addresses=[address])
            await zeroconf.async_register_service(service, allow_name_change=True)
        await asyncio.Event().wait()
    except (OSError, Error) as error:
        errors.add("not advertised", f"zeroconf on {host}: {error or type(error).__name__}")
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(zeroconf.async_unregister_all_services(), _GOODBYE_S)
        await zeroconf.async_close()


def _own_address() -> str:
    """Return the address by which other machines reach this one, found without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(sock.getsockname()[0])


_LARGEST_FRAME = 65_536
_MOST_CONNECTIONS = 128
_FAREWELL_S = 0.3
_STARTED_WITHIN_S = 30.0
_STOPPED_WITHIN_S = 5.0


class OscQueryError(OSError):
    """The OSCQuery server cannot start; the message says why and what to do."""


@contextmanager
def oscquery_server(
    space: AddressSpace,
    http_port: int,
    osc_port: int,
    host: str = "127.0.0.1",
    *,
    token: str = "",
    name: str = "Gramophone",
    advertise: bool = True,
    more: Sequence[MoreRoutes] = (),
) -> Iterator[OscQueryServer]:
    """Serve tree, WebSockets and control page while the context lasts.

    Port 0 takes any free one. On a `host` that other machines reach a token is required: `token`, or one that is made
    up; `OscQueryServer.url` is the control page's address, token and all. `more` adds routes.

    Raises:
        OscQueryError: the port cannot be opened.
    """
    server = OscQueryServer(space, http_port, osc_port, host, token, name, advertise, more)
    try:
        server.start()
        yield server
    finally:
        server.stop()


class OscQueryServer:
    """An HTTP server and the thread that runs it: `port` is its port, `token` what requests need, if anything."""

    def __init__(
        self,
        space: AddressSpace,
        port: int,
        osc_port: int,
        host: str,
        token: str,
        name: str,
        advertise: bool,
        more: Sequence[MoreRoutes],
    ) -> None:
        self._more = more
        self._space, self._osc_port, self._host, self._name, self._advertise = space, osc_port, host, name, advertise
        self.token = token or ("" if is_loopback(host) else secrets.token_urlsafe(9))
        self._socket = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="oscquery", daemon=True)

    @property
    def url(self) -> str:
        """The control page's address; for other machines by number, as phones find no machine by its name."""
        host = _own_address() if self._host in ("0.0.0.0", "::", "") else self._host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}/ui" + (f"?token={self.token}" if self.token else "")

    def start(self) -> None:
        """Start to serve; returns when requests are answered."""
        self._thread.start()
        if not self._ready.wait(_STARTED_WITHIN_S) or not self._thread.is_alive():
            raise OscQueryError(f"the OSCQuery server did not start within {_STARTED_WITHIN_S:g} s")

    def stop(self) -> None:
        """End all connections and give the port back."""
        if self._loop and self._end:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(_STOPPED_WITHIN_S)
        self._socket.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self._space.errors.add("internal", f"OSCQuery server: {type(error).__name__}: {error}")
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        import uvicorn

        from gramophone.realtime.control.oscquery.app import make_app
        from gramophone.realtime.control.oscquery.websockets import WebSocketClients

        clients = WebSocketClients(self._space)
        info = host_info(self._name, self._osc_port)
        app = make_app(self._space, clients, Authentication(self.token), info, self._more)
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            server_header=False,
            ws="websockets-sansio",
            ws_max_size=_LARGEST_FRAME,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with contextlib.AsyncExitStack() as stack:
            serving = asyncio.create_task(server.serve(sockets=[self._socket]))
            updating = asyncio.create_task(clients.run())
            if self._advertise:
                port = self._socket.getsockname()[1]
                await stack.enter_async_context(
                    advertised(self._name, self._host, port, self._osc_port, self._space.errors)
                )
            while not server.started and not serving.done():
                await asyncio.sleep(0.005)
            self._ready.set()
            await self._end.wait()
            clients.close()
            updating.cancel()
            server.should_exit = True
            done, _ = await asyncio.wait([serving], timeout=_FAREWELL_S)
            server.force_exit = not done  # do not wait for clients that do not read
            await serving


def _bound(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_REUSEADDR") and not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except (OSError, OverflowError) as error:
        sock.close()
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OscQueryError(f"HTTP cannot listen on {host} port {port}: {reason}; choose another --http-port") from None
    return sock
