"""What a worker loads, and what factory presets of every kind play, is without torch."""

import pytest
from support.preparation import play_without_torch

from gramophone.realtime.system.child_call import call_in_child

OF_EVERY_KIND = ("default", "hall", "anyone", "bowed", "male-garble", "someone-else", "noisy-room")


@pytest.mark.slow
def test_presets_of_every_kind_play_without_torch():
    assert call_in_child(play_without_torch, OF_EVERY_KIND, timeout_s=600, most_bytes=None) is False
