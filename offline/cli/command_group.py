"""Commands that say quickly what they are: what a command takes is found out when it is called, not when it is listed.

Most of the time of `--help` went into what it does not show: the options of every command, and what typer imports of
rich for Markdown and for tracebacks, which no command here has.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command_from_info
from typer.models import CommandInfo

_UNUSED = {"rich.markdown": "Markdown", "rich.traceback": "Traceback"}
"""What typer imports for its help, and the names that it takes from there."""
_NONE_BY_EMPTY = {"phones"}
"""Options of which an empty text is a value, none, although it is not their default."""


class CheckedCommand(TyperCommand):
    """A command that refuses an empty name, as from a shell variable that is not set, instead of taking it for `.`.

    An empty text is a value only of an option whose default it is: such a one is without it.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, which are checked as they were written: as paths, `.` and an empty one are the same.

        Raises:
            BadParameter: one is empty.
        """
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        parameters: list[Any] = list(self.params)
        for parameter in parameters:
            value = given.get(parameter.name)
            if (value == "" or (isinstance(value, (list, tuple)) and "" in value)) and not _may_be_empty(parameter):
                raise typer.BadParameter("an empty text; expected a value", ctx=ctx, param=parameter)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show what the command takes."""
        load_help()
        super().format_help(ctx, formatter)


class OnDemandGroup(TyperGroup):
    """The commands of a `CommandGroup`, each made when it is called or completed; to be listed, name and help do."""

    _listing = False

    described: Callable[[], CommandGroup]
    """Returns the commands as they were described."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands."""
        known = self.described().known
        return [*known, *(name for name in self.commands if name not in known)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by name, or None; while the help is shown, without what it takes."""
        info = self.described().known.get(cmd_name)
        if info and cmd_name not in self.commands:
            if self._listing:
                return _made(CommandInfo(cmd_name, help=_help_of(info), callback=_nothing))
            self.commands[cmd_name] = _made(info)
        return super().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is called; where there is none, typer looks for one with a similar name."""
        if self.get_command(ctx, args[0]) is None:
            for name in self.described().known:
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the commands."""
        load_help()
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


class CommandGroup(typer.Typer):
    """Commands, each of which refuses empty names; `known` describes them by name."""

    def __init__(self, cls: type[OnDemandGroup] = OnDemandGroup, **settings: Any) -> None:
        self.known: dict[str, CommandInfo] = {}
        super().__init__(cls=type(cls.__name__, (cls,), {"described": staticmethod(lambda: self)}), **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """Return a decorator that adds a command, as typer's does."""

        def add(function: Any) -> Any:
            called = name or function.__name__.lower().replace("_", "-")
            self.known[called] = CommandInfo(called, cls=CheckedCommand, callback=function, **settings)
            return function

        return add


def load_help() -> None:
    """Import what typer shows help with, but not what it does not use of it."""
    if "typer.rich_utils" not in sys.modules:
        with _stand_ins():
            importlib.import_module("typer.rich_utils")


@contextmanager
def _stand_ins() -> Iterator[None]:
    """While the block runs, let imports of what is not used find empty classes."""
    put = []
    for name, held in _UNUSED.items():
        if name not in sys.modules:
            sys.modules[name] = module = ModuleType(name)
            setattr(module, held, type(held, (), {}))
            put.append(name)
    try:
        yield
    finally:
        for name in put:
            del sys.modules[name]


def _made(info: CommandInfo) -> Any:
    return get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode="rich")


def _help_of(info: CommandInfo) -> str:
    return info.help or inspect.getdoc(info.callback) or ""


def _nothing() -> None:
    """Stand for a command that is only listed."""


def _may_be_empty(parameter: Any) -> bool:
    if parameter.param_type_name == "argument" or parameter.required:
        return False
    return parameter.default == "" or parameter.name in _NONE_BY_EMPTY
