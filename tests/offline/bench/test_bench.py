"""The long benches in short: beside a bare client through stalls and xruns, and a set in step with its input."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.jack_server import until

from gramophone.offline.bench import set as concert
from gramophone.offline.bench.endurance import endure, light

pytestmark = pytest.mark.slow


@pytest.mark.peer
@pytest.mark.skipif(not shutil.which("jackd"), reason="needs jackd (Debian: apt install jackd2)")
def test_underruns_are_those_of_a_bare_client_and_the_latency_stays_through_stalls_and_xruns() -> None:
    """A stall of this machine that costs the bare client a block may cost us its neighbours."""
    figures = endure(light(), 256, 8.0)
    assert figures["blocks"] > 1000
    assert figures["underruns"] <= 4 * max(figures["bare_missed"], figures["xruns"]) + figures["blocks"] // 50
    assert figures["xruns_made"] > 0
    assert {latency for name, latency in figures.items() if name.startswith("latency")} == {512}


def test_a_set_stays_in_step_with_its_input() -> None:
    figures = concert.measure(65 / 3600, None)
    assert {"turn", "bypass", "morph", "clip", "switch", "panic"} == figures["did"].keys()
    assert figures["frames_in_minus_out"] == 0
    assert figures["lags_minus_delay"] == [0]
    assert figures["worst_difference_in_step"] < 1e-4
    assert (figures["non_finite_samples"], figures["first_complaint"]) == (0, "")


@pytest.mark.peer
@pytest.mark.skipif(not shutil.which("jackd"), reason="needs jackd (Debian: apt install jackd2)")
def test_a_bench_that_is_asked_to_end_ends_the_server_that_it_started(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gramophone.offline.bench", "start", "--out", str(tmp_path / "bench.json")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as bench:
        server = f"gramophone-start-{bench.pid}"
        until(lambda: _runs(server))
        bench.send_signal(signal.SIGTERM)
        assert bench.wait(60) == 1
        assert bench.stderr is not None
        assert bench.stderr.read().startswith("interrupted")
    assert not _runs(server)


def _runs(server: str) -> bool:
    """Whether a JACK server of this name runs."""
    return (
        subprocess.run(["pgrep", "-f", f"^jackd .* -n {server} "], stdout=subprocess.DEVNULL, check=False).returncode
        == 0
    )
