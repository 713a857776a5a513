"""What is prepared by torch is made in a process beside, kept, and the same arrays when it is read again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.preparation import open_library, prepare

from gramophone.realtime.stage import StageError
from gramophone.realtime.stages import prepared as kept
from gramophone.realtime.system.child_call import call_in_child


def prepare_beside(file):
    return call_in_child(prepare, file, timeout_s=600, most_bytes=None)


SCRIPT = """
import sys
from pathlib import Path
from support.preparation import open_library, prepare

print("; ".join(prepare(Path(sys.argv[1]))))
"""


def script(file):
    """Prepare the same in a script that is no module: spawned processes would run it again."""
    path = file.with_name("own_script.py")
    path.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, path, file], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip().split("; ")


def test_it_is_made_by_another_process_and_kept_until_its_arguments_change(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "numbers.txt"
    file.write_text("7")
    first = [f"seven {7 * 12 * factor}.0 True 0" for factor in (2, 3, 2)] + ["a clip: no sound in it", "False"]
    assert prepare_beside(file) == first
    folder = tmp_path / "gramophone" / "prepared"
    held = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert len(held) == 2
    assert prepare_beside(file) == first
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == held  # read, not written again
    next(folder.iterdir()).write_bytes(b"spoilt")
    assert prepare_beside(file) == first
    file.write_text("8\n")
    assert prepare_beside(file)[0] == f"seven {8 * 12 * 2}.0 True 0"


def test_a_script_makes_it_itself_and_keeps_it_too(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "numbers.txt"
    file.write_text("7")
    *first, loaded = script(file)
    assert len(list((tmp_path / "gramophone" / "prepared").iterdir())) == 2
    *second, loaded_beside = prepare_beside(file)
    assert first == second
    assert (loaded, loaded_beside) == ("True", "False")


def test_where_it_cannot_be_kept_it_is_made_each_time(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "numbers.txt"))  # a file, so no folder for files
    file = tmp_path / "numbers.txt"
    file.write_text("7")
    *made, loaded = prepare_beside(file)
    assert [each.split()[1] for each in made[:3]] == [f"{7 * 12 * factor}.0" for factor in (2, 3, 2)]
    assert (made[3:], loaded) == (["a clip: no sound in it"], "False")


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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere `import torch` opens its library")
def test_torchs_library_is_opened_before_torch_is_imported():
    assert call_in_child(open_library, timeout_s=600, most_bytes=None) == (True, False, 3.0)
