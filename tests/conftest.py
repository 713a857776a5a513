"""What every test starts from: folders of its own for settings, caches and data, and tests marked by what they take."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the command line and the worker; read as NumPy is loaded
import pytest
import torch

from gramophone.realtime.system.cache_folder import cache_folder

DOWNLOADS = ("corpora", "judges", "kokoro", "mnist", "packages")
"""Folders of the user's cache that hold what was downloaded and checked: to fetch these again would take minutes."""

# Code compiled by numba is shared with the user and between runs: to compile it again would take minutes.
os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder("numba")))
# So are models' arrays and clips' analyses: for a process without torch, another has to load it.
KEPT = (*DOWNLOADS, "prepared")
# No test sees the presets or other caches of whoever runs it, and none writes to them.
_HOME = tempfile.TemporaryDirectory(prefix="gramophone-tests-")
_DOWNLOADED = [cache_folder(name) for name in KEPT]
for _kind in ("CONFIG", "CACHE", "DATA", "STATE"):
    os.environ[f"XDG_{_kind}_HOME"] = str(Path(_HOME.name, _kind.lower()))
for _folder in _DOWNLOADED:
    _folder.mkdir(parents=True, exist_ok=True)
    cache_folder().mkdir(parents=True, exist_ok=True)
    cache_folder(_folder.name).symlink_to(_folder, target_is_directory=True)


@pytest.fixture(autouse=True)
def subnormal_numbers():
    """Threads of the live engine flush subnormal numbers to zero; hypothesis, on the same thread, wants them."""
    torch.set_flush_denormal(False)


def pytest_addoption(parser):
    parser.addoption("--only-expected-skips", action="store_true", help="fail if a test is skipped for another reason")


def pytest_sessionfinish(session):
    """With `--only-expected-skips`, fail if a test was skipped for a reason that tests/expected_skips.txt lacks."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not session.config.getoption("--only-expected-skips") or hasattr(session.config, "workerinput") or not reporter:
        return
    lines = Path(__file__).with_name("expected_skips.txt").read_text("utf-8").splitlines()
    expected = tuple(line.partition(" | ")[0] for line in lines if line and not line.startswith("#"))
    reasons = {report.longrepr[2].removeprefix("Skipped: ") for report in reporter.stats.get("skipped", ())}
    if unexpected := sorted(reason for reason in reasons if not reason.startswith(expected)):
        reporter.ensure_newline()
        reporter.write_line("skipped without being expected (tests/expected_skips.txt):", red=True)
        for reason in unexpected:
            reporter.write_line(f"  {reason}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
