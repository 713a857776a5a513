"""What `gramophone play` shows: meters and parameters in a terminal, else a line a second, JSON, or nothing."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from rich.bar import Bar
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gramophone.realtime.control.controller import Controller

_FLOOR_DB = -60.0
_METER_WIDTH = 40
_NEWS_KEPT = 4
_LOOK_S = 0.2
_HALVES = "\N{UPPER HALF BLOCK}"
_QUIET_ZONE = 4
"""Modules of margin around a QR code, as ISO/IEC 18004 asks."""


def qr_code(text: str) -> Text:
    """Return a QR code, two modules a character, black on white whatever the terminal's colours are."""
    import segno

    code = segno.make(text, micro=False, error="l")
    rows = [list(row) for row in code.matrix_iter(border=_QUIET_ZONE)]
    rows += [[0] * len(rows[0])] * (len(rows) % 2)
    drawn = Text(no_wrap=True)
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        for above, below in zip(upper, lower, strict=True):
            drawn.append(_HALVES, f"{_shade(above)} on {_shade(below)}")
        drawn.append("\n")
    return drawn


def _shade(module: int) -> str:
    return "#000000" if module else "#ffffff"


class QuietView:
    """Shows nothing but news."""

    interval_s = 1.0

    def show(self, report: dict[str, Any], controller: Controller) -> None:
        """Show nothing."""

    def show_news(self, news: str) -> None:
        """Print a sentence to standard error."""
        print(news, file=sys.stderr, flush=True)

    def show_surface(self, name: str, where: Callable[[], str]) -> None:
        """Show nothing."""

    def show_code(self, url: str) -> None:
        """Show nothing."""


class JsonView(QuietView):
    """Prints one JSON object a second."""

    def show(self, report: dict[str, Any], controller: Controller) -> None:
        """Print the figures."""
        print(json.dumps(report), flush=True)


class LineView(QuietView):
    """Prints a line a second."""

    def show(self, report: dict[str, Any], controller: Controller) -> None:
        """Print the figures that matter most."""
        line = f"{report['time_s']:8.1f} s  {_levels(report)}  {_figures(report)}  {report['status']}"
        print(line.rstrip(), flush=True)


class TerminalView:
    """Draws meters, figures, parameters and the last news in place, while the `with` block lasts.

    The key `q` does what Ctrl-C does, where keys come from a terminal.
    """

    interval_s = 0.1

    def __init__(self, console: Console | None = None) -> None:
        self._news: list[str] = []
        self._surfaces: dict[str, Callable[[], str]] = {}
        self._drawn: RenderableType = Text("opening the device …")
        self._live = Live(self._drawn, console=console, auto_refresh=False, transient=True)
        self._keys = _Keys({"q": lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)})

    def show(self, report: dict[str, Any], controller: Controller) -> None:
        """Draw the figures and the values of the parameters."""
        self._drawn = Group(
            _meters(report),
            Text(_figures(report)),
            Text(f"preset {controller.preset.title!r}{self._reached()}"),
            *[Text(report["status"], style="yellow")] * bool(report["status"]),
            _parameters(controller, report["left_out"]),
        )
        self._draw()

    def show_news(self, news: str) -> None:
        """Draw a sentence below."""
        self._news = [*self._news, news][-_NEWS_KEPT:]
        self._draw()

    def show_surface(self, name: str, where: Callable[[], str]) -> None:
        """Draw from now on where a control surface is reached."""
        self._surfaces[name] = where

    def show_code(self, url: str) -> None:
        """Print an address as a QR code above, where it can be scrolled back to."""
        self._live.console.print(qr_code(url), crop=False, overflow="ignore")

    def _reached(self) -> str:
        return "".join(f"  {name} {where()}" for name, where in self._surfaces.items())

    def __enter__(self) -> Self:
        # A signal may come while it starts, where no `with` block ends it yet: then at the end of the program.
        atexit.register(_show_cursor)
        atexit.register(self._keys.close)
        self._live.start(refresh=True)
        self._keys.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # the terminal has been closed
            self._live.stop()
        self._keys.close()
        atexit.unregister(self._keys.close)
        atexit.unregister(_show_cursor)
        for news in self._news:
            print(news, file=sys.stderr)

    def _draw(self) -> None:
        self._live.update(Group(self._drawn, Text("\n".join(self._news), style="yellow")), refresh=True)


def _show_cursor() -> None:
    with suppress(OSError):  # the terminal has been closed
        Console().show_cursor()  # one of its own: half of what the other has written may wait in it


class _Keys:
    """Calls an action for each of some keys, from `open` to `close`, and lets the terminal echo none meanwhile.

    Only where standard input is a terminal, and this process in its foreground: one in the background would be stopped.
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]]) -> None:
        self._actions = actions
        self._before: list[Any] | None = None
        self._closed = threading.Event()

    def open(self) -> None:
        """Read keys from now on, in a thread."""
        with suppress(ImportError, OSError, ValueError):  # no terminal, or Windows
            import termios
            import tty

            if self._in_foreground():
                self._before = termios.tcgetattr(sys.stdin.fileno())
                tty.setcbreak(sys.stdin.fileno())
                threading.Thread(target=self._read, name="keys", daemon=True).start()

    def close(self) -> None:
        """Give the terminal its modes back; may be called again."""
        self._closed.set()
        if self._before:
            import termios

            with suppress(OSError, ValueError, termios.error):  # the terminal has been closed
                if self._in_foreground():
                    termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)

    def _read(self) -> None:
        with suppress(OSError, ValueError):
            while not self._closed.is_set():
                ready = select.select([sys.stdin], [], [], _LOOK_S)[0]
                if not ready or not self._in_foreground():
                    self._closed.wait(0.0 if not ready else _LOOK_S)
                elif not (keys := os.read(sys.stdin.fileno(), 64)):
                    return
                else:
                    for key in keys.decode(errors="ignore"):
                        self._actions.get(key, lambda: None)()

    def _in_foreground(self) -> bool:
        return os.isatty(sys.stdin.fileno()) and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()


def _levels(report: dict[str, Any]) -> str:
    return f"in {report['input']['rms_db']:6.1f} dB  out {report['output']['rms_db']:6.1f} dB"


def _figures(report: dict[str, Any]) -> str:
    wet = "" if report["playing"] else "  DRY"
    return (
        f"{report['device']}  {report['rate']} Hz, block {report['block']}  "
        f"latency {report['latency_samples']} samples ({report['latency_ms']} ms)  load {report['load']:.0%}  "
        f"underruns {report['underruns']}  xruns {report['xruns']}{wet}"
    )


def _meters(report: dict[str, Any]) -> Table:
    grid = Table.grid(padding=(0, 1))
    for name in ("input", "output"):
        level = report[name]
        share = min(max(1 - level["rms_db"] / _FLOOR_DB, 0.0), 1.0)
        colour = "red" if level["peak_db"] >= 0 else "yellow" if level["peak_db"] > -6 else "green"
        bar = Bar(1.0, 0.0, share, width=_METER_WIDTH, color=colour, bgcolor="grey23")
        grid.add_row(name, bar, f"{level['rms_db']:6.1f} dB, peak {level['peak_db']:6.1f}")
    return grid


def _parameters(controller: Controller, left_out: Mapping[str, str]) -> Table:
    """Draw the parameters of the chain, a stage a row, and why a stage is left out."""
    grid = Table.grid(padding=(0, 2))
    for stage in controller.preset.stages:
        shown = [f"{key} {_short(value)}" for key, value in stage.values.items() if key not in ("bypass", "mix")]
        off = " (bypassed)" if stage.values.get("bypass") else ""
        grid.add_row(Text(stage.name + off, style="bold"), Text("  ".join(shown), overflow="fold"))
        if stage.name in left_out:
            grid.add_row("", Text(left_out[stage.name], style="red", overflow="fold"))
    return grid


def _short(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).rpartition("/")[2] or "-"
