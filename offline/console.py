"""What commands print: results on standard output, for people or as JSON, and remarks on standard error."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def say(text: str) -> None:
    """Print a line for people on standard error, apart from results."""
    print(plain(text), file=sys.stderr)


def wrote(path: str | os.PathLike[str]) -> None:
    """Name a file that a command wrote: `wrote PATH`, on standard error, the same way for every command."""
    say(f"wrote {os.fspath(path)}")


def print_json(value: Any) -> None:
    """Print a result for programs as one line of JSON."""
    print(json.dumps(value), flush=True)


def plain(text: str) -> str:
    """Return a text that others wrote without what would steer a terminal: control characters become spaces."""
    return "".join(" " if unicodedata.category(char) in ("Cc", "Cs") and char != "\n" else char for char in text)


def new_table(*columns: str, title: str = "") -> Table:
    """Return an empty table without lines, whose columns fold what is long."""
    table = Table(title=Text(plain(title)) if title else None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def add_row(table: Table, *cells: str) -> None:
    """Add a row of texts that others wrote: brackets in them are no markup."""
    table.add_row(*(Text(plain(cell)) for cell in cells))


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal."""
    Console().print(table)
