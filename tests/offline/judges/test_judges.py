"""The judges' laws: what is untouched, identical, gained, mixed or broken is judged as such."""

import itertools
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gramophone.offline.data import corpora
from gramophone.offline.data.mono_audio import RATE, heard, levelled
from gramophone.offline.evaluate import style_pairs
from gramophone.offline.evaluate.style import Summary, live_style, restyle
from gramophone.offline.judges import weights
from gramophone.offline.judges.closeness import JUDGES, SECOND_OPINION, Closeness
from gramophone.offline.judges.music import chroma_correlation, onset_correlation
from gramophone.offline.judges.paste import pasted
from gramophone.offline.judges.speech import recognise, speech_quality, word_errors, words
from gramophone.offline.judges.tensorflow_bundle import BundleError, read_bundle
from gramophone.presets import CLIPS

pytestmark = pytest.mark.slow

RATES = (RATE, 48_000)
needs_taggers = pytest.mark.skipif(
    not weights.downloaded(), reason="the taggers' weights are not in the cache; `gramophone evaluate style` gets them"
)
needs_recordings = pytest.mark.skipif(
    not corpora.unpacked(), reason="the Debian recordings are not in the cache; `gramophone evaluate style` gets them"
)


def clip(name, rate=RATE):
    return corpora.load(CLIPS / f"{name}.flac", rate)


def filtered(sound, rate):
    """A slowly turning treble control, as a live style stage may be."""
    kernel = np.exp(-np.arange(64) / 4).astype(np.float32)
    dull = np.convolve(sound, kernel / kernel.sum())[: len(sound)]
    turn = 0.5 + 0.5 * np.sin(np.arange(len(sound)) / rate * 2).astype(np.float32)
    return sound * turn + dull * (1 - turn)


# Hearing


@given(gain_db=st.floats(-60, 20))
@settings(max_examples=20, deadline=None)
def test_a_gain_is_not_heard(gain_db):
    sound = clip("guitar")[:RATE]
    np.testing.assert_allclose(levelled(sound * np.float32(10 ** (gain_db / 20))), levelled(sound), atol=1e-5)


@pytest.mark.parametrize("frames", [0, 1, 100, 5000])
def test_silence_stays_silence(frames):
    np.testing.assert_array_equal(levelled(np.zeros(frames, np.float32)), np.zeros(frames))


# Checkpoints


def varint(number):
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number, value):
    """Field of a protocol buffer: a number or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(entries):
    body, before = b"", b""
    for key, value in entries:
        shared = next(
            (i for i, (a, b) in enumerate(zip(key, before, strict=False)) if a != b), min(len(key), len(before))
        )
        body += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    return body + (0).to_bytes(4, "little") + (1).to_bytes(4, "little")


def written(tensors):
    """A checkpoint as TensorFlow writes it: index and data."""
    data, entries = b"", [(b"", field(1, 1))]
    for name, tensor in sorted(tensors.items()):
        shape = b"".join(field(2, field(1, size)) for size in tensor.shape)
        message = field(1, 1) + field(2, shape) + field(4, len(data)) + field(5, tensor.nbytes)
        entries.append((name.encode(), message))
        data += tensor.astype("<f4").tobytes()
    table = block(entries)
    first = varint(0) + varint(len(table))
    table += bytes(5)
    root = block([(b"~", first)])
    handles = varint(0) + varint(0) + varint(len(table)) + varint(len(root))
    return table + root + bytes(5) + handles.ljust(40, b"\0") + (0xDB4775248B80FB57).to_bytes(8, "little"), data


@given(
    st.dictionaries(
        st.text("abc/_0123456789", min_size=1, max_size=12), st.lists(st.integers(1, 5), max_size=3), max_size=8
    )
)
def test_what_a_checkpoint_holds_is_read_back(shapes):
    count = itertools.count(1)
    tensors = {
        name: np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(np.float32) + next(count)
        for name, shape in shapes.items()
    }
    found = read_bundle(*written(tensors))
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor)


def test_what_is_no_checkpoint_is_refused():
    with pytest.raises(BundleError, match="not a LevelDB table"):
        read_bundle(bytes(100), b"")


# Taggers


@needs_taggers
@pytest.mark.parametrize("instrument", ["cello", "choir", "drums", "flute", "synth"])
def test_a_tagger_names_what_plays(instrument):
    import torch

    from gramophone.offline.judges.taggers import load_tagger, patches

    with torch.inference_mode():
        tags = load_tagger("MTT_musicnn").tags(patches(heard(clip(instrument), RATE))).mean(0)
    assert weights.load_tags("MTT")[int(tags.argmax())] == instrument


@needs_taggers
@pytest.mark.parametrize("tagger", JUDGES + SECOND_OPINION)
def test_a_patch_is_judged_alike_alone_and_in_company(tagger):
    import torch

    from gramophone.offline.judges.taggers import load_tagger, patches

    together = patches(clip("cello")[: 5 * RATE])
    with torch.inference_mode():
        whole = load_tagger(tagger).activations(together)
        alone = torch.cat([load_tagger(tagger).activations(one[None]) for one in together])
    torch.testing.assert_close(whole, alone, atol=1e-4, rtol=1e-4)


# Closeness


@needs_taggers
@pytest.mark.parametrize("tagger", JUDGES)
def test_closeness_is_0_for_the_content_at_any_gain(tagger):
    voice, drums = clip("voice"), clip("drums")
    judge = Closeness(voice, drums, RATE, tagger)
    assert judge(voice, RATE) == 0
    assert judge(voice * np.float32(0.25), RATE) == pytest.approx(0, abs=0.01)
    assert judge(drums, RATE) > 0.9


@needs_taggers
@needs_recordings
def test_closeness_is_1_for_more_of_the_style_recording():
    pair = next(itertools.islice(style_pairs.load_pairs("dev"), 3, None))
    for tagger in JUDGES:
        judge = Closeness(pair.content, pair.style, style_pairs.RATE, tagger)
        assert judge(pair.more_style, style_pairs.RATE) == pytest.approx(1, abs=0.2)


# Music


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("constant_q", [False, True])
def test_identical_tunes_correlate_fully_and_others_do_not(constant_q, rate):
    tune, other = clip("guitar", rate)[: 6 * rate], clip("brass", rate)[: 6 * rate]
    assert chroma_correlation(tune, tune, rate, constant_q=constant_q) == pytest.approx(1)
    assert chroma_correlation(tune, tune * np.float32(0.1), rate, constant_q=constant_q) == pytest.approx(1, abs=1e-3)
    assert chroma_correlation(tune, other, rate, constant_q=constant_q) < 0.6


@pytest.mark.parametrize("rate", RATES)
def test_identical_rhythms_correlate_fully_and_late_ones_do_not(rate):
    drums = clip("drums", rate)
    assert onset_correlation(drums, drums, rate) == pytest.approx(1)
    assert onset_correlation(drums, np.roll(drums, rate // 10), rate) < 0.5


def test_music_judges_survive_silence():
    sound, silence = clip("guitar")[: 2 * RATE], np.zeros(2 * RATE, np.float32)
    assert chroma_correlation(sound, silence, RATE) == pytest.approx(0, abs=1e-6)
    assert onset_correlation(sound, silence, RATE) == pytest.approx(0, abs=1e-6)


# Paste


def test_a_filtered_content_has_nothing_pasted_in():
    voice = clip("voice")[: 8 * RATE]
    assert abs(pasted(voice, clip("choir"), voice, RATE)) < 0.02
    assert abs(pasted(voice, clip("choir"), filtered(voice, RATE), RATE)) < 0.02


@pytest.mark.parametrize("style", ["choir", "drums", "guitar"])
def test_a_style_mixed_in_is_found(style):
    voice, other = heard(clip("voice"), RATE)[: 6 * RATE], heard(clip(style), RATE)[: 6 * RATE]
    assert pasted(voice, other, voice + 0.25 * other, RATE) > 0.1


def test_half_a_second_of_style_is_found_wherever_it_comes_from():
    voice, choir = heard(clip("voice"), RATE)[: 6 * RATE].copy(), heard(clip("choir"), RATE)
    voice_with = voice.copy()
    voice_with[30_000:40_000] = choir[70_123:80_123]
    assert pasted(voice, choir, voice_with, RATE) > 0.3


# Speech


def test_noise_lowers_the_quality_of_speech_and_a_gain_does_not():
    pytest.importorskip("speechmos", reason="the extra `evaluate` is not installed")
    voice = clip("voice")
    clean = speech_quality(voice, RATE)
    noise = np.random.default_rng(0).normal(0, 0.02, len(voice)).astype(np.float32)
    assert speech_quality(voice * np.float32(0.3), RATE) == pytest.approx(clean, abs=0.02)
    assert speech_quality(heard(voice, RATE) + noise, RATE) < clean - 0.5


@needs_recordings
def test_a_prompt_is_understood_forwards_only():
    pytest.importorskip("pocketsphinx", reason="the extra `evaluate` is not installed")
    name = "agent-pass"
    speech = corpora.load(corpora.recordings("english")[name], RATE)
    text = corpora.english_transcripts()[name]
    errors, count = word_errors(text, recognise(speech, RATE))
    backwards, _ = word_errors(text, recognise(speech[::-1], RATE))
    assert errors < 0.5 * count < 0.8 * count < backwards


def slow_distance(a, b):
    """Levenshtein's definition, word for word."""
    if not a or not b:
        return len(a) + len(b)
    swap = slow_distance(a[1:], b[1:]) + (a[0] != b[0])
    return min(swap, slow_distance(a[1:], b) + 1, slow_distance(a, b[1:]) + 1)


spoken = st.lists(st.sampled_from(["press", "one", "two"]), max_size=5)


@given(spoken, spoken)
def test_word_errors_are_the_edit_distance(a, b):
    assert word_errors(" ".join(a), " ".join(b)) == (slow_distance(a, b), len(a))


def test_transcripts_become_words():
    assert words("Press 1, or 42 [beep] to leave; it\N{RIGHT SINGLE QUOTATION MARK}s 100.") == (
        ["press", "one", "or", "forty", "two", "to", "leave", "it's", "one", "zero", "zero"]
    )


# Recordings and the command


@given(st.text(max_size=20))
def test_a_quarter_is_held_out_by_name(name):
    assert corpora.is_held_out(name) == (zlib.crc32(name.encode()) % 4 == 0)


@needs_recordings
@pytest.mark.parametrize("which", style_pairs.SETS)
def test_pairs_are_whole_and_audible(which):
    pairs = list(style_pairs.load_pairs(which))
    assert len(pairs) >= 10
    for pair in pairs:
        assert len(pair.content) == 10 * style_pairs.RATE, pair.name
        assert len(pair.style) == 25 * style_pairs.RATE, pair.name
        assert len(pair.more_style) == 10 * style_pairs.RATE, pair.name
        assert min(sound.std() for sound in (pair.content, pair.style, pair.more_style)) > 1e-3, pair.name


def test_dev_and_test_share_no_recording():
    names = [{spot.partition("@")[0] for spot in spots(which)} for which in style_pairs.SETS]
    assert not {name for name in names[0] & names[1] if "/" in name}


def spots(which):
    for line in style_pairs.PAIRS[which].strip().splitlines():
        yield from (spot.strip() for spot in line.strip().split("  ", 1))
    yield from style_pairs.READINGS[which]


def test_what_is_judged_lines_up_with_its_content():
    voice = clip("voice", style_pairs.RATE)[: style_pairs.RATE]
    output = restyle(live_style({"strength": 0.0}), voice, clip("choir", style_pairs.RATE))
    np.testing.assert_allclose(output, voice, atol=1e-4)


def test_targets_point_the_right_way():
    good = Summary(0.4, 0.4, 1.0, 0.8, 0.95, 0.1, 0.2, 0.22, 0.0)
    bad = Summary(0.1, 0.1, 1.0, 0.5, 0.5, 0.9, 0.2, 0.5, 0.5)
    assert all(outcome.reached for outcome in good.outcomes(12))
    assert not any(outcome.reached for outcome in bad.outcomes(12))
