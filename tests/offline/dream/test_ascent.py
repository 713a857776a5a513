"""Dreams: the loss never rises, a stop loses nothing, and what keeps them off white noise does."""

import json

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.tagger import RATE, Tagger, TaggerShape
from gramophone.offline.cli.main import app
from gramophone.offline.dream import ascent
from gramophone.offline.dream.ascent import Dream, Dreamer
from gramophone.offline.dream.canvas import Samples, Spectrum, faint_noise
from gramophone.offline.dream.priors import Priors
from gramophone.offline.dream.target import DreamError, DreamGoal, DreamTarget
from gramophone.offline.evaluate.dream import flatness
from gramophone.offline.results import ResultError
from gramophone.realtime.files import read

pytestmark = pytest.mark.slow

FRAMES = round(1.5 * RATE)
ROUND = 5


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch):
    monkeypatch.setattr(ascent, "ROUND", ROUND)


@pytest.fixture(scope="module")
def tagger():
    torch.manual_seed(0)
    net = Tagger(TaggerShape(("flute", "drums"), bands=32, widths=(4, 6, 8))).eval()
    with torch.no_grad():
        net.head[-1].weight *= 30  # untrained, it hardly cares what it hears
    return net.requires_grad_(False)


def tone(hertz=440.0, frames=FRAMES):
    return (0.2 * torch.sin(2 * torch.pi * hertz * torch.arange(frames) / RATE)).float()


def dreamer(tagger, sound=None, **given):
    return Dreamer(tagger, Dream(**{"target": DreamTarget("flute"), "steps": 3 * ROUND, **given}), FRAMES, sound)


def gramophone(*args):
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.stderr
    return result


@pytest.mark.parametrize("naive", [True, False])
@pytest.mark.parametrize("target", [DreamTarget("flute"), DreamTarget(layer=2), DreamTarget(layer=2, channel=3)])
def test_the_loss_falls_and_never_rises(tagger, naive, target):
    curve = dreamer(tagger, target=target, naive=naive).dream(lambda descent: None).curve
    whole = [row["all"] for row in curve]
    assert whole == sorted(whole, reverse=True)
    assert whole[-1] < whole[0]
    assert not naive or [row[target.name] for row in curve] == whole


def test_a_dream_of_a_tag_makes_it_likelier(tagger):
    curve = dreamer(tagger, steps=8 * ROUND).dream(lambda descent: None).curve
    assert curve[-1]["flute"] < curve[0]["flute"]


def test_a_stop_can_be_resumed_and_ends_where_no_stop_would(tagger):
    kept = []

    def stop(descent):
        kept.append(descent)
        raise KeyboardInterrupt

    stopped = dreamer(tagger).dream(stop)
    assert stopped.steps < 3 * ROUND
    resumed = dreamer(tagger).dream(lambda descent: None, kept[-1])
    straight = dreamer(tagger).dream(lambda descent: None)
    assert torch.equal(resumed.x, straight.x)
    assert resumed.curve == straight.curve


def test_a_dream_from_a_clip_begins_with_the_clip(tagger):
    begun = dreamer(tagger, tone())
    assert begun.dream(lambda descent: None).curve[0]["crowded"] == pytest.approx(
        float(Priors()(tone())["crowded"]), 1e-3
    )


@pytest.mark.parametrize("canvas", [Samples(), Spectrum(FRAMES)])
def test_a_canvas_gives_back_the_sound_that_it_was_given(canvas):
    torch.testing.assert_close(canvas.sound(canvas.start(tone())), tone(), atol=1e-5, rtol=0)


def test_only_the_bass_moves_at_first(tagger):
    begun = dreamer(tagger)
    first, second = [], []
    begun.dream(lambda descent: (second if first else first).append(descent))
    noise = Spectrum(FRAMES).start(faint_noise(Spectrum(FRAMES), FRAMES, 0))
    moved = (first[0].x - noise).abs().amax((1, 2))
    hertz = torch.linspace(0, RATE / 2, len(moved))
    assert moved[hertz <= 500].min() > 0
    assert moved[hertz > 500].max() == 0


def test_noise_on_a_spectrum_falls_6_db_an_octave_and_on_samples_not_at_all():
    for canvas, expected in ((Samples(), 0.0), (Spectrum(8 * RATE), -6.02)):
        power = np.abs(np.fft.rfft(faint_noise(canvas, 8 * RATE, 0).numpy())) ** 2
        low, high = (power[8 * hertz : 16 * hertz].mean() for hertz in (500, 2000))
        assert 10 * np.log10(high / low) / 2 == pytest.approx(expected, abs=0.3)


def test_a_prior_prefers_few_lasting_tones_to_noise_however_loud():
    noise = torch.randn(FRAMES, generator=torch.Generator().manual_seed(0))
    for name in ("crowded", "rough"):
        pure, mixed, white = (float(Priors()(sound)[name]) for sound in (tone(), tone() + 0.02 * noise, noise))
        assert pure < mixed < white
        assert float(Priors()(7 * noise)[name]) == pytest.approx(white, abs=1e-3)


def test_to_a_prior_noise_in_the_colours_of_music_is_as_crowded_as_can_be():
    noise = faint_noise(Spectrum(8 * RATE), 8 * RATE, 0)
    # of a Gaussian's magnitudes, alike everywhere, the mean is so much of the root mean square
    assert float(Priors()(noise)["crowded"]) == pytest.approx(np.log(np.pi / 4) / 2, abs=0.02)


def test_next_to_nothing_of_a_canvas_is_too_low_to_be_heard():
    power = np.abs(np.fft.rfft(faint_noise(Spectrum(8 * RATE), 8 * RATE, 0).numpy())) ** 2
    assert power[: 8 * 20].mean() < 1e-2 * power[8 * 60 : 8 * 100].mean()


def test_the_naive_way_ends_in_whiter_noise(tagger):
    sounds = {}
    for naive in (True, False):
        begun = dreamer(tagger, naive=naive)
        sounds[naive] = begun.sound(begun.dream(lambda descent: None).x).numpy()
    assert flatness([sounds[True]]) > 3 * flatness([sounds[False]])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (DreamTarget("lute"), "no tag 'lute'; the tagger knows flute, drums"),
        (DreamTarget(), "expected a tag or a layer"),
        (DreamTarget("flute", layer=1), "one of them"),
        (DreamTarget("flute", channel=1), "channel 1 of tag 'flute': expected a layer"),
        (DreamTarget(layer=4), "no layer 4; the tagger has layers 1 to 3"),
        (DreamTarget(layer=1, channel=4), "no channel 4; layer 1 has channels 0 to 3"),
    ],
)
def test_what_cannot_be_dreamt_of_is_named(tagger, target, message):
    with pytest.raises(DreamError, match=message):
        DreamGoal(tagger, target)


def test_a_dream_is_written_with_its_picture_and_its_tags(tagger, tmp_path):
    model = tmp_path / "model.safetensors"
    save(model, tagger, Card(RATE))
    soundfile.write(tmp_path / "clip.wav", np.tile(tone(330, 36_000).numpy()[:, None], 2), 24_000)
    command = ("dream", "--tag", "flute", "--steps", 2 * ROUND, "--model", model, "--json")
    from_noise = json.loads(gramophone(*command, "--seconds", 2, "--out", tmp_path / "noise.wav").stdout)
    from_clip = json.loads(gramophone(*command, tmp_path / "clip.wav", "--out", tmp_path / "dream.flac").stdout)
    assert from_noise["tags"].keys() == {"flute", "drums"}
    for out, seconds, done in (("noise.wav", 2.0, from_noise), ("dream.flac", 1.5, from_clip)):
        sound, rate = read(tmp_path / out)
        assert (sound.shape, rate) == ((1, seconds * RATE), RATE)
        assert (tmp_path / out).with_suffix(".png").stat().st_size > 1000
        assert done["losses"][-1]["all"] <= done["losses"][0]["all"]
    assert not list(tmp_path.glob("*.npz"))


def test_a_stopped_command_keeps_the_best_and_the_same_command_goes_on(tagger, tmp_path, monkeypatch):
    save(tmp_path / "model.safetensors", tagger, Card(RATE))
    command = (
        "dream",
        "--tag",
        "drums",
        "--steps",
        2 * ROUND,
        "--model",
        tmp_path / "model.safetensors",
        "--seconds",
        1.5,
    )
    whole = json.loads(gramophone(*command, "--json", "--out", tmp_path / "whole.wav").stdout)
    plain = Dreamer._round
    rounds = []

    def interrupted(self, before, steps):
        rounds.append(before.steps)
        if len(rounds) == 2:
            raise KeyboardInterrupt
        return plain(self, before, steps)

    monkeypatch.setattr(Dreamer, "_round", interrupted)
    assert "stopped; call again" in gramophone(*command, "--out", tmp_path / "part.wav").stdout
    assert (tmp_path / "part.wav").exists()
    again = json.loads(gramophone(*command, "--json", "--out", tmp_path / "part.wav").stdout)
    assert rounds == [0, ROUND, ROUND]
    assert again["losses"] == whole["losses"]
    np.testing.assert_array_equal(read(tmp_path / "part.wav")[0], read(tmp_path / "whole.wav")[0])
    with pytest.raises(ResultError, match="no folder"):
        gramophone(*command, "--out", tmp_path / "nowhere" / "a.wav")
