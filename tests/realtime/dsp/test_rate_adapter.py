"""The rate adapter: aligned to the sample, at the least delay that is possible."""

import numpy as np
import pytest

from gramophone.realtime.dsp.rate_adapter import RateAdapter

CASES = [
    (48_000, 16_000, 128, 256),
    (44_100, 16_000, 128, 256),
    (96_000, 16_000, 64, 37),
    (16_000, 16_000, 128, 0),
    (8_000, 16_000, 96, 0),
    (22_050, 48_000, 480, 480),
]


class Delayed:
    """A function of hops that only delays them, by so many samples."""

    def __init__(self, samples):
        self.past = np.zeros(samples, np.float32)

    def __call__(self, hop):
        known = np.concatenate((self.past, hop))
        self.past = known[len(hop) :]
        return lambda: known[: len(hop)]


def play(adapter, sound, sizes, step):
    pieces, start, i = [], 0, 0
    while start < len(sound):
        stop = min(start + sizes[i % len(sizes)], len(sound))
        pieces.append(adapter.process(sound[start:stop], step))
        start, i = stop, i + 1
    return np.concatenate(pieces)


@pytest.mark.parametrize(("rate", "inner_rate", "hop", "inner_delay"), CASES)
def test_the_output_is_the_input_exactly_as_late_as_stated(rate, inner_rate, hop, inner_delay):
    adapter = RateAdapter(rate, inner_rate, hop, inner_delay)
    tone = np.sin(2 * np.pi * 0.31 * min(rate, inner_rate) / rate * np.arange(rate // 2)).astype(np.float32)
    output = play(adapter, tone, [256], Delayed(inner_delay))
    assert output.shape == tone.shape
    assert not output[: adapter.delay - 1].any()
    settled = slice(adapter.delay + rate // 50, None)
    np.testing.assert_allclose(output[settled], tone[settled.start - adapter.delay : -adapter.delay], atol=4e-3)


@pytest.mark.parametrize(("rate", "inner_rate", "hop", "inner_delay"), CASES)
def test_any_block_sizes_give_the_same_and_no_shorter_delay_would_do(rate, inner_rate, hop, inner_delay):
    noise = np.random.default_rng(0).normal(0, 0.3, 2500).astype(np.float32)
    whole = RateAdapter(rate, inner_rate, hop, inner_delay).process(noise, _each_hop(hop, Delayed(inner_delay)))
    for sizes in ([256], [1, 31, 64, 333, 2, 900, 0]):
        np.testing.assert_array_equal(
            play(RateAdapter(rate, inner_rate, hop, inner_delay), noise, sizes, Delayed(inner_delay)), whole
        )
    adapter, step, spare = RateAdapter(rate, inner_rate, hop, inner_delay), Delayed(inner_delay), []
    for sample in noise:
        assert len(adapter.process(np.array([sample]), step)) == 1
        spare.append(adapter._spare)
    assert min(spare) == 0


def _each_hop(hop, step):
    def checked(sound):
        assert sound.shape == (hop,)
        return step(sound)

    return checked


@pytest.mark.parametrize(("rate", "inner_rate", "hop", "inner_delay"), CASES)
def test_the_high_band_is_aligned_with_the_resampled_band(rate, inner_rate, hop, inner_delay):
    adapter = RateAdapter(rate, inner_rate, hop, inner_delay)
    sound = np.random.default_rng(1).normal(0, 0.3, 6000).astype(np.float32)
    pieces = [
        adapter.process(block, _each_hop(hop, step), np.float32(1))
        for step in [Delayed(inner_delay)]
        for block in np.split(sound, 12)
    ]
    np.testing.assert_allclose(np.concatenate(pieces)[adapter.delay :], sound[: -adapter.delay], atol=1e-5)


def test_with_deferral_the_second_half_of_a_hop_falls_into_the_next_block_and_any_block_sizes_give_the_same():
    rate, inner_rate, hop, inner_delay = 48_000, 16_000, 128, 256
    deferral_s = 128 / rate
    adapter, log = RateAdapter(rate, inner_rate, hop, inner_delay, deferral_s), []
    assert adapter.delay == RateAdapter(rate, inner_rate, hop, inner_delay).delay + 128
    step = Delayed(inner_delay)

    def begin(sound):
        finish = step(sound)
        log.append("begin")
        return lambda: log.append("finish") or finish()

    noise = np.random.default_rng(0).normal(0, 0.3, 128 * 60).astype(np.float32)
    output, works = [], []
    for block in np.split(noise, 60):
        log.clear()
        output.append(adapter.process(block, begin))
        works.append(tuple(log))
    first = works.index(("begin",), 30)
    assert works[first : first + 6] == [("begin",), ("finish",), ()] * 2
    for sizes in ([1000], [1, 31, 64, 333, 2, 900, 0]):
        other = play(RateAdapter(rate, inner_rate, hop, inner_delay, deferral_s), noise, sizes, Delayed(inner_delay))
        np.testing.assert_array_equal(other, np.concatenate(output))


@pytest.mark.parametrize(("block", "deferral_s"), [(256, 128 / 48_000), (128, 128 / 48_000), (128, 0.0), (384, 0.0)])
def test_there_is_time_in_blocks_without_work_and_before_those_with_more(block, deferral_s):
    adapter, halves, time = RateAdapter(48_000, 16_000, 128, 256, deferral_s), [0], []

    def begin(sound):
        halves[-1] += 1

        def finish():
            halves[-1] += 1
            return sound

        return finish

    for _ in range(60):
        adapter.process(np.zeros(block, np.float32), begin)
        time.append(adapter.has_time)
        halves.append(0)
    for before, work, following in list(zip(time, halves, halves[1:-1], strict=False))[12:]:
        assert before == (work == 0 or (work == 1 and following == 2))
