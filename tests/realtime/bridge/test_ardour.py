"""The plug-in in Ardour 7, without its window: inserted on a track, stored in the session, exported."""

import shutil

import numpy as np
import pytest
from support.ardour import Ardour, own_cache
from support.bridge import RATE, noise, rendered

from gramophone.presets import names
from gramophone.realtime.engine import Engine
from gramophone.realtime.live.status import blocks_of_time

pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("ardour7-lua"), reason="needs Ardour 7 (Debian: apt install ardour)"),
]
BLOCK = 1024  # of Ardour without a sound card


LATE_S = 10
"""So long an engine takes to come that none of Ardour's activations of a plug-in waits for."""


@pytest.fixture
def ardour(installed, tmp_path):
    installed.use(("env", f"XDG_CACHE_HOME={own_cache()}", *installed.engine))
    return Ardour.at(tmp_path / "home", installed.environment, installed.folder / "Gramophone.vst3")


@pytest.mark.parametrize("comes", ["soon", "late"])
@pytest.mark.parametrize("kind", ["LV2", "VST3"])
def test_an_export_of_a_stored_session_is_what_render_gives_in_line(installed, ardour, kind, comes):
    """Preset and macro are set in one process, which waits for the latency that they mean; another exports."""
    sound = noise(1.0)
    plugin = "urn:gramophone:bridge" if kind == "LV2" else ardour.vst3_id()
    values = {"Preset": 1 + names().index("choir"), "Macro 1": 0.3}
    chain = Engine.load("choir", rate=RATE, channels=2).chain
    blocks = blocks_of_time((hop_s * RATE for hop_s in chain.hops_s), BLOCK)
    folder = ardour.make_session(sound, RATE, kind, plugin, values, blocks * BLOCK + chain.delay)
    if comes == "late":
        installed.use(("sh", "-c", f'sleep {LATE_S}; exec "$@"', "engine", *installed.command))
    exported, _ = ardour.export(folder)
    np.testing.assert_allclose(exported, rendered("choir", sound, "macro.1=0.3"), atol=1e-6)
