"""What is downloaded or made once and kept."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gramophone.offline.data.packages import PackageError, checked, filled


def test_of_several_who_fill_the_same_folder_one_is_kept_and_none_fails(tmp_path: Path) -> None:
    folder, together, kept = tmp_path / "instruments" / "flute-1", threading.Barrier(4, timeout=20), []

    def fill(number: int) -> None:
        with filled(folder) as part:
            for name in ("a", "b"):
                (part / name).write_text(str(number))
            together.wait()
        kept.append({path.read_text() for path in folder.iterdir()})

    fillers = [threading.Thread(target=fill, args=(number,)) for number in range(4)]
    for filler in fillers:
        filler.start()
    for filler in fillers:
        filler.join()
    assert len(kept) == 4
    assert all(who == kept[0] and len(who) == 1 for who in kept)
    assert [path.name for path in folder.parent.iterdir()] == ["flute-1"]


def test_what_is_half_full_is_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "sara-1"
    with pytest.raises(KeyboardInterrupt), filled(folder) as part:  # noqa: PT012 what is written before is the point
        (part / "en__one.wav").write_bytes(b"RIFF")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_what_is_not_what_was_expected_is_named(tmp_path: Path) -> None:
    (tmp_path / "part.bin").write_bytes(b"")
    with pytest.raises(PackageError, match=r"part.bin: SHA-256 is e3b0c44\w+, expected 00; delete it and try again"):
        checked(tmp_path / "part.bin", "00")
