"""Slow style transfer: losses fall and never rise, a stop loses nothing, and the baseline is the baseline."""

import json

import librosa
import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.tagger import NETWORKS, Tagger, TaggerShape
from gramophone.models.style.texture import RandomFilters, TextureLogMel
from gramophone.offline.cli.main import app
from gramophone.offline.data.mono_audio import frame_levels, levelled
from gramophone.offline.evaluate.style_pairs import RATE as PAIR_RATE
from gramophone.offline.evaluate.stylise import noise_floor
from gramophone.offline.stylise.descent import ROUND, descend
from gramophone.offline.stylise.method import METHODS, load_method, share
from gramophone.offline.stylise.onsets import onset_envelope, unlike
from gramophone.offline.stylise.transfer import TransferRequest, kept_quiet, transfer
from gramophone.realtime.files import read

pytestmark = pytest.mark.slow

RATE = 16_000
BY_TAGGER = "tagger"
BY_WAVENET = ("wavenet", "wavenet-relaxed")
"""Those need a model, and have tests of their own (test_descent.py)."""
methods = pytest.mark.parametrize("name", [name for name in METHODS if name not in BY_WAVENET])


def plucks(seconds=1.2, rate=RATE):
    t = np.arange(round(seconds * rate)) / rate
    return (0.2 * np.sin(2 * np.pi * 440 * t) * np.exp(-8 * (t % 0.3))).astype(np.float32)


def hiss(seconds=1.5, rate=RATE):
    noise = np.random.default_rng(0).normal(0, 0.05, round(seconds * rate)).astype(np.float32)
    return np.convolve(noise, np.ones(8) / 8, "same").astype(np.float32)


@pytest.fixture(scope="module")
def ears(tmp_path_factory):
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("ears") / "ears.safetensors"
    save(file, Tagger(TaggerShape(("a", "b"), widths=(8, 16, 16))), Card(16_000))
    return str(file)


@pytest.fixture
def model(name, ears):
    return ears if name == BY_TAGGER else ""


def made(name, model=""):
    kind = load_method(name).with_model(model)
    return kind(torch.from_numpy(plucks(1.0, 22_050)), torch.from_numpy(hiss(1.0, 22_050)))


def gramophone(*args):
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@methods
def test_the_content_has_all_of_itself_and_nothing_of_the_style(name, model):
    method = made(name, model)
    start = method.start()
    for value in method.content_losses(start).values():
        assert float(value) == pytest.approx(0, abs=1e-6)
    for value in method.style_losses(start).values():
        assert float(value) == pytest.approx(1, abs=1e-4)


@methods
def test_every_style_loss_falls_and_the_whole_never_rises(name, model):
    curve = descend(made(name, model), 0.8, 2 * ROUND, lambda descent: None).curve
    whole = [row["all"] for row in curve]
    assert whole == sorted(whole, reverse=True)
    style = [curve[-1][key] for key in curve[0] if key.startswith("style.")]
    assert max(style) < 1
    assert np.mean(style) < 0.7


@methods
def test_without_strength_the_content_stays(name, model):
    content = plucks()
    done = transfer((content[None], RATE), (hiss()[None], RATE), TransferRequest(name, 0.0, steps=5, model=model))
    assert np.sqrt(np.mean((done.audio[0] - content) ** 2) / np.mean(content**2)) < 0.05


@methods
def test_a_stop_can_be_resumed_and_ends_where_no_stop_would(name, model, tmp_path):
    keep = tmp_path / "descent.npz"
    pair = ((plucks()[None], RATE), (hiss()[None], RATE))

    def stop(share, loss):
        raise KeyboardInterrupt

    stopped = transfer(*pair, TransferRequest(name, steps=ROUND + 2, keep=keep, model=model), stop)
    assert not stopped.whole
    assert keep.exists()
    assert stopped.descent.steps <= ROUND
    resumed = transfer(*pair, TransferRequest(name, steps=ROUND + 2, keep=keep, model=model))
    straight = transfer(*pair, TransferRequest(name, steps=ROUND + 2, model=model))
    assert resumed.whole
    assert not keep.exists()
    np.testing.assert_array_equal(resumed.audio, straight.audio)
    assert resumed.descent.curve == straight.descent.curve


def test_what_was_kept_for_another_pair_or_is_broken_is_not_gone_on_from(tmp_path):
    keep = tmp_path / "descent.npz"

    def stop(share, loss):
        raise KeyboardInterrupt

    request = TransferRequest("stft", steps=ROUND + 1, keep=keep)
    transfer((plucks()[None], RATE), (hiss()[None], RATE), request, stop)
    other = (hiss(1.3)[None], RATE), (plucks()[None], RATE)
    fresh = transfer(*other, TransferRequest("stft", steps=ROUND + 1))
    for spoilt in (keep.read_bytes(), b"not a file of ours"):
        keep.write_bytes(spoilt)
        np.testing.assert_array_equal(transfer(*other, request).audio, fresh.audio)


def test_the_baseline_is_librosas():
    content = plucks(1.0, 22_050)
    method = made("stft")
    ours = torch.view_as_complex(method.start()).numpy()
    np.testing.assert_allclose(ours, librosa.stft(content), atol=1e-4)
    np.testing.assert_allclose(method.sound(method.start()).numpy(), content, atol=1e-5)


def test_log_mel_frames_are_those_of_a_plain_transform():
    sound = hiss(1.0, RATE)
    mel = TextureLogMel(RATE, 512, 128, 24)
    power = np.abs(librosa.stft(sound, n_fft=512, hop_length=128)) ** 2
    plain = mel.weights.numpy() @ power / (np.square(np.hanning(513)[:-1]).sum() * 512)
    np.testing.assert_allclose(mel(torch.from_numpy(sound)).exp().numpy(), plain + 1e-9, rtol=1e-3)


def test_one_seed_makes_one_set_of_filters():
    levels = torch.randn(8, 30)
    one, other, third = (RandomFilters(8, 4, 3, seed)(levels) for seed in (0, 0, 1))
    torch.testing.assert_close(one, other)
    assert not torch.equal(one, third)


def test_a_share_is_nothing_at_the_goal_and_one_at_the_start():
    here, there = torch.zeros(3), torch.ones(3)
    assert [float(share(x, there, here)) for x in (there, here, (here + there) / 2)] == [0.0, 1.0, 0.25]


def test_onsets_are_where_bands_become_louder_however_loud_they_are():
    levels = torch.zeros(3, 20)
    levels[:, 5:] += 2
    levels[0, 12:] += 3
    levels[:, 15:] -= 4
    envelope = onset_envelope(levels)
    assert envelope.nonzero().flatten().tolist() == [4, 11]
    torch.testing.assert_close(envelope[[4, 11]], torch.tensor([2.0, 1.0]))
    assert float(unlike(envelope, envelope)) == pytest.approx(0, abs=1e-6)
    assert float(unlike(2 * envelope + 1, envelope)) == pytest.approx(0, abs=1e-6)
    assert float(unlike(envelope.roll(3), envelope)) > 0.9


def test_the_result_has_the_contents_rate_length_and_channels(tmp_path):
    soundfile.write(tmp_path / "content.wav", np.tile(plucks(1.1, 44_100)[:, None], (1, 2)), 44_100)
    soundfile.write(tmp_path / "style.flac", hiss(1.4, 11_025), 11_025)
    out = tmp_path / "out.wav"
    command = ["stylise", tmp_path / "content.wav", tmp_path / "style.flac", "--out", out]
    result = gramophone(*command, "--method", "texture", "--steps", 3, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["steps"] == 3
    before, after = read(tmp_path / "content.wav"), read(out)
    assert after[1] == before[1]
    assert after[0].shape == before[0].shape
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["content.wav", "out.png", "out.wav", "style.flac"]


def test_a_tagger_hears_sounds_of_other_lengths_by_any_network(tmp_path):
    for network in NETWORKS:
        file = tmp_path / f"{network}.safetensors"
        save(file, Tagger(TaggerShape(("a", "b"), network)), Card(16_000))
        method = load_method(BY_TAGGER).with_model(str(file))(
            *(torch.from_numpy(hiss(seconds)) for seconds in (1.0, 4.0))
        )
        losses = method.style_losses(method.start())
        assert all(float(loss) == pytest.approx(1, abs=1e-4) for name, loss in losses.items() if ".lag" in name)
        assert "speed 2.layer 0.lag 4" in losses
        assert "speed 2.layer 3.lag 4" not in losses


def test_without_a_tagger_it_says_where_one_comes_from(tmp_path):
    sounds = ((plucks()[None], RATE), (hiss()[None], RATE))
    with pytest.raises(ValueError, match=r"no model 'ears'; expected a path .*gramophone train"):
        transfer(*sounds, TransferRequest(BY_TAGGER, model="ears"))


def test_what_is_kept_quiet_is_nowhere_louder_than_the_content_and_else_as_it_was():
    content = levelled(np.concatenate([hiss(1.0), 1e-3 * hiss(1.0), hiss(1.0)]))
    noisy = np.random.default_rng(1).normal(0, 0.1, len(content)).astype(np.float32)
    quiet = kept_quiet(noisy, content, RATE)
    frame = round(0.032 * RATE)
    allowed, found = (frame_levels(sound, frame, frame) for sound in (content, quiet))
    assert np.all(found[len(found) // 3 + 2 : -len(found) // 3 - 2] < 2 * allowed.min() + 1e-4)
    assert np.mean(quiet**2) == pytest.approx(np.mean(content**2), rel=0.1)
    np.testing.assert_allclose(kept_quiet(content, content, RATE), content, atol=1e-4)


def test_silence_has_no_style(tmp_path):
    soundfile.write(tmp_path / "content.wav", plucks(), RATE)
    soundfile.write(tmp_path / "style.wav", np.zeros(RATE * 2), RATE)
    command = ["stylise", tmp_path / "content.wav", tmp_path / "style.wav", "--out", tmp_path / "out.wav"]
    with pytest.raises(ValueError, match="STYLE is silent"):
        gramophone(*command, "--method", "stft")
    assert gramophone(*command, "--method", "nonesuch").exit_code == 2


def test_noise_in_the_gaps_is_measured_where_the_content_is_silent():
    content = plucks(3.0, PAIR_RATE) * (np.arange(3 * PAIR_RATE) % PAIR_RATE < 0.7 * PAIR_RATE)
    content = content.astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 1, len(content)).astype(np.float32)
    noise *= np.sqrt(np.mean(content**2)) * 10 ** (-30 / 20)
    assert noise_floor(content, content) == -70
    assert noise_floor(content, content + noise) == pytest.approx(-30, abs=1.5)
