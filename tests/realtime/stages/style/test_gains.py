"""The compiled gains of a frame are those of the same formulas in NumPy, with whole matrices, in double precision."""

import math

import numpy as np
import pytest

from gramophone.models.style.speech_detector import BANDS
from gramophone.models.style.style import FLOOR, GATE, TINY
from gramophone.models.style.style_bands import StyleBands
from gramophone.realtime.stages.style import gains as compiled
from gramophone.realtime.stages.style.gains import GainChange, GainMap, GainParts, plan_of, restyler, state_of

DB = 10 / math.log(10)
STRIDE = compiled._NOISE_STRIDE


class Truth:
    """The gains of one frame after another: spectra `(C, F)` in, restyled spectra and what was observed out."""

    def __init__(self, layout: StyleBands, channels: int) -> None:
        self.layout = layout
        self.analysis, self.hats = layout.analysis.double().numpy(), layout.hats.double().numpy()
        self.frame_s = 1 / layout.grid.frames(1.0)
        self.last, self.smoothed, self.flatness = np.zeros((3, layout.bands))
        self.envelopes = np.zeros(channels)
        self.peak = self.level = self.weight = self.before = self.after = self.active = self.envelope = 0.0

    def decay(self, seconds: float) -> float:
        return math.exp(-self.frame_s / seconds)

    def restyle(self, spectra, maps, position, change: GainChange, number):
        bands = self.layout.bands
        powers = np.abs(spectra.astype(complex)) ** 2
        power = powers.mean(0)
        sums, logs = np.array((power, np.log(power + TINY))) @ self.analysis
        in_bands, total = sums[:bands], sums[-1]
        loud = self.follow(total, change.fade)
        level = max(self.level / self.weight, TINY) if self.weight else 1.0
        self.active = max(total / level, self.active * self.decay(compiled._ACTIVITY_S))
        frame = DB * np.log(in_bands / level + FLOOR)

        matrix, vectors, speech = (
            np.asarray(a, float) + (np.asarray(b, float) - a) * position for a, b in zip(*maps, strict=True)
        )
        offset, shift, noisy, flat = vectors
        music, talk = (np.array(limits) for limits in (compiled._MUSIC, compiled._SPEECH))
        boost_db, cut_db, steady_s, fill, tonal, over_db = music + (talk - music) * speech
        desired = frame @ matrix + offset
        desired += (frame + shift - desired) * (speech * (1 - noisy))

        first, full = compiled._ONSET_DB
        onset = np.clip((np.maximum(frame - self.last, 0).mean() - first) / (full - first), 0, 1)
        hold = self.decay(steady_s) + (self.decay(compiled._ONSET_S) - self.decay(steady_s)) * onset
        wanted = np.clip(desired - frame, cut_db - compiled._BEYOND_DB, boost_db + compiled._BEYOND_DB)
        self.smoothed = wanted + (self.smoothed - wanted) * hold
        gains = np.exp(np.clip(self.smoothed, cut_db, boost_db) * change.strength / DB)
        self.last = frame

        flatness = np.exp(logs[:bands]) / (in_bands + TINY)
        self.flatness = flatness + (self.flatness - flatness) * self.decay(compiled._FLATNESS_S)
        of_noise = self.layout.noise_flatness.double().numpy()
        lacking = np.clip((flat - self.flatness) / np.maximum(of_noise - self.flatness, 0.05), 0, 0.95)
        kept = gains * (1 - compiled._NOISY * (1 - speech) * change.strength * lacking)
        needed = np.maximum(np.exp(desired / DB) * level, gains * in_bands) - kept * in_bands
        share = fill * change.fill * change.strength * min(10 * self.active, 1)
        missing = np.maximum(needed, 0) * (tonal + (1 - tonal) * noisy) * share

        factors, filling = np.exp(np.log(kept) @ self.hats), missing @ self.hats
        allowed = min(1.0, self.envelope * math.exp(over_db / DB) / (filling.mean() + TINY))
        filling *= allowed
        if loud:
            decay = self.decay(compiled._LOUDNESS_S)
            self.before = self.before * decay + total
            self.after = self.after * decay + (power * factors).mean() + filling.mean()
        makeup = np.clip(math.sqrt((self.before + TINY) / (self.after + TINY)), *compiled._MAKEUP)
        return self.mixed(spectra, powers, factors, filling, makeup * change.gain, number), (frame, sums, loud)

    def follow(self, total, fade):
        self.peak = max(total, self.peak * self.decay(compiled._PEAK_S))
        loud = total > max(self.peak * GATE, TINY)
        if loud:
            self.level, self.weight = self.level * fade + total, self.weight * fade + 1
        self.envelope = total + (self.envelope - total) * self.decay(compiled._ENVELOPE_S)
        return loud

    def mixed(self, spectra, powers, factors, filling, factor, number):
        now = powers.mean(1)
        self.envelopes = now + (self.envelopes - now) * self.decay(compiled._ENVELOPE_S)
        shares = np.sqrt((self.envelopes + TINY) / (self.envelopes.mean() + TINY))
        noise = self.layout.noise.numpy()
        rows = [noise[(number + STRIDE * channel) % len(noise)] for channel in range(len(spectra))]
        return (spectra * np.sqrt(factors) + np.stack(rows) * np.sqrt(filling) * shares[:, None]) * factor


def a_map(bands, seed):
    rng = np.random.default_rng(seed)
    matrix = (0.6 * np.eye(bands) + rng.normal(0, 0.02, (bands, bands))).astype(np.float32)
    vectors = np.concatenate((rng.normal(0, 5, (2, bands)), rng.uniform(0, 1, (2, bands)))).astype(np.float32)
    return GainMap(matrix, vectors, rng.uniform(0, 1, 1))


def frames(bins, channels, count):
    """Coloured noise that changes its level, with pauses and digital silence."""
    rng = np.random.default_rng(bins)
    for number in range(count):
        colour = np.exp(rng.normal(0, 2) - np.linspace(0, 6, bins))
        level = (0.0 if number % 17 == 5 else 1e-4 if number % 11 == 3 else 1.0) * rng.uniform(0.2, 2, (channels, 1))
        parts = rng.normal(0, 1, (channels, bins, 2)) * (level * colour)[..., None]
        yield parts.astype(np.float32).view(np.complex64)[..., 0]


@pytest.mark.parametrize(
    ("rate", "bands", "channels"), [(48_000, 64, 2), (44_100, 64, 1), (16_000, 128, 3), (48_000, 4, 2)]
)
@pytest.mark.parametrize("change", [(0.7, 1.0, 0.9, 0.99), (0.0, 1.0, 1.0, 0.9), (1.0, 0.0, 2.0, 1.0)])
def test_a_frame_is_restyled_as_the_formulas_say(rate, bands, channels, change):
    layout = StyleBands(rate, bands, 40.0, 20_000.0)
    maps = a_map(bands, 1), a_map(bands, 2)
    plan, truth = plan_of(layout), Truth(layout, channels)
    state = state_of(plan, channels)
    observation = np.zeros(bands + BANDS + 1, np.float32)
    found = np.zeros((channels, layout.bins), np.complex64)
    restyle = restyler(GainParts(plan, state, maps, found.view(np.float32), observation[None]))
    change = GainChange(*change)
    for number, spectra in enumerate(frames(layout.bins, channels, 60)):
        position = (number % 30 + 1) / 30
        found[:] = spectra
        restyle(0, position, change, number)
        wanted, (frame, sums, loud) = truth.restyle(spectra, maps, position, change, number)
        assert np.abs(found - wanted).max() <= 3e-6 * max(np.abs(wanted).max(), np.abs(spectra).max())
        np.testing.assert_allclose(observation[:bands], frame, rtol=0, atol=2e-5)
        np.testing.assert_allclose(observation[bands:-1], sums[bands:-1], rtol=2e-6)
        assert observation[-1] == loud
