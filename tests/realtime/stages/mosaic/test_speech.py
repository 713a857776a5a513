"""The mosaic's compiled speech detector is the one of `models/style`, and words keep their levels."""

import numpy as np
import pytest
import torch
from support.stage import run, voice

from gramophone.models.style.mosaic import MosaicLayout
from gramophone.models.style.speech_detector import BANDS, SpeechDetector
from gramophone.presets import CLIPS
from gramophone.realtime.stage import Format
from gramophone.realtime.stages.mosaic.speech import hear, listen, no_speech_yet
from gramophone.realtime.stages.mosaic.stage import MosaicStage

RATE, HOP, WINDOW = 48_000, 256, 1024


def wandering(frames):
    random = np.random.default_rng(0)
    steps = random.normal(0, 0.1, (frames, BANDS)).cumsum(0)
    return np.exp(steps + random.normal(0, 1, (frames, BANDS))).astype(np.float32)


def spoken():
    framed = np.lib.stride_tricks.sliding_window_view(voice(6)[0], WINDOW)[::HOP] * np.hanning(WINDOW)
    return (np.abs(np.fft.rfft(framed, axis=1)) ** 2).astype(np.float32)


@pytest.mark.parametrize("powers", [wandering(3000), np.zeros((400, BANDS), np.float32)], ids=["noise", "silence"])
def test_every_frame_has_the_certainty_of_the_detector_in_torch(powers):
    compiled, reference = no_speech_yet(RATE, WINDOW, HOP), SpeechDetector.new(RATE / HOP)
    for frame in powers:
        compiled.powers[:] = frame
        reference = reference.after(torch.from_numpy(frame[None]))
        assert hear(compiled) == pytest.approx(reference.certainty, abs=1e-6)


def test_a_voice_counts_as_speech_and_as_by_the_detector_in_torch():
    compiled, reference = no_speech_yet(RATE, WINDOW, HOP), SpeechDetector.new(RATE / HOP)
    for frame in spoken():
        found = listen(compiled, frame)
        reference = reference.after(torch.from_numpy((compiled.filters @ frame)[None]))
    assert found == pytest.approx(reference.certainty, abs=1e-4)
    assert found > 0.9


def levels(sound):
    """Log levels in the mosaic's bands over frames of 21 ms, each band's mean taken away; pauses left out."""
    layout = MosaicLayout.of(RATE, 4)
    framed = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP] * np.hanning(WINDOW)
    power = (np.abs(np.fft.rfft(framed, axis=1)) ** 2) @ layout.short_levels.weights.numpy().T
    return np.log(power + 1e-6 * power.mean())


def likeness(sound, other):
    ours, theirs = levels(sound), levels(other)
    loud = ours.mean(1) > np.median(ours.mean(1))
    bands = [np.corrcoef(ours[loud, band], theirs[loud, band])[0, 1] for band in range(4, 24)]
    return float(np.mean(bands))


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["cello.flac", "choir.flac"])
def test_a_voice_keeps_the_levels_that_its_words_are_in(clip):
    """What a recogniser reads, levels by band, follows the voice closely with the guard, whatever the clip's."""
    sound = voice(8)
    heard = {}
    for guard in (0.0, 1.0):
        stage = MosaicStage(
            Format(RATE, 1), {"clip": str(CLIPS / clip), "guard": guard, "onsets": 0.2, "dynamics": 0.0}
        )
        heard[guard] = likeness(sound[0, RATE:], run(stage, sound)[0, RATE:])
    assert heard[1.0] > 0.9
    assert heard[1.0] > heard[0.0] + 0.2
