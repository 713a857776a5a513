"""The live pitch tracker: accuracy, delay, and its Markov model against the sum over all paths."""

import itertools

import numpy as np
import pytest
from support.pitch import RATE, cents, harmonics, noise, whisper

from gramophone.offline.evaluate.pitch import Score
from gramophone.realtime.dsp.pitch import kernel
from gramophone.realtime.dsp.pitch.tracker import PitchError, PitchTracker, plan_of
from gramophone.realtime.kernels.bound import bind


def times(tracker, frames):
    """Return the sample that each frame describes."""
    return (np.arange(frames) + 1) * tracker.hop - tracker.delay


@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize("seed", range(3))
def test_blocks_of_any_sizes_give_the_same_bits(ahead, seed):
    random = np.random.default_rng(seed)
    sound = harmonics(150 * 2 ** np.sin(np.arange(RATE) / 3000), [1, 0.5, 0.3]) + 0.02 * noise(RATE, seed)
    whole = PitchTracker(ahead=ahead).process(sound)
    tracker = PitchTracker(ahead=ahead)
    cuts = np.sort(random.integers(0, len(sound), 60))
    parts = [tracker.process(part) for part in np.split(sound, cuts)]
    for one, other in zip(whole, zip(*parts, strict=True), strict=True):
        np.testing.assert_array_equal(one, np.concatenate(other))


@pytest.mark.parametrize("hz", [65, 82.41, 110, 196, 311.13, 440, 659.26, 880, 1046.5])
@pytest.mark.parametrize("amplitudes", [[1], [1, 0.7, 0.5, 0.35, 0.25], [0.2, 1, 0.6, 0.3], [0.5, 0.3, 1, 0.8, 0.2]])
def test_a_steady_tone_is_found_within_five_cents_whatever_its_loudest_harmonic(hz, amplitudes):
    sound = harmonics(np.full(RATE // 2, hz), amplitudes)
    found = PitchTracker().process(sound)
    assert (found.voicing[20:] > 0.5).all()
    assert np.abs(cents(found.hz[20:], hz)).max() < 5


@pytest.mark.parametrize(
    ("ahead", "lowest", "hop"), [(0, 60, 128), (1, 60, 128), (3, 60, 128), (1, 100, 128), (2, 80, 64)]
)
def test_a_glide_is_late_by_the_stated_delay(ahead, lowest, hop):
    hz = 150 * 2 ** (1.5 * np.arange(RATE) / RATE)
    tracker = PitchTracker(ahead=ahead, lowest=lowest, hop=hop)
    found = tracker.process(harmonics(hz, [1, 0.6, 0.4, 0.2]))
    at = times(tracker, len(found.hz))
    inside = (at > RATE // 8) & (at < RATE - RATE // 8)
    late = at[inside] - RATE * np.log2(found.hz[inside] / 150) / 1.5
    assert abs(np.median(late)) < 0.0015 * RATE


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_voicing_is_what_all_paths_of_the_markov_model_add_up_to(ahead):
    plan, model = plan_of(RATE, 128, 60.0, 1100.0, ahead), kernel.PITCH_MODEL
    state, block = kernel.state_of(plan, 200.0), np.empty(128, np.float32)
    sound = harmonics(np.full(1280, 180.0), [1, 0.4]) * (np.arange(1280) > 500) + 0.03 * noise(1280)
    likelihood, pitch, found = [], [], np.zeros((2, 1), np.float32)
    track = bind(kernel.track, (plan, model, state), block, found)
    for hop in range(10):
        block[:] = sound[hop * 128 : hop * 128 + 128]
        track(block, found)
        row = hop % (ahead + 1)
        likelihood.append(state.likelihood[row].copy())
        pitch.append(state.pitch[row].copy())
    last = len(likelihood)
    forward = np.zeros(len(likelihood[0]))
    forward[-1] = 1.0
    forwards, before = [], np.zeros_like(pitch[0])
    for frame in range(last):
        forward = transitions(plan, model, before, pitch[frame]).T @ forward * likelihood[frame]
        forwards.append(forward)
        before = pitch[frame]
    after = np.ones_like(forward)
    for frame in range(last - 1, last - 1 - ahead, -1):
        after = transitions(plan, model, pitch[frame - 1], pitch[frame]) @ (likelihood[frame] * after)
    both = forwards[last - 1 - ahead] * after
    assert found[1, 0] == pytest.approx(1 - both[-1] / both.sum(), abs=1e-5)
    assert found[1, 0] > 0.01


def transitions(plan, model, old, new):
    """Return the Markov model's transitions, written out: rows from, columns to, silence last."""
    time, octaves = plan.hop / plan.rate, np.log2(plan.longest / plan.shortest)
    drift_rate = model.drift_rate * time
    near = np.exp(-np.abs(new[None] - old[:, None]) / drift_rate) / (2 * drift_rate)
    ways = np.empty((len(old) + 1, len(new) + 1))
    voiced = (1 - model.jump_rate * time) * near + model.jump_rate * time / octaves
    ways[:-1, :-1] = (1 - model.offset_rate * time) * voiced
    ways[:-1, -1] = model.offset_rate * time
    ways[-1, :-1] = model.onset_rate * time / octaves
    ways[-1, -1] = 1 - model.onset_rate * time
    return ways


@pytest.mark.parametrize("interval", [12, -12, 7, -5])
def test_a_leap_is_followed_within_forty_ms_and_to_the_right_octave(interval):
    hz = np.where(np.arange(RATE) < RATE // 2, 220.0, 220.0 * 2 ** (interval / 12))
    tracker = PitchTracker()
    found = tracker.process(harmonics(hz, [1, 0.7, 0.5, 0.35, 0.25]))
    at = times(tracker, len(found.hz))
    settled = (at > 0.05 * RATE) & (np.abs(at - RATE / 2) > 0.04 * RATE) & (at < RATE - 600)
    assert np.abs(cents(found.hz, hz[np.clip(at, 0, RATE - 1)])[settled]).max() < 20


def test_vibrato_is_followed():
    time = np.arange(2 * RATE) / RATE
    hz = 330 * 2 ** (0.8 / 12 * np.sin(2 * np.pi * 6 * time))
    tracker = PitchTracker()
    found = tracker.process(harmonics(hz, [1, 0.6, 0.4, 0.2]))
    at = times(tracker, len(found.hz))
    settled = at > 0.1 * RATE
    assert np.abs(cents(found.hz[settled], hz[at[settled]])).max() < 20


@pytest.mark.parametrize(
    "sound",
    [np.zeros(3 * RATE, np.float32), 0.1 * noise(3 * RATE), 1e-5 * noise(3 * RATE), whisper(3 * RATE)],
    ids=["silence", "noise", "hiss", "whisper"],
)
def test_what_has_no_pitch_is_unvoiced(sound):
    assert (PitchTracker().process(sound).voicing > 0.5).mean() < 0.03


def test_a_voice_in_noise_of_ten_db_is_heard():
    sound = harmonics(np.full(2 * RATE, 140.0), [1, 0.7, 0.5, 0.35, 0.25])
    loud = noise(len(sound)) * sound.std() * 10 ** (-10 / 20)
    found = PitchTracker().process(sound + loud)
    assert (found.voicing[30:] > 0.5).mean() > 0.98
    assert np.median(np.abs(cents(found.hz[30:], 140))) < 15


def test_loudness_changes_neither_pitch_nor_voicing():
    sound = harmonics(np.full(RATE, 247.0), [1, 0.5]) * (np.arange(RATE) % 4000 < 2500)
    loud, soft = (PitchTracker().process(gain * sound) for gain in (3.0, 0.05))
    assert ((loud.voicing > 0.5) == (soft.voicing > 0.5)).mean() > 0.97
    both = (loud.voicing > 0.5) & (soft.voicing > 0.5)
    np.testing.assert_allclose(loud.hz[both], soft.hz[both], rtol=1e-3)


WILD = {
    "nan": np.full(4000, np.nan),
    "infinite": np.full(4000, np.inf),
    "huge": 1e30 * noise(4000),
    "tiny": 1e-39 * noise(4000),
    "offset": np.full(4000, 7.0),
    "click": np.eye(1, 4000, 2000)[0],
    "full scale": np.sign(np.sin(np.arange(4000))),
    "nyquist": np.tile([1.0, -1.0], 2000),
    "numbers and none": np.where(np.arange(4000) % 7, np.sin(np.arange(4000) / 10), np.nan),
}


@pytest.mark.parametrize("name", WILD)
def test_any_input_gives_finite_output(name):
    tracker = PitchTracker()
    with np.errstate(over="ignore"):
        found = tracker.process(WILD[name].astype(np.float32))
    assert np.isfinite(found.hz).all()
    assert ((found.hz > 50) & (found.hz < 1300)).all()
    assert ((found.voicing >= 0) & (found.voicing <= 1)).all()
    after = tracker.process(harmonics(np.full(RATE, 200.0), [1, 0.5]))
    assert np.abs(cents(after.hz[-30:], 200)).max() < 5


def test_one_tracker_starts_anew_like_another():
    tracker, sound = PitchTracker(), harmonics(np.full(4100, 300.0), [1, 0.5])
    first = tracker.process(sound)
    tracker.reset()
    again = tracker.process(sound)
    np.testing.assert_array_equal(np.stack(first), np.stack(again))


@pytest.mark.parametrize(("rate", "hop"), list(itertools.product([8_000, 24_000, 48_000], [80, 256])))
def test_other_rates_and_hops_find_the_same_pitch(rate, hop):
    sound = 0.1 * np.sin(2 * np.pi * 220 * np.arange(rate // 2) / rate) + 0.05 * np.sin(
        2 * np.pi * 440 * np.arange(rate // 2) / rate
    )
    found = PitchTracker(rate=rate, hop=hop).process(sound.astype(np.float32))
    settled = 0.1 * rate / hop
    assert len(found.hz) == rate // 2 // hop
    assert np.abs(cents(found.hz[int(settled) :], 220)).max() < 5


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"rate": 4_000}, "4000 Hz: expected 8000 to 48000"),
        ({"hop": 0}, "hop 0"),
        ({"ahead": -1}, "ahead -1"),
        ({"lowest": 300.0, "highest": 200.0}, "pitch from 300.0 to 200.0 Hz"),
        ({"highest": 5000.0}, "between 20 and 2667"),
    ],
)
def test_impossible_settings_are_refused_by_name(numbers, said):
    with pytest.raises(PitchError, match=said):
        PitchTracker(**numbers)


def test_a_block_with_channels_is_refused():
    for channels in (1, 2):
        with pytest.raises(ValueError, match=rf"\({channels}, 4800\): expected one channel, \(samples,\)"):
            PitchTracker(16_000, 128).process(np.zeros((channels, 4800), np.float32))


def test_a_score_counts_each_kind_of_error_where_the_truth_is_known():
    truth = np.array([0, 0, 100, 100, 100, 100, 100, np.nan, 100.0])
    track = np.array([90, 90, 100, 200, 200, 104, 100, 50, 51.0])
    heard = np.array([False, True, True, True, True, True, False, True, True])
    score = Score()
    score.add(truth, track, heard, step_s=1.0, tolerance=50.0)
    figures = score.figures()
    assert figures["false_alarms"] == pytest.approx(1 / 2)
    assert figures["misses"] == pytest.approx(1 / 6)
    assert figures["gross_cents"] == pytest.approx(4 / 5)  # two octaves up, 68 cents, almost an octave down
    assert figures["gross_20_percent"] == pytest.approx(3 / 5)
    assert figures["jumps_per_minute"] == pytest.approx(2 / (6 / 60))
    assert figures["wrong"] == pytest.approx(6 / 8)
