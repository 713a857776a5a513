"""A file appears whole or not at all, whatever its name and whoever writes beside."""

import errno
import multiprocessing
import os
import stat
import subprocess
import sys

import pytest

from gramophone.presets.atomic import atomic_write


def test_what_is_written_takes_the_name_and_nothing_else_stays(tmp_path):
    path = tmp_path / "preset.toml"
    path.write_text("old")
    with atomic_write(path) as part:
        assert part.parent == tmp_path
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def _write_half(path, error):
    with atomic_write(path) as part:
        part.write_text("half")
        raise error


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "preset.toml"
    path.write_text("old")
    with pytest.raises(error):
        _write_half(path, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["x", "e" * 255, "\u00e9" * 127])
def test_any_name_that_the_file_system_takes(tmp_path, name):
    with atomic_write(tmp_path / name) as part:
        part.write_bytes(b"whole")
    assert (tmp_path / name).read_bytes() == b"whole"


def test_a_folder_in_the_place_is_an_error_and_nothing_stays(tmp_path):
    (tmp_path / "taken" / "by").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"), atomic_write(tmp_path / "taken") as part:
        part.write_text("new")
    assert list(tmp_path.iterdir()) == [tmp_path / "taken"]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError) as raised, atomic_write(tmp_path / "missing" / "file"):
        pass
    assert raised.value.filename == str(tmp_path / "missing" / "file")


def test_an_error_of_the_disk_names_the_file_that_was_to_be_written(tmp_path):
    with pytest.raises(OSError, match="No space left") as raised, atomic_write(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert raised.value.filename == str(tmp_path / "file")
    with pytest.raises(OSError, match="other"), atomic_write(tmp_path / "file"):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "other")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_others_may_read_what_the_umask_lets_them_read(tmp_path):
    with atomic_write(tmp_path / "file"):
        pass
    (tmp_path / "usual").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "usual")]
    assert modes[0] == modes[1]


def _write_again_and_again(path, letter):
    for _ in range(200):
        with atomic_write(path) as part:
            part.write_text(letter * 10_000)


def test_writers_at_the_same_time_never_mix(tmp_path):
    path = tmp_path / "shared"
    path.write_text("a" * 10_000)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_again_and_again, args=(path, letter)) for letter in "ab"]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_text() in ("a" * 10_000, "b" * 10_000)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_that_ends_before_it_has_written_leaves_nothing(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom gramophone.presets.atomic import create_part\n"
        "create_part(Path(sys.argv[1]))\nraise SystemExit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "result.wav")])
    assert list(tmp_path.iterdir()) == []
