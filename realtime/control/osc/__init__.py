"""OSC: every parameter at an address, over UDP. `docs/osc.md` lists the addresses."""

from gramophone.realtime.control.osc.address_space import AddressSpace
from gramophone.realtime.control.osc.library import Library
from gramophone.realtime.control.osc.server import OscError, OscServer, osc_server
from gramophone.realtime.osc.arguments import ErrorLog

__all__ = ["AddressSpace", "ErrorLog", "Library", "OscError", "OscServer", "osc_server"]
