"""The command `gramophone`, also as `python -m gramophone.offline`.

Playing live needs a worker process that is slow to load: it is started before the command line is parsed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main() -> None:
    """Run the command line; see `cli.main.main`."""
    # What stages compute is quicker so, and the same to the bit as live, where there is one thread.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    ahead = None
    if _plays_live(sys.argv[1:]):
        from gramophone.realtime.live.worker_process import start_standby_worker

        ahead = start_standby_worker()
    from gramophone.offline.cli.main import main as run

    run(ahead)


def _plays_live(arguments: Sequence[str]) -> bool:
    """Return whether arguments look like `play` on a device; a wrong guess costs a process that is ended unused."""
    elsewhere = {"-h", "--help", "--out", "file", "--audio=file"}
    return list(arguments[:1]) == ["play"] and elsewhere.isdisjoint(arguments)


if __name__ == "__main__":
    main()
