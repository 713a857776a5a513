"""What mosaics are made of: bands whose shift is a change of pitch, and the frames of a clip."""

import pytest
import torch

from gramophone.models.style.mosaic import MosaicLayout, keys, learn
from gramophone.models.units import BANDS_PER_SEMITONE


@pytest.fixture(scope="module")
def layout():
    return MosaicLayout.of(48_000, 4)


def tone(hz, rate=48_000):
    t = torch.arange(rate, dtype=torch.float64) / rate
    return sum((2 * torch.pi * hz * k * t).sin() / k for k in range(1, 9))[None].float()


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("hops", [4, 8, 16])
def test_level_bands_add_up_to_everything_and_windows_reconstruct(rate, hops):
    layout = MosaicLayout.of(rate, hops)
    for filters in (layout.levels, layout.short_levels):
        torch.testing.assert_close(filters.weights.sum(0), torch.ones(filters.weights.shape[1]))
    assert (layout.notes.weights.sum(1) > 0).all()
    span = len(layout.dual)
    overlap = (layout.window[-span:] * layout.dual).reshape(-1, layout.hop).sum(0)
    torch.testing.assert_close(overlap, torch.ones(layout.hop), rtol=0, atol=1e-5)


@pytest.mark.parametrize("semitones", [-5, 3, 7])
def test_a_change_of_pitch_is_a_shift(layout, semitones):
    low, high = (learn(layout, tone(440 * 2 ** (n / 12))) for n in (0, semitones))
    key = [keys(atoms.spectra[len(atoms.spectra) // 2][None])[0] for atoms in (low, high)]
    scores = [float(torch.roll(key[0], shift) @ key[1]) for shift in range(-24, 25)]
    assert scores.index(max(scores)) - 24 == semitones * BANDS_PER_SEMITONE


def test_atoms_are_the_clip_in_its_order_without_its_pauses(layout):
    sound = torch.cat([tone(300.0), torch.zeros(1, 48_000), tone(600.0)], 1)
    atoms = learn(layout, sound)
    assert (atoms.ends.diff() > 0).all()
    pause = (atoms.ends > 48_000 + 4096) & (atoms.ends <= 96_000)
    assert not pause.any()
    torch.testing.assert_close(atoms.spectra.sum(1), torch.ones(len(atoms.ends)))
    assert int(atoms.ends.max()) <= sound.shape[1]
    begins = atoms.attacks[(atoms.ends > 96_000) & (atoms.ends < 97_500)]
    assert float(begins.max()) > 0.9


def test_silence_has_no_atoms_and_one_sample_is_enough_for_one(layout):
    assert learn(layout, torch.zeros(2, 48_000)) is None
    assert learn(layout, torch.zeros(1, 1)) is None
    assert len(learn(layout, torch.full((1, 1), 0.5)).ends) >= 1


def test_frames_are_compared_by_what_stands_out_from_its_surroundings():
    flat = torch.full((1, 200), 1 / 200)
    peak = flat.clone()
    peak[0, 100] *= 9
    inside = keys(torch.cat([flat, peak]))[:, 25 + 30 : 25 + 170]
    assert float(inside[0].max()) < 1e-6
    assert int(inside[1].argmax()) == 70
    assert float(inside[1].sum()) == pytest.approx(float(inside[1, 70]))
