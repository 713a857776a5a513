"""`gramophone` without arguments: it asks on a terminal, does what was chosen, and is the help everywhere else."""

import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest
import soundfile

GRAMOPHONE = [sys.executable, "-m", "gramophone.offline"]
PATIENCE_S = 120.0


class Terminal:
    """Gramophone on a pseudo-terminal: what it has printed, and keys for it."""

    def __init__(self, folder, **environment):
        self.parent, child = pty.openpty()
        environment = {**os.environ, "TERM": "dumb", "COLUMNS": "200", "OMP_NUM_THREADS": "1", **environment}
        self.process = subprocess.Popen(
            GRAMOPHONE, stdin=child, stdout=child, stderr=child, cwd=folder, env=environment, start_new_session=True
        )
        os.close(child)
        self.text = ""

    def read_until(self, wanted):
        """Read until a pattern has been printed, and forget all before its end; fail when it never comes."""
        end = time.monotonic() + PATIENCE_S
        while not (found := re.search(wanted, self.text)):
            assert select.select([self.parent], [], [], end - time.monotonic())[0], f"no {wanted!r} in {self.text!r}"
            try:
                self.text += os.read(self.parent, 4096).decode()
            except OSError:  # it has ended
                raise AssertionError(f"no {wanted!r} in {self.text!r}") from None
        before, self.text = self.text[: found.end()], self.text[found.end() :]
        return before

    def answer(self, question, text):
        self.read_until(question)
        os.write(self.parent, f"{text}\n".encode())

    def wait(self):
        """Return the exit code, once everything is read."""
        while True:
            try:
                if not os.read(self.parent, 4096):
                    break
            except OSError:
                break
        return self.process.wait(PATIENCE_S)


def test_away_from_a_terminal_it_is_the_help():
    done = subprocess.run(GRAMOPHONE, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Usage: " in done.stdout + done.stderr


def test_it_offers_five_things_asks_again_and_leaves_on_q(tmp_path):
    terminal = Terminal(tmp_path)
    shown = terminal.read_until(r"What would you like\? \[play\] ")
    assert re.findall(r"^  (\d)  (\w+)", shown, re.M) == [
        ("1", "play"),
        ("2", "try"),
        ("3", "render"),
        ("4", "train"),
        ("5", "doctor"),
    ]
    os.write(terminal.parent, b"7\n")
    terminal.read_until("expected a number from 1 to 5")
    terminal.answer(r"like\?", "train")
    terminal.answer("Which folder", str(tmp_path / "nowhere"))
    terminal.read_until("no such file or folder")
    terminal.answer("Which folder", str(tmp_path))
    terminal.read_until("a folder for each speaker")
    terminal.answer("Which folder", "q")
    assert terminal.wait() == 0


@pytest.mark.slow
def test_trying_compiles_once_renders_a_clip_and_names_the_command(tmp_path):
    folder = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "NUMBA_CACHE_DIR": os.environ["NUMBA_CACHE_DIR"]}
    for is_first in (True, False):
        terminal = Terminal(tmp_path, **folder)
        terminal.answer(r"like\?", "2")
        terminal.answer("Which clip", str(tmp_path))
        terminal.read_until("expected a sound file; for a folder choose render")
        terminal.answer("Which clip", "drums")
        terminal.answer("Which preset", "nothing")
        terminal.read_until("no preset 'nothing'")
        terminal.answer("Which preset", "lo-fi")
        shown = terminal.read_until("The same as: gramophone render ")
        assert ("First run" in shown) is is_first
        terminal.read_until(r"loudspeaker here|Played aloud")
        assert terminal.wait() == 0
    result = tmp_path / "out" / "try" / "drums.wav"
    assert soundfile.info(result).duration > 5
    assert not list(tmp_path.glob("*.wav"))
