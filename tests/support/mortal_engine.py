"""An engine that is killed in a bounce: `python -m support.mortal_engine`, in place of the plug-in's usual command.

The environment names a file, DIES_AFTER: once it is there, an engine dies after as many blocks as it says, counted from
the first with sound, and takes it away, so that the next one lives.
"""

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from gramophone.realtime.bridge import engine_process, engine_server

QUIET_DB = -60.0


def _watch(session):
    """End this process as by `kill -9`, so many blocks after the first sound since the file has been seen."""
    from gramophone.realtime.live.pictures import LevelTap

    file = Path(os.environ["DIES_AFTER"])
    while not file.exists():
        time.sleep(0.001)
    inputs = session.shared.inputs
    heard = LevelTap(inputs, session.shared.status)
    while heard.level().peak_db < QUIET_DB:
        time.sleep(0.0002)
    last = inputs.newest + int(file.read_text())
    while inputs.newest < last:
        time.sleep(0.0002)
    file.unlink()
    os.kill(os.getpid(), signal.SIGKILL)


def _serve(number, path):
    """Serve as the engine server does; every engine watches its blocks from the first on."""
    from gramophone.realtime.bridge import host_session

    class MortalSession(host_session.HostSession):
        def _open(self, *arguments):
            super()._open(*arguments)
            threading.Thread(target=_watch, args=(self._session,), daemon=True).start()

    host_session.HostSession = MortalSession
    with socket.socket(fileno=number) as listener:
        engine_server.serve(listener, path)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _serve(int(sys.argv[1]), Path(sys.argv[2]))
    else:
        engine_process._SERVER = "support.mortal_engine"
        sys.exit(engine_process.hand_over(engine_process.SOCKET))
