"""The voice, live: what torch does, in line and the same however it is cut; in tune, as loud as you, never broken."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.latent import stage
from support.pitch import cents, harmonics
from support.stage import noise, play
from support.voice import (
    BAD,
    HOP,
    RATE,
    SHAPE,
    SPEAKERS,
    card,
    made,
    model,  # noqa: F401 - fixtures
    sung,
)

from gramophone.models.checkpoint import Card, save
from gramophone.realtime.dsp.pitch.tracker import PitchTracker
from gramophone.realtime.dsp.rate_adapter import RateAdapter
from gramophone.realtime.stage_registry import keys_of
from gramophone.realtime.stages.latent.codec import LatentModel
from gramophone.realtime.stages.latent.loudness_match import LoudnessMatch
from gramophone.realtime.stages.latent.parameters import parameters_of
from gramophone.realtime.stages.latent.pitch_transform import PitchTransform
from gramophone.realtime.stages.latent.voice_codec import (
    VoiceCodec,
    adjust_voicing,
    mean_speaker,
    scale_character,
    tracker_within,
)
from gramophone.realtime.stages.latent.voice_decoder import KernelVoiceDecoder, ModuleVoiceDecoder, decoder_parts

FRAME_S = HOP / RATE


def values(**turned):
    knobs = {knob.name: knob.default for knob in parameters_of("voice", card(), SHAPE.latents)}
    return knobs | {name.replace("_", "-"): value for name, value in turned.items()}


def codec_of(shape, folder):
    path = folder / "voice.safetensors"
    save(path, made(shape), card(shape))
    return VoiceCodec(LatentModel.of(path), "cpu")


@pytest.mark.parametrize("ahead", [0, 1, 2, 3])
def test_live_analysis_equals_torch_and_all_of_a_frame_describes_one_hop(ahead, tmp_path):
    shape = replace(SHAPE, ahead=ahead)
    model, codec = made(shape), codec_of(shape, tmp_path)
    sound = sung(2.0)[0] + 0.01 * noise(2 * RATE)[0]
    sound[5000:9000] = 0
    frames = [codec.analyse(hop) for hop in sound.reshape(-1, HOP)]
    with torch.inference_mode():
        numbers, _ = model.encoder(torch.from_numpy(sound)[None, None])
        loudness, _ = model.loudness(torch.from_numpy(sound)[None, None])
    first = model.loudness.delay
    heard = np.array([frame.latents for frame in frames])
    np.testing.assert_allclose(heard, numbers[0, : shape.latents].t(), atol=2e-4)
    np.testing.assert_allclose([frame.prosody[2] for frame in frames][first:], loudness[0, 0, first:], atol=1e-4)
    powers = np.square(sound.reshape(-1, HOP)).mean(1)
    np.testing.assert_allclose([frame.power for frame in frames][ahead:], powers[: len(powers) - ahead], rtol=1e-5)


@pytest.mark.parametrize(("ahead", "late"), [(0, 201), (1, 73), (2, 0), (3, 0)])
def test_pitch_is_aligned_if_the_look_ahead_is_long_enough_and_else_lags_as_stated(ahead, late, tmp_path):
    shape = replace(SHAPE, ahead=ahead)
    codec = codec_of(shape, tmp_path)
    assert codec.pitch_lag == late
    hz = 150 * 2 ** (1.5 * np.arange(RATE) / RATE)
    frames = [codec.analyse(hop) for hop in harmonics(hz, [1, 0.6, 0.4, 0.2])[: RATE // HOP * HOP].reshape(-1, HOP)]
    octaves = np.array([frame.prosody[0] for frame in frames[30:-10]])
    ends = (np.arange(30, len(frames) - 10) + 1 - ahead) * HOP  # frame m of them is of hop m - ahead
    found = RATE * (octaves - math.log2(150 / 160)) / 1.5
    assert abs(np.median(ends - found) - late) < 0.0015 * RATE
    assert tracker_within(RATE, HOP, shape.ahead * HOP).delay <= max(shape.ahead * HOP, 201)


def test_the_kernel_decoder_equals_torch():
    model = made()
    live, plain = KernelVoiceDecoder(decoder_parts(model.decoder)), ModuleVoiceDecoder(model.decoder, "cpu")
    random, frames = np.random.default_rng(0), 200
    latents = random.normal(size=(frames, 3)).astype(np.float32)
    prosody = np.zeros((frames, 3), np.float32)
    prosody[:, 0] = np.linspace(-1.2, 3.6, frames) + random.normal(0, 0.3, frames) * (np.arange(frames) % 50 > 40)
    prosody[:, 1] = (np.arange(frames) % 30 > 8) * random.uniform(0.5, 1, frames)
    prosody[:, 2] = random.uniform(-12, 0, frames)
    colours = np.stack([np.linspace(-1, 1, frames), np.linspace(1, -2, frames), np.linspace(-0.6, 0.6, frames)], 1)
    heard = []
    for frame in range(frames):
        speaker = model.table[0 if frame < 90 else 2].numpy()
        if frame % 3:
            live.prepare()
        now = latents[frame], speaker, prosody[frame], colours[frame].astype(np.float32)
        heard.append((live.decode(*now), plain.decode(*now)))
    ours, theirs = (np.concatenate(series) for series in zip(*heard, strict=True))
    assert np.abs(theirs).max() > 0.3
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


TURNS = [
    (1000, "pitch", 7.0),
    (1777, "formant", -4.0),
    (2500, "speaker", "flute"),
    (3000, "scale", "minor"),
    (3001, "key", "Eb"),
    (3500, "blend", 0.6),
    (4000, "range", "free"),
    (4700, "vibrato", 100.0),
    (5000, "breath", 12.0),
    (5500, "brightness", -3.0),
    (6000, "air", 1.0),
    (6050, "gate", 2.0),
    (6100, "voicing", -0.5),
    (6200, "freeze", True),
    (7000, "range", "octaves"),
    (7500, "z2", 1.0),
    (8000, "voicing", 1.0),
]


@pytest.mark.parametrize("rate", [48_000, 44_100, 16_000, 8_000])
def test_any_block_sizes_give_the_same_sound_while_every_parameter_changes(model, rate):
    sound = np.repeat(sung(0.25, rate=rate) if rate < 40_000 else sung(0.2, rate=rate), 2, axis=0)
    turns = [turn for turn in TURNS if turn[0] < sound.shape[1]]
    whole = play(stage(model, rate, 2), sound, [sound.shape[1]], turns)
    assert whole.shape == sound.shape
    assert whole.dtype == np.float32
    for sizes in ([128], [1, 31, 64, 333, 2, 900]):
        np.testing.assert_array_equal(play(stage(model, rate, 2), sound, sizes, turns), whole)
    assert np.abs(whole).max() > 0.01


@pytest.mark.parametrize("rate", [48_000, 16_000])
def test_the_output_is_as_late_as_stated(model, rate):
    """The output's envelope is most like the input's when shifted by the delay."""
    playing = stage(model, rate, voicing=-1.0)
    sound = sung(2.0, rate=rate) * (np.sin(2 * np.pi * 6.3 * np.arange(2 * rate) / rate) > 0.6)
    heard = play(playing, np.pad(sound.astype(np.float32), ((0, 0), (0, 4000))), [256])[0]
    smooth = np.hanning(round(0.01 * rate))
    ours, yours = (np.convolve(np.abs(series), smooth, "same") for series in (heard, np.pad(sound[0], (0, 4000))))
    lags = np.arange(playing.delay - rate // 100, playing.delay + rate // 100)
    alike = [yours[: len(yours) - lag] @ ours[lag:] / np.linalg.norm(ours[lag:]) for lag in lags]
    assert abs(lags[int(np.argmax(alike))] - playing.delay) < 0.0015 * rate


def test_the_default_voice_is_late_by_less_than_forty_milliseconds_and_the_quick_one_by_less_than_twenty(tmp_path):
    for ahead, spare, most_s in [(2, 128, 0.04), (1, 0, 0.02), (0, 0, 0.02)]:
        shape = replace(SHAPE, ahead=ahead)
        codec = codec_of(shape, tmp_path)
        delay = RateAdapter(48_000, codec.rate, codec.hop, codec.delay, codec.deferral_s).delay
        assert delay == 3 * (24 + ahead * 128 + 127 + 24) + spare  # a filter, the encoder, the rest of a hop, a filter
        assert delay / 48_000 < most_s


@pytest.mark.parametrize("content", BAD)
def test_bad_input_gives_numbers_within_bounds_as_loud_as_what_came_in(model, content):
    sound = BAD[content].astype(np.float32)
    playing = stage(model, RATE, speaker="flute", range="octaves", pitch=5.0, formant=3.0, breath=6.0, gate=0.0)
    heard = play(playing, np.pad(sound, ((0, 0), (0, playing.delay))), [256])[:, playing.delay :]
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= 6 * np.abs(sound).max()
    was, now = (np.square(series[0, RATE // 2 :]).mean() for series in (sound, heard))
    if np.abs(sound).max() > 1e-3 and content != "clicks":
        assert abs(10 * math.log10(now / was)) < 3


def test_after_a_faint_passage_the_output_does_not_overshoot():
    """An output 30 dB too soft is raised; the tone after it is no louder than the input."""
    leveller, hop = LoudnessMatch(HOP, FRAME_S), 0.1 * noise(200 * HOP)[0].reshape(-1, HOP)
    hop /= np.sqrt(np.square(hop).mean(1, keepdims=True)) / 0.1
    levels = np.where(np.arange(200) < 150, 10 ** (-30 / 20), 1.0).astype(np.float32)
    said = np.array([leveller.process(level * sound, 0.01) for level, sound in zip(levels, hop, strict=True)])
    loudness = 10 * np.log10(np.square(said).mean(1) / 0.01)
    assert abs(loudness[149]) < 1
    assert (loudness[151:] < 3.1).all()
    assert abs(loudness[-1]) < 3.1


def test_character_scales_the_distance_from_the_mean_speaker(model):
    sound = sung()
    heard = {
        (speaker, character): play(stage(model, RATE, speaker=speaker, character=character), sound, [256])
        for speaker in ("anna", "bob")
        for character in (0.0, 0.5, 1.0, 2.0)
    }
    np.testing.assert_allclose(heard["anna", 0.0], heard["bob", 0.0], atol=1e-5)
    assert np.array_equal(heard["anna", 1.0], play(stage(model, RATE, speaker="anna"), sound, [256]))
    apart = [np.abs(heard["anna", character] - heard["bob", character]).mean() for character in (0.5, 1.0, 2.0)]
    assert apart == sorted(apart)
    assert apart[2] > 1.5 * apart[1] > 2 * apart[0] > 0


def test_the_mean_speaker_is_the_mean_of_people_not_of_instruments():
    table = np.array([[1, 0], [3, 0], [0, 50]], np.float32)
    known = Card(RATE, HOP, speakers=SPEAKERS, notes={"instruments": ["flute"]})
    assert mean_speaker(table, known).tolist() == [2, 0]
    assert mean_speaker(table[2:], replace(known, speakers=("flute",))).tolist() == [0, 50]
    assert scale_character(table[1], mean_speaker(table, known), 2.0).tolist() == [4, 0]


def test_silence_stays_silent(model):
    assert not play(stage(model, RATE, breath=24.0, voicing=1.0), np.zeros((1, RATE), np.float32), [256]).any()


@pytest.mark.parametrize(
    ("knob", "to"),
    [
        ("pitch", 12.0),
        ("formant", 7.0),
        ("breath", 12.0),
        ("brightness", 4.0),
        ("voicing", -1.0),
        ("blend", 1.0),
        ("character", 2.0),
    ],
)
def test_no_parameter_change_clicks(model, knob, to):
    """The fastest change while a parameter moves is hardly faster than before or after."""
    sound = 0.3 * harmonics(np.full(RATE, 180.0), [1, 0.5, 0.3])[None]
    heard = play(stage(model, RATE, breath=-24.0), sound, [128], [(RATE // 2, knob, to)])[0]
    loud = np.sqrt(np.convolve(np.square(heard), np.full(640, 1 / 640), "same"))
    steps = np.abs(np.diff(heard, 2)) / (loud[1:-1] + 1e-3)
    turning = steps[RATE // 2 : RATE // 2 + 2400].max()
    steady = max(steps[RATE // 4 : RATE // 2].max(), steps[3 * RATE // 4 :].max())
    assert turning < 1.5 * steady


def test_the_pitch_knob_moves_the_pitch(model):
    hz = np.full(RATE, 150.0)
    heard = play(stage(model, RATE, pitch=7.0, breath=-24.0), harmonics(hz, [1, 0.5, 0.3])[None], [256])[0]
    found = PitchTracker().process(heard)
    assert np.abs(cents(found.hz[60:], 150 * 2 ** (7 / 12))).max() < 10


def test_once_frozen_the_vowel_stays_and_the_tune_goes_on(model):
    hz = np.where(np.arange(2 * RATE) < RATE, 150.0, 225.0)
    heard = play(stage(model, RATE, breath=-24.0), harmonics(hz, [1, 0.5])[None], [256], [(8000, "freeze", True)])[0]
    found = PitchTracker().process(heard)
    assert np.abs(cents(found.hz[-60:], 225)).max() < 10


def turned(octaves, voicing=1.0, speaker=0, usual=(math.nan,), **knobs):
    """A series of octaves, transformed, for one of the speakers whose middle octaves are `usual`."""
    intonation = PitchTransform(FRAME_S, np.array(usual, np.float32))
    weights, known = np.eye(len(usual), dtype=np.float32)[speaker], values(**knobs)
    voicing = np.broadcast_to(voicing, len(octaves))
    return np.array([intonation.transform(*frame, weights, known) for frame in zip(octaves, voicing, strict=True)])


def test_by_default_pitch_is_unchanged():
    octaves = np.random.default_rng(0).uniform(-1, 2, 300)
    np.testing.assert_allclose(turned(octaves, usual=(1.0,)), octaves, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_free_range_is_the_speakers_and_octaves_stay_in_key(seed):
    random = np.random.default_rng(seed)
    tune = -0.4 + np.repeat(random.normal(0, 0.2, 60), 10)
    mistaken = tune + (random.uniform(size=600) < 0.05)  # an octave off, now and then
    free = turned(mistaken, usual=(1.3,), range="free")
    assert abs(np.median(free[200:]) - 1.3) < 0.1
    whole = turned(mistaken, usual=(1.3,), range="octaves")
    np.testing.assert_allclose((whole - mistaken)[200:], round(1.3 - np.median(tune)), atol=0.02)
    np.testing.assert_allclose(turned(mistaken, range="free"), mistaken)


def test_octaves_change_only_between_notes():
    octaves = np.where(np.arange(800) < 100, 0.0, 1.2)
    moved = turned(octaves, usual=(1.4,), range="octaves", adaptation=1.0) - octaves
    np.testing.assert_allclose(moved, 1.0)
    voicing = np.where(np.arange(800) // 10 == 50, 0.0, 1.0)
    moved = turned(octaves, voicing, usual=(1.4,), range="octaves", adaptation=1.0) - octaves
    assert moved[490] == pytest.approx(1)
    assert moved[-1] == pytest.approx(0, abs=0.01)


def notes(octaves):
    return 69 + 12 * np.log2(160 * 2 ** np.asarray(octaves) / 440)


@pytest.mark.parametrize(("scale", "allowed"), [("chromatic", range(12)), ("pentatonic", (2, 4, 6, 9, 11))])
def test_a_held_pitch_is_corrected_to_the_scale(scale, allowed):
    for start in np.random.default_rng(1).uniform(-1, 2, 12):
        ends = notes(turned(np.full(120, start), scale=scale, key="D", glide=80.0)[-1])
        assert abs(ends - round(ends)) < 0.01
        assert round(ends) % 12 in allowed


def test_tuning_moves_notes_and_leaves_vibrato_alone():
    time = np.arange(400) * FRAME_S
    swing = 0.4 * np.sin(2 * np.pi * 5.5 * time)
    sung_notes = notes(turned((60.3 + swing - 69) / 12 + math.log2(440 / 160), scale="major", glide=150.0))[100:]
    assert abs(sung_notes.mean() - 60) < 0.05
    assert 0.75 < (sung_notes - sung_notes.mean()).std() / swing.std() < 1.05
    fixed = notes(turned((60.3 + swing - 69) / 12 + math.log2(440 / 160), scale="major", glide=0.0))
    np.testing.assert_allclose(fixed, 60, atol=1e-9)


def test_between_two_notes_pitch_does_not_flutter():
    wavering = 60.5 + 0.12 * np.sin(np.arange(500) / 3)
    fixed = notes(turned((wavering - 69) / 12 + math.log2(440 / 160), scale="chromatic", glide=0.0))
    assert len(np.unique(np.round(fixed))) == 1


def test_vibrato_swings_as_wide_and_as_fast_as_asked_from_nothing():
    swing = 1200 * turned(np.zeros(1000), vibrato=50.0, vibrato_rate=5.0)
    assert np.abs(swing[:5]).max() < 5
    assert swing[200:].max() == pytest.approx(50, abs=1)
    crossings = np.count_nonzero(np.diff(np.sign(swing[250:] + 1e-9)) > 0)
    assert crossings == pytest.approx(5 * 750 * FRAME_S, abs=1)


def test_voicing_goes_from_all_whispered_to_all_voiced():
    assert [adjust_voicing(0.8, knob) for knob in (-1, 0, 1)] == pytest.approx([0, 0.8, 1])
    assert adjust_voicing(0.0, 0.5) == 0.5


def test_its_parameters_are_those_of_a_voice_and_of_its_card(model):
    knobs = {knob.name: knob for knob in keys_of("latent", {"model": model}, None).knobs}
    assert {"pitch", "range", "scale", "key", "glide", "vibrato", "formant", "breath", "brightness", "air"} < set(knobs)
    assert knobs["speaker"].choices == SPEAKERS
    assert "temperature" not in knobs
