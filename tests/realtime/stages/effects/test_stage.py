"""Every effect streams: any blocks, any change, at the latency it states, and never blows up."""

from __future__ import annotations

import re
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pedalboard
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from gramophone.models.parameters import Parameter, Value
from gramophone.realtime.files import AudioReader
from gramophone.realtime.stage import Audio, Format, Stage, StageError
from gramophone.realtime.stages.effects.plugin import EffectPlugin
from gramophone.realtime.stages.effects.stage import effect_stage
from gramophone.realtime.stages.effects.table import EFFECTS, REFUSED

RATE = 48000
KINDS = sorted(EFFECTS)
Change = tuple[int, str, Value]

# Where the defaults do nothing to hear, or hide an impulse.
AUDIBLE: dict[str, dict[str, Value]] = {
    "gain": {"gain": -6.0},
    "compressor": {"threshold": -30.0},
    "limiter": {"threshold": -20.0},
    "brickwall": {"ceiling": -20.0},
    "noise-gate": {"threshold": -6.0},
    "delay": {"time": 31.25},  # exact in binary: pedalboard rounds other times down, by up to a sample
    "lowshelf": {"gain": 12.0},
    "peak": {"gain": 12.0},
    "highshelf": {"gain": 12.0},
    "ladder": {"resonance": 0.5},
}
TRANSPARENT: dict[str, dict[str, Value]] = {
    "noise-gate": {"ratio": 1.0},
    "resample": {"rate": "32000"},
    "mp3": {"quality": 0.0},
}


def noise(channels: int, frames: int, seed: int = 0) -> Audio:
    return (0.2 * np.random.default_rng(seed).standard_normal((channels, frames))).astype(np.float32)


def values_of(kind: str, given: dict[str, Value] | None = None) -> dict[str, Value]:
    return {p.name: p.default for p in EFFECTS[kind].parameters} | (given or {})


def ends_of(parameter: Parameter) -> tuple[Value, Value]:
    if parameter.is_number:
        return parameter.from_0to1(0.2), parameter.from_0to1(0.8)
    if isinstance(parameter.default, bool):
        return False, True
    return parameter.choices[0], parameter.choices[-1]


def played(stage: Stage, sound: Audio, cuts: list[int], changes: list[Change] | None = None) -> Audio:
    """The stage's output for a sound in blocks that end at `cuts`, with changes at their sample counts."""
    changes = changes or []
    edges = sorted({c for c in cuts if c < sound.shape[1]} | {at for at, _, _ in changes} | {0, sound.shape[1]})
    pieces = []
    for start, stop in pairwise(edges):
        for at, name, value in changes:
            if at == start:
                stage.set(name, value)
        block = np.ascontiguousarray(sound[:, start:stop])
        kept = block.copy()
        pieces.append(stage.process(block))
        assert pieces[-1].shape == block.shape
        assert pieces[-1].dtype == np.float32
        np.testing.assert_array_equal(block, kept)
    return np.concatenate(pieces, axis=1)


def random_cuts(seed: int, frames: int) -> list[int]:
    rng = np.random.default_rng(seed)
    sizes: list[int] = []
    while sum(sizes) < frames:
        sizes.append(int(rng.choice([1, 2, 5, rng.integers(1, 300), rng.integers(1, 8193)])))
    return [int(c) for c in np.cumsum(sizes)]


def tolerance(kind: str) -> float:
    return 1e-6 if kind == "convolution" else 0.0  # the only one whose arithmetic depends on the block (an FFT)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_any_blocks_equal_one_whole_pass_at_rest_and_in_motion(kind: str, channels: int) -> None:
    sound = noise(channels, 24000)
    changes: list[Change] = []
    for i, parameter in enumerate(p for p in EFFECTS[kind].parameters if p.name != "impulse"):
        low, high = ends_of(parameter)
        changes += [(3001 + 177 * i, parameter.name, high), (3600 + 177 * i, parameter.name, low)]
        changes += [(14000, parameter.name, high)]
    whole, cut = (
        played(effect_stage(kind)(Format(RATE, channels), AUDIBLE.get(kind, {})), sound, cuts, changes)
        for cuts in ([], random_cuts(channels, 24000))
    )
    np.testing.assert_allclose(cut, whole, rtol=0, atol=tolerance(kind))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 8192), max_size=20), st.sampled_from(["compressor", "delay", "peak", "brickwall"]))
def test_any_sequence_of_blocks_gives_the_same_samples(sizes: list[int], kind: str) -> None:
    sound = noise(2, 12000)
    changes: list[Change] = [(2000, p.name, ends_of(p)[1]) for p in EFFECTS[kind].parameters]
    whole, cut = (
        played(effect_stage(kind)(Format(RATE, 2), AUDIBLE[kind]), sound, cuts, changes)
        for cuts in ([], [int(c) for c in np.cumsum(sizes)])
    )
    np.testing.assert_array_equal(cut, whole)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "convolution"])
def test_at_rest_the_samples_are_those_of_pedalboard_on_the_whole_file(kind: str) -> None:
    values = values_of(kind, AUDIBLE.get(kind))
    effect = EFFECTS[kind]
    form = Format(RATE, 2)
    stage = effect_stage(kind)(form, values)
    sound = noise(2, 20000)
    if kind == "delay":
        truth = pedalboard.Delay(values["time"] / 1000, values["feedback"], values["wet"])
    else:
        truth = getattr(pedalboard, effect.plugin)(
            **{k.attribute: k.convert(values[k.parameter.name], RATE) for k in effect.knobs}
        )
    # a pedal has heard this much silence before its first sample
    silence = 0 if kind == "delay" else 4096 if effect.hop > 1 else 8192
    expected = truth(np.pad(sound, ((0, 0), (silence, 0))), RATE)[:, silence:]
    heard = played(stage, sound, random_cuts(3, 20000))[:, stage.delay :]
    np.testing.assert_allclose(heard, expected[:, : heard.shape[1]], rtol=0, atol=1e-7 if kind == "delay" else 0)


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
@pytest.mark.parametrize("kind", KINDS)
def test_an_impulse_arrives_as_late_as_stated(kind: str, rate: int) -> None:
    if kind == "mp3" and rate > 48000:
        return
    stage = effect_stage(kind)(Format(rate, 2), TRANSPARENT.get(kind, {}))
    sound = np.zeros((2, 10000), np.float32)
    sound[:, 3000] = 0.5
    heard = played(stage, sound, random_cuts(1, 10000))
    # what looks ahead rings before the peak; filters ring after their first sample
    late = (np.abs(heard) if stage.delay else np.abs(heard) > 1e-6).argmax(axis=1) - 3000
    # the lower rate has no sample at the place of the impulse
    assert np.all(np.abs(late - stage.delay) <= (1 if kind == "resample" else 0))


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
@pytest.mark.parametrize("kind", ["resample", "mp3"])
def test_all_settings_have_one_delay_and_none_falls_behind_it(kind: str, rate: int) -> None:
    if kind == "mp3" and rate > 48000:
        return
    parameter = EFFECTS[kind].parameters[0]
    sound = noise(1, 6 * rate) * (np.arange(6 * rate) // 9000 % 3 > 0)
    spectrum = np.fft.rfft(sound[0], 2 * sound.shape[1])
    for value in parameter.choices or (0.0, 3.0, 9.5):
        stage = effect_stage(kind)(Format(rate, 1), {parameter.name: value})
        heard = played(stage, sound, list(range(0, sound.shape[1], 8192)))
        likeness = np.fft.irfft(np.conj(spectrum) * np.fft.rfft(heard[0], 2 * sound.shape[1]))
        assert abs(int(likeness.argmax()) - stage.delay) <= 1, value


def highs(sound: Audio) -> np.ndarray:
    """Level in dB above 6 kHz of every 64th window of 512 samples."""
    windows = np.lib.stride_tricks.sliding_window_view(sound[0].astype(float), 512)[::64] * np.hanning(512)
    return 10 * np.log10((np.abs(np.fft.rfft(windows))[:, 64:] ** 2).sum(1) / 128**2 + 1e-16)


def click_db(heard: Audio, at: int) -> float:
    """How far the highs during a change exceed those at rest before and after it, or -75 dB if they are lower."""
    level = highs(heard)
    frame = at // 64
    rest = max(level[frame - 80 : frame - 10].max(), level[-60:].max(), -75.0)
    return float(level[frame - 10 : frame + 160].max() - rest)


SINE = 0.25 * np.sin(2 * np.pi * 437 * np.arange(66000) / RATE)[None].astype(np.float32)
AT = 48000
STEPS = [
    (kind, parameter.name, up)
    for kind in KINDS
    for parameter in EFFECTS[kind].parameters
    for up in (True, False)
    # letting sound into a frozen room again is an onset of that sound, not a click
    if parameter.name not in ("impulse", "freeze")
]


@pytest.mark.parametrize(("kind", "name", "up"), STEPS)
def test_a_step_of_any_parameter_makes_no_click(kind: str, name: str, up: bool) -> None:
    parameter = next(p for p in EFFECTS[kind].parameters if p.name == name)
    before, after = ends_of(parameter)[:: 1 if up else -1]
    blocks = list(range(0, SINE.shape[1], 256))
    stages = [effect_stage(kind)(Format(RATE, 1), AUDIBLE.get(kind, {}) | {name: v}) for v in (before, after, before)]
    *at_rest, heard = [
        played(s, SINE, blocks, [(AT, name, v)]) for s, v in zip(stages, (before, after, after), strict=True)
    ]
    assert click_db(heard, AT + stages[0].delay) < 6.0
    assert np.abs(heard[:, AT:]).max() < 1.1 * max(np.abs(rest[:, AT:]).max() for rest in at_rest) + 0.005


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("gain", "gain"),
        ("compressor", "threshold"),
        ("lowpass", "frequency"),
        ("peak", "frequency"),
        ("ladder", "mode"),
    ],
)
def test_the_same_step_set_in_pedalboard_does_click(kind: str, name: str) -> None:
    """The criterion above is worth something: it fails what this stage is there to prevent."""
    parameter = next(p for p in EFFECTS[kind].parameters if p.name == name)
    before, after = ends_of(parameter)
    at = AT + 27  # not at a zero of the sine
    pedal = EffectPlugin(EFFECTS[kind], Format(RATE, 1), values_of(kind, AUDIBLE.get(kind, {}) | {name: before}))
    first = pedal(SINE[:, :at])
    pedal.set(name, after)
    assert click_db(np.concatenate([first, pedal(SINE[:, at:])], axis=1), at) > 20.0


def test_delay_steps_click_in_pedalboard_too() -> None:
    for attribute, value in (("mix", 0.8), ("delay_seconds", 0.4), ("feedback", 0.8)):
        plugin = pedalboard.Delay(0.04, 0.1, 0.2)
        first = plugin(SINE[:, : AT + 27], RATE, reset=False)
        setattr(plugin, attribute, value)
        heard = np.concatenate([first, plugin(SINE[:, AT + 27 :], RATE, reset=False)], axis=1)
        assert click_db(heard, AT) > 6.0


def test_a_new_value_arrives_and_stays() -> None:
    stage = effect_stage("gain")(Format(RATE, 1), {})
    ones = np.ones((1, 4096), np.float32)
    heard = played(stage, ones, [], [(100, "gain", -20.0), (200, "gain", -40.0)])
    assert np.all(heard[:, :100] == 1.0)
    np.testing.assert_allclose(heard[:, -500:], 0.01, rtol=1e-5)
    assert np.all(np.diff(heard[0]) <= 0)


EXTREME_SOUNDS = {
    "silence": np.zeros(6000),
    "dc": np.ones(6000),
    "full-scale noise": np.sign(np.random.default_rng(0).standard_normal(6000)),
    "denormals": np.full(6000, 1e-40),
}


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("kind", KINDS)
def test_every_effect_survives_extremes(kind: str, rate: int) -> None:
    """All knobs at one end, then all at the other, on the sounds that break filters."""
    if kind == "mp3" and rate > 48000:
        return
    ends: tuple[dict[str, Value], dict[str, Value]] = ({}, {})
    for parameter in EFFECTS[kind].parameters:
        if parameter.name != "impulse":
            both = parameter.range if parameter.is_number else ends_of(parameter)
            for end, value in zip(ends, both, strict=True):
                end[parameter.name] = value
    for channels, (start, end) in ((1, ends), (2, ends[::-1]), (6, ends)):
        stage = effect_stage(kind)(Format(rate, channels), start)
        for sound in EXTREME_SOUNDS.values():
            block = np.tile(sound.astype(np.float32), (channels, 1))
            cuts = [1, 2, 3, 600, 4000]
            changes = [(1500, name, value) for name, value in end.items()]
            changes += [(4500, name, value) for name, value in start.items()]
            heard = played(stage, block, cuts, changes)
            assert np.isfinite(heard).all()
            assert np.abs(heard).max() < 1000.0
        stage.close()


def test_channels_beyond_two_are_heard_in_pairs() -> None:
    sound = noise(5, 9000)
    together = played(effect_stage("reverb")(Format(RATE, 5), {}), sound, [])
    for pair in (slice(0, 2), slice(2, 4), slice(4, 5)):
        alone = played(effect_stage("reverb")(Format(RATE, len(sound[pair])), {}), sound[pair], [])
        np.testing.assert_array_equal(together[pair], alone)


def test_convolution_is_that_with_the_file_at_unit_energy(tmp_path: Path) -> None:
    response = noise(1, 3000)[0] * np.exp(-np.arange(3000) / 500).astype(np.float32)
    file = tmp_path / "room.wav"
    soundfile.write(file, response, RATE, subtype="FLOAT")
    sound = noise(1, 9000)
    heard = played(effect_stage("convolution")(Format(RATE, 1), {"impulse": str(file)}), sound, random_cuts(0, 9000))
    expected = np.convolve(sound[0], response / np.linalg.norm(response))[:9000]
    np.testing.assert_allclose(heard[0], expected, atol=2e-5)


def room(folder: Path, seed: int = 0) -> str:
    """A file with an impulse response."""
    file = folder / f"room{seed}.flac"
    decay = np.exp(-np.arange(8000) / 2000)[:, None]
    soundfile.write(file, np.clip(noise(2, 8000, seed).T * decay, -1, 1), 44100)
    return str(file)


def test_a_new_impulse_response_comes_in_without_a_click(tmp_path: Path) -> None:
    stage = effect_stage("convolution")(Format(RATE, 1), {})
    before = played(stage, SINE[:, :AT], list(range(0, AT, 256)))
    stage.hold()
    stage.set("impulse", room(tmp_path))
    stage.take(1)
    after = played(stage, SINE[:, AT:], list(range(0, SINE.shape[1] - AT, 256)))
    assert click_db(np.concatenate((before, after), axis=1), AT) < 6.0
    assert not np.allclose(after[:, -500:], SINE[:, -500:], atol=0.01)
    stage.close()


def test_loading_an_impulse_response_holds_up_no_sound_and_is_replayed_bit_for_bit(tmp_path: Path) -> None:
    files = [room(tmp_path, seed) for seed in (1, 2)]
    live, again = (effect_stage("convolution")(Format(RATE, 2), {"impulse": files[0]}) for _ in range(2))
    again.hold()
    asked = 0
    while live.taken < 4:
        if live.taken == asked:
            asked += 1
            for stage in (live, again):
                stage.set("impulse", files[asked % 2])
        block, before = noise(2, 256, asked), live.taken
        heard = live.process(block)
        if live.taken != before:
            again.take(live.taken)
        np.testing.assert_array_equal(again.process(block), heard)
    for stage in (live, again):
        stage.close()


def test_a_disk_that_does_not_answer_holds_up_no_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe would do as such a disk, but is refused at once."""
    answers = threading.Event()

    class Slow(AudioReader):
        def __init__(self, path: Path) -> None:
            answers.wait()
            super().__init__(path)

    monkeypatch.setattr("gramophone.realtime.files.AudioReader", Slow)
    (tmp_path / "slow.wav").write_text("not audio")
    stage = effect_stage("convolution")(Format(RATE, 2), {})
    stage.set("impulse", str(tmp_path / "slow.wav"))
    sound = noise(2, 3000)
    np.testing.assert_allclose(played(stage, sound, random_cuts(0, 3000)), sound, atol=1e-6)
    answers.set()
    with pytest.raises(StageError, match=r"slow\.wav.*not a sound file"):
        stage.take(1)
    stage.close()


def test_an_impulse_that_cannot_be_used_is_named_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage = effect_stage("convolution")(Format(RATE, 2), {})
    text, silent = tmp_path / "notes.wav", tmp_path / "silent.wav"
    text.write_text("not audio")
    soundfile.write(silent, np.zeros(100), RATE)
    cut = tmp_path / "cut.wav"
    cut.write_bytes(silent.read_bytes()[:-50])
    for file, why in (
        (tmp_path / "gone.wav", "cannot be read"),
        (text, "not a sound file"),
        (silent, "not all zero"),
        (cut, "cut short: 50 of 200 bytes"),
    ):
        with pytest.raises(StageError, match=f"{file.name}.*{why}"):
            effect_stage("convolution")(Format(RATE, 2), {"impulse": str(file)})
        caplog.clear()
        stage.set("impulse", str(file))
        while not caplog.records:
            np.testing.assert_allclose(stage.process(noise(2, 300)), noise(2, 300), atol=1e-6)
        assert re.search(f"{file.name}.*{why}", caplog.text)
    assert stage.taken == 0
    stage.close()


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_what_cannot_stream_is_refused_with_the_reason(kind: str) -> None:
    with pytest.raises(StageError, match=f"{kind}: cannot be played live, .*pedalboard"):
        effect_stage(kind)


def test_the_reason_still_holds() -> None:
    """If this fails, pedalboard has been repaired: move the effect from REFUSED to EFFECTS."""
    for plugin in (pedalboard.PitchShift(3), pedalboard.GSMFullRateCompressor()):
        heard = [plugin(noise(1, 256, seed), RATE, reset=False) for seed in range(400)]
        assert np.abs(np.concatenate(heard, axis=1)[:, -9000:]).max(initial=0) < 0.01


def test_errors_say_what_was_expected() -> None:
    with pytest.raises(StageError, match="fuzz: no such effect, expected one of gain"):
        effect_stage("fuzz")
    for kind, known in (("peak", "frequency, gain, q"), ("delay", "time, feedback, wet")):
        with pytest.raises(StageError, match=f"no parameter 'speed', expected one of {known}"):
            effect_stage(kind)(Format(RATE, 2), {}).set("speed", 1.0)
    with pytest.raises(StageError, match="MP3Compressor at 96000 Hz, 2 channels: MP3 only supports"):
        effect_stage("mp3")(Format(96000, 2), {})


def test_the_table_leaves_names_to_the_chain_and_describes_everything() -> None:
    for kind, effect in EFFECTS.items():
        assert effect.description, kind
        assert not {"mix", "bypass"} & {p.name for p in effect.parameters}, kind
        assert all(p.description for p in effect.parameters), kind
        assert effect_stage(kind).parameters == effect.parameters
