"""Auditions from any surface: the clip that is chosen takes the place of the input while the switch is on."""

import numpy as np
import pytest
from support.jack_server import until
from support.osc import Setup

from gramophone.presets import load
from gramophone.realtime.control.oscquery.tree import node_at
from gramophone.realtime.control.performance.audition_clip import USUAL, AuditionClip
from gramophone.realtime.dsp.resampler import read_clip
from gramophone.realtime.live.shared_state import SharedState
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.osc.packet import Message


@pytest.fixture
def setup():
    setup = Setup(load("hall"))
    setup.shared = SharedState.new(1)
    setup.shared.status["rate"] = 44_100
    setup.audition = AuditionClip(
        setup.controller, setup.space, setup.shared.audition.put, lambda: int(setup.shared.status["rate"])
    )
    yield setup
    setup.audition.close()
    setup.shared.close()


def now(setup):
    memory = setup.shared.audition
    return memory.get(memory.number)


def choose(setup, name):
    (method,) = setup.space.find("/gramophone/audition-clip")
    method.write(method.check(Message("/gramophone/audition-clip", "s", (name,))))


def clip(setup, name, rate):
    return read_clip(setup.space.library.clip(name), rate).mean(axis=0)


def test_the_clip_that_is_chosen_plays_at_the_devices_rate_while_it_is_on(setup):
    assert len(now(setup)) == 0
    setup.controller.set("audition", True)
    until(lambda: len(now(setup)) == len(clip(setup, USUAL, 44_100)))
    choose(setup, "guitar.flac")
    until(lambda: len(now(setup)) == len(clip(setup, "guitar.flac", 44_100)))
    inner = slice(2000, -2000)
    np.testing.assert_array_equal(now(setup)[inner], clip(setup, "guitar.flac", 44_100)[inner])
    setup.shared.status["rate"] = 48_000
    until(lambda: len(now(setup)) == len(clip(setup, "guitar.flac", 48_000)))
    setup.controller.set("audition", False)
    until(lambda: len(now(setup)) == 0)
    setup.controller.set("audition", True)
    until(lambda: len(now(setup)))
    setup.audition.close()
    assert len(now(setup)) == 0


def test_it_is_a_switch_with_a_key_and_clips_by_name_only(setup):
    node = node_at(setup.space, "/gramophone/audition")
    assert (node["TYPE"], node["TAGS"]) == ("T", ["key c"])
    assert node_at(setup.space, "/gramophone/audition-clip")["VALUE"] == [USUAL]
    for name in ("", "../voice.flac", "/etc/passwd", "none.flac"):
        with pytest.raises(RefusedError, match="expected one of"):
            choose(setup, name)


def test_a_clip_that_cannot_be_read_is_named_and_the_switch_goes_off(setup, tmp_path):
    (tmp_path / "voice.flac").write_text("no sound")
    setup.space.library._clips["voice.flac"] = tmp_path / "voice.flac"
    choose(setup, "voice.flac")
    setup.controller.set("audition", True)
    until(lambda: setup.controller.get("audition") is False)
    assert "voice.flac cannot be read" in setup.space.notices.read()[1]
    assert len(now(setup)) == 0
