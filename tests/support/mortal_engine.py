"""An engine that is killed in a bounce: `python -m support.mortal_engine`, in place of the plug-in's usual command.

The environment names a file, DIES_AFTER: once it is there, an engine dies after as many frames as it says, counted from
the first block with sound, and takes it away, so that the next one lives.
"""

import os
import signal
import socket
import sys
from pathlib import Path

import numpy as np

from gramophone.realtime.bridge import engine_process, engine_server

QUIET = 1e-3


def _serve(number, path):
    """Serve as the engine server does; every worker ends its engine as by `kill -9`, in the block of which that is."""
    from gramophone.realtime.live import worker

    left, play = None, worker.Worker._play

    def play_until(self, block):
        nonlocal left
        file = Path(os.environ["DIES_AFTER"])  # the server is older than the host that this engine plays for
        if left is None and file.exists() and np.abs(block).max(initial=0) > QUIET:
            left = int(file.read_text())
        if left is not None:
            left -= block.shape[1]
            if left < 0 and file.exists():
                file.unlink()
                os.kill(os.getppid(), signal.SIGKILL)
        return play(self, block)

    worker.Worker._play = play_until
    with socket.socket(fileno=number) as listener:
        engine_server.serve(listener, path)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _serve(int(sys.argv[1]), Path(sys.argv[2]))
    else:
        engine_process._SERVER = "support.mortal_engine"
        sys.exit(engine_process.hand_over(engine_process.SOCKET))
