"""What is judged of a live conversion is what a converter plays after the same sound before."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from support.anyone import KNOWN, anyone  # noqa: F401 - a fixture

from gramophone.offline.evaluate.conversion_judges import JudgedPhrase
from gramophone.offline.evaluate.live_voice import ENGLISH, HeldOutPhrases, LiveConversion
from gramophone.realtime.stages.latent.codec import LatentModel
from gramophone.realtime.stages.speaker_blend import model_path
from gramophone.realtime.stages.voice.converter import VoiceConverter, parts_of_file

HOP = 128


def buzz(hops, hz):
    """A buzz whose level and colour move."""
    time = np.arange(hops * HOP) / 16_000
    tones = sum(np.sin(2 * np.pi * hz * k * time) * (1 + np.sin(7 * k * time)) / k for k in range(1, 20))
    return (0.05 * tones).astype(np.float32)


def test_every_phrase_is_converted_as_if_its_speaker_had_only_spoken_before(anyone):
    before, sound = buzz(60, 110), buzz(40, 140)
    cases = SimpleNamespace(clips={}, before={"ann": [before]}, octaves={})
    convert = LiveConversion(cases, Path(anyone), False, {})
    phrase = JudgedPhrase("ann", sound, "", 0.0, (), 0, 0)
    said = [convert(phrase, KNOWN[1]) for _ in range(2)]

    converter = VoiceConverter(parts_of_file(Path(anyone), False))
    played = np.concatenate([before, sound, np.zeros(converter.delay, np.float32)]).reshape(-1, HOP)
    weights = [convert.voice_weights("")] * 60 + [convert.voice_weights(KNOWN[1])] * len(played)
    hops = [
        converter.convert(converter.measure(hop), own, convert._values)
        for hop, own in zip(played, weights, strict=False)
    ]
    np.testing.assert_array_equal(said[0], np.concatenate(hops[60:])[converter.delay :][: len(sound)])
    np.testing.assert_array_equal(*said)
    assert np.abs(said[0]).max() > 0


def test_a_phrase_is_converted_by_a_model_of_latents_as_its_codec_plays():
    before, sound = buzz(20, 110), buzz(20, 140)
    cases = SimpleNamespace(clips={}, before={"ann": [before]}, octaves={})
    path = model_path("voice")
    convert = LiveConversion(cases, path, False, {})
    speaker = convert.speakers[0]
    said = convert(JudgedPhrase("ann", sound, "", 0.0, (), 0, 0), speaker)

    codec = LatentModel.of(path).codec("cpu")
    hops = np.concatenate([before, sound, np.zeros(codec.delay, np.float32)])
    hops = np.pad(hops, (0, -len(hops) % codec.hop)).reshape(-1, codec.hop)
    weights = [convert.voice_weights("" if i * codec.hop < len(before) else speaker) for i in range(len(hops))]
    played = [
        codec.synthesise(codec.analyse(hop), own, convert._values) for hop, own in zip(hops, weights, strict=True)
    ]
    np.testing.assert_array_equal(said, np.concatenate(played)[len(before) + codec.delay :][: len(sound)])
    assert np.abs(said).max() > 0


def test_phrases_whose_words_alone_count_are_none_of_those_that_are_judged_besides():
    heard = SimpleNamespace(audible=3 * 16_000, frames=4 * 16_000)
    recordings = [
        SimpleNamespace(speaker=ENGLISH, found=SimpleNamespace(text="one two"), heard=heard, sound=Path(f"{n}.wav"))
        for n in range(20)
    ]
    judged = HeldOutPhrases(recordings, (ENGLISH,), 6)
    more = HeldOutPhrases(recordings, (ENGLISH,), 20, besides=judged)
    first, others = ({one.sound for one in own._recordings[ENGLISH]} for own in (judged, more))
    assert (len(first), len(others)) == (6, 14)
    assert not first & others
