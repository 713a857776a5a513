"""A clip in place of the input: exactly it, round and round, without a click on the way there and back."""

import numpy as np
import pytest

from gramophone.realtime.live.audio_callback import AudioCallback
from gramophone.realtime.live.audition import LONGEST, Audition, AuditionPlayer
from gramophone.realtime.live.shared_state import SharedState
from gramophone.realtime.system.wakeup import make_wake

FADE = 1024


@pytest.fixture
def audition():
    audition = Audition()
    yield audition
    audition.close()


def tone(frames, period=97.0):
    return (0.5 * np.sin(2 * np.pi * np.arange(frames) / period)).astype(np.float32)


def run(player, sound, sizes):
    made, start = [], 0
    while start < sound.shape[1]:
        size = next(sizes)
        made.append(player.process(sound[:, start : start + size]))
        start += size
    return np.concatenate(made, axis=1)


def sizes_of(seed):
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(1, 700))


def test_without_a_clip_the_input_passes_untouched(audition):
    block = np.ones((2, 64), np.float32)
    assert AuditionPlayer(audition).process(block) is block


def test_the_clip_goes_round_and_round_in_every_channel_whatever_the_blocks(audition):
    clip, silence = tone(5000), np.zeros((2, 40_000), np.float32)
    player = AuditionPlayer(audition)
    audition.put(clip)
    played = run(player, silence, sizes_of(1))
    expected = np.tile(audition.get(audition.number), 9)[:40_000]
    np.testing.assert_array_equal(played[:, FADE:], np.stack([expected, expected])[:, FADE:])
    np.testing.assert_array_equal(audition.get(1)[FADE : 5000 - FADE], clip[FADE : 5000 - FADE])
    for seed in (2, 3):
        again = AuditionPlayer(audition)
        np.testing.assert_array_equal(run(again, silence, sizes_of(seed)), np.stack([expected, expected]))


def test_there_back_and_from_clip_to_clip_nothing_clicks(audition):
    voice = np.stack([tone(60_000, 211.0)] * 2)
    player = AuditionPlayer(audition)
    made = []
    for number, clip in enumerate((None, tone(7000), tone(300), tone(9000, 61.0), np.zeros(0, np.float32))):
        if clip is not None:
            audition.put(clip)
        made.append(run(player, voice[:, 12_000 * number : 12_000 * (number + 1)], sizes_of(number)))
    steps = np.abs(np.diff(np.concatenate(made, axis=1), axis=1))
    assert steps.max() < 0.5 * 2 * np.pi / 61 + 0.02
    np.testing.assert_array_equal(made[-1][:, FADE:], voice[:, 48_000 + FADE :])


def test_what_is_too_long_is_cut(audition):
    audition.put(np.ones(LONGEST + 10, np.float32))
    assert len(audition.get(audition.number)) == LONGEST


def test_what_is_auditioned_goes_to_the_chain_and_is_heard_when_it_is_bypassed():
    shared = SharedState.new(1)
    callback = AudioCallback(shared, make_wake(), 1)
    shared.audition.put(tone(4096))
    dry = np.concatenate([callback.process(np.zeros((1, 64), np.float32)) for _ in range(100)], axis=1)
    written = np.concatenate([shared.inputs.read(number).sound for number in range(100)], axis=1)
    assert np.abs(written[0, FADE:]).max() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(dry[:, 64:], written[:, :-64])
    shared.close()
