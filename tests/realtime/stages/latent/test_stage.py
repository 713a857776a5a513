"""The latent stage: aligned with its input, independent of block sizes, controlled by its parameters."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.latent import RATE, SHAPE, SPEAKERS, checkpoint, exports, model, stage, write  # noqa: F401 - fixtures
from support.stage import noise, play
from typer.testing import CliRunner

from gramophone.models.checkpoint import Card, save
from gramophone.models.nets.vlae import VLAE, VLAEShape
from gramophone.models.nets.wavenet import WaveNet, WaveNetShape
from gramophone.offline.cli.main import app
from gramophone.presets import Preset, PresetError, StageSettings
from gramophone.presets import save as save_preset
from gramophone.presets.preset import read as read_preset
from gramophone.realtime.chain import Chain
from gramophone.realtime.dsp.rate_adapter import RateAdapter
from gramophone.realtime.files import read
from gramophone.realtime.parameter_table import complete, table
from gramophone.realtime.stage import Format, StageError
from gramophone.realtime.stage_registry import keys_of
from gramophone.realtime.stages.latent.stage import LatentStage


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A clip long enough for its style, another, and one that is too short."""
    folder = tmp_path_factory.mktemp("clips")
    sound = noise(8000)[0]
    return {
        "long": write(folder / "long.wav", sound),
        "other": write(folder / "other.wav", np.cumsum(sound) / 50),
        "short": write(folder / "short.wav", sound[2000:2200]),
    }


def turns(clips):
    return [
        (1000, "strength", 1.0),
        (1777, "z1-brightness", 2.0),
        (2500, "z2-scale", 0.3),
        (2600, "store", True),
        (3000, "speaker", "bob"),
        (3001, "recall", 0.7),
        (3500, "blend", 0.6),
        (4000, "freeze", True),
        (4700, "freeze", False),
        (5000, "morph", 0.5),
        (5500, "seed", 7.0),
        (6000, "temperature", 0.5),
        (6500, "nucleus", 0.7),
        (7000, "recall", 0.0),
        (7100, "gate", 3.0),
    ]


@pytest.mark.parametrize("rate", [RATE, 11_025, 8_000, 6_000])
def test_any_block_sizes_give_the_same_sound_while_every_parameter_changes(model, clips, rate):
    sound, surfaces = noise(9000, 2), turns(clips)
    values = {"clip": clips["long"], "clip2": clips["other"], "strength": 0.2}
    whole = play(stage(model, rate, 2, **values), sound, [9000], surfaces)
    assert whole.shape == sound.shape
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(whole[0], whole[1])
    for sizes in ([256], [1, 31, 64, 333, 2, 900]):
        np.testing.assert_array_equal(play(stage(model, rate, 2, **values), sound, sizes, surfaces), whole)
    untouched = play(stage(model, rate, 2, **values), sound, [256])
    assert not np.array_equal(untouched, whole)
    np.testing.assert_array_equal(untouched[:, :1000], whole[:, :1000])


def test_without_a_gate_it_is_the_plain_model_exactly_as_late_as_stated(model, clips, tmp_path):
    """Against the whole sound at once in torch: encode, decode with the same random numbers."""
    net = checkpoint(tmp_path / "net.safetensors")
    sound = noise(1400)[0]
    bob = {"speaker": "bob", "seed": 5.0, "gate": 0.0}
    playing = stage(model, SHAPE.rate, **bob)
    heard = play(playing, np.pad(sound, (0, playing.delay))[None], [100])[0, playing.delay :]
    late = net.encoder.delay
    with torch.inference_mode():
        numbers, _ = net.encoder(torch.from_numpy(np.pad(sound, (0, net.delay)))[None, None])
        stream = np.random.Generator(np.random.Philox(key=[5, 0]))
        uniform = torch.from_numpy(stream.random((numbers.shape[2] * SHAPE.hop, 1)).T[None])
        said, _ = net.decoder(numbers[:, : SHAPE.latents], None, torch.tensor([[0.0, 1.0, 0.0]]), uniform)
    expected = said[0, 0, late * SHAPE.hop :].numpy()
    np.testing.assert_allclose(heard[:1200], expected[:1200], atol=1e-4)  # the end rings on, here it does not
    assert np.abs(heard).max() > 0.1
    for neutral in ({"strength": 0.0, "clip": clips["long"]}, {"morph": 1.0}, {"recall": 1.0}, {"store": True}):
        same = play(stage(model, SHAPE.rate, **bob, **neutral), sound[None], [100])
        np.testing.assert_array_equal(same[0, playing.delay :], heard[: 1400 - playing.delay])


def test_the_default_vlae_is_late_by_less_than_sixty_milliseconds():
    for window, known in (0, 256), (1024, 512):
        shape = VLAEShape(pitch_window=window)
        delay = RateAdapter(48_000, shape.rate, shape.hop, VLAE(shape).delay).delay
        assert delay == 3 * (24 + known + 127 + 24)  # a filter, the encoder, the rest of a hop, a filter
        assert delay / 48_000 < 0.06


def test_when_frozen_the_input_has_no_effect_but_parameters_have(model):
    sound = noise(6000)
    frozen = [(3000, "freeze", True)]
    other = sound.copy()
    other[:, 3000:] = 0
    first, second = (play(stage(model), content, [256], frozen) for content in (sound, other))
    np.testing.assert_array_equal(first, second)
    turned = play(stage(model), sound, [256], [*frozen, (4000, "z2", 3.0)])
    assert not np.array_equal(turned[:, 4500:], first[:, 4500:])
    assert not np.array_equal(play(stage(model), other, [256])[:, 4500:], first[:, 4500:])


def test_recall_goes_back_to_what_was_stored_also_out_of_a_saved_preset(model, tmp_path):
    """With all of the way to the stored latents, nothing that comes in is heard any more."""
    sound = noise(6000)
    preset = complete(Preset("p", (StageSettings("voice", "latent", {"model": model}),)))
    chain = Chain(preset, Format(RATE, 1))
    chain.process(sound[:, :2000])
    chain.set("voice.store", True)
    chain.process(sound[:, 2000:2100])
    chain.set("voice.recall", 1.0)
    save_preset(chain.snapshot(), tmp_path / "p.toml")
    chain.close()
    again = complete(read_preset(tmp_path / "p.toml"))
    numbers = [float(word) for word in again.stages[0].values["stored"].split()]
    assert len(numbers) == 3
    assert again.stages[0].values["recall"] == 1.0
    sounds = [play(Chain(again, Format(RATE, 1)), content, [256]) for content in (sound, np.zeros_like(sound))]
    np.testing.assert_array_equal(*sounds)
    chain = Chain(again, Format(RATE, 1))
    assert chain.snapshot() == again
    chain.close()


def test_with_morph_at_one_only_the_second_clip_is_played(model, clips):
    sound = noise(6000)
    values = {"clip2": clips["other"], "morph": 1.0}
    first, silent = (play(stage(model, **values), content, [256]) for content in (sound, np.zeros_like(sound)))
    np.testing.assert_array_equal(first, silent)
    assert not np.array_equal(play(stage(model), sound, [256]), first)


def test_a_clip_analysed_in_the_background_is_replayed_from_the_same_sample_on(model, clips):
    sound = noise(20_000)
    playing, heard = stage(model), []
    playing.set("clip2", clips["other"])
    playing.set("morph", 1.0)
    while not playing.taken:
        heard.append(playing.process(sound[:, :512]))
    heard.append(playing.process(sound[:, :5120]))
    again = stage(model)
    again.hold()
    again.set("clip2", clips["other"])
    again.set("morph", 1.0)
    for number, piece in enumerate(heard):
        if number == len(heard) - 2:
            again.take(1)
        np.testing.assert_array_equal(again.process(sound[:, : piece.shape[1]]), piece)
    with pytest.raises(StageError, match="expected the last"):
        again.take(1)
    for part in (playing, again):
        part.close()


def test_a_clip_that_cannot_be_analysed_is_named_and_the_old_one_stays(model, clips, tmp_path, caplog):
    (tmp_path / "words.wav").write_text("words")
    with pytest.raises(StageError, match=r"words\.wav"):
        stage(model, clip=str(tmp_path / "words.wav"))
    playing, untouched = stage(model, clip=clips["long"]), stage(model, clip=clips["long"])
    playing.set("clip", str(tmp_path / "words.wav"))
    playing.background._request.made.exception()  # waits until it has failed
    sound = noise(6000)
    np.testing.assert_array_equal(play(playing, sound, [256]), play(untouched, sound, [256]))
    assert "words.wav" in caplog.text
    assert "stays as it was" in caplog.text


def test_a_clip_too_short_for_a_covariance_is_warned_about_and_a_silent_one_is_refused(model, clips, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        short = stage(model, clip=clips["short"])
    assert "too short" in caplog.text
    sound = noise(9000)
    plain = play(stage(model), sound, [256])
    moved = play(short, sound, [256])
    assert np.isfinite(moved).all()
    assert not np.array_equal(moved, plain)
    for key in ("clip", "clip2"):
        with pytest.raises(StageError, match=r"silent\.wav: silent"):
            stage(model, **{key: write(tmp_path / "silent.wav", np.zeros(8000, np.float32))})


HOSTILE = {
    "silence": np.zeros((1, 9000)),
    "full scale": np.sign(np.random.default_rng(0).normal(size=(1, 9000))),
    "very loud": np.random.default_rng(0).normal(0, 1e4, (1, 9000)),
    "very quiet": np.random.default_rng(0).normal(0, 1e-7, (1, 9000)),
    "one click": np.eye(1, 9000, 100),
}


@pytest.mark.parametrize("content", HOSTILE)
@pytest.mark.parametrize("clip", ["long", "short"])
def test_it_never_blows_up(model, clips, clip, content):
    far = {"z1-brightness": 3.0, "z2-scale": 2.0, "temperature": 2.0}
    playing = stage(model, clip=clips[clip], clip2=clips["short"], morph=0.5, **far)
    heard = play(playing, HOSTILE[content].astype(np.float32), [256])
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() < 4


def test_its_knobs_are_those_of_the_model(model, tmp_path):
    preset = Preset("p", (StageSettings("voice", "latent", {"model": model}),))
    knobs = table(preset)
    assert knobs["voice.speaker"].choices == SPEAKERS
    for knob in ("z1-brightness", "z1-brightness-scale", "z2", "z2-scale", "z3-loudness", "z3-loudness-scale", "seed"):
        assert f"voice.{knob}" in knobs
    assert keys_of("latent", {"model": model}, None).hop_s == SHAPE.hop / SHAPE.rate
    alone = tmp_path / "alone.safetensors"
    checkpoint(alone, replace(SHAPE, speakers=0), latents=())
    found = {knob.name for knob in keys_of("latent", {"model": "alone.safetensors"}, tmp_path).knobs}
    assert {"z1", "z3-scale"} < found
    assert "speaker" not in found
    assert np.isfinite(play(stage(str(alone)), noise(3000), [256])).all()
    with pytest.raises(StageError, match="changes with the preset"):
        stage(model).set("model", "other")


def test_an_offset_moves_the_latents_that_the_card_couples(tmp_path):
    checkpoint(tmp_path / "alone.safetensors")
    checkpoint(tmp_path / "both.safetensors", notes={"company": [[1, 0, 0], [0, 1, -0.5], [0, 0, 1]]})
    turned = play(stage(str(tmp_path / "both.safetensors"), z2=2.0), noise(3000), [256])
    prosody = play(stage(str(tmp_path / "alone.safetensors"), **{"z2": 2.0, "z3-loudness": -1.0}), noise(3000), [256])
    alone = play(stage(str(tmp_path / "alone.safetensors"), z2=2.0), noise(3000), [256])
    np.testing.assert_array_equal(turned, prosody)
    assert np.any(turned != alone)


def test_settings_that_do_not_fit_are_refused(model, tmp_path):
    singer = WaveNet(WaveNetShape(layers=2, cycle=2, residual=8, skip=8))
    save(tmp_path / "singer.safetensors", singer, Card(8000))
    wrong = {
        "rate": {"rate": 16_000},
        "hop": {"hop": 64},
        "speakers": {"speakers": ("anna",)},
        "latents": {"latents": ("z1", "z2")},
    }
    for name, card in wrong.items():
        checkpoint(tmp_path / f"{name}.safetensors", **card)
    checkpoint(tmp_path / "twin.safetensors", replace(SHAPE, latents=0), latents=())
    for file, message in [
        ("", "key 'model' is missing"),
        ("nobody", "no model 'nobody'"),
        ("gone.safetensors", "no such model file"),
        ("singer.safetensors", "a wavenet model; expected vlae"),
        ("rate.safetensors", "the card's rate is 16000, the model's 8000"),
        ("speakers.safetensors", "number of speakers is 1, the model's 3"),
        ("latents.safetensors", "number of latents is 2, the model's 3"),
        ("twin.safetensors", "without latents"),
    ]:
        with pytest.raises(StageError, match=message):
            LatentStage.keys({"model": file}, tmp_path)
    with pytest.raises(StageError, match="the card's hop is 64, the model's 32"):
        stage(str(tmp_path / "hop.safetensors"))
    for stored in ("1 2", "1 2 x", "1 2 nan", "1 2 3 4"):
        with pytest.raises(StageError, match="expected 3 numbers"):
            stage(model, stored=stored)
    preset = Preset("p", (StageSettings("voice", "latent", {"model": model, "speaker": "zoe"}),))
    with pytest.raises(PresetError, match="expected one of anna, bob"):
        complete(preset)


def test_a_preset_with_it_renders_aligned_and_the_same_each_time(model, tmp_path):
    sound = noise(12_000)[0]
    write(tmp_path / "voice.wav", sound, RATE)
    preset = tmp_path / "p.toml"
    preset.write_text(f'[[stages]]\nname = "voice"\nkind = "latent"\nmodel = "{model}"\nz2 = 1.0\n')
    options = ["render", str(tmp_path / "voice.wav"), "--preset", str(preset)]
    for out, more in [("a", []), ("b", ["--block", "100"]), ("dry", ["--set", "voice.mix=0"])]:
        done = CliRunner().invoke(app, [*options, "--out", str(tmp_path / out), *more])
        assert done.exit_code == 0, done.output
    first, second, dry = (read(tmp_path / out / "voice.wav")[0] for out in ("a", "b", "dry"))
    assert first.shape == (1, 12_000)
    assert np.abs(first).max() > 0.01
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(dry[0], sound)
