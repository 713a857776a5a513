"""Sound has the envelope, pitch, breath and loudness that it is made of, whole or in chunks."""

import pytest
import torch

from gramophone.models.layers.envelope import read
from gramophone.models.nets.envelope_decoder import EnvelopeDecoder, EnvelopeDecoderShape

RATE, HOP, POINTS = 16_000, 128, 48
FRAMES = 250


def made():
    return EnvelopeDecoder(EnvelopeDecoderShape()).eval()


def envelope(breath=-20.0, frames=FRAMES):
    """One resonance that moves, `(1, POINTS + 1, n)`."""
    place = torch.arange(POINTS)[:, None].float()
    middle = 15 + 8 * torch.sin(torch.arange(frames) / 60)
    return torch.cat([-0.05 * (place - middle).square(), torch.full((1, frames), breath)])[None]


def controls(hz=150.0, rms=0.1, frames=FRAMES):
    return torch.full((1, 1, frames), hz), torch.full((1, 1, frames), rms)


@pytest.mark.parametrize("sizes", [[1] * 24, [3, 1, 7, 2, 11], [5, 0, 19]])
def test_chunks_give_what_the_whole_gives(sizes):
    decoder, (hz, rms) = made(), controls(frames=24)
    hz = hz * (torch.arange(24) % 7 < 5)
    whole, _ = decoder(envelope(frames=24), None, hz, rms)
    state, pieces = None, []
    for x, pitch, level in zip(*(torch.split(part, sizes, 2) for part in (envelope(frames=24), hz, rms)), strict=True):
        sound, state = decoder(x, state, pitch, level)
        pieces.append(sound)
    assert whole.shape == (1, 1, 24 * HOP)
    torch.testing.assert_close(torch.cat(pieces, 2), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("hz", [0.0, 90.0, 400.0])
def test_the_sound_is_as_loud_as_told(hz):
    sound, _ = made()(envelope(), None, *controls(hz, 0.2))
    assert float(sound[..., HOP:].square().mean().sqrt()) == pytest.approx(0.2, rel=0.12)


@pytest.mark.parametrize("hz", [0.0, 100.0])
def test_the_spectrum_follows_the_envelope(hz):
    steady = envelope()[:, :, :1].expand(-1, -1, FRAMES)
    sound, _ = made()(steady, None, *controls(hz))
    window = 2048
    power = (
        torch.stft(sound[0, 0], window, window=torch.hann_window(window), return_complex=True).abs().square().mean(1)
    )
    bands = torch.arange(200, 4000, 200.0)
    step = RATE / window
    found = torch.stack([power[int((f - 100) / step) : int((f + 100) / step)].mean() for f in bands]).log()
    wanted = read(steady[:, :-1, :1], bands[None, :, None], RATE / 2)[0, :, 0]
    loud = wanted > wanted.max() - 5
    difference = (found - wanted)[loud]
    assert float((difference - difference.mean()).abs().mean()) < 0.4


def test_breath_is_noise_and_its_lack_a_tone():
    def tonality(breath):
        flat = envelope(breath)
        flat[:, :-1] = 0.0
        sound, _ = made()(flat, None, *controls(125.0))
        x = sound[0, 0, 4 * HOP :]
        return float((x[:-HOP] * x[HOP:]).mean() / x.square().mean())  # 125 Hz comes again after each hop

    assert tonality(-60.0) > tonality(-6.0) + 0.02


def test_silence_is_silent():
    sound, _ = made()(envelope(), None, *controls(rms=0.0))
    assert float(sound.abs().max()) == 0
