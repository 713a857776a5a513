"""The service advertisement: clients find the server by zeroconf, as `_oscjson._tcp` (and plain OSC as `_osc._udp`)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from gramophone.realtime.osc.allow_list import is_loopback
from gramophone.realtime.osc.error_log import ErrorLog

_FAREWELL_S = 0.2


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
            await asyncio.wait_for(zeroconf.async_unregister_all_services(), _FAREWELL_S)
        await zeroconf.async_close()


def _own_address() -> str:
    """Return the address by which other machines reach this one, found without sending anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(sock.getsockname()[0])
