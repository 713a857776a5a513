"""The gain that keeps attacks is for contents that have hardly any; others leave the mosaic as it is."""

import numpy as np
import pytest

from gramophone.realtime.stages.frame_spectra import advance
from gramophone.realtime.stages.mosaic.attacks import Attacks
from gramophone.realtime.stages.mosaic.layout import live_layout

RATE, SECONDS = 48_000, 4


def noise(seed):
    return np.random.default_rng(seed).normal(0, 0.1, (1, SECONDS * RATE)).astype(np.float32)


def struck(every):
    """Noise that is struck every so many samples and fades away to a hundredth by the next time."""
    return noise(2) * np.float32(100) ** -(np.arange(SECONDS * RATE) % every / every).astype(np.float32)


def shaped(content, mosaic):
    """The mosaic as `Attacks` leaves it, hop by hop."""
    layout = live_layout(RATE, 4)
    hop, span = layout.hop, len(layout.dual)
    attacks, past = Attacks(layout.attacks, 1), np.zeros((1, len(layout.window)), np.float32)
    output = mosaic.copy()
    for start in range(0, mosaic.shape[1] - span - hop, hop):
        advance(past, content[:, start : start + hop])
        pending = np.ascontiguousarray(mosaic[:, start + hop : start + hop + span])
        sound = output[:, start : start + hop].copy()
        attacks.shape(past, pending, sound, 1.0)
        output[:, start : start + hop] = sound
    return output


@pytest.mark.parametrize(("content", "moved_db"), [(noise(1), 1.0), (struck(RATE // 3), 0.0)], ids=["steady", "struck"])
def test_only_a_content_without_attacks_takes_those_of_the_mosaic_away(content, moved_db):
    mosaic = struck(RATE // 5)
    inside = slice(2 * RATE, 3 * RATE)
    before, after = mosaic[0, inside], shaped(content, mosaic)[0, inside]
    most = np.abs(20 * np.log10(np.abs(after / before))).max()
    assert (most > moved_db) if moved_db else (most < 0.01)
