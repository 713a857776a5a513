"""However `play` is left, the terminal is as it was before: its modes, a visible cursor, the screen it came from."""

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
import time

import pytest
from support.jack_server import own_server

pytestmark = pytest.mark.slow

_PATIENCE_S = 120
PLAY = ["-m", "gramophone.offline", "play", "--osc-port", "0", "--http-port", "0", "--midi", "none"]
COMMAND = [*PLAY, "--audio", "osc:0", "--preset", "wide"]
SERVER = f"gramophone-terminal-{os.getpid()}"
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


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
            preexec_fn=self._own_it,
        )
        self.seen = b""

    def _own_it(self):
        """Make the terminal that of the new process, as a shell does: its keys, and SIGHUP when it is closed."""
        os.setsid()
        fcntl.ioctl(self._end, termios.TIOCSCTTY, 0)

    def press(self, keys):
        os.write(self.main, keys)

    def wait_for(self, wanted, unwanted=b"nothing at all"):
        """Read until some bytes have come, with no `unwanted` ones among what came last."""
        watchdog = threading.Timer(_PATIENCE_S, self.process.kill)
        watchdog.start()
        newest = b""
        while wanted not in newest or unwanted in newest:
            newest = newest if wanted not in newest else b""
            newest += (piece := os.read(self.main, 65536))
            self.seen += piece
        watchdog.cancel()

    def left(self):
        """Return exit status and the terminal's modes once the program has ended; read meanwhile, as terminals do."""
        os.set_blocking(self.main, False)
        deadline = time.monotonic() + _PATIENCE_S
        while (status := self.process.poll()) is None or select.select([self.main], [], [], 0)[0]:
            assert time.monotonic() < deadline, "it does not end"
            if select.select([self.main], [], [], 0.05)[0]:
                self.seen += os.read(self.main, 65536)
        modes = termios.tcgetattr(self._end)
        os.close(self._end)
        os.close(self.main)
        return status, modes


SIGNALLED = """
import signal, threading
from gramophone.realtime.live.run import _Signals

main, rounds, begun = threading.main_thread().ident, 600, threading.Semaphore(0)

def send():
    for _ in range(rounds):
        begun.acquire()
        signal.pthread_kill(main, signal.SIGTERM)

threading.Thread(target=send, daemon=True).start()
for number in range(rounds):
    with _Signals() as signals:
        signals.stopped.wait(0)
        begun.release()
        while not signals.stopped.wait(0 if number % 2 else 0.01):
            pass
"""


def test_a_signal_at_any_moment_of_waiting_ends_it():
    """Its handler runs within the wait: one that takes the lock of what it interrupts waits for itself."""
    subprocess.run([sys.executable, "-c", SIGNALLED], check=True, timeout=_PATIENCE_S)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_leaves_the_terminal_as_it_was(number):
    terminal = Terminal(*COMMAND)
    terminal.wait_for(b"\x1b[?25l")
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.process.send_signal(number)
    status, modes = terminal.left()
    assert_restored(terminal, modes)
    assert b"Traceback" not in terminal.seen
    assert status >= 0


@pytest.mark.peer
@pytest.mark.parametrize("way", [*SIGNALS, b"q", b"\x03"], ids=["INT", "TERM", "HUP", "q", "Ctrl-C"])
def test_what_has_begun_to_sound_leaves_the_terminal_as_it_was(way, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    tmp_path.chmod(0o700)
    with own_server(SERVER, tmp_path / "data"):
        terminal = Terminal(*PLAY, "--audio", f"jack:{SERVER}", "--preset", "wide", "--record", str(tmp_path / "take"))
        terminal.wait_for(b"latency", b"DRY")
        if isinstance(way, bytes):
            terminal.press(b"xyz\x1b[A" + way)
        else:
            terminal.process.send_signal(way)
        status, modes = terminal.left()
    assert_restored(terminal, modes)
    assert b"Traceback" not in terminal.seen
    assert status == 0
    assert (tmp_path / "take" / "output.wav").exists()


@pytest.mark.peer
def test_a_terminal_that_is_closed_ends_what_sounds_and_keeps_the_recording(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    tmp_path.chmod(0o700)
    with own_server(SERVER, tmp_path / "data"):
        terminal = Terminal(*PLAY, "--audio", f"jack:{SERVER}", "--preset", "wide", "--record", str(tmp_path / "take"))
        terminal.wait_for(b"latency", b"DRY")
        os.close(terminal.main)
        assert terminal.process.wait(_PATIENCE_S) == 0
    assert (tmp_path / "take" / "output.wav").exists()
    assert not list((tmp_path / "gramophone").iterdir())


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
