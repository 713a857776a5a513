"""Mel bands against librosa, and the way back to bins."""

import librosa
import pytest
import torch

from gramophone.models.layers.mel import MelBands, hz_to_mel, mel_edges, mel_filters, mel_to_hz


@pytest.mark.parametrize(
    ("rate", "fft", "bands", "low", "high"),
    [
        (48000, 2048, 64, 0.0, None),
        (16000, 512, 24, 50.0, 7000.0),
        (44100, 4096, 128, 30.0, 16000.0),
        (22050, 1500, 1, 0.0, 900.0),
    ],
)
def test_filters_are_librosas(rate, fft, bands, low, high):
    truth = librosa.filters.mel(sr=rate, n_fft=fft, n_mels=bands, fmin=low, fmax=high)
    torch.testing.assert_close(
        mel_filters(rate, fft, bands, low, high).float(), torch.from_numpy(truth), rtol=0, atol=1e-6
    )


def test_the_scale_is_librosas_and_inverts():
    hz = torch.logspace(0, 4.4, 200, dtype=torch.float64)
    mel = hz_to_mel(hz)
    torch.testing.assert_close(mel, torch.from_numpy(librosa.hz_to_mel(hz.numpy())))
    torch.testing.assert_close(mel_to_hz(mel), hz)


def test_a_tone_is_loudest_in_the_band_around_it():
    bands = MelBands(48000, 2048, 40, 40, 16000)
    centres = mel_edges(40, 40, 16000)[1:-1]
    seconds = torch.arange(2048) / 48000
    for i in (5, 20, 35):
        spectrum = torch.fft.rfft(torch.sin(2 * torch.pi * float(centres[i]) * seconds) * torch.hann_window(2048))
        assert int(bands(spectrum).argmax()) == i


@pytest.mark.parametrize("count", [1, 7, 64, 500])
def test_flat_noise_reads_the_same_in_every_band(count):
    bands = MelBands(48000, 1024, count, 20, 20000)
    spectrum = torch.full((3, 513), 1 + 1j, dtype=torch.complex64)
    torch.testing.assert_close(bands(spectrum), torch.full((3, count), 2.0).log(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [1, 7, 64, 500])
def test_equal_values_spread_evenly(count):
    spread = MelBands(48000, 1024, count, 100, 9000).spread(torch.full((2, count), -0.7))
    torch.testing.assert_close(spread, torch.full((2, 513), -0.7))


def test_values_are_linear_in_mel_between_centres_and_fade_at_the_ends_when_not_held():
    bands = MelBands(48000, 8192, 12, 200, 8000, hold=False)
    edges = mel_edges(12, 200, 8000)
    bins = torch.arange(4097, dtype=torch.float64) * 48000 / 8192
    line = bands.spread((hz_to_mel(edges)[1:-1] - hz_to_mel(edges)[0]).float())
    inside = (bins >= edges[0]) & (bins <= edges[-2])
    truth = hz_to_mel(bins) - hz_to_mel(edges)[0]
    torch.testing.assert_close(line[inside], truth[inside].float(), rtol=0, atol=1e-3)
    assert float(line[(bins < edges[0]) | (bins > edges[-1])].abs().max()) == 0


def test_silence_reads_the_floor():
    bands = MelBands(16000, 512, 10, floor=1e-8)
    torch.testing.assert_close(bands(torch.zeros(257, dtype=torch.complex64)), torch.full((10,), 1e-8).log())


def test_ranges_that_are_none_are_refused():
    for count, low, high in ((0, 0.0, 100.0), (4, 100.0, 100.0), (4, -1.0, 100.0)):
        with pytest.raises(ValueError, match="expected at least one"):
            mel_filters(16000, 512, count, low, high)
    with pytest.raises(ValueError, match="floor"):
        MelBands(16000, 512, 4, floor=0)
