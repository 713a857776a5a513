"""Texts are said by several voices in time with each other, and who learns from them hears one and says another."""

import shutil

import numpy as np
import pytest

from gramophone.offline.data import packages, spoken
from gramophone.offline.data.layouts import find
from gramophone.offline.data.recording import DataError
from gramophone.offline.data.spoken import CAST, CHORUS, Kokoro, Line, phonemes, script
from gramophone.realtime.system.cache_folder import cache_folder

pytestmark = pytest.mark.slow


ESPEAK = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
KOKORO = cache_folder("kokoro")


@ESPEAK
@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "Cheese.", "ʧˈiz."),
        ("en", "No boat, my bird!", "nˈO bˈOt, mI bˈɜɹd!"),
        ("it", "Ciao, pesce.", "ʧˈao, pˈeʃe."),
        ("fr", "Bonjour.", "bɔ̃ʒˈuʁ."),
    ],
)
def test_texts_are_written_as_kokoro_reads_them(language, text, expected):
    assert phonemes(text, language) == expected


def test_a_script_is_made_of_dialogues_and_is_the_same_every_time(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    at = tmp_path / "gramophone/corpora/fillets-ng-data/usr/share/games/fillets-ng/script/level"
    at.mkdir(parents=True)
    said = [f"Nothing but fish, and fish again, {word}." for word in ("she said", "he said", "in short")]
    kept = [f'dialogId("k{number}", "font_big", "{text}")' for number, text in enumerate(said)]
    left = ['dialogId("short", "font_big", "No.")', 'dialogId("number", "font_big", "There are 21 fish in the bowl.")']
    (at / "dialogs_en.lua").write_text("\n\n".join([*kept, *left]))
    (at / "dialogs_it.lua").write_text('dialogId("k0", "font_big", "Fish.")\ndialogStr("Non ci sono che dei pesci.")\n')
    lines = script()
    assert {line.name: line.text for line in lines} == {
        **{f"en__k{number}": text for number, text in enumerate(said)},
        "it__k0": "Non ci sono che dei pesci.",
    }
    assert all(len(set(line.chorus)) == CHORUS and set(line.chorus) <= set(CAST) for line in lines)
    assert script() == lines


def test_an_unknown_speaker_is_refused():
    with pytest.raises(DataError, match=r"spoken:mickey: no such speaker; expected one of bella, heart"):
        find("spoken:mickey")


def test_a_damaged_archive_is_refused_by_name(tmp_path):
    (tmp_path / "some-1.0-py3-none-any.whl").write_bytes(b"half of it")
    with pytest.raises(packages.PackageError, match=r"some-1\.0.*SHA-256 is .* expected 00; delete it and try again"):
        packages.from_pypi("some==1.0", "some-1.0-py3-none-any.whl", "00", tmp_path)


@ESPEAK
@pytest.mark.skipif(not KOKORO.is_dir(), reason="Kokoro is not in the cache; training the factory's voice gets it")
def test_a_chorus_says_one_line_in_time():
    kokoro = Kokoro(KOKORO)
    line = Line("en__ship", "en", "What kind of strange ship is that?", ("onyx", "sara"))
    man, woman = (kokoro.say(line, name) for name in line.chorus)
    assert len(man) == len(woman) > spoken._RATE
    assert np.array_equal(kokoro.say(line, "sara"), woman)
    levels = [np.sqrt(np.square(said[: len(said) // 800 * 800].reshape(-1, 800)).mean(1)) for said in (man, woman)]
    assert np.corrcoef(*levels)[0, 1] > 0.8
    assert abs(np.corrcoef(man, woman)[0, 1]) < 0.8
