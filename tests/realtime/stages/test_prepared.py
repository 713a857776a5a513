"""What is prepared by torch is made in a process beside, kept, and the same arrays when it is read again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gramophone.realtime.stage import StageError
from gramophone.realtime.stages import prepared as kept

CODE = """
import sys
from pathlib import Path
from gramophone.realtime.stage import StageError
from gramophone.realtime.stages.prepared import prepared
from support.preparation import arrays, refused

def main():
    for factor in (2, 3, 2):
        found = prepared(arrays, factor, Path(sys.argv[1]))
        print(found.name, found.numbers.sum(), found.numbers.flags.writeable, found.numbers.ctypes.data % 64)
    try:
        prepared(refused, "a clip")
    except StageError as error:
        print(error)
    print("torch" in sys.modules)

if __name__ == "__main__":
    main()
"""


def prepare(file):
    run = [sys.executable, "-c", CODE, str(file)]
    done = subprocess.run(run, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    return done.stdout.splitlines()


def test_it_is_made_by_another_process_and_kept_until_its_arguments_change(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "numbers.txt"
    file.write_text("7")
    first = [f"seven {7 * 12 * factor}.0 True 0" for factor in (2, 3, 2)] + ["a clip: no sound in it", "False"]
    assert prepare(file) == first
    folder = tmp_path / "gramophone" / "prepared"
    held = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert len(held) == 2
    assert prepare(file) == first
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == held  # read, not written again
    next(folder.iterdir()).write_bytes(b"spoilt")
    assert prepare(file) == first
    file.write_text("8\n")
    assert prepare(file)[0] == f"seven {8 * 12 * 2}.0 True 0"


def test_where_torch_is_loaded_it_is_made_at_once():
    assert kept.prepared(sum, (1, 2)) == 3
    with pytest.raises(StageError, match="no sound"):
        kept.prepared(_refuse)


def _refuse():
    raise StageError("no sound")


def test_what_was_not_used_for_longest_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "_MOST_BYTES", 2500)
    for age, name in enumerate("abcd"):
        (tmp_path / name).write_bytes(bytes(1000))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    kept._make_room(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
