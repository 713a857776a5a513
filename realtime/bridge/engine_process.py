"""The engine process behind one instance of the plug-in: `python -m gramophone.realtime.bridge.engine_process SOCKET`.

The plug-in takes the place of the audio process: it writes and reads the rings itself. All else is as in
`gramophone play`: a worker computes, a supervisor brings it back, the controller takes what the host, the page, OSC and
MIDI set.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gramophone.realtime.live.worker_process import start_standby_worker
from gramophone.realtime.system.wakeup import SocketWake


def main() -> None:
    """Serve the plug-in that listens at the path in the first argument until it goes away."""
    standby = start_standby_worker(SocketWake())  # first of all: the worker's libraries take longest to load
    from gramophone.realtime.bridge.host_session import HostSession
    from gramophone.realtime.bridge.link import BridgeLink

    link = BridgeLink(Path(sys.argv[1]))
    try:
        HostSession(link, standby).run()
    except (RuntimeError, ValueError) as error:
        link.notify(str(error))
        sys.exit(1)
    finally:
        link.close()


if __name__ == "__main__":
    main()
