"""OSCQuery: the OSC addresses described over HTTP, values streamed over WebSockets, and the control page at `/ui`."""

from gramophone.realtime.control.oscquery.server import OscQueryError, OscQueryServer, oscquery_server

__all__ = ["OscQueryError", "OscQueryServer", "oscquery_server"]
