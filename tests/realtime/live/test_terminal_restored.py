"""However `play` is left, the terminal is as it was before: its modes, a visible cursor, the screen it came from."""

import os
import pty
import signal
import subprocess
import sys
import termios
import threading

import pytest

pytestmark = pytest.mark.slow

_PATIENCE_S = 120
COMMAND = ["-m", "gramophone.offline", "play", "--audio", "osc:0", "--preset", "wide"]
COMMAND += ["--osc-port", "0", "--http-port", "0", "--midi", "none"]


class Terminal:
    """Python with arguments in a terminal of its own; `wait_for` reads until bytes have come."""

    def __init__(self, *arguments):
        self.main, self._end = pty.openpty()
        self.before = termios.tcgetattr(self._end)
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=self._end,
            stdout=self._end,
            stderr=self._end,
            start_new_session=True,
        )
        self.seen = b""

    def wait_for(self, wanted):
        watchdog = threading.Timer(_PATIENCE_S, self.process.kill)
        watchdog.start()
        while wanted not in self.seen:
            self.seen += os.read(self.main, 65536)
        watchdog.cancel()

    def left(self):
        """Return the exit status and the terminal's modes once the program has ended."""
        status = self.process.wait(_PATIENCE_S)
        modes = termios.tcgetattr(self._end)
        os.set_blocking(self.main, False)
        try:
            while piece := os.read(self.main, 65536):
                self.seen += piece
        except BlockingIOError:
            pass
        os.close(self._end)
        os.close(self.main)
        return status, modes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_leaves_the_terminal_as_it_was(number):
    terminal = Terminal(*COMMAND)
    terminal.wait_for(b"\x1b[?25l")
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.process.send_signal(number)
    status, modes = terminal.left()
    assert_restored(terminal, modes)
    assert b"Traceback" not in terminal.seen
    assert status >= 0


def assert_restored(terminal, modes):
    assert modes == terminal.before
    assert terminal.seen.rfind(b"\x1b[?25h") > terminal.seen.rfind(b"\x1b[?25l") >= 0
    assert terminal.seen.count(b"\x1b[?1049h") == terminal.seen.count(b"\x1b[?1049l")


def test_a_crash_of_the_view_leaves_the_terminal_as_it_was_and_says_why():
    program = (
        "from gramophone.realtime.live.console_view import TerminalView as V\nwith V() as view: view.show({}, None)"
    )
    terminal = Terminal("-c", program)
    status, modes = terminal.left()
    assert_restored(terminal, modes)
    assert b"KeyError" in terminal.seen
    assert status == 1
