"""Data sets are found in their layouts, checked aloud, decoded once, and never trained on where they are held out."""

import os

import numpy as np
import pytest
import soundfile

from gramophone.offline.data import corpora
from gramophone.offline.data.corpus import Limits, gather, sound
from gramophone.offline.data.decoded import decoded, listen
from gramophone.offline.data.layouts import find
from gramophone.offline.data.recording import DataError
from gramophone.offline.train.crops import Cutter, FromStep, TrainingCrops, ValidationBatch
from gramophone.realtime.files import SoundFileError

RATE = 8000


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def noise(seconds, seed=0, rate=RATE, level=0.1):
    return np.random.default_rng(seed).normal(0, level, round(seconds * rate)).astype(np.float32)


def write(path, samples, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)


def make_speakers(folder, speakers=("ann", "bob"), each=12, seconds=4.0):
    for number, speaker in enumerate(speakers):
        for take in range(each):
            write(folder / speaker / f"take{take}.wav", noise(seconds, 100 * number + take))
    return folder


def found(place, layout="auto"):
    source = find(str(place), layout)
    return source.layout, {item.name: (item.speaker, item.text) for item in source.found}


def test_vctk_is_found_in_both_official_layouts(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    write(old / "wav48" / "p225" / "p225_001.wav", noise(0.1))
    for microphone in ("mic1", "mic2"):
        write(new / "wav48_silence_trimmed" / "p225" / f"p225_001_{microphone}.flac", noise(0.1))
    for folder in (old, new):
        (folder / "txt" / "p225").mkdir(parents=True)
        (folder / "txt" / "p225" / "p225_001.txt").write_text("Please call Stella.\n")
        assert found(folder) == ("vctk", {"p225_001": ("p225", "Please call Stella.")})


def test_magnatagatune_is_folders_of_mp3_without_speakers(tmp_path):
    for folder in "0af":
        write(tmp_path / folder / "clip.mp3", noise(0.5))
    layout, items = found(tmp_path)
    assert (layout, set(items)) == ("magnatagatune", {"0__clip", "a__clip", "f__clip"})
    assert set(items.values()) == {("", "")}


def test_a_folder_per_speaker_and_any_folder(tmp_path):
    write(tmp_path / "choir" / "ann" / "one.wav", noise(0.1))
    write(tmp_path / "choir" / "bob" / "day" / "one.wav", noise(0.1))
    (tmp_path / "choir" / "ann" / "one.txt").write_text("la")
    assert found(tmp_path / "choir") == ("speakers", {"ann__one": ("ann", "la"), "bob__day__one": ("bob", "")})
    assert found(tmp_path / "choir" / "ann") == ("folder", {"one": ("ann", "la")})
    assert found(tmp_path / "choir", "folder")[1]["ann__one"] == ("choir", "la")


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        find(str(tmp_path / "nothing"))
    with pytest.raises(DataError, match="no sound files"):
        find(str(tmp_path))
    with pytest.raises(DataError, match=r"voice:nobody.*big-fish"):
        find("voice:nobody")
    make_speakers(tmp_path / "two", each=1)
    with pytest.raises(DataError, match="no speaker carol; expected some of ann, bob"):
        gather([str(tmp_path / "two")], RATE, speakers=["carol"])


def test_every_fault_is_found_and_named(tmp_path):
    make_speakers(tmp_path)
    write(tmp_path / "ann" / "low.wav", noise(4, 50, 4000), 4000)
    write(tmp_path / "ann" / "quiet.wav", noise(4, 51, level=1e-4))
    write(tmp_path / "ann" / "click.wav", noise(0.2, 52))
    write(tmp_path / "ann" / "twin.wav", noise(4, 0))
    (tmp_path / "ann" / "broken.wav").write_bytes(b"no sound")
    write(tmp_path / "carol" / "one.wav", noise(4, 53))
    corpus = gather([str(tmp_path)], RATE, Limits(least_minutes=0.3))
    assert corpus.speakers == ("ann", "bob")
    dropped = {(item.kind, item.path.name) for item in corpus.dropped}
    twin = {name for kind, name in dropped if kind == "duplicate"}
    assert len(twin) == 1
    assert twin <= {"twin.wav", "take0.wav"}
    assert dropped - {("duplicate", name) for name in twin} == {
        ("low rate", "low.wav"),
        ("silent", "quiet.wav"),
        ("short", "click.wav"),
        ("unreadable", "broken.wav"),
        ("speaker with too little", "one.wav"),
    }
    report = "\n".join(corpus.report())
    assert "recorded at 4000 Hz; expected at least 8000" in report
    assert "speaker 'carol' has 0.0" in report
    assert corpus.as_dict()["speakers"]["ann"]["training_minutes"] == pytest.approx(
        sum(r.heard.audible for r in corpus.training if r.speaker == "ann") / RATE / 60
    )


def test_a_folder_with_no_usable_speaker_says_why(tmp_path):
    write(tmp_path / "ann" / "one.wav", noise(0.1))
    with pytest.raises(DataError, match=r"no usable recording of 1 is left(.|\n)*dropped, short: 1"):
        gather([str(tmp_path)], RATE)


def test_held_out_recordings_are_never_trained_on_not_even_by_another_name(tmp_path):
    make_speakers(tmp_path, each=16)
    names = [f"{speaker}__take{take}" for speaker in ("ann", "bob") for take in range(16)]
    secret = next(name for name in names if corpora.is_held_out(name))
    speaker, take = secret.split("__")
    other = next(name for name in (f"{speaker}__copy{i}" for i in range(99)) if not corpora.is_held_out(name))
    copy = tmp_path / speaker / f"{other.split('__')[1]}.wav"
    copy.write_bytes((tmp_path / speaker / f"{take}.wav").read_bytes())
    corpus = gather([str(tmp_path)], RATE, Limits(least_minutes=0.1))
    assert {r.name for r in corpus.held_out} == {name for name in names if corpora.is_held_out(name)}
    assert {r.name for r in corpus.training} == {name for name in names if not corpora.is_held_out(name)}
    assert not {r.heard.digest for r in corpus.training} & {r.heard.digest for r in corpus.held_out}


def test_a_sound_is_decoded_again_only_if_the_file_changed_or_the_kept_one_is_incomplete(tmp_path):
    path = tmp_path / "one.wav"
    write(path, noise(1, 1, 16_000), 16_000)
    heard, kept = decoded(path, RATE)
    assert (heard.rate, heard.frames, np.load(kept).dtype) == (16_000, RATE, np.int16)
    first = kept.stat().st_mtime_ns
    assert decoded(path, RATE) == (heard, kept)
    assert kept.stat().st_mtime_ns == first
    kept.with_suffix(".json").unlink()
    kept.write_bytes(b"half")
    assert decoded(path, RATE) == (heard, kept)
    assert len(np.load(kept)) == RATE
    write(path, noise(1, 2, 16_000), 16_000)
    os.utime(path, ns=(1, 1))
    again, elsewhere = decoded(path, RATE)
    assert elsewhere != kept
    assert again.digest != heard.digest


def test_a_sound_beyond_full_scale_keeps_its_shape_and_one_of_no_numbers_is_refused(tmp_path):
    loud = noise(1.0, level=2.0)
    soundfile.write(tmp_path / "loud.wav", loud, RATE, subtype="FLOAT")
    kept = np.load(decoded(tmp_path / "loud.wav", RATE)[1])
    np.testing.assert_allclose(kept / 32767, loud / np.abs(loud).max(), atol=1 / 32767)
    loud[10] = np.nan
    soundfile.write(tmp_path / "broken.wav", loud, RATE, subtype="FLOAT")
    with pytest.raises(SoundFileError, match=r"broken\.wav: holds samples that are NaN"):
        decoded(tmp_path / "broken.wav", RATE)


def test_silence_is_cut_out_and_levels_are_alike(tmp_path):
    pause, talk = np.zeros(2 * RATE, np.float32), noise(1, 3, level=0.02)
    heard = listen((np.concatenate([pause, talk, pause, talk]) * 32_767).astype(np.int16), RATE, RATE)
    assert np.array(heard.spans) / RATE == pytest.approx(np.array([(2, 3), (5, 6)]), abs=0.1)
    for number in range(20):
        write(tmp_path / f"{number}.wav", noise(4, number, level=0.01 * (number + 1)))
    for recording in gather([str(tmp_path)], RATE, Limits(least_minutes=0)).recordings:
        assert np.sqrt(np.mean(sound(recording) ** 2)) == pytest.approx(0.1, rel=0.1) or recording.gain < 1


def test_crops_are_the_recording_itself_from_silence_on(tmp_path):
    corpus = gather([str(make_speakers(tmp_path))], RATE)
    recording = corpus.recordings[0]
    whole, cutter = sound(recording), Cutter(corpus.speakers, 100, 10)
    start = cutter.cut(recording, 0)
    np.testing.assert_array_equal(start.sound[0, 0], np.r_[0, whole[:100]])
    middle = cutter.cut(recording, 1000)
    np.testing.assert_array_equal(middle.sound[0, 0], whole[999:1100])
    end = cutter.cut(recording, len(whole) - 40)
    assert end.scored[0].tolist() == [False] * 10 + [True] * 30 + [False] * 60


def test_pauses_are_heard_but_not_learnt(tmp_path):
    said = np.r_[noise(1.0), np.zeros(RATE // 5, np.float32), noise(1.0, 1)]
    for name in ("home/one.wav", "home/two.wav"):
        write(tmp_path / "home" / name, said * (1 if "one" in name else -1))
    corpus = gather([str(tmp_path / "home")], RATE, Limits(least_minutes=0))
    crop = Cutter(corpus.speakers, len(said), 0, pause=50).cut(corpus.recordings[0], 0)
    pause = np.flatnonzero(~crop.scored[0].numpy())
    loud = np.flatnonzero(np.abs(sound(corpus.recordings[0])) > 0.02)
    before, after = loud[loud < RATE].max(), loud[loud > RATE].min()
    assert pause.tolist() == list(range(before + 51, after - 50))


def test_local_conditions_lie_under_the_samples_that_they_speak_of(tmp_path):
    corpus = gather([str(make_speakers(tmp_path))], RATE)
    recording = corpus.recordings[0]
    cutter = Cutter(corpus.speakers, 80, 0, hop=8, series=lambda r: np.arange(r.heard.frames // 8, dtype="f4")[:, None])
    crop = cutter.cut(recording, 163)
    assert crop.local[0, 0].tolist() == list(range(20, 30))
    np.testing.assert_array_equal(crop.sound[0, 0, 1:], sound(recording, 160, 240))


def test_a_step_has_the_same_crops_always_and_processes_share_them(tmp_path):
    corpus = gather([str(make_speakers(tmp_path))], RATE)
    cutter = Cutter(corpus.speakers, 400, 100)
    alone = TrainingCrops(corpus.training, cutter, batch=4, seed=3)
    shares = [TrainingCrops(corpus.training, cutter, 2, 3, rank, 2) for rank in range(2)]
    for step in FromStep(5, 8):
        halves = [share[step] for share in shares]
        for whole, *parts in zip(alone[step], *halves, strict=True):
            np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert not np.array_equal(alone[5].sound, alone[6].sound)
    assert not np.array_equal(alone[5].sound, TrainingCrops(corpus.training, cutter, 4, 4)[5].sound)


def test_speakers_are_heard_equally_often_however_much_they_say(tmp_path):
    make_speakers(tmp_path, ("ann",), each=3)
    make_speakers(tmp_path, ("bob",), each=30, seconds=3)
    corpus = gather([str(tmp_path)], RATE, Limits(least_minutes=0))
    drawn = TrainingCrops(corpus.training, Cutter(corpus.speakers, 50, 0), batch=1000, seed=0)[0].speaker
    assert drawn.float().mean().item() == pytest.approx(0.5, abs=0.06)


def test_judged_crops_are_fixed_and_of_one_speaker_each(tmp_path):
    corpus = gather([str(make_speakers(tmp_path, each=16))], RATE)
    judged = ValidationBatch(corpus.held_out, Cutter(corpus.speakers, 400, 100), crops=6)
    assert [set(batch.speaker.tolist()) for batch in judged] == [{0}, {1}]
    assert all(batch.sound.shape == (6, 1, 401) and not batch.jitter.any() for batch in judged)
