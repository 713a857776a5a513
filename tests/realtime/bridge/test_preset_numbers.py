"""A preset keeps its number in the host when others come and go."""

import pytest

from gramophone.presets import DEFAULT, load, names, save_own
from gramophone.realtime.bridge.preset_numbers import numbered_presets, numbers_file, preset_of


@pytest.fixture(autouse=True)
def own_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_new_presets_come_behind_those_that_have_a_number():
    before = numbered_presets()
    assert before == names()
    save_own(load("choir"), "aaa")
    assert numbered_presets() == [*before, "aaa"]


def test_numbers_that_there_are_not_are_the_default():
    known = numbered_presets()
    assert [preset_of(number) for number in (0, -1, len(known) + 1)] == [DEFAULT] * 3
    assert preset_of(1) == known[0]


def test_a_file_that_is_broken_is_written_anew():
    numbers_file().parent.mkdir(parents=True)
    numbers_file().write_bytes(b"\xff\xfe\x00")
    assert numbered_presets() == names()
