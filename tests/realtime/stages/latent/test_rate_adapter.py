"""From the host's rate to a model's, hop by hop, and back: in line to the sample, at the least delay there can be."""

import numpy as np
import pytest

from gramophone.realtime.stages.latent.rate_adapter import RateAdapter

CASES = [
    (48_000, 16_000, 128, 256),
    (44_100, 16_000, 128, 256),
    (96_000, 16_000, 64, 37),
    (16_000, 16_000, 128, 0),
    (8_000, 16_000, 96, 0),
    (22_050, 48_000, 480, 480),
]


class Late:
    """A function of hops that only gives them later."""

    def __init__(self, samples):
        self.past = np.zeros(samples, np.float32)

    def __call__(self, hop):
        known = np.concatenate((self.past, hop))
        self.past = known[len(hop) :]
        return lambda: known[: len(hop)]


def play(bridge, sound, sizes, step):
    pieces, start, i = [], 0, 0
    while start < len(sound):
        stop = min(start + sizes[i % len(sizes)], len(sound))
        pieces.append(bridge.process(sound[start:stop], step))
        start, i = stop, i + 1
    return np.concatenate(pieces)


@pytest.mark.parametrize(("rate", "inner", "hop", "late"), CASES)
def test_what_comes_out_is_what_went_in_exactly_as_late_as_stated(rate, inner, hop, late):
    bridge = RateAdapter(rate, inner, hop, late)
    tone = np.sin(2 * np.pi * 0.31 * min(rate, inner) / rate * np.arange(rate // 2)).astype(np.float32)
    heard = play(bridge, tone, [256], Late(late))
    assert heard.shape == tone.shape
    assert not heard[: bridge.delay - 1].any()
    settled = slice(bridge.delay + rate // 50, None)
    np.testing.assert_allclose(heard[settled], tone[settled.start - bridge.delay : -bridge.delay], atol=4e-3)


@pytest.mark.parametrize(("rate", "inner", "hop", "late"), CASES)
def test_any_blocks_give_the_same_and_none_ever_waits_nor_could_with_less_delay(rate, inner, hop, late):
    noise = np.random.default_rng(0).normal(0, 0.3, 2500).astype(np.float32)
    whole = RateAdapter(rate, inner, hop, late).process(noise, _each_hop(hop, Late(late)))
    for sizes in ([256], [1, 31, 64, 333, 2, 900, 0]):
        np.testing.assert_array_equal(play(RateAdapter(rate, inner, hop, late), noise, sizes, Late(late)), whole)
    bridge, step, spare = RateAdapter(rate, inner, hop, late), Late(late), []
    for sample in noise:
        assert len(bridge.process(np.array([sample]), step)) == 1
        spare.append(len(bridge._made))
    assert min(spare) == 0


def _each_hop(hop, step):
    def checked(sound):
        assert sound.shape == (hop,)
        return step(sound)

    return checked


@pytest.mark.parametrize(("rate", "inner", "hop", "late"), CASES)
def test_what_the_bridge_leaves_behind_is_in_line_with_what_it_carries(rate, inner, hop, late):
    bridge = RateAdapter(rate, inner, hop, late)
    sound = np.random.default_rng(1).normal(0, 0.3, 6000).astype(np.float32)
    pieces = [
        bridge.process(block, _each_hop(hop, step), np.float32(1))
        for step in [Late(late)]
        for block in np.split(sound, 12)
    ]
    np.testing.assert_allclose(np.concatenate(pieces)[bridge.delay :], sound[: -bridge.delay], atol=1e-5)


def test_with_time_to_spare_the_second_half_of_a_hop_falls_on_the_block_after_and_any_blocks_give_the_same():
    rate, inner, hop, late = 48_000, 16_000, 128, 256
    spare_s = 128 / rate
    bridge, log = RateAdapter(rate, inner, hop, late, spare_s), []
    assert bridge.delay == RateAdapter(rate, inner, hop, late).delay + 128
    step = Late(late)

    def begin(sound):
        finish = step(sound)
        log.append("begin")
        return lambda: log.append("finish") or finish()

    noise = np.random.default_rng(0).normal(0, 0.3, 128 * 60).astype(np.float32)
    heard, works = [], []
    for block in np.split(noise, 60):
        log.clear()
        heard.append(bridge.process(block, begin))
        works.append(tuple(log))
    first = works.index(("begin",), 30)
    assert works[first : first + 6] == [("begin",), ("finish",), ()] * 2
    for sizes in ([1000], [1, 31, 64, 333, 2, 900, 0]):
        other = play(RateAdapter(rate, inner, hop, late, spare_s), noise, sizes, Late(late))
        np.testing.assert_array_equal(other, np.concatenate(heard))
