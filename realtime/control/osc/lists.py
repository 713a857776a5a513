"""The user's lists of presets: the set list of a gig, and the favourites; kept in the user's own folder.

A list is one text over OSC, its names between commas: `hall, stack, choir`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

from gramophone.presets import own_folder
from gramophone.presets.atomic import atomic_write
from gramophone.realtime.control.osc.method import Answer, OscMethod
from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.osc.packet import Message

SET_LIST, FAVOURITES = "setlist", "favourites"
_DESCRIPTIONS = {
    SET_LIST: "presets in the order of a gig, which next and previous go through; none: all presets",
    FAVOURITES: "presets that are marked",
}
_MOST_NAMES = 500


class PresetLists:
    """Lists of presets by name, in a file, which `disk` writes; `report` gets a sentence where that fails.

    Any thread may call.
    """

    def __init__(self, disk: Executor, report: Callable[[str], None]) -> None:
        self._disk, self._report = disk, report
        self._lists = _read(lists_file())

    def __getitem__(self, which: str) -> tuple[str, ...]:
        """Return the names of a list, `SET_LIST` or `FAVOURITES`."""
        return self._lists[which]

    def put(self, which: str, names: Sequence[str]) -> None:
        """Replace a list, and write all to the disk."""
        self._lists = {**self._lists, which: tuple(names)}
        self._disk.submit(self._write, dict(self._lists))

    def _write(self, lists: dict[str, tuple[str, ...]]) -> None:
        path = lists_file()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as part:
                part.write_text(json.dumps(lists, indent=1) + "\n", "utf-8")
        except OSError as error:
            self._report(f"the lists of presets are not kept: {error.strerror}")


class ListMethod(OscMethod):
    """One of the lists."""

    types = "s"

    def __init__(
        self, path: str, which: str, lists: PresetLists, known: Callable[[], list[str]], changed: Callable[[], None]
    ) -> None:
        super().__init__(path, path, _DESCRIPTIONS[which])
        self._which, self._lists, self._known, self._changed = which, lists, known, changed

    def check(self, message: Message) -> list[str]:
        """Return the names."""
        names = [name.strip() for name in arguments.text(message).split(",") if name.strip()]
        known = set(self._known())
        if unknown := [name for name in names if name not in known]:
            raise RefusedError("unknown preset", f"{message.address}: no preset {unknown[0][:80]!r}")
        if len(names) > _MOST_NAMES:
            raise RefusedError("refused value", f"{message.address}: more than {_MOST_NAMES} names")
        return names

    def write(self, checked: list[str]) -> None:
        """Replace the list."""
        self._lists.put(self._which, checked)
        self._changed()

    def read(self) -> Answer:
        """Return the names, between commas."""
        return (", ".join(self._lists[self._which]),)


def list_methods(
    root: str, lists: PresetLists, known: Callable[[], list[str]], changed: Callable[[], None]
) -> Iterator[OscMethod]:
    """Yield the methods of both lists; `known` returns all presets, `changed` is called after a list has changed."""
    for which in _DESCRIPTIONS:
        yield ListMethod(f"{root}/{which}", which, lists, known, changed)


def lists_file() -> Path:
    """Return the file of the lists, beside the folder of the user's presets."""
    return own_folder().parent / "lists.json"


def _read(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the lists of a file; what is missing or broken there is an empty list."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        found = {}
    lists = found if isinstance(found, dict) else {}
    return {which: tuple(_texts(lists.get(which))) for which in _DESCRIPTIONS}


def _texts(found: object) -> list[str]:
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []
