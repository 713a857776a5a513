"""What commands print: results on standard output, for people or as JSON, and remarks on standard error."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def say(text: str) -> None:
    """Print a line for people on standard error, apart from results."""
    print(plain(text), file=sys.stderr)


class _Warnings(logging.Handler):
    """Prints each warning once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in self._shown:
            self._shown.add(text)
            say(f"warning: {text}")


@contextmanager
def shown_remarks() -> Iterator[None]:
    """Print remarks on the files that are read meanwhile (`publish_remarks`), each once."""
    log = logging.getLogger("gramophone.realtime.files")
    before, log.handlers = log.handlers, [_Warnings()]
    try:
        yield
    finally:
        log.handlers = before


def wrote(*paths: str | os.PathLike[str]) -> None:
    """Name files that a command wrote, one a line whatever their names; with `--json` the result names them instead."""
    for path in paths:
        say(f"wrote {os.fspath(path)}".replace("\n", r"\n"))


def print_json(value: Any) -> None:
    """Print a result for programs as one line of JSON; a figure that is not finite is `null`, as JSON has none."""
    print(json.dumps(finite(value)), flush=True)


def finite(value: Any) -> Any:
    """Return a value of lists, mappings and scalars with `None` for every number that is not finite."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def in_words(error: Exception) -> str:
    """Return what an error says, or its name; of one of the system, its file and the reason without a number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error) or type(error).__name__


def plain(text: str) -> str:
    """Return a text that others wrote without what would steer a terminal: control characters are escaped."""
    return "".join(
        char if char == "\n" or unicodedata.category(char) not in ("Cc", "Cs") else _escaped(char) for char in text
    )


def new_table(*columns: str, title: str = "") -> Table:
    """Return an empty table without lines, whose columns fold what is long."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(plain(title)) if title else None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def add_row(table: Table, *cells: str) -> None:
    """Add a row of texts that others wrote: brackets in them are no markup."""
    from rich.text import Text

    table.add_row(*(Text(plain(cell)) for cell in cells))


def print_table(table: Table, least_width: int = 0) -> None:
    """Print a table as wide as the terminal, or `least_width` columns if that is more."""
    from rich.console import Console

    console = Console()
    console.width = max(console.width, least_width)
    console.print(table)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
