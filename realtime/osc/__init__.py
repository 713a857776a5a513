"""OSC: every knob at an address, over UDP. `docs/osc.md` lists the addresses."""

from gramophone.realtime.osc.faults import Faults
from gramophone.realtime.osc.server import OscError, OscServer, osc_server
from gramophone.realtime.osc.shelf import Shelf
from gramophone.realtime.osc.space import AddressSpace

__all__ = ["AddressSpace", "Faults", "OscError", "OscServer", "Shelf", "osc_server"]
