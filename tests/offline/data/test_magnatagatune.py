"""MagnaTagATune: annotations and clips in the official layout, whatever is missing or broken in them."""

import csv

import numpy as np
import pytest
import soundfile

from gramophone.offline.data.magnatagatune import SYNONYMS, gather_tagged, merged, most_used, read_annotations, shuffled
from gramophone.offline.data.recording import DataError

RATE = 16_000
TAGS = ("classical", "clasical", "classic", "no beat", "beats", "beat", "flute", "sitar", "voices", "banjo")
CLIPS = {
    "0/american_bach_soloists-01-aria-0-29.mp3": {"clasical", "flute", "no beat"},
    "0/dj_markitos-02-sunset-30-59.mp3": {"beats", "voices"},
    "b/jag-03-juanita-0-29.mp3": {"classic", "classical", "flute"},
    "c/zephyr-01-prelude-0-29.mp3": {"classical"},
    "d/sitar-01-raga-0-29.mp3": {"sitar"},
    "f/monoide-07-aim-59-88.mp3": {"beat", "classical"},
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def annotate(folder, clips, tags=TAGS):
    folder.mkdir(parents=True, exist_ok=True)
    rows = [[number, *(int(tag in own) for tag in tags), path] for number, (path, own) in enumerate(clips.items(), 2)]
    with (folder / "annotations_final.csv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL).writerows([["clip_id", *tags, "mp3_path"], *rows])
    return folder


def make(folder, clips=CLIPS, seconds=1.0):
    annotate(folder, clips)
    for number, path in enumerate(clips):
        (folder / path).parent.mkdir(exist_ok=True)
        sound = np.random.default_rng(number).normal(0, 0.1, round(seconds * RATE))
        soundfile.write(folder / path, sound, RATE, format="MP3")
    return folder


def test_tags_that_mean_the_same_are_one_by_the_name_that_most_clips_have(tmp_path):
    found = merged(read_annotations(annotate(tmp_path, CLIPS)))
    assert found.tags == ("classical", "no beat", "beats", "flute", "sitar", "voices", "banjo")
    assert dict(zip(found.tags, found.labels.sum(0), strict=True)) == {
        "classical": 4,
        "no beat": 1,
        "beats": 2,
        "flute": 2,
        "sitar": 1,
        "voices": 1,
        "banjo": 0,
    }
    has = {
        path: {found.tags[i] for i in np.flatnonzero(row)} for path, row in zip(found.paths, found.labels, strict=True)
    }
    assert has["0/american_bach_soloists-01-aria-0-29.mp3"] == {"classical", "no beat", "flute"}
    assert has["b/jag-03-juanita-0-29.mp3"] == {"classical", "flute"}


def test_no_tag_is_in_two_groups_of_synonyms():
    names = [name for group in SYNONYMS for name in group]
    assert len(SYNONYMS) == 29
    assert len(names) == len(set(names)) == 83


def test_the_top_tags_are_those_that_most_clips_have_and_unused_ones_never_are(tmp_path):
    everything = merged(read_annotations(annotate(tmp_path, CLIPS)))
    assert most_used(everything, 3).tags == ("classical", "beats", "flute")
    assert "banjo" not in most_used(everything, 50).tags


def test_the_usual_split_goes_by_folders(tmp_path):
    music = gather_tagged(make(tmp_path / "set"))
    parts = {part: [recording.name[0] for recording in clips.recordings] for part, clips in music.parts.items()}
    assert parts == {"training": ["0", "0", "b"], "validation": ["c"], "test": ["d", "f"]}
    sitar = music.parts["test"].labels[:, music.tags.index("sitar")]
    assert sitar.tolist() == [True, False]
    assert not music.dropped


def test_the_shuffled_split_has_95_percent_to_train_on_and_is_always_the_same(tmp_path):
    paths = [f"{number % 16:x}/{number}.mp3" for number in range(1000)]
    parts = shuffled(paths)
    assert shuffled(paths) == parts
    assert sorted(parts["training"] + parts["validation"]) == list(range(1000))
    assert len(parts["training"]) == 950
    assert {paths[place][0] for place in parts["training"]} == set("0123456789abcdef")
    assert gather_tagged(make(tmp_path / "set"), "shuffled").parts.keys() == {"training", "validation"}


def test_clips_that_are_missing_broken_or_silent_are_counted_named_and_left_out(tmp_path):
    clips = CLIPS | {f"1/{name}-0-29.mp3": {"flute"} for name in ("gone", "empty", "text", "silent")}
    folder = make(tmp_path / "set", clips)
    (folder / "1/gone-0-29.mp3").unlink()
    (folder / "1/empty-0-29.mp3").write_bytes(b"")
    (folder / "1/text-0-29.mp3").write_text("404 not found")
    soundfile.write(folder / "1/silent-0-29.mp3", np.zeros(RATE), RATE, format="MP3")
    music = gather_tagged(folder)
    assert {(item.kind, item.path.name) for item in music.dropped} == {
        ("missing", "gone-0-29.mp3"),
        ("broken", "empty-0-29.mp3"),
        ("broken", "text-0-29.mp3"),
        ("silent", "silent-0-29.mp3"),
    }
    assert len(music.parts["training"].recordings) == 3
    report = "\n".join(music.report())
    assert "dropped, broken: 2" in report
    assert "empty-0-29.mp3: the file is empty" in report


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected clip_id"),
        ("clip_id,flute,mp3_path\n", "line 1: expected clip_id.*separated by tabs"),
        ("clip_id\tflute\tmp3_path\n2\t1\n", "line 2: 2 columns; expected 3"),
        ("clip_id\tflute\tmp3_path\n2\t1\ta.mp3\n3\tyes\tb.mp3\n", "line 3, 'flute': 'yes'; expected 0 or 1"),
    ],
)
def test_annotations_that_are_none_are_named_with_line_and_column(tmp_path, text, message):
    (tmp_path / "annotations_final.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_annotations(tmp_path)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"annotations_final\.csv: no such file"):
        gather_tagged(tmp_path)
    with pytest.raises(DataError, match="split 'random': expected one of folders, shuffled"):
        gather_tagged(make(tmp_path / "set"), "random")
    with pytest.raises(DataError, match=r"no clip is left(.|\n)*dropped, missing: 6"):
        gather_tagged(annotate(tmp_path / "other", CLIPS))
