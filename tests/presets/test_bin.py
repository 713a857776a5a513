"""A bin keeps what was removed for a month, and no more than a gigabyte of it but for what was removed last."""

import os

import pytest

from gramophone.presets import bin as bins
from gramophone.presets.bin import LONGEST_DAYS, Bin

DAY_S = 86_400


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "things"


@pytest.fixture
def kept(folder):
    return Bin(folder / "bin")


def put(kept, name, size, removed_s):
    """Remove a thing of two files, at a time in seconds since 1970."""
    kept.folder.parent.mkdir(exist_ok=True)
    paths = [kept.folder.parent / f"{name}{suffix}" for suffix in (".flac", ".json")]
    for path in paths:
        path.write_bytes(bytes(size // 2))
    kept.put(*paths)
    for path in paths:
        os.utime(kept.folder / path.name, (removed_s, removed_s))


def names(kept):
    return sorted({path.name.partition(".")[0] for path in kept.folder.iterdir()})


def test_a_thing_is_as_old_as_its_removal_and_goes_a_month_later(folder, kept):
    folder.mkdir()
    take = folder / "take"
    take.mkdir()
    (take / "input.wav").write_bytes(bytes(10))
    os.utime(take, (0, 0))
    kept.put(take)
    now_s = (kept.folder / "take").stat().st_mtime
    assert kept.contents() == (1, 10)
    kept.tidy(now_s + (LONGEST_DAYS - 1) * DAY_S)
    assert names(kept) == ["take"]
    kept.tidy(now_s + (LONGEST_DAYS + 1) * DAY_S)
    assert names(kept) == []


def test_beyond_the_limit_the_oldest_go_and_the_newest_stays_whatever_its_size(kept, monkeypatch):
    monkeypatch.setattr(bins, "MOST_BYTES", 100)
    for day, (name, size) in enumerate((("old", 40), ("newer", 40), ("new", 40))):
        put(kept, name, size, day * DAY_S)
    kept.tidy(3 * DAY_S)
    assert (names(kept), kept.contents()) == (["new", "newer"], (2, 80))
    put(kept, "huge", 400, 3 * DAY_S)
    kept.tidy(3 * DAY_S)
    assert (names(kept), kept.contents()) == (["huge"], (1, 400))


def test_a_thing_of_the_same_name_takes_the_place_of_the_older(folder, kept):
    for size in (3, 5):
        (folder / "take").mkdir(parents=True)
        (folder / "take" / "input.wav").write_bytes(bytes(size))
        kept.put(folder / "take")
    assert kept.contents() == (1, 5)


def test_a_link_is_removed_and_not_what_it_leads_to(folder, kept, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("stays")
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    kept.folder.mkdir()
    (folder / "link").rename(kept.folder / "link")
    kept.empty()
    assert (outside / "precious").read_text() == "stays"
    assert kept.contents() == (0, 0)


def test_a_bin_that_is_not_there_yet_is_empty(kept):
    kept.tidy()
    kept.empty()
    assert kept.contents() == (0, 0)
