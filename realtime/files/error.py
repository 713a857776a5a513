"""What can be wrong with a sound file."""

from __future__ import annotations

import os


class SoundFileError(OSError):
    """A sound file cannot be read or written; the message names the file and what was found."""


def reason(error: OSError) -> str:
    """Return what the operating system says went wrong, as in "No space left on device"."""
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
