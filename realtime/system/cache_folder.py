"""The one folder for what can be made or downloaded again."""

from pathlib import Path

from platformdirs import user_cache_dir


def cache_folder(*inside: str) -> Path:
    """Return the user's cache folder of Gramophone, or a folder `inside` it; it may not exist yet.

    On Linux `~/.cache/gramophone`, or where `XDG_CACHE_HOME` says (XDG Base Directory specification).
    """
    return Path(user_cache_dir("gramophone", appauthor=False), *inside)
