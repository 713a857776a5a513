"""The voice streams both ways by the contract, is as late as it says, and neither aliases, clicks nor breaks."""

import math
from dataclasses import replace

import pytest
import torch

from gramophone.models.checkpoint import Card, load, save
from gramophone.models.layers.envelope import read
from gramophone.models.layers.harmonics import HarmonicBank
from gramophone.models.layers.mel import hz_to_mel, mel_to_hz
from gramophone.models.layers.noise import NoiseBank
from gramophone.models.layers.spectral_loss import magnitudes, spectral_distance
from gramophone.models.nets.latent_order import LatentOrder
from gramophone.models.nets.voice import Voice, VoiceShape, arrange
from gramophone.models.nets.voice_features import SpeakerNormalisation
from gramophone.models.units import COLOUR, LOG_MEL_SCALE, SILENCE

RATE, HOP = 16_000, 128
SMALL = VoiceShape(bands=16, width=8, units=2, latents=3, layers=3, channels=8, speakers=3, speaker=5)


def made(shape=SMALL):
    torch.manual_seed(0)
    return Voice(shape).eval().requires_grad_(False)


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(4))


def prosody(hz, loudness=-2.0):
    """Prosody `(1, 3, n)` of a pitch per frame, 0 where unvoiced."""
    hz = torch.as_tensor(hz, dtype=torch.float32)
    return torch.stack([(hz.clamp_min(1) / 160).log2(), (hz > 0).float(), torch.full_like(hz, loudness)])[None]


def given(model, frames, batch=1):
    pitch = prosody([120.0 + frame if frame % 7 < 5 else 0.0 for frame in range(frames)])
    return model.table[1].expand(batch, -1), pitch.expand(batch, -1, -1)


def in_chunks(module, x, sizes, *series):
    """Run a module chunk by chunk along the last axis, cutting `series` (controls with as many frames) alike."""
    state, pieces, place = None, [], 0
    for size in sizes:
        now = slice(place * module.hop, (place + size) * module.hop)
        controls = [part[..., place : place + size] if cut else part for cut, part in series]
        piece, state = module(x[..., now], state, *controls)
        pieces.append(piece)
        place += size
    return torch.cat(pieces, 2)


PARTITIONS = [[1] * 24, [3, 1, 7, 2, 11], [24], [5, 0, 19]]


@pytest.mark.parametrize("sizes", PARTITIONS)
def test_the_encoder_and_the_loudness_stream(sizes):
    model = made()
    x = noise(2, 1, 24 * HOP) * 0.1
    for module in (model.encoder, model.loudness):
        torch.testing.assert_close(in_chunks(module, x, sizes), module(x)[0], rtol=0, atol=2e-5)


@pytest.mark.parametrize("sizes", PARTITIONS)
def test_singing_in_chunks_gives_what_singing_at_once_gives(sizes):
    model = made()
    z = noise(2, 3, 24)
    speaker, pitch = given(model, 24, 2)
    whole, _ = model.decoder(z, None, speaker, pitch)
    assert whole.shape == (2, 1, 24 * HOP)
    pieces = in_chunks(model.decoder, z, sizes, (False, speaker), (True, pitch))
    torch.testing.assert_close(pieces, whole, rtol=0, atol=2e-5)


def heard(frames, batch=1):
    """Frames as an ear of 16 bands gives them: loud and soft in turn."""
    swell = 2 + torch.sin(torch.arange(frames) / 9)
    return noise(batch, 24, frames) * 0.3 + swell


@pytest.mark.parametrize("sizes", [[1] * 30, [300, 0, 400, 1], [701]])
def test_adaptation_streams_and_is_what_a_running_mean_and_spread_take_out(sizes):
    adaptation = SpeakerNormalisation(16, 8, memory=100)
    frames = heard(sum(sizes), 2)
    found = in_chunks(adaptation, frames, sizes)
    torch.testing.assert_close(found, adaptation(frames)[0], rtol=0, atol=2e-4)
    loudest, count = 2.0, 40.0
    mean, square = torch.zeros(24), torch.ones(24)
    for frame in range(sum(sizes)):
        now = frames[0, :, frame]
        level = float((LOG_MEL_SCALE * now[:16]).exp().mean().log())
        loudest = max(loudest - 0.0024, level, 2.0)
        audible = min(max((level - loudest + 8) / 4, 0), 1)
        count = min(count + audible, 100)
        shape = now - level / LOG_MEL_SCALE
        mean = mean + audible / count * (shape - mean)
        square = square + audible / count * (shape.square() - square)
        truth = ((shape - mean) / (square - mean.square()).sqrt()).clamp(-5, 5) * audible
        torch.testing.assert_close(found[0, :, frame], truth, rtol=0, atol=1e-3)


def test_who_is_accustomed_to_a_voice_hardly_hears_its_colour_or_how_strongly_it_varies():
    adaptation = SpeakerNormalisation(16, 8)
    frames = noise(1, 24, 4000) * 0.3
    colour, strength = torch.linspace(-0.5, 0.5, 24)[:, None], torch.linspace(0.7, 1.3, 24)[:, None]
    plain, other = (
        (part - adaptation.level(part) / LOG_MEL_SCALE)[:, :, 3000:] for part in (frames, frames * strength + colour)
    )
    heard_plain, heard_other = (adaptation(part + 2)[0][:, :, 3000:] for part in (frames, frames * strength + colour))
    assert abs(float(heard_plain.mean())) < 0.05
    assert 0.9 < float(heard_plain.std()) < 1.1
    apart = float((plain - other).abs().mean() / plain.std(2).mean())
    assert float((heard_plain - heard_other).abs().mean()) < 0.3 * apart


def test_a_pause_says_nothing_and_is_not_got_accustomed_to():
    adaptation = SpeakerNormalisation(16, 8)
    speech, hum = heard(400), noise(1, 24, 300) * 0.3 - 1
    spoken, state = adaptation(speech)
    paused, after = adaptation(hum, state)
    assert float(spoken.std()) > 0.3
    assert float(paused.abs().max()) == 0
    torch.testing.assert_close(after[2], state[2], rtol=0, atol=0)


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_the_delay_is_what_is_stated(ahead):
    model = made(replace(SMALL, ahead=ahead))
    assert model.encoder.delay == ahead
    assert model.delay == ahead * HOP
    x = noise(1, 1, 30 * HOP) * 0.1
    changed = x.clone()
    changed[:, :, 20 * HOP :] += 0.1
    for frames, late in ((lambda x: model.posterior(x).mean, ahead), (model.loudness_of, min(ahead, 1))):
        differ = (frames(changed) - frames(x)).abs().amax(1)[0] > 1e-6
        # The frame of the hop before the change's is the first that can know, if it waits for so many.
        assert int(differ.nonzero()[0]) == 20 - late
    click = torch.zeros(1, 1, 30 * HOP)
    click[:, :, 20 * HOP + 5] = 1
    loud = model.loudness_of(click)[0, 0]
    assert int(loud.argmax()) == 20 - min(ahead, 1)


def test_the_low_delay_variant_stays_below_20_ms_and_the_default_below_40():
    # Latents wait for `ahead` frames, and a hop has to be whole before it is heard: hop - 1 samples more.
    for ahead, most in ((0, 0.020), (1, 0.020), (2, 0.040)):
        shape = replace(SMALL, ahead=ahead)
        assert (made(shape).delay + shape.hop - 1) / shape.rate < most


def test_a_decoded_frame_sounds_in_its_own_hop():
    model = made()
    z, (speaker, pitch) = torch.zeros(1, 3, 20), given(model, 20)
    pitch[:, 2] = SILENCE
    pitch[:, 2, 10] = -1.0
    sound = model.decoder(z, None, speaker, pitch)[0][0, 0].unflatten(0, (20, HOP)).square().mean(1)
    assert sound[:10].max() == 0
    assert sound[10] > 0
    assert sound[12:].max() == 0  # its gain is back at nothing at the end of the hop after


def test_harmonics_are_a_slower_sum_of_sines_with_a_phase_that_goes_on():
    bank = HarmonicBank(RATE, HOP, 5)
    hz = torch.linspace(100, 400, 40)[None, None]
    strengths = torch.rand(1, 5, 40, generator=torch.Generator().manual_seed(1))
    sound = bank(strengths, None, hz)[0][0, 0]
    dense_hz = torch.cat([hz[0, 0, :1], hz[0, 0]]).double()
    time = torch.arange(1, 40 * HOP + 1, dtype=torch.float64) / HOP
    frame = (time.ceil() - 1).long()
    part = time - frame
    exact = dense_hz[frame] * part + (dense_hz[frame + 1] - dense_hz[frame]) * part.square() / 2
    whole = torch.cat([torch.zeros(1).double(), ((dense_hz[1:] + dense_hz[:-1]) / 2).cumsum(0)])
    phase = (whole[frame] + exact) * HOP / RATE
    known = torch.cat([torch.zeros(5, 1), strengths[0]], 1).double()
    gains = known[:, frame] * (1 - part) + known[:, frame + 1] * part
    truth = sum(gains[k - 1] * torch.sin(2 * math.pi * k * phase) for k in range(1, 6))
    torch.testing.assert_close(sound.double(), truth, rtol=0, atol=1e-4)


def test_the_phase_is_kept_for_minutes():
    bank = HarmonicBank(RATE, HOP, 1)
    state, frames = None, 500
    hz = torch.full((1, 1, frames), 333.3)
    for _ in range(60):  # four minutes
        _, state = bank(torch.zeros(1, 1, frames), state, hz)
    cycles = 60 * frames * HOP * float(torch.tensor(333.3)) / RATE
    assert float(state[2]) == pytest.approx(cycles % 1, abs=1e-6)


@pytest.mark.parametrize("hz", [170.0, 997.0, 2900.0])
def test_no_harmonic_sounds_above_half_the_rate(hz):
    bank = HarmonicBank(RATE, HOP, 48)
    sound = bank(torch.ones(1, 48, 400), None, torch.full((1, 1, 400), hz))[0][0, 0, 4 * HOP :].double()
    spectrum = torch.fft.rfft(sound * torch.blackman_window(len(sound), dtype=torch.float64)).abs()
    bins = torch.arange(len(spectrum)) * RATE / len(sound)
    off = (bins / hz - (bins / hz).round()).abs() * hz
    folded = spectrum[(off > 5) & (bins > 20)]
    assert 20 * math.log10(float(folded.max() / spectrum.max())) < -80


def test_a_glide_past_half_the_rate_does_not_alias():
    bank = HarmonicBank(RATE, HOP, 2)
    hz = torch.linspace(3000, 6000, 100)[None, None]  # the second harmonic leaves the band on the way
    strengths = torch.tensor([0.0, 1.0])[None, :, None].expand(-1, -1, 100)
    sound = bank(strengths, None, hz)[0][0, 0]
    gone = int((hz[0, 0] * 2 < RATE / 2).sum()) + 1
    assert sound[: (gone - 10) * HOP].abs().max() > 0.9
    assert sound[gone * HOP :].abs().max() == 0


def test_voicing_that_comes_and_goes_does_not_click():
    bank = HarmonicBank(RATE, HOP, 1)
    hz = torch.tensor([0.0, 0.0, 200.0, 200.0, 200.0, 0.0, 0.0, 350.0, 350.0, 0.0])[None, None]
    sound = bank(torch.ones(1, 1, 10), None, hz)[0][0, 0]
    steps = torch.cat([torch.zeros(1), sound]).diff().abs().unflatten(0, (10, HOP)).amax(1)
    for frame, pitch in enumerate([0, 0, 200, 200, 200, 200, 0, 350, 350, 350]):
        # A sine of this pitch rises by so much a sample, and a gain that takes a hop to come by 1 / hop.
        assert steps[frame] <= 2 * math.pi * pitch / RATE + (1 / HOP if pitch else 0) + 1e-6
    assert sound[: 2 * HOP].abs().max() == 0
    assert sound[6 * HOP : 7 * HOP].abs().max() == 0


def test_noise_has_the_spectrum_that_it_is_given_and_ends_under_it():
    bank = NoiseBank(32, 33)
    magnitude = torch.zeros(1, 33, 4000)
    magnitude[:, 8] = 1.0
    sound = bank(magnitude)[0][0, 0]
    power = magnitudes(sound[None], torch.hann_window(1024)).square().mean(2)[0]
    assert abs(int(power.argmax()) * RATE / 1024 - 2000) < 130
    assert power[: 1500 * 1024 // RATE].max() < 1e-3 * power.max()
    white = bank(torch.ones(1, 33, 4000))[0]
    assert float(white.square().mean()) == pytest.approx(1, rel=0.03)
    burst = torch.zeros(1, 33, 8)
    burst[:, :, 4] = 1.0
    heard = bank(burst)[0][0, 0].abs().unflatten(0, (8, 32)).amax(1)
    assert heard[:4].max() == 0
    assert heard[4] > 0.5
    assert heard[6:].max() == 0


def test_an_envelope_is_read_between_its_points_in_mel():
    envelope = torch.arange(5.0)[None, :, None]
    top = hz_to_mel(torch.tensor(8000.0))
    hz = mel_to_hz(top * torch.tensor([0.0, 0.1, 0.5, 1.0]))[None, :, None]
    values = read(envelope, hz, 8000.0)
    torch.testing.assert_close(values[0, :, 0], torch.tensor([0.0, 0.4, 2.0, 4.0]), rtol=0, atol=1e-4)
    assert float(read(envelope, torch.full((1, 1, 1), 20_000.0), 8000.0)) == 4.0


@pytest.mark.parametrize("speaker", [0, 2])
def test_silence_in_is_silence_out(speaker):
    model = made()
    x = torch.zeros(1, 1, 20 * HOP)
    loudness = model.loudness_of(x)
    assert float(loudness.max()) == SILENCE
    pitch = torch.cat([prosody([200.0] * 20)[:, :2], loudness], 1)
    sound, _ = model.decoder(model.posterior(x).mean, None, model.table[speaker][None], pitch)
    assert float(sound.abs().max()) == 0


@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1.0, 1e3])
def test_whatever_is_heard_the_sound_is_finite(scale):
    model = made()
    x = noise(1, 1, 20 * HOP) * scale
    pitch = torch.cat([prosody([5.0, 60.0, 2000.0, 7999.0, 0.0] * 4)[:, :2], model.loudness_of(x)], 1)
    colour = torch.tensor([[1.0, 2.0, -0.5]])
    assert colour.shape[1] == COLOUR
    sound, state = model.decoder(model.posterior(x).mean, None, model.table[:1], pitch, colour)
    assert sound.isfinite().all()
    assert all(part.isfinite().all() for part in state)


def test_the_latents_are_the_same_at_every_level():
    model = made()
    x = noise(1, 1, 30 * HOP) * 0.1
    shapes = [model.posterior(x * gain).mean[:, :, :-2] for gain in (0.3, 1.0, 3.0)]
    for other in shapes[1:]:
        torch.testing.assert_close(other, shapes[0], rtol=0, atol=1e-3)


def test_colours_move_formants_breath_and_brightness():
    model = made()
    z, (speaker, pitch) = torch.zeros(1, 3, 40), given(model, 40)
    pitch[:, 1] = 0.0  # noise alone
    plain = model.decoder(z, None, speaker, pitch)[0]
    same = model.decoder(z, None, speaker, pitch, torch.zeros(1, COLOUR))[0]
    torch.testing.assert_close(plain, same, rtol=0, atol=0)
    louder = model.decoder(z, None, speaker, pitch, torch.tensor([[0.0, math.log(2), 0.0]]))[0]
    torch.testing.assert_close(louder, 2 * plain, rtol=1e-4, atol=1e-6)

    def centre(sound):
        power = magnitudes(sound[0], torch.hann_window(512)).square().mean(2)[0]
        return float((power * torch.arange(257)).sum() / power.sum())

    brighter = model.decoder(z, None, speaker, pitch, torch.tensor([[0.0, 0.0, 0.7]]))[0]
    assert centre(brighter) > 1.1 * centre(plain)


def test_the_distance_is_none_to_itself_and_grows():
    x = noise(2, 4096) * 0.1
    assert float(spectral_distance(x, x).max()) == 0
    near, far = x + 0.01 * noise(2, 4096).flip(1), noise(2, 4096).flip(1)
    assert (spectral_distance(near, x) < spectral_distance(far, x)).all()


def test_the_bound_reaches_every_part():
    torch.manual_seed(0)
    model = Voice(SMALL)
    x = noise(2, 1, 20 * HOP) * 0.1
    speaker, pitch = model.table[:2], given(model, 20, 2)[1]
    bound = model(x, speaker, pitch)
    assert bound.kl.shape == (2, 3, 20)
    bound.loss(0.01).backward()
    assert all(value.grad is not None and value.grad.any() for name, value in model.named_parameters())


def test_a_checkpoint_gives_the_same_voice_again(tmp_path):
    model = made()
    save(tmp_path / "voice.safetensors", model, Card(RATE, hop=HOP, delay=model.delay, speakers=("a", "b", "c")))
    again, card = load(tmp_path / "voice.safetensors", "voice")
    weights = model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in again.state_dict().items())
    z, (speaker, pitch) = noise(1, 3, 8), given(model, 8)
    # Where tensors lie in memory decides which product a processor takes, and so how the last bit is rounded.
    torch.testing.assert_close(
        again.decoder(z, None, speaker, pitch)[0], model.decoder(z, None, speaker, pitch)[0], rtol=0, atol=1e-6
    )
    assert card.speakers == ("a", "b", "c")


def test_a_blend_is_the_weighted_mean_of_speakers_and_what_does_not_fit_is_refused():
    model = made()
    torch.testing.assert_close(
        model.speaker(torch.tensor([[0.25, 0.75, 0.0]]))[0], model.table[0] * 0.25 + model.table[1] * 0.75
    )
    with pytest.raises(ValueError, match="a multiple of the hop 128"):
        model.posterior(noise(1, 1, 17))


def test_the_default_shape_is_small():
    model = Voice(VoiceShape(speakers=20))
    assert sum(parameter.numel() for parameter in model.parameters()) * 4 < 12_000_000
    assert model.shape.rate / model.shape.hop == 125


def test_latents_in_another_order_and_turned_round_make_no_difference_to_sound():
    model, other = made(), made()
    order, signs = [2, 0, 1], [1, -1, -1]
    arrange(other, LatentOrder(order, signs))
    x = 0.1 * noise(1, 1, 20 * HOP)
    before, after = model.posterior(x), other.posterior(x)
    rearranged = before.mean[:, order] * torch.tensor(signs)[:, None]
    torch.testing.assert_close(after.mean, rearranged)
    torch.testing.assert_close(after.scale, before.scale[:, order])
    told = given(model, 20)
    torch.testing.assert_close(other.decoder(rearranged, None, *told)[0], model.decoder(before.mean, None, *told)[0])
